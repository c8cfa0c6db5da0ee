package zonal

import (
	"cmp"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// A record is the history of one run's instances and pods.
type record struct {
	end       time.Time
	instances []instance
	pods      []harness.Pod
}

type instance struct {
	id, node string
	ended    time.Time // its termination was requested, or AWS began it
}

// record is the history so far.
func (r *run) record() record {
	return record{end: time.Now(), instances: instances(r.env.AWS.Events(), r.start), pods: r.pods.Pods()}
}

// instances are the group's instances launched since the start.
func instances(events []fakeaws.Event, start time.Time) []instance {
	var all []instance
	for _, e := range events {
		if e.Group != group || e.Time.Before(start) {
			continue
		}
		if e.Kind == fakeaws.Launched {
			all = append(all, instance{id: e.Instance})
			continue
		}
		n := slices.IndexFunc(all, func(i instance) bool { return i.id == e.Instance })
		if n < 0 {
			continue
		}
		switch e.Kind {
		case fakeaws.NodeRegistered:
			all[n].node = e.Node
		case fakeaws.TerminateRequested, fakeaws.ScaleInKill, fakeaws.Reclaimed, fakeaws.Replaced, fakeaws.Terminated:
			if all[n].ended.IsZero() {
				all[n].ended = e.Time
			}
		}
	}
	return all
}

func happened(moment, by time.Time) bool { return !moment.IsZero() && !moment.After(by) }

func runsAt(p harness.Pod, at time.Time) bool {
	return happened(p.Running, at) && !happened(p.Gone, at)
}

// stranded reports whether AWS or the autoscaler has terminated the pod's instance. The API server may still say that the pod runs.
func (r record) stranded(p harness.Pod, at time.Time) bool {
	return slices.ContainsFunc(r.instances, func(i instance) bool { return i.node != "" && i.node == p.Node && happened(i.ended, at) })
}

// runningAt counts the pods that run on instances which are there.
func (r record) runningAt(at time.Time) int {
	return count(r.pods, func(p harness.Pod) bool { return runsAt(p, at) && !r.stranded(p, at) })
}

// lost counts the pods that ran on an instance until its end.
func (r record) lost() int {
	return count(r.pods, func(p harness.Pod) bool {
		until := p.Gone
		if until.IsZero() {
			until = r.end
		}
		return !p.Running.IsZero() && r.stranded(p, until)
	})
}

// allRun returns the first moment at which so many pods run, or zero.
func (r record) allRun(want int) time.Time {
	pods := slices.SortedFunc(slices.Values(r.pods), func(a, b harness.Pod) int { return a.Running.Compare(b.Running) })
	for _, p := range pods {
		if !p.Running.IsZero() && count(pods, func(other harness.Pod) bool { return runsAt(other, p.Running) }) >= want {
			return p.Running
		}
	}
	return time.Time{}
}

// count enters in the result what came of a workload of so many pods that was there from a moment on.
func (r record) count(out result, from time.Time, pods int) result {
	out.Running, out.Lost, out.Launched, out.Seconds = r.runningAt(r.end), r.lost(), len(r.instances), r.end.Sub(from).Seconds()
	if at := r.allRun(pods); !at.IsZero() {
		out.AllRun = cmp.Or(at.Sub(from).Seconds(), 1e-3)
	}
	return out
}

func count[T any](list []T, is func(T) bool) (n int) {
	for _, x := range list {
		if is(x) {
			n++
		}
	}
	return n
}
