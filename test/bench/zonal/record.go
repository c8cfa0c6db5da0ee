package zonal

import (
	"math"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// timeline is the record so far: the pods, and the group's instances from the account's events.
func (r *run) timeline() timeline {
	t := timeline{End: r.now(), Instances: instances(r.env.AWS.Events(), r.start)}
	for _, p := range r.pods.Pods() {
		t.Pods = append(t.Pods, pod{Name: p.Name, Zone: r.scenario.bound[p.Name], Node: p.Node,
			Created: since(r.start, p.Created), Running: since(r.start, p.Running), Gone: since(r.start, p.Gone)})
	}
	return t
}

// running counts the pods that run now.
func (r *run) running() int { return count(r.pods.Pods(), harness.Pod.Runs) }

// instances are the group's instances launched since the start, in that order.
func instances(events []fakeaws.Event, start time.Time) []instance {
	var all []instance
	for _, e := range events {
		if e.Group != group || e.Instance == "" {
			continue
		}
		at := since(start, e.Time)
		if e.Kind == fakeaws.Launched {
			all = append(all, instance{ID: e.Instance, Type: e.InstanceType, Zone: e.Zone, Launched: at})
			continue
		}
		n := slices.IndexFunc(all, func(i instance) bool { return i.ID == e.Instance })
		if n < 0 {
			continue
		}
		switch i := &all[n]; e.Kind {
		case fakeaws.NodeRegistered:
			i.Node = e.Node
		case fakeaws.NodeReady:
			i.Ready = at
		case fakeaws.TerminateRequested, fakeaws.ScaleInKill, fakeaws.Reclaimed, fakeaws.Replaced:
			i.Released = at
		case fakeaws.Terminated:
			i.Gone = at
		}
	}
	return all
}

// since rounds to the millisecond. A moment that has come is above zero.
func since(start, at time.Time) seconds {
	if at.IsZero() {
		return 0
	}
	return seconds(max(1, math.Round(at.Sub(start).Seconds()*1000)) / 1000)
}
