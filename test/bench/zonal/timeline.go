package zonal

import (
	"cmp"
	"slices"
)

// seconds count from a run's start. Zero means that the event has not happened.
type seconds float64

// A timeline is the history of one run's instances and pods.
type timeline struct {
	End       seconds    `json:"end"`       // of the observation
	Instances []instance `json:"instances"` // of the group, in the order of launch
	Pods      []pod      `json:"pods"`      // of the workload
}

type instance struct {
	ID       string  `json:"id"`
	Type     string  `json:"type"`
	Zone     string  `json:"zone"`
	Node     string  `json:"node,omitempty"`
	Launched seconds `json:"launched"`
	Ready    seconds `json:"ready,omitempty"`    // its node
	Released seconds `json:"released,omitempty"` // its termination was requested, or begun by AWS
	Gone     seconds `json:"gone,omitempty"`     // it has left the group
}

type pod struct {
	Name    string  `json:"name"`
	Zone    string  `json:"zone,omitempty"` // that it is bound to, or none
	Node    string  `json:"node,omitempty"`
	Created seconds `json:"created"`
	Running seconds `json:"running,omitempty"`
	Gone    seconds `json:"gone,omitempty"`
}

// happened reports whether a moment is at or before another.
func (at seconds) happened(by seconds) bool { return at > 0 && at <= by }

func (p pod) runsAt(at seconds) bool { return p.Running.happened(at) && !p.Gone.happened(at) }

func (p pod) pendingAt(at seconds) bool {
	return p.Created <= at && !p.Running.happened(at) && !p.Gone.happened(at)
}

// pendingAt counts the pods that exist and do not run.
func (t timeline) pendingAt(at seconds) int {
	return count(t.Pods, func(p pod) bool { return p.pendingAt(at) })
}

// allRun is the first moment from the given one on at which so many pods run. It reports false if there is none.
func (t timeline) allRun(from seconds, want int) (seconds, bool) {
	moments := []seconds{from}
	for _, p := range t.Pods {
		moments = append(moments, p.Running)
	}
	return earliest(from, moments, func(at seconds) bool {
		return count(t.Pods, func(p pod) bool { return p.runsAt(at) }) >= want
	})
}

// left is the first moment from the given one on at which no more than so many instances are left. It reports false if there is
// none.
func (t timeline) left(from seconds, want int) (seconds, bool) {
	moments := []seconds{from}
	for _, i := range t.Instances {
		moments = append(moments, i.Gone)
	}
	return earliest(from, moments, func(at seconds) bool {
		return count(t.Instances, func(i instance) bool { return i.Launched <= at && !i.Gone.happened(at) }) <= want
	})
}

// earliest is the first of the moments, none before from, at which holds reports true.
func earliest(from seconds, moments []seconds, holds func(seconds) bool) (seconds, bool) {
	slices.Sort(moments)
	for _, at := range moments {
		if at >= from && holds(at) {
			return at, true
		}
	}
	return 0, false
}

// wrongZone counts the instances that were launched in a wrong zone, by the zones that pods are bound to.
func (t timeline) wrongZone() int {
	wrong := 0
	for n, i := range t.Instances {
		if !t.wanted(n, i) {
			wrong++
		}
	}
	return wrong
}

// wanted reports whether a pod waited for the n-th instance at its launch.
func (t timeline) wanted(n int, i instance) bool {
	bound, idle := map[string]int{}, map[string]int{} // pods that wait, and instances that wait for pods, by zone
	for _, p := range t.Pods {
		if p.pendingAt(i.Launched) {
			bound[p.Zone]++
		}
	}
	for _, other := range t.Instances[:n] {
		if !other.Released.happened(i.Launched) && !other.Gone.happened(i.Launched) && !t.busy(other, i.Launched) {
			idle[other.Zone]++
		}
	}
	free := bound[""]
	for zone, instances := range idle {
		free -= max(0, instances-bound[zone])
	}
	return idle[i.Zone] < bound[i.Zone] || free > 0
}

// stranded reports whether AWS or the autoscaler has terminated the pod's instance. The API server may still say that the pod runs.
func (t timeline) stranded(p pod, at seconds) bool {
	return slices.ContainsFunc(t.Instances, func(i instance) bool {
		return i.Node != "" && i.Node == p.Node && (i.Released.happened(at) || i.Gone.happened(at))
	})
}

// runningAt counts the pods that run on instances which are there.
func (t timeline) runningAt(at seconds) int {
	return count(t.Pods, func(p pod) bool { return p.runsAt(at) && !t.stranded(p, at) })
}

// lost counts the pods that ran on an instance until its end.
func (t timeline) lost() int {
	return count(t.Pods, func(p pod) bool { return p.Running > 0 && t.stranded(p, cmp.Or(p.Gone, t.End)) })
}

// busy reports whether a pod runs on the instance.
func (t timeline) busy(i instance, at seconds) bool {
	return slices.ContainsFunc(t.Pods, func(p pod) bool { return i.Node != "" && p.Node == i.Node && p.runsAt(at) })
}

// unused counts the instances on which no pod ever ran.
func (t timeline) unused() int {
	return count(t.Instances, func(i instance) bool {
		return !slices.ContainsFunc(t.Pods, func(p pod) bool { return i.Node != "" && p.Node == i.Node && p.Running > 0 })
	})
}

// idle is how long the instance was Ready without a pod.
func (t timeline) idle(i instance) seconds {
	if i.Ready == 0 {
		return 0
	}
	end := t.End
	if i.Gone > 0 {
		end = i.Gone
	}
	var busy []pod
	for _, p := range t.Pods {
		if p.Running > 0 && p.Node == i.Node {
			busy = append(busy, p)
		}
	}
	slices.SortFunc(busy, func(x, y pod) int { return cmp.Compare(x.Running, y.Running) })
	idle, since := seconds(0), i.Ready
	for _, p := range busy {
		idle += max(0, min(p.Running, end)-since)
		if p.Gone == 0 {
			return idle
		}
		since = max(since, p.Gone)
	}
	return idle + max(0, end-since)
}

func count[T any](list []T, is func(T) bool) int {
	n := 0
	for _, x := range list {
		if is(x) {
			n++
		}
	}
	return n
}
