package asg

import "time"

// markDeparted carries terminations into a reading that misses them: our accepted ones with their lower desired capacity, and those that an earlier
// reading showed. No instance comes back from there.
func (e *entry) markDeparted(g *Group) {
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
			i.Lifecycle = terminating
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
func (e *entry) noteTermination(g *Group, i Instance, now time.Time, decrement bool) {
	lowered := 0
	if decrement {
		lowered = i.Weight
	}
	member := g.instance(i.ID)
	e.departed[i.ID] = departed{at: now, weight: lowered}
	delete(e.arriving, i.ID)
	delete(e.recent, i.ID)
	inReading := member == nil || member.Lifecycle.Leaving()
	if !inReading {
		member.Lifecycle = terminating
	}
	if !inReading || g.DesiredCapacity-lowered >= g.stated { // else the reading states the lower value already
		e.shift(g, -lowered, now, inReading)
	}
}
