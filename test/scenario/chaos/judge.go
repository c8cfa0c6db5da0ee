package chaos

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// ourKey is the access key with which the autoscaler signs its calls. Events name their caller by it.
const ourKey = " autoscaler"

// setDesired is the call that sets a desired capacity. It begins the caller's name in events.
const setDesired = "SetDesiredCapacity"

func ours(by string) bool { return strings.HasSuffix(by, ourKey) }

// Wrongs counts the autoscaler's wrongs, by their cost.
type Wrongs struct {
	Lost    int `json:"undrainedNodesLost"`  // nodes that it ended, or had AWS end, with pods on them or unmarked
	Reused  int `json:"endedNodesReused"`    // nodes that it ended drained, and that got pods again before they were gone
	Lowered int `json:"loweredBelowMembers"` // writes that left a group less room than its instances take
	Doubles int `json:"doubleLaunches"`      // instances that it requested again although AWS had them
	Stalls  int `json:"stalls"`              // end states that were not reached in time

	Cordoned int `json:"cordonedAfterAMinute"` // nodes that nobody but a user may have left so, a minute after the last leader started
	Surplus  int `json:"surplusNodes"`         // nodes that a burst did not need

	Raced  int `json:"racedByOthers"` // nodes lost because another writer raised a group the moment before. It is no fault
	Others int `json:"others"`
}

func (w *Wrongs) add(more Wrongs) {
	w.Lost += more.Lost
	w.Reused += more.Reused
	w.Lowered += more.Lowered
	w.Doubles += more.Doubles
	w.Stalls += more.Stalls
	w.Cordoned += more.Cordoned
	w.Surplus += more.Surplus
	w.Raced += more.Raced
	w.Others += more.Others
}

// judge collects violations while a plan runs. Safe for concurrent use.
type judge struct {
	mu         sync.Mutex
	wrongs     Wrongs
	violations []string
}

// violated records a violation that has no counter of its own.
func (j *judge) violated(format string, args ...any) {
	j.wrong(func(w *Wrongs) { w.Others++ }, format, args...)
}

func (j *judge) wrong(count func(*Wrongs), format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	count(&j.wrongs)
	j.violations = append(j.violations, fmt.Sprintf(format, args...))
}

func (j *judge) fault(err error) { j.violated("%v", err) }

// bench judges events of AWS at the moment they happen. It is for one goroutine.
type bench struct {
	*judge
	groups map[string]*members
	weigh  func(group, instanceType string) int
	look   func(instance string) scenario.NodeLook
}

type members struct {
	weights map[string]int  // of each instance that fills the desired capacity
	ended   int             // weight of the instances terminated since the desired capacity last changed
	drained map[string]bool // instances that the autoscaler ended, drained
	lowered fakeaws.Event   // the last time the desired capacity fell
	raised  *time.Time      // when another writer raised the desired capacity last
	raced   bool            // the last fall undid such a raise before a reading had to show it
}

// unseenFor is how long a reading need not show what another writer set: as old as readings are in any plan, and a call's time.
// SetDesiredCapacity has no condition, so nobody can write safely in that time.
const unseenFor = 4 * time.Second

func (m *members) weight() (sum int) {
	for _, w := range m.weights {
		sum += w
	}
	return sum
}

func (m *members) drop(instance string) int {
	w := m.weights[instance]
	delete(m.weights, instance)
	return w
}

func newBench(j *judge, weigh func(group, instanceType string) int, look func(instance string) scenario.NodeLook) *bench {
	return &bench{judge: j, groups: map[string]*members{}, weigh: weigh, look: look}
}

// see judges one event. Instances that others end (EC2, an operator, a deleted group) do not count against the autoscaler.
func (b *bench) see(e fakeaws.Event) {
	m := b.groups[e.Group]
	if m == nil {
		m = &members{weights: map[string]int{}, drained: map[string]bool{}}
		b.groups[e.Group] = m
	}
	switch e.Kind {
	case fakeaws.Launched:
		m.weights[e.Instance] = b.weigh(e.Group, e.InstanceType)
	case fakeaws.Reclaimed, fakeaws.Replaced:
		m.drop(e.Instance)
	case fakeaws.Terminated:
		m.drop(e.Instance)
		if m.drained[e.Instance] {
			b.reused(e)
		}
	case fakeaws.HookCompleted:
		if ours(e.By) { // heartbeats put AWS's own release off, and the drain has ten minutes
			b.lost(e, "let go before its hook was over")
		}
	case fakeaws.TerminateRequested:
		m.ended += m.drop(e.Instance)
		if ours(e.By) {
			m.drained[e.Instance] = !b.lost(e, "terminated by name")
		}
	case fakeaws.Rebooted:
		if ours(e.By) {
			b.lost(e, "rebooted")
		}
	case fakeaws.ScaleInKill:
		m.drop(e.Instance)
		switch {
		case ours(m.lowered.By) && m.raced:
			b.mu.Lock()
			b.wrongs.Raced++
			b.mu.Unlock()
		case ours(m.lowered.By):
			b.lost(e, fmt.Sprintf("chosen by Auto Scaling, since %s lowered the desired capacity from %d to %d", m.lowered.By, m.lowered.From, m.lowered.To))
		}
	case fakeaws.DesiredChanged:
		switch {
		case e.To > e.From && !ours(e.By):
			m.raised = &e.Time
		case e.To < e.From:
			m.lowered, m.raced = e, strings.HasPrefix(e.By, setDesired) && m.raised != nil && e.Time.Sub(*m.raised) < unseenFor
			b.lowering(m, e)
		}
		m.ended = 0
	case fakeaws.GroupDeleted:
		delete(b.groups, e.Group)
	}
}

// lost judges a node that ends, and reports whether it was undrained.
func (b *bench) lost(e fakeaws.Event, how string) bool {
	reason := b.look(e.Instance).Undrained()
	if reason != "" {
		b.wrong(func(w *Wrongs) { w.Lost++ }, "undrained: instance %s of %q at %s, %s: %s", e.Instance, e.Group, stamp(e.Time), how, reason)
	}
	return reason != ""
}

// reused judges a drained node that is gone now.
func (b *bench) reused(e fakeaws.Event) {
	if node := b.look(e.Instance); len(node.Pods) > 0 {
		b.wrong(func(w *Wrongs) { w.Reused++ }, "reused: instance %s of %q, which we had ended drained, was gone at %s with %v on its node",
			e.Instance, e.Group, stamp(e.Time), node.Pods)
	}
}

// lowering judges a fall of the desired capacity. The new value must leave room for the instances of the group, except the
// instances that were beyond the old value already.
func (b *bench) lowering(m *members, e fakeaws.Event) {
	beyond, before := m.weight()-e.To, m.weight()+m.ended-e.From
	if ours(e.By) && !m.raced && beyond > max(0, before) {
		b.wrong(func(w *Wrongs) { w.Lowered++ }, "lowered: %s at %s lowered %q from %d to %d, which has %d",
			e.By, stamp(e.Time), e.Group, e.From, e.To, m.weight())
	}
}

func stamp(t time.Time) string { return t.Format("15:04:05.000") }

// races judges the race detector's reports about our own code, if the autoscaler was built with it.
func (j *judge) races(log string) {
	if races := scenario.OwnRaces(log); len(races) > 0 {
		j.violated("the race detector found %d races in our own code, the first:\n%s", len(races), races[0])
	}
}

const (
	// held is how long an end state must hold, at every look, before it counts as reached.
	held = 5 * time.Second
	look = 200 * time.Millisecond
)

// converged waits until holds has found nothing missing at every look for the time given. It returns how long it took until
// that time began.
func converged(ctx context.Context, within, held time.Duration, holds func(context.Context) (missing string, err error)) (time.Duration, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, within+held)
	defer cancel()
	missing, since := "nothing was looked at", time.Duration(-1)
	for ; ; pause(ctx, look) {
		at := time.Since(start)
		now, err := holds(ctx)
		switch {
		case ctx.Err() == nil && err != nil:
			return at, err
		case ctx.Err() != nil || since < 0 && at > within:
			return at, fmt.Errorf("not within %s: %s", within, missing)
		case now != "":
			missing, since = now, -1
		case since < 0:
			since = at
		}
		if since >= 0 && time.Since(start)-since >= held {
			return since, nil
		}
	}
}

// place is one zone of a group, or, without a zone, a group.
type place struct{ group, zone string }

func (p place) String() string { return strings.TrimSuffix(p.group+"/"+p.zone, "/") }

// scaleUpPlan is the core's log line before a request. sizeChange is one of its node groups.
var (
	scaleUpPlan = regexp.MustCompile(`Final scale-up plan: \[(.*)\]`)
	sizeChange  = regexp.MustCompile(`\{(\S+) (\d+)->(\d+) \(max: \d+\)\}`)
)

// askedFor adds up the instances that the core requested from each node group, by the logs.
func askedFor(logs ...string) map[place]int {
	asked := map[place]int{}
	for _, log := range logs {
		for _, planned := range scaleUpPlan.FindAllStringSubmatch(log, -1) {
			for _, change := range sizeChange.FindAllStringSubmatch(planned[1], -1) {
				group, zone, _ := strings.Cut(change[1], "/")
				from, _ := strconv.Atoi(change[2])
				to, _ := strconv.Atoi(change[3])
				asked[place{group, zone}] += to - from
			}
		}
	}
	return asked
}

// launchedNow counts the instances that our own LaunchInstances launched. It is a violation if such a call left a launch to
// AWS, which picks any zone.
func (j *judge) launchedNow(events []fakeaws.Event) map[place]int {
	launched := map[place]int{}
	last := map[string]fakeaws.Event{} // by group, the last event of a synchronous launch
	for _, e := range events {
		if e.Kind != fakeaws.Launched && e.Kind != fakeaws.DesiredChanged {
			continue
		}
		if e.Kind == fakeaws.DesiredChanged && e.By == launchAction+ourKey {
			if before := last[e.Group]; before.Kind == fakeaws.Launched && e.To == e.From+1 {
				launched[place{e.Group, before.Zone}]++
			} else {
				j.violated("%s: a launch in one zone of %q raised its desired capacity from %d to %d, for AWS to choose the zone", e.By, e.Group, e.From, e.To)
			}
		}
		last[e.Group] = e
	}
	return launched
}

// misplaced judges where our own LaunchInstances launched: in a zone for which the core requested so many, unless it requested
// them for the group as a whole.
func (j *judge) misplaced(events []fakeaws.Event, logs ...string) {
	asked, launched := askedFor(logs...), j.launchedNow(events)
	for _, at := range slices.SortedFunc(maps.Keys(launched), func(a, b place) int { return strings.Compare(a.String(), b.String()) }) {
		if most := asked[at] + asked[place{group: at.group}]; launched[at] > most {
			j.violated("%d instances of %q were launched in %s, where the core asked for %d at most", launched[at], at.group, at.zone, most)
		}
	}
}

// complaints are the log lines of the autoscaler when it was about to request more than a group may have, or less. They come
// from its own last check before a write, or from AWS.
var complaints = regexp.MustCompile(`.*(The group has less room than it seemed|is above its maximum size|is below its minimum size|` +
	`above max value|below min value|violate group's min size constraint).*`)

// undisturbed judges the autoscaler's actions since start, when nothing disturbed it any more. It knows the limits of the groups over all
// their zones, so neither AWS nor its own last check before a write has to keep it from passing them. It leaves no zone to AWS.
func (j *judge) undisturbed(start time.Time, events []fakeaws.Event, groups map[string]fakeaws.AutoScalingGroup, logs ...string) {
	for _, e := range events {
		raised := e.Kind == fakeaws.DesiredChanged && e.To > e.From && e.By == setDesired+ourKey
		if raised && divided(groups[e.Group]) && !e.Time.Before(start) {
			j.violated("%s: the desired capacity of %q was raised from %d to %d, for AWS to choose the zone", e.By, e.Group, e.From, e.To)
		}
	}
	for _, log := range logs {
		if lines := complaints.FindAllString(log, -1); len(lines) > 0 {
			j.violated("was about to pass a limit %d times, although nothing disturbed us, first: %s", len(lines), strings.TrimSpace(lines[0]))
		}
	}
}
