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
//	- {kind: scheduled-action, group: gpu, after: 1m, every: 1h, min: 1, desired: 3}
//	- {kind: reclaim, group: gpu, after: 90s, jitter: 30s, count: 2}
type Deed struct {
	Kind  DeedKind `json:"kind"`
	Group string   `json:"group"`
	By    string   `json:"by,omitempty"` // for the events, default is the kind

	After  Duration `json:"after,omitempty"`  // from the start of the Server, or from the request
	Every  Duration `json:"every,omitempty"`  // and then again and again
	Jitter Duration `json:"jitter,omitempty"` // each time up to this much later, by the Config's seed

	Min        *int               `json:"min,omitempty"`
	Max        *int               `json:"max,omitempty"`
	Desired    *int               `json:"desired,omitempty"`
	Add        int                `json:"add,omitempty"`
	Count      int                `json:"count,omitempty"`
	Instances  []string           `json:"instances,omitempty"`
	MinHealthy *int               `json:"minHealthyPercentage,omitempty"`
	Surge      int                `json:"surge,omitempty"`
	Tags       map[string]*string `json:"tags,omitempty"`
	Processes  []string           `json:"processes,omitempty"`
	Template   *LaunchTemplateRef `json:"launchTemplate,omitempty"`
	BackAfter  Duration           `json:"backAfter,omitempty"`
	Notice     Duration           `json:"notice,omitempty"`
	Backup     bool               `json:"backup,omitempty"`
	States     []string           `json:"states,omitempty"`
	Each       Duration           `json:"each,omitempty"`
}

// A DeedKind is the kind of a Deed.
type DeedKind string

// Kinds of deeds, with the fields that count.
const (
	// ScheduledAction sets the given ones of Min, Max and Desired, unless the process ScheduledActions is suspended.
	ScheduledAction DeedKind = "scheduled-action"
	// OperatorDesired sets the desired capacity to Desired, or raises it by Add, within the limits.
	OperatorDesired DeedKind = "set-desired"
	// OperatorLimits sets the given ones of Min and Max. The desired capacity moves with them.
	OperatorLimits DeedKind = "set-limits"
	// Rebalance evens the zones out, one instance at a time. It launches the new one before it terminates the old one.
	Rebalance DeedKind = "az-rebalance"
	// Refresh replaces every instance, with Template if it is given, and keeps MinHealthy percent (90) of the desired capacity
	// in service. It leaves protected instances and those in standby alone.
	Refresh DeedKind = "instance-refresh"
	// NodegroupUpdate replaces every instance as EKS does with a managed node group. It raises max and desired by Surge (twice
	// the zones), terminates the old instances one by one, and then lowers both again, one by one, and Auto Scaling chooses the
	// instances to end. Nodes are not drained.
	NodegroupUpdate DeedKind = "nodegroup-update"
	// Reclaim makes EC2 take away Instances, or Count (1) that are in service, by the seed, spot ones if there are any.
	Reclaim DeedKind = "reclaim"
	// Standby, Detach and Protect act on Instances, or on Count (1) that are in service, by the seed. The desired capacity
	// follows into standby and on detaching unless that goes below the minimum.
	Standby DeedKind = "standby"
	Detach  DeedKind = "detach"
	Protect DeedKind = "protect"
	// Delete deletes the group with its instances. BackAfter it is gone, one of the same name and configuration is created.
	Delete DeedKind = "delete"
	// ChangeTags sets Tags. null deletes one.
	ChangeTags DeedKind = "tags"
	// SuspendProcesses and ResumeProcesses act on Processes, or on all of them.
	SuspendProcesses DeedKind = "suspend"
	ResumeProcesses  DeedKind = "resume"
)

// deedsDone are the functions of the kinds. Each gets the group of that time.
var deedsDone = map[DeedKind]func(*account, *group, Deed) error{
	ScheduledAction:  (*account).scheduledAction,
	OperatorDesired:  (*account).operatorDesired,
	OperatorLimits:   (*account).operatorLimits,
	Rebalance:        (*account).rebalance,
	Refresh:          (*account).refresh,
	NodegroupUpdate:  (*account).nodegroupUpdate,
	Reclaim:          (*account).reclaim,
	Standby:          (*account).toStandby,
	Detach:           (*account).detach,
	Protect:          (*account).protect,
	Delete:           (*account).deleteDeed,
	ChangeTags:       (*account).changeTags,
	SuspendProcesses: (*account).suspendDeed,
	ResumeProcesses:  (*account).suspendDeed,

	ReplaceRootVolume: (*account).replaceRootVolume,

	Interrupt:            (*account).announce,
	RecommendRebalance:   (*account).announce,
	InterruptReservation: (*account).announce,
	ScheduleChange:       (*account).announce,
}

func (d Deed) by() string { return first(d.By, string(d.Kind)) }

func (d Deed) validate() error {
	switch {
	case deedsDone[d.Kind] == nil:
		return fmt.Errorf("deed %q: no such kind; there are %v", d.Kind, slices.Sorted(maps.Keys(deedsDone)))
	case d.Group == "":
		return fmt.Errorf("deed %q: which group?", d.Kind)
	case d.Every < 0 || d.After < 0 || d.Jitter < 0 || d.BackAfter < 0:
		return fmt.Errorf("deed %q of %q: never is no time", d.Kind, d.Group)
	case d.MinHealthy != nil && (*d.MinHealthy < 0 || *d.MinHealthy > 100):
		return fmt.Errorf("deed %q of %q: %d is no percentage", d.Kind, d.Group, *d.MinHealthy)
	}
	return d.validateStates()
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
	if d.Jitter > 0 {
		in += time.Duration(a.random.Int64N(int64(d.Jitter)))
	}
	done := func() {
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

func (a *account) scheduledAction(g *group, d Deed) error {
	if g.suspended("ScheduledActions") {
		return errors.New("the process ScheduledActions is suspended")
	}
	return a.resize(g, d)
}

func (a *account) operatorLimits(g *group, d Deed) error {
	d.Desired = nil
	return a.resize(g, d)
}

// resize sets limits and desired capacity as UpdateAutoScalingGroup does.
func (a *account) resize(g *group, d Deed) error {
	if g.deleting {
		return pendingDelete
	}
	lower, upper := or(d.Min, g.Min), or(d.Max, g.Max)
	desired := or(d.Desired, min(max(g.Desired, lower), upper))
	if err := checkSizes(lower, upper, desired); err != nil {
		return err
	}
	if lower != g.Min || upper != g.Max {
		g.Min, g.Max = lower, upper
		a.events.add(Event{Kind: GroupUpdated, Group: g.Name, By: d.by(), From: lower, To: upper})
	}
	a.setDesired(g, desired, d.by())
	return nil
}

func (a *account) operatorDesired(g *group, d Deed) error {
	desired := or(d.Desired, g.Desired+d.Add)
	if desired < g.Min || desired > g.Max {
		return fmt.Errorf("desired capacity %d is not within %d and %d", desired, g.Min, g.Max)
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

func (a *account) protect(g *group, d Deed) error {
	for _, i := range a.chosen(g, d) {
		i.protected = true
	}
	return nil
}

func (a *account) toStandby(g *group, d Deed) error { return a.asCaller(g, d, (*account).enterStandby) }

func (a *account) detach(g *group, d Deed) error { return a.asCaller(g, d, (*account).detachInstances) }

// asCaller performs a deed as a caller of the API would.
func (a *account) asCaller(g *group, d Deed, op operation) error {
	f := form{"AutoScalingGroupName": {g.Name}, "ShouldDecrementDesiredCapacity": {"true"}}
	weight := 0
	for n, i := range a.chosen(g, d) {
		f[fmt.Sprintf("InstanceIds.member.%d", n+1)] = []string{i.id}
		weight += i.weight
	}
	if weight == 0 {
		return errors.New("no such instance in service")
	}
	if g.Desired-weight < g.Min {
		f["ShouldDecrementDesiredCapacity"] = []string{"false"}
	}
	_, err := op(a, &request{service: serviceAutoScaling, action: d.by(), form: f})
	return err
}

func (a *account) suspendDeed(g *group, d Deed) error {
	names, err := processNames(d.Processes)
	if err == nil {
		a.suspend(g, names, d.Kind == SuspendProcesses, d.by())
	}
	return err
}

func (a *account) changeTags(g *group, d Deed) error {
	for key, value := range d.Tags {
		if value == nil {
			delete(g.Tags, key)
		} else {
			g.Tags[key] = *value
		}
	}
	a.events.add(Event{Kind: TagsChanged, Group: g.Name, By: d.by()})
	return nil
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
