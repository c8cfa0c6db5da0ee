package fakeaws

import (
	"cmp"
	"slices"
	"time"
)

// replaceAtRisk is Auto Scaling's reaction to a rebalance recommendation or an interruption warning in a group with capacity
// rebalancing (user guide, "Use Capacity Rebalancing to handle Amazon EC2 Spot interruptions", read 2026-11). It launches
// another instance, and terminates the one at risk when the other is in service. Meanwhile the group is larger than desired. It
// may exceed its maximum by a tenth of the desired capacity, or by one instance. Where EC2 has no capacity, or the margin is
// used up, Auto Scaling does nothing and does not ask again: a guess on the strict side.
func (a *account) replaceAtRisk(old *instance) {
	g := old.group
	if !g.CapacityRebalance || old.atRisk || old.pool.capacityType != spot || !old.counts() || old.dead || g.deleting ||
		g.suspended("Launch", "Terminate") {
		return
	}
	candidates, failure := a.candidates(g)
	if failure != nil {
		return
	}
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(c candidate) bool {
		return g.capacity()+c.weight > g.Max+max(g.Desired/10, c.weight)
	})
	old.atRisk = true
	arriving := a.launchElsewhere(g, old.pool, candidates)
	if arriving == nil {
		return
	}
	g.surplus += arriving.weight
	a.every(g, func() bool {
		if arriving.counts() && arriving.state != inService && !arriving.dead {
			return true
		}
		g.surplus -= arriving.weight
		if arriving.counts() && !arriving.dead && old.ending == nil && !old.dead && g.capacity()-old.weight >= g.Desired {
			a.replaceOne(old, "CapacityRebalance", "an EC2 instance rebalance recommendation")
		}
		a.reconcile(g, "")
		return false
	})
}

// launchElsewhere launches one spot instance in the zones with the fewest of the group, in another pool than risky if there is
// one.
func (a *account) launchElsewhere(g *group, risky pool, candidates []candidate) *instance {
	counts := g.zoneCounts()
	zones := slices.SortedStableFunc(slices.Values(g.Zones), func(x, y string) int { return cmp.Compare(counts[x], counts[y]) })
	var pools []pool
	var forms []candidate
	for _, zone := range zones {
		for _, c := range candidates {
			if p := (pool{instanceType: c.instanceType, zone: zone, capacityType: spot}); p != risky {
				pools, forms = append(pools, p), append(forms, c)
			}
		}
	}
	if n := slices.IndexFunc(candidates, func(c candidate) bool { return c.instanceType == risky.instanceType }); n >= 0 {
		pools, forms = append(pools, risky), append(forms, candidates[n])
	}
	why := "At " + seconds(time.Now()) + " an instance was launched in response to an EC2 instance rebalance recommendation.  "
	for n, p := range pools {
		failure := a.poolFailure(g, p)
		if failure == nil {
			return a.launch(g, forms[n], p, time.Now(), why)
		}
		a.launchFailed(g, time.Now(), why, market{p.zone, p.capacityType}, *failure)
	}
	return nil
}
