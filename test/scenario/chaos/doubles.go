package chaos

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// memory is how long a raise may matter for a later wish: longer than the autoscaler keeps any reading.
const memory = 90 * time.Second

// A wish is the core's decision to scale a group to a size.
type wish struct {
	at       time.Time
	group    string
	from, to int // instances, in one zone if zonal
	zonal    bool
	more     bool // one more for a node that goes, whatever the size, beside the core
}

// replacement is the log line of such a wish. It may come a moment after the call.
var replacement = regexp.MustCompile(`Asked for the replacement of a node that was asked to go" .*nodeGroup="([^"]*)"`)

const logLag = 5 * time.Second

var loggedAt = regexp.MustCompile(`^[IWE](\d{4} \d\d:\d\d:\d\d\.\d{6})`)

// wishes are the wishes in the logs, by time. The logs leave out the year.
func wishes(year int, logs ...string) []wish {
	var all []wish
	for _, log := range logs {
		for line := range strings.Lines(log) {
			planned, more, stamped := scaleUpPlan.FindStringSubmatch(line), replacement.FindStringSubmatch(line), loggedAt.FindStringSubmatch(line)
			if planned == nil && more == nil || stamped == nil {
				continue
			}
			at, err := time.ParseInLocation("2006 0102 15:04:05.000000", strconv.Itoa(year)+" "+stamped[1], time.Local)
			if err != nil {
				continue
			}
			if more != nil {
				group, _, _ := strings.Cut(more[1], "/")
				all = append(all, wish{at: at.Add(-logLag), group: group, more: true})
				continue
			}
			for _, change := range sizeChange.FindAllStringSubmatch(planned[1], -1) {
				group, _, zonal := strings.Cut(change[1], "/")
				from, _ := strconv.Atoi(change[2])
				to, _ := strconv.Atoi(change[3])
				all = append(all, wish{at: at, group: group, from: from, to: to, zonal: zonal})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b wish) int { return a.at.Compare(b.at) })
	return all
}

// raise is a change of a group's desired capacity, in instances.
type raise struct {
	at time.Time
	by int
}

// recent adds up the raises of the recent past.
func recent(raises []raise, at time.Time) (sum int) {
	for _, r := range raises {
		if at.Sub(r.at) < memory {
			sum += r.by
		}
	}
	return sum
}

// ledger follows one group through the wishes for it and the changes of its desired capacity.
type ledger struct {
	desired      int             // in units of the group
	perInstance  int             // units that the smallest instance fills
	open         int             // instances that were wished for and not yet requested from AWS
	members      map[string]int  // weights of the instances
	newest       int             // weight of the instance that was launched last
	usable       map[string]bool // instances whose nodes are Ready with their GPUs: the core packs pods on them, whatever AWS lists
	credit       int             // instances that were taken away since they were requested, and may be requested again
	own, foreign []raise
	wished       []wish // for the whole group
}

// uncertain is how long the autoscaler may set a size that it was to set before, although less is wished for now. A failed
// write may have taken effect, and a lower size would then end instances.
const uncertain = 30 * time.Second

// most is the largest size that was wished for lately, in instances.
func (l *ledger) most(at time.Time) (size int) {
	for _, w := range l.wished {
		if at.Sub(w.at) < uncertain {
			size = max(size, w.to)
		}
	}
	return size
}

// wish records a wish. If it knows less than has been requested from AWS, and not by others, only the rest may be requested. An
// earlier wish that is neither in the desired capacity nor in the size from which this one starts has failed. The desired capacity may have
// instances of other writers that the wish does not know.
func (l *ledger) wish(w wish) {
	if w.more {
		l.credit++
		return
	}
	if !w.zonal {
		l.wished = append(l.wished, w)
	}
	if w.zonal || l.perInstance > 1 {
		l.open += w.to - w.from // its sizes are not the group's
		return
	}
	foreign := recent(l.foreign, w.at)
	unknown := l.desired - max(w.from, len(l.usable)) - foreign
	known := max(0, min(unknown, recent(l.own, w.at), w.to-w.from))
	before := max(w.from-l.desired, min(l.open, w.from-l.desired+foreign), 0)
	l.open = before + w.to - w.from - known
}

// change records a change of the desired capacity, and returns how many instances too many the autoscaler requested.
func (l *ledger) change(e fakeaws.Event) (double int) {
	from := e.From
	if strings.HasPrefix(e.By, setDesired) && ours(e.By) && e.To > from { // AWS launches nothing for a raise up to what heavy instances have reached
		from = min(e.To, max(from, l.counted()))
	}
	by := (e.To - from) / l.perInstance
	if e.By == launchAction+ourKey && e.To-e.From == l.newest { // one instance, heavier than the smallest if that has no capacity
		by = 1
	}
	l.desired = e.To
	switch {
	case !ours(e.By) && by > 0:
		l.foreign = append(l.foreign, raise{e.Time, by})
	case !ours(e.By) || by < 0 && strings.HasPrefix(e.By, setDesired):
		l.credit -= by // another writer took it away, or we did by mistake or because AWS could not launch it
	case by > 0:
		l.own = append(l.own, raise{e.Time, by})
		l.open -= by
		double = max(0, -l.open-l.credit)
		l.credit -= min(l.credit, max(0, -l.open))
		l.open = max(l.open, 0)
	}
	if most := l.most(e.Time) * l.perInstance; most > 0 {
		double = min(double, max(0, e.To-most))
	}
	return double
}

// counted is the capacity of the group's instances.
func (l *ledger) counted() (sum int) {
	for _, weight := range l.members {
		sum += weight
	}
	return sum
}

// doubles judges the instances that the autoscaler requested from AWS: no more than the core wished for and others took away,
// and not again any that a wish did not know to be on their way.
func (j *judge) doubles(events []fakeaws.Event, wished []wish, groups []fakeaws.AutoScalingGroup) {
	ledgers, named := map[string]*ledger{}, map[string]fakeaws.AutoScalingGroup{}
	for _, g := range groups {
		ledgers[g.Name], named[g.Name] = &ledger{desired: g.Desired, perInstance: lightest(g), members: map[string]int{}, usable: map[string]bool{}}, g
	}
	for _, e := range events {
		for len(wished) > 0 && wished[0].at.Before(e.Time) {
			if l := ledgers[wished[0].group]; l != nil {
				l.wish(wished[0])
			}
			wished = wished[1:]
		}
		l := ledgers[e.Group]
		switch {
		case l == nil:
		case e.Kind == fakeaws.GroupDeleted:
			l.desired, l.own, l.foreign, l.members, l.usable = 0, nil, nil, map[string]int{}, map[string]bool{}
		case e.Kind == fakeaws.Launched:
			l.newest = weightOf(named[e.Group], e.InstanceType)
			l.members[e.Instance] = l.newest
		case slices.Contains(departures, e.Kind):
			delete(l.members, e.Instance)
			delete(l.usable, e.Instance)
		case e.Kind == fakeaws.NodeReady && !accelerated(e.InstanceType), e.Kind == fakeaws.GPUPublished:
			l.usable[e.Instance] = true
		case e.Kind == fakeaws.DesiredChanged:
			if double := l.change(e); double > 0 {
				j.wrong(func(w *Wrongs) { w.Doubles += double }, "double: %s at %s raised %q from %d to %d, %d too many",
					e.By, stamp(e.Time), e.Group, e.From, e.To, double)
			}
		}
	}
}

// accelerated reports whether the nodes of a type publish GPUs some time after they are Ready.
func accelerated(instanceType string) bool { return strings.HasPrefix(instanceType, "g") }

// departures are the events with which an instance stops counting for its group.
var departures = []fakeaws.EventKind{fakeaws.TerminateRequested, fakeaws.Reclaimed, fakeaws.Replaced, fakeaws.ScaleInKill, fakeaws.Terminated}

// lightest is the least weight of a group's types.
func lightest(g fakeaws.AutoScalingGroup) int {
	if g.DesiredCapacityType != "" {
		return sizes["m5.large"].in(g.DesiredCapacityType)
	}
	least := 0
	if g.MixedInstancesPolicy != nil {
		for _, o := range g.MixedInstancesPolicy.Overrides {
			if least == 0 || o.WeightedCapacity < least {
				least = o.WeightedCapacity
			}
		}
	}
	return max(least, 1)
}

// weightOf is the capacity that an instance of a type fills in a group.
func weightOf(g fakeaws.AutoScalingGroup, instanceType string) int {
	if g.DesiredCapacityType != "" {
		return max(sizes[instanceType].in(g.DesiredCapacityType), 1)
	}
	if g.MixedInstancesPolicy != nil {
		for _, o := range g.MixedInstancesPolicy.Overrides {
			if o.InstanceType == instanceType {
				return max(o.WeightedCapacity, 1)
			}
		}
	}
	return 1
}
