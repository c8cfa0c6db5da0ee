package fakeaws

import (
	"fmt"
	"time"
)

// maxProtectedPerCall is the most instance IDs SetInstanceProtection takes (API reference, read 2026-11).
const maxProtectedPerCall = 50

// named are the instances of a group that an action names.
func (a *account) named(r *request) (*group, []*instance, error) {
	g, err := a.findGroup(r.form.get("AutoScalingGroupName"))
	if err != nil {
		return nil, nil, err
	}
	found, err := a.managed(r.form.list("InstanceIds.member"), g.Name)
	return g, found, err
}

type xmlActivities struct {
	Activities members[xmlActivity] `xml:"Activities"`
}

func (a *account) enterStandby(r *request) (any, error) {
	g, found, err := a.named(r)
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if i.state != inService {
			return nil, invalid("The instance %s is not in InService.", i.id)
		}
	}
	return a.leave(r, g, found, "place into standby", func(i *instance) xmlActivity {
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
		return act.shape()
	})
}

func (a *account) detachInstances(r *request) (any, error) {
	g, found, err := a.named(r)
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if i.state != inService && i.state != standby {
			return nil, invalid("The instance %s is not in InService or Standby.", i.id)
		}
	}
	return a.leave(r, g, found, "detach", func(i *instance) xmlActivity {
		act := a.record(g, activity{
			description: "Detaching EC2 instance: " + i.id, started: time.Now(), zone: i.pool.zone,
			cause: fmt.Sprintf("At %s instance %s was detached in response to a user request.", seconds(time.Now()), i.id),
		})
		i.state = detached
		g.drop(i)
		act.finish(activitySuccessful, "")
		return act.shape()
	})
}

// leave takes instances out of the group, each by one, with or without the desired capacity following.
func (a *account) leave(r *request, g *group, found []*instance, act string, one func(*instance) xmlActivity) (any, error) {
	if !r.form.has("ShouldDecrementDesiredCapacity") {
		return nil, missing("shouldDecrementDesiredCapacity")
	}
	weight := 0
	if r.form.boolean("ShouldDecrementDesiredCapacity") {
		for _, i := range found {
			if i.counts() {
				weight += i.weight
			}
		}
	}
	if g.Desired-weight < g.Min && weight > 0 {
		return nil, invalid("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To %s %d instance, please update "+
			"the AutoScalingGroup sizes appropriately.", g.Name, g.Min, g.Max, g.Desired, act, len(found))
	}
	var out xmlActivities
	for _, i := range found {
		out.Activities.Member = append(out.Activities.Member, one(i))
	}
	if weight > 0 {
		g.Desired -= weight
		a.events.add(Event{Kind: DesiredChanged, Group: g.Name, By: r.by(), From: g.Desired + weight, To: g.Desired})
	}
	a.reconcile(g, "")
	return out, nil
}

// exitStandby brings instances back into service. The desired capacity rises with them.
func (a *account) exitStandby(r *request) (any, error) {
	g, found, err := a.named(r)
	if err != nil {
		return nil, err
	}
	weight := 0
	for _, i := range found {
		if i.state != standby {
			return nil, invalid("The instance %s is not in Standby.", i.id)
		}
		weight += i.weight
	}
	if g.Desired+weight > g.Max {
		return nil, invalid("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To bring out of standby %d instance, "+
			"please update the AutoScalingGroup sizes appropriately.", g.Name, g.Min, g.Max, g.Desired, len(found))
	}
	var out xmlActivities
	for _, i := range found {
		i.state = pending
		i.launching = a.record(g, activity{
			description: "Moving EC2 instance out of Standby: " + i.id, status: activityPreInService, progress: 30, started: time.Now(), zone: i.pool.zone,
			cause: fmt.Sprintf("At %s instance %s was moved out of standby in response to a user request.", seconds(time.Now()), i.id),
		})
		a.at(time.Now(), a.delays.Listed, func() { a.enterService(i) })
		out.Activities.Member = append(out.Activities.Member, i.launching.shape())
	}
	a.raise(g, weight, r.by())
	return out, nil
}

func (a *account) setInstanceProtection(r *request) (any, error) {
	if n := len(r.form.list("InstanceIds.member")); n > maxProtectedPerCall {
		return nil, invalid("The number of instance ids that may be passed in is limited to %d", maxProtectedPerCall)
	}
	if !r.form.has("ProtectedFromScaleIn") {
		return nil, missing("protectedFromScaleIn")
	}
	g, found, err := a.named(r)
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if i.state != inService {
			return nil, invalid("The instance %s is not in InService.", i.id)
		}
	}
	for _, i := range found {
		i.protected = r.form.boolean("ProtectedFromScaleIn")
	}
	a.reconcile(g, "")
	return struct{}{}, nil
}
