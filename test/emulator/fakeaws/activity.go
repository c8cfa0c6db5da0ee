package fakeaws

import (
	"fmt"
	"slices"
	"time"
)

// An activity is one entry of a group's scaling history.
type activity struct {
	id          string
	sequence    int
	group       string
	groupARN    string
	description string
	cause       string
	status      string
	message     string
	recorded    time.Time // when it could first be read
	before      *activity // its state until it ended
	replaced    time.Time // since when the activities of its outcome are in its place
	started     time.Time
	ended       time.Time
	progress    int
	zone        string
	subnet      string
}

// Status codes of activities.
const (
	activityPreInService = "PreInService"
	activitySuccessful   = "Successful"
	activityFailed       = "Failed"
	activityCancelled    = "Cancelled"
	activityInProgress   = "InProgress"
	activityMidLifecycle = "MidLifecycleAction"
	activityWaiting      = "WaitingForInstanceId"
)

func (a *account) record(g *group, act activity) *activity {
	act.id, act.group, act.groupARN = a.numberedUUID(), g.Name, g.arn
	act.sequence, act.subnet, act.recorded = a.sequence, subnetID(act.zone), time.Now()
	a.activities[g.Name] = append(a.activities[g.Name], &act)
	return &act
}

// recordRequests records the instances that an attempt requests from EC2. Their launches are in progress, and no instance has an ID yet.
func (a *account) recordRequests(g *group, attempt int, slots []slot, why string) []*activity {
	var requests []*activity
	for n, s := range slots {
		now := time.Now()
		requests = append(requests, &activity{
			id: uuidOf(a.id, "attempt", attempt, n), sequence: attempt, group: g.Name, groupARN: g.arn, recorded: now,
			description: "Launching a new EC2 instance", cause: why + launchCause(now, g.capacity(), g.Desired),
			status: activityWaiting, started: now, zone: s.zone, subnet: subnetID(s.zone),
		})
	}
	a.activities[g.Name] = append(a.activities[g.Name], requests...)
	return requests
}

// replace ends requests whose outcome is about to be recorded. They stay as long as an old reading can show them.
func (a *account) replace(g *group, requests []*activity) {
	for _, act := range requests {
		act.replaced = time.Now()
	}
	a.activities[g.Name] = slices.DeleteFunc(a.activities[g.Name], func(act *activity) bool {
		return !act.replaced.IsZero() && time.Since(act.replaced) >= time.Duration(a.past.Most)
	})
}

func subnetID(zone string) string { return "subnet-0" + hexID(16, "subnet", zone) }

func (act *activity) finish(status, message string) {
	before := *act
	act.before = &before
	act.status, act.message, act.ended, act.progress = status, message, time.Now(), 100
}

// seconds formats a time as causes do.
func seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func launchCause(at time.Time, from, to int) string {
	return fmt.Sprintf("At %s an instance was started in response to a difference between desired and actual capacity, "+
		"increasing the capacity from %d to %d.", seconds(at), from, to)
}

// userChange precedes causes when a user changed the desired capacity.
func userChange(at time.Time, from, to int) string {
	return fmt.Sprintf("At %s a user request explicitly set group desired capacity changing the desired capacity from %d to %d.  ",
		seconds(at), from, to)
}

// takenCause is the cause of a termination by a user.
func takenCause(at time.Time, id string, decrement bool, from, to int) string {
	cause := fmt.Sprintf("At %s instance %s was taken out of service in response to a user request", seconds(at), id)
	if decrement {
		return cause + fmt.Sprintf(", shrinking the capacity from %d to %d.", from, to)
	}
	return cause + "."
}

// shrinkCause is the cause of a termination that Auto Scaling chose itself.
func shrinkCause(at time.Time, id string, from, to int) string {
	return fmt.Sprintf("At %s an instance was taken out of service in response to a difference between desired and actual capacity, "+
		"shrinking the capacity from %d to %d.  At %s instance %s was selected for termination.", seconds(at), from, to, seconds(at), id)
}

// unhealthyCause is the cause of a termination by EC2.
func unhealthyCause(at time.Time) string {
	return fmt.Sprintf("At %s an instance was taken out of service in response to an EC2 health check indicating it has been "+
		"terminated or stopped.", seconds(at))
}
