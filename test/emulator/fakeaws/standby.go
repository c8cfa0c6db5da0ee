package fakeaws

import (
	"errors"
	"fmt"
	"time"
)

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
