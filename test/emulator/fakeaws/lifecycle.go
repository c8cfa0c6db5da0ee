package fakeaws

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// shownAfterEnd is how long EC2 still describes an instance that is terminated.
const shownAfterEnd = 10 * time.Minute

// launch adds an instance in the state Pending. began is the time of the request to EC2, from which all delays count.
func (a *account) launch(g *group, c candidate, p pool, began time.Time, why string) *instance {
	i := a.newInstance(g, c, p, began)
	from := ""
	if warmed := g.warmed(); len(warmed) > 0 && p.zone == g.Zones[0] {
		delete(a.instances, i.id)
		i.id, from = warmed[0], " from warm pool"
		a.instances[i.id] = i
		g.drawn++
	}
	act := a.record(g, activity{
		description: "Launching a new EC2 instance" + from + ": " + i.id,
		cause:       launchCause(why, began, g.capacity(), g.Desired),
		status:      activityPreInService, progress: 30, started: began, zone: p.zone,
	})
	i.launching = act
	g.instances = append(g.instances, i)
	a.emit(Launched, i)
	a.changeState(i, "pending")
	if sh := a.faults.dyingLaunch(g.Name, p); sh != nil {
		a.at(time.Now(), sh.Dies, func() { a.die(i, *sh) })
		return i
	}
	a.at(began, a.delays.InService, func() { a.launched(i) })
	a.at(began, first(g.RegisterAfter, a.delays.Register), func() { a.register(i) })
	return i
}

// warmed returns the IDs of the instances in the group's warm pool.
func (g *group) warmed() (ids []string) {
	if g.WarmPool == nil {
		return nil
	}
	for n := g.drawn; n < g.WarmPool.Warmed; n++ {
		ids = append(ids, "i-0"+hexID(16, g.arn, "warmed", n))
	}
	return ids
}

// Warmed returns the IDs of the instances in a group's warm pool.
func (s *Server) Warmed(name string) (ids []string, err error) {
	err = s.change(name, func(_ *account, g *group) { ids = g.warmed() })
	return ids, err
}

// at runs do, with the account locked, when delay has passed since began.
func (a *account) at(began time.Time, delay Duration, do func()) {
	if delay == Never {
		return
	}
	a.timeline.after(max(0, time.Duration(delay)-time.Since(began)), func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		do()
	})
}

func (a *account) newInstance(g *group, c candidate, p pool, began time.Time) *instance {
	i := &instance{
		id: a.numberedID("i-"), group: g, pool: p, weight: c.weight, override: c.override, template: c.template,
		config: c.config, imageID: c.imageID, state: pending, protected: g.ProtectNewInstances, launchTime: began,
	}
	i.order = a.random.Uint32()
	i.tags = tagsOf(g, c)
	i.address = a.newAddress()
	i.nodeName = a.nodeName(i.address)
	a.instances[i.id] = i
	if g.MaxInstanceLifetime > 0 {
		a.at(began, g.MaxInstanceLifetime, func() { a.outlived(i) })
	}
	return i
}

// newAddress is the next of 10.0.0.0/8. None is given twice.
func (a *account) newAddress() [4]byte {
	a.addresses++
	n := a.addresses
	const perSubnet = 250 // the first four and the last are not for instances
	subnet := n / perSubnet
	return [4]byte{10, byte(subnet >> 8), byte(subnet), byte(4 + n%perSubnet)}
}

// nodeName is the private DNS name, as nodes of EKS are called.
func (a *account) nodeName(ip [4]byte) string {
	domain := a.region + ".compute.internal"
	if a.region == "us-east-1" {
		domain = "ec2.internal"
	}
	return fmt.Sprintf("ip-%d-%d-%d-%d.%s", ip[0], ip[1], ip[2], ip[3], domain)
}

func (a *account) emit(kind EventKind, i *instance) { a.events.add(i.event(kind)) }

func (i *instance) event(kind EventKind) Event {
	return Event{
		Kind: kind, Group: i.group.Name, Instance: i.id, InstanceType: i.pool.instanceType,
		CapacityType: i.pool.capacityType, Zone: i.pool.zone,
	}
}

// launched runs when EC2 runs an instance: it enters service, or waits for its hooks first.
func (a *account) launched(i *instance) {
	if i.state != pending || i.dead {
		return
	}
	i.running = true
	a.changeState(i, "running")
	if !a.wait(i, hookLaunching, func() {
		i.state = pendingProceed
		a.at(time.Now(), a.delays.Listed, func() { a.enterService(i) })
	}) {
		a.enterService(i)
		return
	}
	i.state, i.launching.status = pendingWait, activityMidLifecycle
}

// enterService ends a launch, unless the instance is on its way out already.
func (a *account) enterService(i *instance) {
	if i.state != pending && i.state != pendingProceed {
		return
	}
	i.state, i.running = inService, true
	i.launching.finish(activitySuccessful, "")
	a.emit(InService, i)
	if i.announcedState != "" { // false for instances that were there from the start
		a.publishActivity(launchSuccess, activityInProgress, i.launching, i.id)
	}
}

// register starts the kubelet, unless the instance is on its way out already.
func (a *account) register(i *instance) {
	if !i.counts() || i.dead {
		return
	}
	i.nodeDue = true
	if nodes := a.nodes[i.group.Cluster]; nodes != nil {
		nodes.register(a.nodeSpec(i))
	}
}

// terminate begins an instance's end. It waits for the group's hooks, unless it is dead or the group is being deleted, and
// leaves the group Delays.Terminate later. An instance that is ending already is not affected.
func (a *account) terminate(i *instance, cause string) *activity {
	if i.ending != nil {
		return i.ending
	}
	i.state = terminating
	i.actions = nil
	if i.launching != nil && i.launching.ended.IsZero() {
		i.launching.finish(activityCancelled, "")
	}
	i.ending = a.record(i.group, activity{
		description: "Terminating EC2 instance: " + i.id, cause: cause,
		status: activityInProgress, started: time.Now(), zone: i.pool.zone,
	})
	if !i.dead && !i.group.deleting && a.wait(i, hookTerminating, func() {
		i.state = terminatingProceed
		a.shutDown(i)
	}) {
		i.state, i.ending.status = terminatingWait, activityMidLifecycle
		return i.ending
	}
	a.shutDown(i)
	return i.ending
}

// shutDown makes EC2 end an instance, which then leaves its group.
func (a *account) shutDown(i *instance) {
	a.changeState(i, "shutting-down")
	a.at(time.Now(), a.delays.Terminate, func() { a.gone(i) })
}

// gone takes an instance out of its group, and its Node out of the cluster.
func (a *account) gone(i *instance) {
	g := i.group
	g.drop(i)
	i.state, i.running, i.ended = "Terminated", false, time.Now()
	i.ending.finish(activitySuccessful, "")
	a.emit(Terminated, i)
	a.changeState(i, "terminated")
	a.publishActivity(terminateSuccess, activityInProgress, i.ending, i.id)
	a.removeNode(i)
	a.at(i.ended, Duration(shownAfterEnd), func() { delete(a.instances, i.id) })
	if g.deleting && len(g.instances) == 0 {
		a.dropGroup(g)
		return
	}
	a.reconcile(g, "")
}

func (g *group) drop(i *instance) {
	g.instances = slices.DeleteFunc(g.instances, func(x *instance) bool { return x == i })
}

// removeNode takes an instance's Node out of the cluster.
func (a *account) removeNode(i *instance) {
	if nodes := a.nodes[i.group.Cluster]; nodes != nil && i.nodeDue {
		nodes.remove(i.nodeName)
	}
	i.nodeDue = false
}

// scaleIn terminates instances until no more than the desired capacity is left. victim chooses them.
func (a *account) scaleIn(g *group) {
	if g.suspended("Terminate") {
		return
	}
	for {
		victim := a.victim(g)
		if victim == nil || g.capacity()-victim.weight < g.Desired+g.surplus {
			return
		}
		cause := shrinkCause(time.Now(), victim.id, g.capacity(), g.Desired)
		a.terminate(victim, cause)
		a.emit(ScaleInKill, victim)
	}
}

// launchInitial gives every group the instances it starts with, as if they had been there for long.
func (a *account) launchInitial() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range a.sortedGroups() {
		a.settle(g)
	}
	for _, d := range a.deeds {
		a.plot(d, time.Duration(d.After))
	}
}

// settle fills a group up to its desired capacity at once. Shortages do not count. Instances that cannot be launched at all are
// left to reconcile.
func (a *account) settle(g *group) {
	why := fmt.Sprintf("At %s a user request created an AutoScalingGroup changing the desired capacity from 0 to %d.  ", seconds(time.Now()), g.Desired)
	candidates, failure := a.candidates(g)
	if failure == nil {
		for _, s := range g.plan(candidates, nil) {
			c := a.preferred(g, s, candidates)[0]
			if _, known := a.types.lookup(c.instanceType); known {
				a.settled(g, c, pool{c.instanceType, s.zone, s.capacityType}, why)
			}
		}
	}
	a.reconcile(g, why)
}

// settled adds an instance that is InService and whose kubelet runs.
func (a *account) settled(g *group, c candidate, p pool, why string) {
	i := a.newInstance(g, c, p, time.Now())
	act := a.record(g, activity{
		description: "Launching a new EC2 instance: " + i.id,
		cause:       launchCause(why, i.launchTime, g.capacity(), g.Desired),
		started:     i.launchTime, zone: p.zone,
	})
	g.instances, i.launching = append(g.instances, i), act
	a.emit(Launched, i)
	a.enterService(i)
	if g.RegisterAfter != Never {
		a.register(i)
	}
}

// setDesired changes a desired capacity. by is the caller.
func (a *account) setDesired(g *group, desired int, by string) {
	from := g.Desired
	if desired == from {
		return
	}
	g.Desired = desired
	a.events.add(Event{Kind: DesiredChanged, Group: g.Name, By: by, From: from, To: desired})
	g.retryAt = time.Time{}
	a.reconcile(g, userChange(time.Now(), from, desired))
}

// dropGroup forgets a group. Its history stays.
func (a *account) dropGroup(g *group) {
	delete(a.groups, g.Name)
	a.events.add(Event{Kind: GroupDeleted, Group: g.Name})
}

// toStandby places instances into standby. They cannot come back.
func (a *account) toStandby(g *group, d Deed) error {
	return a.leave(g, d, func(i *instance) {
		act := a.record(g, activity{
			description: "Moving EC2 instance to Standby: " + i.id, status: activityInProgress, started: time.Now(), zone: i.pool.zone,
			cause: fmt.Sprintf("At %s instance %s was moved to standby in response to a user request.", seconds(time.Now()), i.id),
		})
		i.state = enteringStandby
		a.at(time.Now(), a.delays.Listed, func() {
			if i.state == enteringStandby {
				i.state = standby
			}
			act.finish(activitySuccessful, "")
		})
	})
}

func (a *account) detach(g *group, d Deed) error {
	return a.leave(g, d, func(i *instance) {
		act := a.record(g, activity{
			description: "Detaching EC2 instance: " + i.id, started: time.Now(), zone: i.pool.zone,
			cause: fmt.Sprintf("At %s instance %s was detached in response to a user request.", seconds(time.Now()), i.id),
		})
		i.state = detached
		g.drop(i)
		act.finish(activitySuccessful, "")
	})
}

// leave takes instances in service out of the group, each by one. The desired capacity follows unless that goes below the minimum.
func (a *account) leave(g *group, d Deed, one func(*instance)) error {
	found := a.chosen(g, d)
	if len(found) == 0 {
		return errors.New("no such instance in service")
	}
	weight := 0
	for _, i := range found {
		if i.state != inService {
			return invalid("The instance %s is not in InService.", i.id)
		}
		weight += i.weight
	}
	if g.Desired-weight < g.Min {
		weight = 0
	}
	for _, i := range found {
		one(i)
	}
	if weight > 0 {
		a.raise(g, -weight, d.by())
	}
	a.reconcile(g, "")
	return nil
}
