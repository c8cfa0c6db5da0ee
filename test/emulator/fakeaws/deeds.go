package fakeaws

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// A Deed is an action of somebody else on a group: a schedule, an operator, Auto Scaling itself, EKS or EC2. Each kind lists
// the fields that count. In the configuration file:
//
//	deeds:
//	- {kind: scheduled-action, group: gpu, after: 1m, every: 1h, desired: 3}
//	- {kind: reclaim, group: gpu, after: 90s, count: 2}
type Deed struct {
	Kind  DeedKind `json:"kind"`
	Group string   `json:"group"`

	After Duration `json:"after,omitempty"` // from the start of the Server, or from the request
	Every Duration `json:"every,omitempty"` // and then again and again

	Desired   *int     `json:"desired,omitempty"`
	Min       *int     `json:"min,omitempty"`
	Max       *int     `json:"max,omitempty"`
	Add       int      `json:"add,omitempty"`
	Count     int      `json:"count,omitempty"`
	Instances []string `json:"instances,omitempty"`
	Processes []string `json:"processes,omitempty"`
	BackAfter Duration `json:"backAfter,omitempty"`
	Notice    Duration `json:"notice,omitempty"`
	Backup    bool     `json:"backup,omitempty"`
	Each      Duration `json:"each,omitempty"`
	Bake      Duration `json:"bake,omitempty"`

	LaunchTemplate *LaunchTemplateRef `json:"launchTemplate,omitempty"`
}

// A DeedKind is the kind of a Deed.
type DeedKind string

// Kinds of deeds, with the fields that count.
const (
	// OperatorDesired sets the desired capacity to Desired, or raises it by Add, within the limits.
	OperatorDesired DeedKind = "set-desired"
	// ScheduledAction does the same, after it has set Min and Max, unless the process ScheduledActions is suspended.
	ScheduledAction DeedKind = "scheduled-action"
	// Rebalance evens the zones out, one instance at a time. It launches the new one before it terminates the old one.
	Rebalance DeedKind = "az-rebalance"
	// Refresh replaces every instance, and keeps 90 percent of the desired capacity in service. It leaves protected instances and those
	// in standby alone. It succeeds once it has baked for Bake. New instances start from LaunchTemplate if that is given. The group, which
	// must state one itself, states that one once the refresh has succeeded, as the SDK says of StartInstanceRefresh.
	Refresh DeedKind = "instance-refresh"
	// Reclaim makes EC2 take away Instances, or Count (1) that are in service, by the seed, spot ones if there are any.
	Reclaim DeedKind = "reclaim"
	// Standby and Detach act on Instances, or on Count (1) that are in service, by the seed. The desired capacity follows unless that
	// goes below the minimum.
	Standby DeedKind = "standby"
	Detach  DeedKind = "detach"
	// Delete deletes the group with its instances. BackAfter it is gone, one of the same name and configuration is created.
	Delete DeedKind = "delete"
	// SuspendProcesses and ResumeProcesses act on Processes, or on all of them.
	SuspendProcesses DeedKind = "suspend"
	ResumeProcesses  DeedKind = "resume"
)

// deedsDone are the functions of the kinds. Each gets the group of that time.
var deedsDone = map[DeedKind]func(*account, *group, Deed) error{
	ScheduledAction:  (*account).deedDesired,
	OperatorDesired:  (*account).deedDesired,
	Rebalance:        (*account).rebalance,
	Refresh:          (*account).refresh,
	Reclaim:          (*account).reclaim,
	Standby:          (*account).toStandby,
	Detach:           (*account).detach,
	Delete:           (*account).deleteDeed,
	SuspendProcesses: (*account).suspendDeed,
	ResumeProcesses:  (*account).suspendDeed,

	ReplaceRootVolume: (*account).replaceRootVolume,

	Interrupt:            (*account).announce,
	RecommendRebalance:   (*account).announce,
	InterruptReservation: (*account).announce,
	ScheduleChange:       (*account).announce,
}

func (d Deed) by() string { return string(d.Kind) }

func (d Deed) validate() error {
	switch {
	case deedsDone[d.Kind] == nil:
		return fmt.Errorf("deed %q: no such kind; there are %v", d.Kind, slices.Sorted(maps.Keys(deedsDone)))
	case d.Group == "":
		return fmt.Errorf("deed %q: which group?", d.Kind)
	case d.Every < 0 || d.After < 0 || d.BackAfter < 0:
		return fmt.Errorf("deed %q of %q: never is no time", d.Kind, d.Group)
	}
	return nil
}

// Do plans a Deed. A deed that is refused when it comes, for instance because its group does not exist, leaves an event of the
// kind Refused.
func (s *Server) Do(d Deed) error {
	if err := d.validate(); err != nil {
		return err
	}
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.plot(d, time.Duration(d.After))
	return nil
}

// plot plans a deed for a while from now, and repeats it if it has Every.
func (a *account) plot(d Deed, in time.Duration) {
	carriedOut := func() {}
	if d.Kind == ScheduledAction {
		carriedOut = a.announceAction(d, in)
	}
	done := func() {
		carriedOut()
		g, err := a.findGroup(d.Group)
		if err == nil {
			err = deedsDone[d.Kind](a, g, d)
		}
		if err != nil {
			a.events.add(Event{Kind: Refused, Group: d.Group, By: d.by(), Message: err.Error()})
		}
		if d.Every > 0 {
			a.plot(d, time.Duration(d.Every))
		}
	}
	if in == 0 && d.Every == 0 {
		done()
		return
	}
	a.at(time.Now(), Duration(in), done)
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 3)) }

func or(given *int, otherwise int) int {
	if given == nil {
		return otherwise
	}
	return *given
}

func (a *account) deedDesired(g *group, d Deed) error {
	least, most, desired := or(d.Min, g.Min), or(d.Max, g.Max), or(d.Desired, g.Desired+d.Add)
	if limits := d.Min != nil || d.Max != nil; limits && d.Desired == nil {
		desired = min(max(desired, least), most)
	}
	switch {
	case d.Kind == ScheduledAction && g.suspended("ScheduledActions"):
		return errors.New("the process ScheduledActions is suspended")
	case g.deleting:
		return pendingDelete
	case desired < least || desired > most:
		return fmt.Errorf("desired capacity %d is not within %d and %d", desired, least, most)
	case least != g.Min || most != g.Max:
		g.Min, g.Max = least, most
		a.events.add(Event{Kind: GroupUpdated, Group: g.Name, By: d.by(), From: least, To: most})
	}
	a.setDesired(g, desired, d.by())
	return nil
}

func (a *account) chosen(g *group, d Deed) []*instance {
	var out, spots []*instance
	for _, i := range g.instances {
		if len(d.Instances) > 0 && slices.Contains(d.Instances, i.id) || len(d.Instances) == 0 && i.state == inService && !i.dead {
			out = append(out, i)
			if i.pool.capacityType == spot {
				spots = append(spots, i)
			}
		}
	}
	if len(d.Instances) > 0 {
		return out
	}
	if slices.Contains([]DeedKind{Reclaim, Interrupt, RecommendRebalance}, d.Kind) && len(spots) > 0 {
		out = spots
	}
	a.random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(len(out), first(d.Count, 1))]
}

func (a *account) reclaim(g *group, d Deed) error {
	for _, i := range a.chosen(g, d) {
		a.lose(i)
	}
	return nil
}

func (a *account) suspendDeed(g *group, d Deed) error {
	names, err := processNames(d.Processes)
	if err == nil {
		a.suspend(g, names, d.Kind == SuspendProcesses, d.by())
	}
	return err
}

func (a *account) setTags(g *group, tags map[string]*string) {
	for key, value := range tags {
		if value == nil {
			delete(g.Tags, key)
		} else {
			g.Tags[key] = *value
		}
	}
	a.events.add(Event{Kind: TagsChanged, Group: g.Name, By: admin})
}

// recreatePoll is the pause between two looks for a deleted group.
const recreatePoll = 100 * time.Millisecond

func (a *account) deleteDeed(g *group, d Deed) error {
	if a.returning[g.Name] != nil {
		return pendingDelete
	}
	cfg := g.AutoScalingGroup
	cfg.Tags = maps.Clone(g.Tags)
	a.deleteGroup(g)
	if d.BackAfter == 0 {
		return nil
	}
	a.returning[g.Name] = &cfg
	var back func()
	back = func() {
		if a.groups[cfg.Name] != nil {
			a.at(time.Now(), Duration(recreatePoll), back)
			return
		}
		a.at(time.Now(), d.BackAfter, func() {
			delete(a.returning, cfg.Name)
			if a.groups[cfg.Name] == nil {
				a.create(cfg, d.by())
			}
		})
	}
	back()
	return nil
}

// create adds a group whose instances are launched now.
func (a *account) create(cfg AutoScalingGroup, by string) {
	desired := cfg.Desired
	cfg.Desired = 0
	g := newGroup(a, cfg)
	a.groups[cfg.Name] = g
	a.events.add(Event{Kind: GroupCreated, Group: cfg.Name, By: by})
	a.setDesired(g, desired, by)
}
