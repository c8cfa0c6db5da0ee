package ledger

import (
	"maps"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// BeginLaunch enters that AWS is being asked to launch the capacity. EndLaunch must follow.
func (l *Ledger) BeginLaunch(capacity int) {
	l.launching++
	l.toCome += capacity
}

// EndLaunch ends BeginLaunch. Readings amid the launches may have shown capacity that has not come.
func (l *Ledger) EndLaunch() {
	if l.launching = max(0, l.launching-1); l.launching > 0 { // another group of the name may have begun it
		return
	}
	if doubted := min(l.grown, l.toCome); doubted > 0 {
		l.doubt(l.Change(), doubted)
	}
	l.grown, l.toCome = 0, 0
}

// Launched enters AWS's answer to the launch with the key: the instances that it launched for us. Readings since the call may have shown their part of
// the desired capacity, with the instances or before them.
func (l *Ledger) Launched(key Key, instances []group.Instance, now time.Time) {
	g := l.Change()
	l.wrote(now)
	l.UseKey(key)
	g.Instances = slices.Clone(g.Instances)
	for _, i := range instances {
		shown := min(i.Weight, l.grown)
		l.grown -= shown
		l.toCome -= i.Weight
		if g.Instance(i.ID) != nil { // a reading has shown it already, maybe with an earlier desired capacity, which looked old
			l.shift(g, max(0, min(i.Weight-shown, g.StatedCapacity-g.DesiredCapacity)), now, true)
			continue
		}
		g.Instances = append(g.Instances, i)
		l.shift(g, i.Weight-shown, now, false)
		l.arriving[i.ID] = Arrival{Instance: i, At: now}
	}
}

// Recent returns the instance if it came so lately that a reading without it may be older, or nil.
func (l *Ledger) Recent(id string) *group.Instance {
	if a, recent := l.recent[id]; recent {
		return &a.Instance
	}
	return nil
}

// Terminated enters that AWS terminates the instances, which we have asked for. decrement reports that each lowered the desired capacity.
func (l *Ledger) Terminated(instances []group.Instance, decrement bool, now time.Time) {
	g := l.Change()
	l.wrote(now)
	g.Instances = slices.Clone(g.Instances)
	for _, i := range instances {
		lowered := 0
		if decrement {
			lowered = i.Weight
		}
		l.departed[i.ID] = departed{at: now, weight: lowered}
		delete(l.arriving, i.ID)
		delete(l.recent, i.ID)
		member := g.Instance(i.ID)
		inReading := member == nil || member.Lifecycle.Leaving()
		if !inReading {
			member.Lifecycle = group.Terminating
		}
		if !inReading || g.DesiredCapacity-lowered >= g.StatedCapacity { // else the reading states the lower value already
			l.shift(g, -lowered, now, inReading)
		}
	}
}

// NotFound enters that AWS has no such instance, and reports whether it is gone. AWS may not know one yet that it launched a moment ago. The next
// reading states whether AWS replaces a gone one.
func (l *Ledger) NotFound(id string, now time.Time) (gone bool) {
	if a, arriving := l.arriving[id]; arriving && now.Sub(a.At) <= BeginsWithin {
		return false
	}
	l.gone[id] = true
	delete(l.arriving, id) // it died before a reading could show it
	return true
}

// markArriving adds launched instances to a reading that does not show them yet, and forgets the others.
func (l *Ledger) markArriving(g *group.Group) {
	maps.DeleteFunc(l.arriving, func(id string, a Arrival) bool { return g.Instance(id) != nil || g.ReadAt.Sub(a.At) > ReadingLag })
	for _, a := range l.arriving {
		g.Instances = append(g.Instances, a.Instance)
	}
}

// noteRecent remembers new instances of the reading, and counts recent ones that it misses. It returns the recent ones that have just
// come into service.
func (l *Ledger) noteRecent(g *group.Group) (inService []Arrival) {
	there := make(map[string]group.Lifecycle, len(g.Instances))
	for _, i := range g.Instances {
		there[i.ID] = i.Lifecycle
	}
	if l.group != nil {
		before := make(map[string]group.Lifecycle, len(l.group.Instances))
		for _, i := range l.group.Instances {
			before[i.ID] = i.Lifecycle
		}
		for _, i := range g.Instances {
			_, arriving := l.arriving[i.ID]
			_, seen := l.recent[i.ID]
			if i.Lifecycle.Counts() && !seen && (arriving || before[i.ID] == "") {
				l.recent[i.ID] = Arrival{Instance: i, At: g.ReadAt}
			}
			if a, recent := l.recent[i.ID]; recent && i.Lifecycle == "InService" && before[i.ID] != "InService" {
				inService = append(inService, a)
			}
		}
	}
	for id, s := range l.recent {
		lifecycle, shown := there[id]
		switch _, leaving := l.departed[id]; {
		case leaving, g.ReadAt.Sub(s.At) > ReadingLag && !lifecycle.Starting(): // a lifecycle hook may hold it for an hour
			delete(l.recent, id)
		case !shown:
			g.UnshownCapacity += s.Weight
		}
	}
	return inService
}

// markDeparted carries terminations into a reading that misses them: our accepted ones with their lower desired capacity, and terminations that an earlier
// reading showed. No instance comes back from there.
func (l *Ledger) markDeparted(g *group.Group) {
	shown := map[string]bool{}
	for at := range g.Instances {
		i := &g.Instances[at]
		d, known := l.departed[i.ID]
		switch {
		case i.Lifecycle.Leaving() && !known:
			l.departed[i.ID] = departed{at: g.ReadAt}
			shown[i.ID] = true
		case i.Lifecycle.Leaving():
			shown[i.ID] = true
		case known && i.Lifecycle.Counts() && g.ReadAt.Sub(d.at) <= ReadingLag:
			i.Lifecycle = group.Terminating
			// The reading may show the lower desired capacity already.
			g.DesiredCapacity -= min(d.weight, max(0, g.DesiredCapacity-l.desired.known))
		}
	}
	maps.DeleteFunc(l.departed, func(id string, d departed) bool { return !shown[id] && g.ReadAt.Sub(d.at) > ReadingLag })
}
