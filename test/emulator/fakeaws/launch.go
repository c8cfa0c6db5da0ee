package fakeaws

import (
	"slices"
	"time"
)

// A slot is one instance that Auto Scaling requests from EC2: its zone and capacity type, but not yet its instance type.
type slot struct {
	zone, capacityType string
	weight             int
}

// market is the part of a pool that does not name the type.
type market struct{ zone, capacityType string }

// reconcile brings the group nearer to its desired capacity. why begins the cause of the activities.
func (a *account) reconcile(g *group, why string) {
	if a.groups[g.Name] != g {
		return
	}
	if g.capacity() > g.Desired+g.surplus {
		a.scaleIn(g)
		return
	}
	if g.suspended("Launch") || time.Now().Before(g.retryAt) {
		return
	}
	if g.Desired > g.capacity()+g.inFlight() {
		a.attempt(g, map[market]bool{}, why)
	}
}

// attempt requests the missing instances from EC2, in the markets that have not failed yet, and gets the answer Delays.Listed later.
func (a *account) attempt(g *group, failed map[market]bool, why string) {
	candidates, failure := a.candidates(g)
	var slots []slot
	if failure == nil {
		slots = g.plan(candidates, failed)
	}
	a.sequence++
	number, began := a.sequence, time.Now()
	g.attempts[number] = slots
	requests := a.recordRequests(g, number, slots, why)
	a.timeline.after(time.Duration(a.delays.Listed), func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(g.attempts, number)
		a.replace(g, requests)
		if a.groups[g.Name] != g {
			return
		}
		if failure != nil {
			a.launchFailed(g, began, why, market{zone: g.Zones[0], capacityType: onDemand}, *failure)
			a.retryLater(g)
			return
		}
		a.fulfil(g, slots, candidates, failed, began, why)
	})
}

// fulfil is EC2's answer to an attempt. Failed slots are tried again at once in the zones that are left, or after Delays.Retry if none is.
func (a *account) fulfil(g *group, slots []slot, candidates []candidate, failed map[market]bool, began time.Time, why string) {
	reported := map[string]bool{}
	trouble := false
	planned, got := 0, 0
	for _, s := range slots {
		planned += s.weight
	}
	for _, s := range slots {
		if got >= planned {
			break // heavier types came than the plan was made for
		}
		weight, failures := a.fill(g, s, candidates, began, why)
		got += weight
		for _, f := range failures {
			trouble = true
			failed[market{s.zone, s.capacityType}] = true
			if !reported[s.zone+s.capacityType+f.text] {
				reported[s.zone+s.capacityType+f.text] = true
				a.launchFailed(g, began, why, market{s.zone, s.capacityType}, f)
			}
		}
	}
	if g.capacity() > g.Desired+g.surplus { // somebody lowered desired meanwhile, which calls no launch back
		a.scaleIn(g)
	}
	switch {
	case !trouble || g.capacity() >= g.Desired:
	case len(g.plan(candidates, failed)) > 0:
		a.attempt(g, failed, why)
	default:
		a.retryLater(g)
	}
}

// fill launches one instance of the first candidate with capacity and returns its weight, with the reasons of the candidates without.
func (a *account) fill(g *group, s slot, candidates []candidate, began time.Time, why string) (weight int, failures []launchFailure) {
	for _, c := range a.preferred(g, s, candidates) {
		p := pool{instanceType: c.instanceType, zone: s.zone, capacityType: s.capacityType}
		failure := a.poolFailure(g, p)
		if failure == nil {
			a.launch(g, c, p, began, why)
			return c.weight, nil
		}
		if !slices.Contains(failures, *failure) {
			failures = append(failures, *failure)
		}
	}
	return 0, failures
}

// preferred orders the candidates for a slot: as given, or for spread spot by how few instances the first pools have.
func (a *account) preferred(g *group, s slot, candidates []candidate) []candidate {
	if !a.diversify || s.capacityType != spot || g.MixedInstancesPolicy == nil {
		return candidates
	}
	count := map[string]int{}
	for _, i := range g.instances {
		if i.counts() && i.pool.zone == s.zone && i.pool.capacityType == spot {
			count[i.pool.instanceType]++
		}
	}
	ordered := slices.Clone(candidates)
	spread := ordered[:min(len(ordered), g.MixedInstancesPolicy.Distribution.spotPools())]
	slices.SortStableFunc(spread, func(x, y candidate) int { return count[x.instanceType] - count[y.instanceType] })
	return ordered
}

func (a *account) retryLater(g *group) {
	wait := a.retryPace()
	g.retryAt = time.Now().Add(wait)
	a.timeline.after(wait, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.reconcile(g, "")
	})
}

// plan spreads the missing instances over the markets that have not failed. Each instance goes to the zone with the least of
// the group, and is on-demand or spot by the group's distribution.
func (g *group) plan(candidates []candidate, failed map[market]bool) []slot {
	zones, onDemandUnits, all := g.spread()
	var slots []slot
	for missing := g.Desired - all; missing > 0 && len(candidates) > 0; {
		s := slot{capacityType: g.capacityTypeOf(candidates[0], onDemandUnits, all), weight: candidates[0].weight}
		open := slices.DeleteFunc(slices.Clone(g.Zones), func(z string) bool { return failed[market{z, s.capacityType}] || g.shifted(z) })
		if len(open) > 0 {
			s.zone = slices.MinFunc(open, func(x, y string) int { return zones[x] - zones[y] })
			zones[s.zone]++
			slots = append(slots, s)
		}
		if s.capacityType == onDemand {
			onDemandUnits += s.weight
		}
		all += s.weight
		missing -= s.weight
	}
	return slots
}

// shifted reports whether the group launches nothing in the zone of its own accord, because it is shifted away (Amazon EC2 Auto
// Scaling User Guide, zonal shift). It does not affect a launch that names the zone, about which AWS documents nothing.
func (g *group) shifted(zone string) bool {
	return g.ZonalShift && (slices.Contains(g.ShiftedZones, zone) || slices.Contains(g.AutoshiftZones, zone))
}

// spread counts instances by zone, and units on-demand and in all, including those in flight.
func (g *group) spread() (zones map[string]int, onDemandUnits, all int) {
	zones = map[string]int{}
	add := func(zone, capacityType string, weight int) {
		zones[zone]++
		all += weight
		if capacityType == onDemand {
			onDemandUnits += weight
		}
	}
	for _, i := range g.instances {
		if i.counts() {
			add(i.pool.zone, i.pool.capacityType, i.weight)
		}
	}
	for _, slots := range g.attempts {
		for _, s := range slots {
			add(s.zone, s.capacityType, s.weight)
		}
	}
	return zones, onDemandUnits, all
}

func (g *group) capacityTypeOf(c candidate, onDemandUnits, all int) string {
	switch {
	case g.MixedInstancesPolicy != nil:
		return g.MixedInstancesPolicy.Distribution.nextCapacityType(onDemandUnits, all, c.weight)
	case c.spot:
		return spot
	}
	return onDemand
}

// launchFailed writes a failed attempt into the group's history.
func (a *account) launchFailed(g *group, began time.Time, why string, m market, f launchFailure) {
	message := f.statusMessage(g.MixedInstancesPolicy != nil, m.capacityType)
	act := a.record(g, activity{
		description: "Launching a new EC2 instance.  Status Reason: " + message,
		cause:       launchCause(why, began, g.capacity(), g.Desired),
		started:     began, zone: m.zone,
	})
	act.finish(activityFailed, message)
	a.publishActivity(launchUnsuccessful, activityFailed, act, "")
	a.events.add(Event{Kind: LaunchFailed, Group: g.Name, Zone: m.zone, CapacityType: m.capacityType, Message: message})
}
