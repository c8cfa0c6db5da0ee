package fakeaws

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// replacePoll is the pause between two steps of a replacement.
const replacePoll = 250 * time.Millisecond

// every calls step until it returns false, or the group is gone.
func (a *account) every(g *group, step func() bool) {
	if a.groups[g.Name] == g && !g.deleting && step() {
		a.at(time.Now(), Duration(replacePoll), func() { a.every(g, step) })
	}
}

// replaceOne terminates an instance that is to be replaced, whether or not the desired capacity covers it.
func (a *account) replaceOne(i *instance, by, why string) {
	e := i.event(Replaced)
	e.By = by
	a.events.add(e)
	a.terminate(i, fmt.Sprintf("At %s an instance was taken out of service in response to %s.", seconds(time.Now()), why))
}

func (g *group) inService() (n int) {
	for _, i := range g.instances {
		if i.state == inService && !i.dead {
			n++
		}
	}
	return n
}

// counted is how many instances fill desired capacity.
func (g *group) counted() (n int) {
	for _, i := range g.instances {
		if i.counts() {
			n++
		}
	}
	return n
}

// oldOnes are the IDs of the instances that count now.
func (g *group) oldOnes() map[string]bool {
	old := map[string]bool{}
	for _, i := range g.instances {
		if i.counts() {
			old[i.id] = true
		}
	}
	return old
}

// healthyPercent of a group stay in service while it is refreshed.
const healthyPercent = 90

func (a *account) refresh(g *group, d Deed) error {
	old := g.oldOnes()
	a.every(g, func() bool {
		victim := slices.IndexFunc(g.instances, func(i *instance) bool { return old[i.id] && i.state == inService && !i.protected })
		if victim < 0 {
			return false
		}
		if g.suspended("Launch", "Terminate", "InstanceRefresh") {
			return true
		}
		healthy, all := g.inService(), g.counted()
		least := (all*healthyPercent + 99) / 100
		if healthy > least || healthy == all && g.capacity() >= g.Desired {
			a.replaceOne(g.instances[victim], d.by(), "an instance refresh")
			a.reconcile(g, "")
		}
		return true
	})
	return nil
}

func (a *account) rebalance(g *group, d Deed) error {
	a.evenOut(g, d.by())
	return nil
}

// evenOut moves instances from the fullest zone to the emptiest, on behalf of by.
func (a *account) evenOut(g *group, by string) {
	var arriving *instance
	a.every(g, func() bool {
		if arriving != nil {
			return a.arrived(g, by, &arriving)
		}
		if g.suspended("Launch", "Terminate", "AZRebalance") || g.surplus > 0 {
			return false
		}
		zones := g.zoneCounts()
		empty := slices.MinFunc(g.Zones, func(x, y string) int { return cmp.Compare(zones[x], zones[y]) })
		full := slices.MaxFunc(g.Zones, func(x, y string) int { return cmp.Compare(zones[x], zones[y]) })
		if zones[full]-zones[empty] < 2 {
			return false
		}
		candidates, failure := a.candidates(g)
		if failure != nil {
			return false
		}
		c := candidates[0]
		p := pool{instanceType: c.instanceType, zone: empty, capacityType: g.capacityTypeOf(c, 0, 0)}
		if failure := a.poolFailure(g, p); failure != nil {
			a.launchFailed(g, time.Now(), "", market{p.zone, p.capacityType}, *failure)
			return false
		}
		g.surplus += c.weight
		arriving = a.launch(g, c, p, time.Now(), "At "+seconds(time.Now())+" an instance was launched to balance the Availability Zones.  ")
		return true
	})
}

// arrived terminates one instance of the fullest zone once its replacement is in service.
func (a *account) arrived(g *group, by string, arriving **instance) bool {
	i := *arriving
	if i.counts() && i.state != inService {
		return true
	}
	g.surplus, *arriving = g.surplus-i.weight, nil
	if victim := a.victim(g); i.counts() && victim != nil && victim != i && g.capacity()-victim.weight >= g.Desired {
		a.replaceOne(victim, by, "an unbalanced number of instances in its Availability Zone")
	}
	a.reconcile(g, "")
	return true
}

func (g *group) zoneCounts() map[string]int {
	zones := map[string]int{}
	for _, i := range g.instances {
		if i.counts() {
			zones[i.pool.zone]++
		}
	}
	return zones
}
