package asg

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"slices"
	"time"
)

// arrive enters instances that AWS has launched for us. Readings since the call may have shown their part of the desired capacity, with
// the instances or before them. An instance that AWS began to terminate by predecessorsLast was launched for a previous leader. g is not
// shared yet.
func (e *entry) arrive(g *group.Group, instances []group.Instance, now, predecessorsLast time.Time) {
	g.Instances = slices.Clone(g.Instances)
	for _, i := range instances {
		shown := min(i.Weight, e.grown)
		e.grown -= shown
		if g.Instance(i.ID) != nil {
			continue // a reading has shown it already
		}
		g.Instances = append(g.Instances, i)
		e.shift(g, i.Weight-shown, now, false)
		e.arriving[i.ID] = arrival{Instance: i, at: now, predecessorsLast: predecessorsLast}
	}
}

// markArriving adds launched instances to a reading that does not show them yet, and forgets the others.
func (e *entry) markArriving(g *group.Group) {
	for id, a := range e.arriving {
		if g.Instance(id) != nil || g.ReadAt.Sub(a.at) > arrivalLag {
			delete(e.arriving, id)
			continue
		}
		g.Instances = append(g.Instances, a.Instance)
	}
}

// noteRecent remembers new instances of the reading, and counts recent ones that it misses. It returns the recent ones that have just
// come into service.
func (e *entry) noteRecent(g *group.Group) (inService []arrival) {
	there := make(map[string]bool, len(g.Instances))
	for _, i := range g.Instances {
		there[i.ID] = true
	}
	if e.group != nil {
		before := make(map[string]group.Lifecycle, len(e.group.Instances))
		for _, i := range e.group.Instances {
			before[i.ID] = i.Lifecycle
		}
		for _, i := range g.Instances {
			_, arriving := e.arriving[i.ID]
			_, seen := e.recent[i.ID]
			if i.Lifecycle.Counts() && !seen && (arriving || before[i.ID] == "") {
				e.recent[i.ID] = arrival{Instance: i, at: g.ReadAt}
			}
			if a, recent := e.recent[i.ID]; recent && i.Lifecycle == "InService" && before[i.ID] != "InService" {
				inService = append(inService, a)
			}
		}
	}
	for id, s := range e.recent {
		switch _, leaving := e.departed[id]; {
		case leaving, g.ReadAt.Sub(s.at) > readingLag:
			delete(e.recent, id)
		case !there[id]:
			g.UnshownCapacity += s.Weight
		}
	}
	return inService
}

// markDeparted carries terminations into a reading that misses them: our accepted ones with their lower desired capacity, and terminations that an earlier
// reading showed. No instance comes back from there.
func (e *entry) markDeparted(g *group.Group) {
	shown := map[string]bool{}
	for at := range g.Instances {
		i := &g.Instances[at]
		d, known := e.departed[i.ID]
		switch {
		case i.Lifecycle.Leaving() && !known:
			e.departed[i.ID] = departed{at: g.ReadAt}
			shown[i.ID] = true
		case i.Lifecycle.Leaving():
			shown[i.ID] = true
		case known && i.Lifecycle.Counts() && g.ReadAt.Sub(d.at) <= readingLag:
			i.Lifecycle = group.Terminating
			g.DesiredCapacity -= d.weight
		}
	}
	for id, d := range e.departed {
		if !shown[id] && g.ReadAt.Sub(d.at) > readingLag {
			delete(e.departed, id)
		}
	}
}

// noteTermination enters an accepted termination, unless a reading has shown it. g is not shared yet.
func (e *entry) noteTermination(g *group.Group, i group.Instance, now time.Time, decrement bool) {
	lowered := 0
	if decrement {
		lowered = i.Weight
	}
	member := g.Instance(i.ID)
	e.departed[i.ID] = departed{at: now, weight: lowered}
	delete(e.arriving, i.ID)
	delete(e.recent, i.ID)
	inReading := member == nil || member.Lifecycle.Leaving()
	if !inReading {
		member.Lifecycle = group.Terminating
	}
	if !inReading || g.DesiredCapacity-lowered >= g.StatedCapacity { // else the reading states the lower value already
		e.shift(g, -lowered, now, inReading)
	}
}
