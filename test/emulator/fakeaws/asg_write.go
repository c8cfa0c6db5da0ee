package fakeaws

import (
	"slices"
	"time"
)

// maxTerminatedPerCall bounds the InstanceIds of one TerminateInstanceInAutoScalingGroup.
const maxTerminatedPerCall = 100

func (a *account) setDesiredCapacity(r *request) (any, error) {
	g, err := a.findGroup(r.form.get("AutoScalingGroupName"))
	if err != nil {
		return nil, err
	}
	if !r.form.has("DesiredCapacity") {
		return nil, invalid("1 validation error detected: Value null at 'desiredCapacity' failed to satisfy constraint: Member must not be null")
	}
	desired, err := r.form.number("DesiredCapacity", 0)
	switch {
	case err != nil:
		return nil, err
	case g.deleting:
		return nil, pendingDelete
	case desired > g.Max:
		return nil, invalid("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", desired, g.Max)
	case desired < g.Min:
		return nil, invalid("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", desired, g.Min)
	}
	a.setDesired(g, desired, r.by())
	return nil, nil
}

var pendingDelete = &apiError{Code: "ValidationError", Message: "You cannot perform this operation while the AutoScalingGroup is pending delete"}

// terminateSuspended refuses to terminate an instance in service. The user guide says that a suspended Terminate keeps such instances alone, and names
// ForceDelete of the group to end them all the same ("Considerations for suspending processes", read 2026-11). It does not state the words.
var terminateSuspended = &apiError{Code: "ValidationError", Message: "The Terminate process of the AutoScalingGroup is suspended"}

func inProgress(act *activity) *apiError {
	return &apiError{
		Code:    "ScalingActivityInProgress",
		Message: "Scaling activity " + act.id + " is in progress and blocks this action",
	}
}

func (a *account) terminateInstance(r *request) (any, error) {
	ids := r.form.list("InstanceIds.member")
	single := r.form.get("InstanceId")
	switch {
	case single != "" && len(ids) > 0:
		return nil, invalid("Only one of InstanceId and InstanceIds can be specified")
	case single == "" && len(ids) == 0:
		return nil, invalid("1 validation error detected: Value null at 'instanceId' failed to satisfy constraint: Member must not be null")
	case len(ids) > maxTerminatedPerCall:
		return nil, invalid("1 validation error detected: Value at 'instanceIds' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", maxTerminatedPerCall)
	case len(ids) > 0 && r.form.get("AutoScalingGroupName") == "":
		return nil, invalid("AutoScalingGroupName is required when InstanceIds is specified")
	case !r.form.has("ShouldDecrementDesiredCapacity"):
		return nil, invalid("1 validation error detected: Value null at 'shouldDecrementDesiredCapacity' failed to satisfy constraint: Member must not be null")
	}
	if single != "" {
		ids = []string{single}
	}
	ids = some(a, ids, r.share)
	victims, err := a.terminable(ids, r.form.get("AutoScalingGroupName"), single == "", r.form.boolean("ShouldDecrementDesiredCapacity"))
	if err != nil {
		return nil, err
	}
	activities, err := a.terminateAll(victims, r.form.boolean("ShouldDecrementDesiredCapacity"), r.by())
	if err != nil {
		return nil, err
	}
	if single != "" {
		return struct {
			Activity xmlActivity `xml:"Activity"`
		}{activities[0]}, nil
	}
	return struct {
		Activities members[xmlActivity] `xml:"Activities"`
	}{members[xmlActivity]{shuffled(a, some(a, activities, r.answers))}}, nil
}

// terminable finds the instances of a call. An instance that cannot be terminated fails the call. In a strict account a batch
// may pass it over.
func (a *account) terminable(ids []string, groupName string, batch, decrement bool) ([]*instance, error) {
	partly := batch && a.chance()
	var out []*instance
	var refused error
	weight := 0
	for _, id := range ids {
		found, err := a.managed([]string{id}, groupName)
		if err == nil && found[0].ending != nil && a.chance() {
			err = inProgress(found[0].ending)
		}
		if err == nil && found[0].state == inService && found[0].group.suspended("Terminate") {
			err = terminateSuspended
		}
		if err == nil && partly && decrement && found[0].counts() && found[0].group.Desired-weight-found[0].weight < found[0].group.Min {
			err = belowMin(found[0].group)
		}
		switch {
		case err != nil && !partly:
			return nil, err
		case err != nil:
			refused = err
		case !slices.Contains(out, found[0]):
			out = append(out, found[0])
			if found[0].counts() {
				weight += found[0].weight
			}
		}
	}
	if len(out) == 0 {
		return nil, refused
	}
	return out, nil
}

func belowMin(g *group) *apiError {
	return invalid("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate "+
		"group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.Min)
}

// managed finds instances by ID, of one group if it is named.
func (a *account) managed(ids []string, groupName string) ([]*instance, error) {
	var out []*instance
	for _, id := range ids {
		i, ok := a.instances[id]
		if !ok || !i.ended.IsZero() || i.state == detached || groupName != "" && i.group.Name != groupName {
			return nil, invalid("Instance Id not found - No managed instance found for instance ID: %s", id)
		}
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out, nil
}

// terminateAll ends instances of one group, or none if that would take the desired capacity below the minimum. It skips
// instances that are ending already, which decrement nothing.
func (a *account) terminateAll(victims []*instance, decrement bool, by string) ([]xmlActivity, error) {
	g := victims[0].group
	weight := 0
	for _, i := range victims {
		if i.counts() {
			weight += i.weight
		}
	}
	if decrement && weight > 0 && g.Desired-weight < g.Min {
		return nil, belowMin(g)
	}
	from, now := g.Desired, time.Now()
	if decrement {
		g.Desired -= weight
	}
	var out []xmlActivity
	left := from
	for _, i := range victims {
		if i.ending == nil {
			to := left
			if decrement && i.counts() {
				to -= i.weight
			}
			e := i.event(TerminateRequested)
			e.By, e.From, e.To = by, left, to
			a.events.add(e)
			a.terminate(i, takenCause(now, i.id, decrement, left, to))
			left = to
		}
		out = append(out, i.ending.shape())
	}
	if g.Desired != from {
		a.events.add(Event{Kind: DesiredChanged, Group: g.Name, By: by, From: from, To: g.Desired})
	}
	a.reconcile(g, "")
	return out, nil
}

// deleteGroup ends a group and its instances. The group stays visible until the last of them is gone.
func (a *account) deleteGroup(g *group) {
	if len(g.instances) == 0 {
		a.dropGroup(g)
		return
	}
	g.deleting, g.Min, g.Desired = true, 0, 0
	for _, i := range slices.Clone(g.instances) {
		if i.ending != nil && len(i.actions) > 0 { // outstanding lifecycle actions are deleted with the group
			i.actions = nil
			i.onward()
		}
		a.terminate(i, "At "+seconds(time.Now())+" a user request force deleted AutoScalingGroup changing the desired capacity to 0.")
	}
}
