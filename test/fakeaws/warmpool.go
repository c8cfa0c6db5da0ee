package fakeaws

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A WarmPool keeps instances ready beside the group. Their Nodes register only when they enter the group. They do not wait for
// lifecycle hooks before that, and none returns to the pool when the group shrinks.
type WarmPool struct {
	Min         int    `json:"min,omitempty"`
	MaxPrepared *int   `json:"maxPrepared,omitempty"` // of group and pool together, the group's max by default
	State       string `json:"state,omitempty"`       // Stopped (default), Running or Hibernated
}

// warmStates are the lifecycle states of instances that are ready, by the pool's state.
var warmStates = map[string]string{"Stopped": "Warmed:Stopped", "Running": "Warmed:Running", "Hibernated": "Warmed:Hibernated"}

// warmSize is the intended size of the pool (user guide, "Warm pools", read 2026-11): the difference between the prepared and
// the desired capacity, its own minimum at least.
func (g *group) warmSize() int {
	if g.WarmPool == nil || g.deleting {
		return 0
	}
	prepared := g.Max
	if g.WarmPool.MaxPrepared != nil {
		prepared = *g.WarmPool.MaxPrepared
	}
	return max(prepared-g.Desired, g.WarmPool.Min, 0)
}

func (i *instance) isWarm() bool { return strings.HasPrefix(i.state, "Warmed:") }

// stopped reports whether EC2 has the instance, but does not run it.
func (i *instance) stopped() bool {
	return i.state == warmStates["Stopped"] || i.state == warmStates["Hibernated"]
}

func (a *account) keepWarm(g *group) {
	want := g.warmSize()
	for len(g.warm) > want {
		spare := slices.IndexFunc(g.warm, func(i *instance) bool { return i.ending == nil })
		if spare < 0 || len(g.warm)-g.warmEnding() <= want {
			return
		}
		a.terminate(g.warm[spare], shrinkCause(time.Now(), g.warm[spare].id, len(g.warm), want))
	}
	for len(g.warm)-g.warmEnding() < want && !g.suspended("Launch") {
		if !a.launchWarm(g) {
			a.at(time.Now(), a.delays.Retry, func() { a.keepWarm(g) })
			return
		}
	}
}

// warmEnding is how many instances are leaving the pool.
func (g *group) warmEnding() int {
	n := 0
	for _, i := range g.warm {
		if i.ending != nil {
			n++
		}
	}
	return n
}

// launchWarm adds an instance to the pool, in the zone with the fewest of group and pool. It returns false if EC2 has none.
func (a *account) launchWarm(g *group) bool {
	candidates, failure := a.candidates(g)
	if failure != nil {
		return false
	}
	zones := map[string]int{}
	for _, i := range append(slices.Clone(g.instances), g.warm...) {
		zones[i.pool.zone]++
	}
	zone := slices.MinFunc(g.Zones, func(x, y string) int { return cmp.Compare(zones[x], zones[y]) })
	c := candidates[0]
	p := pool{instanceType: c.instanceType, zone: zone, capacityType: g.capacityTypeOf(c, 0, 0)}
	if failure := a.poolFailure(g, p); failure != nil {
		a.launchFailed(g, time.Now(), "", market{zone, p.capacityType}, *failure)
		return false
	}
	i := a.newInstance(g, c, p, time.Now())
	i.state = warmedPending
	g.warm = append(g.warm, i)
	act := a.record(g, activity{
		description: "Launching a new EC2 instance into warm pool: " + i.id, cause: "At " + seconds(time.Now()) + " a warm pool was to be filled.",
		status: activityInProgress, started: time.Now(), zone: zone,
	})
	a.at(time.Now(), a.delays.InService, func() {
		if i.state == warmedPending {
			i.state, i.running = warmStates[first(g.WarmPool.State, "Stopped")], true
			a.changeState(i, "running")
			if i.state != warmStates["Running"] {
				a.changeState(i, "stopping")
				a.changeState(i, "stopped")
			}
		}
		act.finish(activitySuccessful, "")
	})
	return true
}

// takeWarm takes a ready instance out of the pool, or returns nil.
func (g *group) takeWarm() *instance {
	for _, i := range g.warm {
		if i.isWarm() && i.state != warmedPending && i.ending == nil {
			g.drop(i)
			return i
		}
	}
	return nil
}

// wake makes an instance of the pool enter the group. began is the time of the request.
func (a *account) wake(i *instance, began time.Time, why string) {
	g := i.group
	i.launching = a.record(g, activity{
		description: "Launching a new EC2 instance from warm pool: " + i.id, cause: why + launchCause(began, g.capacity(), g.Desired),
		status: activityPreInService, progress: 30, started: began, zone: i.pool.zone,
	})
	i.state, i.protected, g.lastScale = pending, g.ProtectNewInstances, i.launching
	g.instances = append(g.instances, i)
	a.emit(Launched, i)
	a.changeState(i, "pending")
	a.at(began, a.delays.InService, func() { a.launched(i) })
	a.at(began, first(g.RegisterAfter, a.delays.Register), func() { a.register(i) })
	a.keepWarm(g)
}

type xmlWarmPool struct {
	MaxGroupPreparedCapacity *int   `xml:"MaxGroupPreparedCapacity"`
	MinSize                  int    `xml:"MinSize"`
	PoolState                string `xml:"PoolState"`
}

func (w *WarmPool) shape() *xmlWarmPool {
	if w == nil {
		return nil
	}
	return &xmlWarmPool{w.MaxPrepared, w.Min, first(w.State, "Stopped")}
}

func (a *account) describeWarmPool(r *request) (any, error) {
	g, err := a.findGroup(r.form.get("AutoScalingGroupName"))
	if err != nil {
		return nil, err
	}
	limit, err := records(r.form, defaultRecords, defaultRecords)
	if err != nil {
		return nil, err
	}
	var out struct {
		WarmPool  *xmlWarmPool         `xml:"WarmPoolConfiguration"`
		Instances members[xmlInstance] `xml:"Instances"`
		NextToken string               `xml:"NextToken,omitempty"`
	}
	warm := slices.SortedFunc(slices.Values(g.warm), func(x, y *instance) int { return cmp.Compare(x.id, y.id) })
	warm, next, ok := page(warm, func(i *instance) string { return i.id }, r.form.get("NextToken"), limit)
	if !ok {
		return nil, badToken
	}
	out.WarmPool, out.NextToken = g.WarmPool.shape(), next
	for _, i := range warm {
		out.Instances.Member = append(out.Instances.Member, i.shape())
	}
	return out, nil
}
