package fakeaws

import (
	"cmp"
	"errors"
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

// outlived is Auto Scaling's reaction to an instance that reaches the maximum lifetime. It spares protected ones (user guide, "Replace Auto Scaling
// instances based on maximum instance lifetime", read 2026-11). It replaces one after the other there, and here each at its time.
func (a *account) outlived(i *instance) {
	if i.counts() && !i.dead && !i.protected && !i.group.suspended("Terminate") {
		a.replaceOne(i, "MaxInstanceLifetime", "the maximum instance lifetime")
		a.reconcile(i.group, "")
	}
}

func (g *group) inService() (n int) {
	for _, i := range g.instances {
		if i.state == inService && !i.dead {
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

// An instanceRefresh is one run of the Deed Refresh.
type instanceRefresh struct {
	ID     string `xml:"InstanceRefreshId"`
	Group  string `xml:"AutoScalingGroupName"`
	Status string `xml:"Status"`
	Start  string `xml:"StartTime"`
	End    string `xml:"EndTime,omitempty"`

	Desired *xmlTemplateSpec `xml:"DesiredConfiguration>LaunchTemplate"`
}

func (a *account) describeInstanceRefreshes(r *request) (any, error) {
	limit, err := records(r.form, maxRecords, maxRecords)
	if err != nil {
		return nil, err
	}
	g, err := a.findGroup(r.form.get("AutoScalingGroupName"))
	if err != nil {
		return nil, err
	}
	var out struct {
		Refreshes members[instanceRefresh] `xml:"InstanceRefreshes"`
	}
	for _, run := range g.refreshes[:min(limit, len(g.refreshes))] {
		out.Refreshes.Member = append(out.Refreshes.Member, *run) // it goes on while the answer is written
	}
	return out, nil
}

func (a *account) refresh(g *group, d Deed) error {
	if len(g.refreshes) > 0 && g.refreshes[0].End == "" {
		return errors.New("an instance refresh of the group is under way")
	}
	if d.LaunchTemplate != nil && g.LaunchTemplate == nil {
		return errors.New("the group has no launch template of its own")
	}
	old := g.oldOnes()
	run := &instanceRefresh{ID: a.numberedUUID(), Group: g.Name, Status: "InProgress", Start: seconds(time.Now())}
	g.refreshes = slices.Insert(g.refreshes, 0, run)
	if g.next = d.LaunchTemplate; g.next != nil {
		spec := a.specShape(*g.next)
		run.Desired = &spec
	}
	end := func(status string) {
		if run.Status, run.End = status, seconds(time.Now()); g.next != nil && status == "Successful" {
			g.LaunchTemplate = g.next
		}
		g.next = nil
	}
	launchesFirst := g.MaintenancePolicy != nil && g.MaintenancePolicy.MinHealthy == 100
	var arriving *instance
	a.every(g, func() bool {
		at := slices.IndexFunc(g.instances, func(i *instance) bool { return old[i.id] && i.state == inService && !i.protected })
		var victim *instance
		if at >= 0 {
			victim = g.instances[at]
		}
		if arriving != nil {
			return a.arrived(g, &arriving, victim, d.by(), "an instance refresh")
		}
		if victim == nil {
			run.Status = "Baking"
			a.at(time.Now(), d.Bake, func() { end("Successful") })
			return false
		}
		if g.suspended("Launch", "Terminate", "InstanceRefresh") {
			return true
		}
		if launchesFirst {
			if g.surplus > 0 {
				return true
			}
			var launched bool
			if arriving, launched = a.launchBeyond(g, victim.pool.zone, "in response to an instance refresh."); !launched {
				end("Failed")
			}
			return launched
		}
		healthy, all := g.inService(), len(g.oldOnes())
		least := (all*healthyPercent + 99) / 100
		if healthy > least || healthy == all && g.capacity() >= g.Desired {
			a.replaceOne(victim, d.by(), "an instance refresh")
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
			return a.arrived(g, &arriving, a.victim(g), by, "an unbalanced number of instances in its Availability Zone")
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
		var launched bool
		arriving, launched = a.launchBeyond(g, empty, "to aid in balancing the group's zones.")
		return launched
	})
}

// launchBeyond launches an instance in the zone before the one ends that it replaces.
func (a *account) launchBeyond(g *group, zone, why string) (arriving *instance, launched bool) {
	candidates, failure := a.candidates(g)
	if failure != nil {
		return nil, false
	}
	c := candidates[0]
	p := pool{instanceType: c.instanceType, zone: zone, capacityType: g.capacityTypeOf(c, 0, 0)}
	why = "At " + seconds(time.Now()) + " an instance was launched " + why
	if failure := a.poolFailure(g, p); failure != nil {
		a.launchFailed(g, time.Now(), why, market{p.zone, p.capacityType}, *failure)
		return nil, false
	}
	g.surplus += c.weight
	return a.launch(g, c, p, time.Now(), why), true
}

// arrived terminates the victim once its replacement is in service.
func (a *account) arrived(g *group, arriving **instance, victim *instance, by, why string) bool {
	i := *arriving
	if i.counts() && i.state != inService {
		return true
	}
	g.surplus, *arriving = g.surplus-i.weight, nil
	if i.counts() && victim != nil && victim != i && g.capacity()-victim.weight >= g.Desired {
		a.replaceOne(victim, by, why)
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

// ReplaceRootVolume makes Auto Scaling replace the root volume of Instances, or of Count (1) that are in service, as an instance refresh
// with that strategy does (user guide, "Replace root volumes during instance refresh", read 2026-11). Each instance passes through four
// states, and stays Each (1s) in one. With Each never it stays in the last one. It remains a member that counts as capacity, and runs. AWS
// documents health checks only at the end. The return to InService is a guess.
const ReplaceRootVolume DeedKind = "replace-root-volume"

// Lifecycle states of an instance whose root volume is replaced, in their order.
const (
	replacingRootVolume        = "ReplacingRootVolume"
	replacingRootVolumeWait    = "ReplacingRootVolume:Wait"
	replacingRootVolumeProceed = "ReplacingRootVolume:Proceed"
	rootVolumeReplaced         = "RootVolumeReplaced"
)

var rootVolumeStates = []string{replacingRootVolume, replacingRootVolumeWait, replacingRootVolumeProceed, rootVolumeReplaced}

func (a *account) replaceRootVolume(g *group, d Deed) error {
	chosen := a.chosen(g, d)
	if len(chosen) == 0 {
		return errors.New("no such instance in service")
	}
	for _, i := range chosen {
		if i.state != inService || i.dead {
			return fmt.Errorf("instance %s is %s", i.id, i.state)
		}
	}
	for _, i := range chosen {
		act := a.record(g, activity{
			description: "Replacing root volume of EC2 instance: " + i.id, status: activityInProgress, started: time.Now(), zone: i.pool.zone,
			cause: fmt.Sprintf("At %s the root volume of an instance was replaced in response to an instance refresh.", seconds(time.Now())),
		})
		a.throughStates(i, inService, rootVolumeStates, d.Each, act)
	}
	return nil
}

// throughStates moves an instance from one state through others and back into service, unless something else happens to it.
func (a *account) throughStates(i *instance, from string, states []string, each Duration, act *activity) {
	if i.state != from || i.dead {
		act.finish(activityCancelled, "")
		return
	}
	if len(states) == 0 {
		i.state = inService
		act.finish(activitySuccessful, "")
		return
	}
	i.state = states[0]
	if each == Never {
		i.state = states[len(states)-1]
		return
	}
	a.at(time.Now(), first(each, Duration(time.Second)), func() { a.throughStates(i, states[0], states[1:], each, act) })
}

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

// launchElsewhere launches one spot instance in the zones with the fewest of the group, in another pool than risky if there is one.
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
	why := "At " + seconds(time.Now()) + " an instance was launched in response to an EC2 instance rebalance recommendation."
	for n, p := range pools {
		failure := a.poolFailure(g, p)
		if failure == nil {
			return a.launch(g, forms[n], p, time.Now(), why)
		}
		a.launchFailed(g, time.Now(), why, market{p.zone, p.capacityType}, *failure)
	}
	return nil
}
