package fakeaws

import (
	"slices"
	"strings"
	"time"
)

// Limits of LaunchInstances (EC2 Auto Scaling API reference, read 2026-11).
const (
	// maxLaunchedPerCall bounds the instances of one call. The requested capacity may be higher where instances have weights.
	maxLaunchedPerCall = 100
	maxClientToken     = 64
)

// retryNone is the only retry strategy of LaunchInstances that is emulated. The other one asks the group for what could not be launched.
const retryNone = "none"

// A synchronousLaunch is one accepted call of LaunchInstances.
type synchronousLaunch struct {
	token    string
	group    *group
	capacity int
	zone, by string
}

type (
	xmlLaunch struct {
		AutoScalingGroupName string                    `xml:"AutoScalingGroupName"`
		ClientToken          string                    `xml:"ClientToken"`
		Instances            members[xmlCollection]    `xml:"Instances"`
		Errors               members[xmlLaunchFailure] `xml:"Errors"`
	}
	xmlLaunchPool struct {
		InstanceType     string `xml:"InstanceType,omitempty"`
		MarketType       string `xml:"MarketType"`
		SubnetID         string `xml:"SubnetId"`
		AvailabilityZone string `xml:"AvailabilityZone"`
	}
	xmlCollection struct {
		xmlLaunchPool
		InstanceIDs members[string] `xml:"InstanceIds"`
	}
	xmlLaunchFailure struct {
		xmlLaunchPool
		ErrorCode    string `xml:"ErrorCode"`
		ErrorMessage string `xml:"ErrorMessage"`
	}
)

// launchInstances is accepted or refused at once. EC2's answer, and with it the effect, comes Delays.Synchronous later, whether
// or not the caller is still there.
//
// The emulator fills gaps of its reference. A refused call leaves its token unused. The maximum size bounds the desired
// capacity with all that is being launched. The desired capacity rises with the answer, or Delays.Unlisted earlier, and then
// also by what fails, until the answer. A group whose Launch process is suspended refuses. Lifecycle hooks apply. For a group with a warm pool the user guide says both that
// it is refused and that it starts cold: here it is refused, and nothing starts.
func (a *account) launchInstances(r *request) (any, error) {
	call, err := a.readLaunch(r)
	if err != nil {
		return nil, err
	}
	token, again, err := a.tokens.take(call.token, r)
	if again || err != nil {
		return token.answer, err
	}
	if err := a.launchable(call, r); err != nil {
		a.tokens.release(call.token)
		return nil, err
	}
	call.group.launching += call.capacity
	return later{after: time.Duration(a.delays.Synchronous), do: func() (any, error) {
		call.group.launching -= call.capacity
		answer := a.launchNow(call)
		token.answered(answer, a.tokenLife())
		return answer, nil
	}, hold: time.Duration(a.delays.Unlisted)}, nil
}

// readLaunch makes the checks that do not depend on the group's state.
func (a *account) readLaunch(r *request) (synchronousLaunch, error) {
	call := synchronousLaunch{token: r.form.get("ClientToken"), by: r.by()}
	retry := first(r.form.get("RetryStrategy"), retryNone)
	var err error
	switch {
	case call.token == "":
		return call, missing("clientToken")
	case len(call.token) > maxClientToken:
		return call, invalid("1 validation error detected: Value '%s' at 'clientToken' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", call.token, maxClientToken)
	case !r.form.has("RequestedCapacity"):
		return call, missing("requestedCapacity")
	case retry != retryNone:
		return call, invalid("The emulator does not know the retry strategy %s", retry)
	}
	for _, list := range []string{"AvailabilityZones", "AvailabilityZoneIds", "SubnetIds"} {
		if len(r.form.list(list+".member")) > 1 {
			return call, invalid("1 validation error detected: Value at '%s' failed to satisfy constraint: "+
				"Member must have length less than or equal to 1", strings.ToLower(list[:1])+list[1:])
		}
	}
	if call.capacity, err = r.form.number("RequestedCapacity", 0); err != nil {
		return call, err
	}
	if call.capacity < 1 {
		return call, invalid("1 validation error detected: Value '%d' at 'requestedCapacity' failed to satisfy constraint: "+
			"Member must have value greater than or equal to 1", call.capacity)
	}
	if call.group, err = a.findGroup(r.form.get("AutoScalingGroupName")); err != nil {
		return call, err
	}
	call.zone, err = a.launchZone(call.group, r.form)
	return call, err
}

func missing(parameter string) error {
	return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", parameter)
}

// launchZone is the one zone of a call, named by itself, its ID or its subnet. Groups of one zone need none.
func (a *account) launchZone(g *group, f form) (string, error) {
	one := func(list string) string { return append(f.list(list+".member"), "")[0] }
	zone, id, subnet := one("AvailabilityZones"), one("AvailabilityZoneIds"), one("SubnetIds")
	if zone != "" && id != "" {
		return "", invalid("You cannot specify both AvailabilityZones and AvailabilityZoneIds")
	}
	if zone == "" && id == "" && subnet == "" {
		if len(g.Zones) > 1 {
			return "", invalid("You must specify an Availability Zone or a subnet to launch instances in an AutoScalingGroup with multiple Availability Zones")
		}
		return g.Zones[0], nil
	}
	for _, z := range g.Zones {
		if (zone == "" || zone == z) && (id == "" || id == zoneID(a.region, z)) && (subnet == "" || subnet == subnetID(z)) {
			return z, nil
		}
	}
	return "", invalid("The Availability Zone or subnet %s is not in the configuration of the AutoScalingGroup", first(zone, id, subnet))
}

// launchable is the reason why the group cannot be launched into synchronously at all, or nil.
func (a *account) launchable(call synchronousLaunch, r *request) error {
	g := call.group
	switch {
	case g.deleting:
		return pendingDelete
	case g.LaunchConfiguration != "":
		return invalid("LaunchInstances is not supported for an AutoScalingGroup with a launch configuration. Use a launch template.")
	case g.MixedInstancesPolicy != nil && g.MixedInstancesPolicy.Distribution.wholly() == "":
		return invalid("LaunchInstances is not supported for a mixed instances policy that combines On-Demand and Spot Instances")
	case g.WarmPool != nil:
		return &apiError{Code: "UnsupportedOperation", Message: "LaunchInstances is not supported for an AutoScalingGroup with a warm pool"}
	case g.suspended("Launch"):
		return invalid("The Launch process of the AutoScalingGroup is suspended")
	case g.Desired+g.launching+call.capacity > g.Max:
		return invalid("Launching %d of capacity would bring the desired capacity to %d, above max value %d for the AutoScalingGroup.",
			call.capacity, g.Desired+g.launching+call.capacity, g.Max)
	}
	candidates, failure := a.candidates(g)
	if failure != nil {
		return invalid("You must use a valid fully-formed launch template. %s", failure.text)
	}
	if n := countFor(call.capacity, candidates); n > maxLaunchedPerCall {
		return invalid("The requested capacity of %d needs %d instances. At most %d can be launched in one call.", call.capacity, n, maxLaunchedPerCall)
	}
	return a.permitLaunch(r, candidates)
}

// countFor is how many instances of the preferred kind fill a capacity.
func countFor(capacity int, candidates []candidate) int {
	weight := candidates[0].weight
	return (capacity + weight - 1) / weight
}

// wholly is the one capacity type of a distribution, or none if it buys both.
func (d Distribution) wholly() string {
	percentage := 100
	if d.OnDemandPercentageAboveBaseCapacity != nil {
		percentage = *d.OnDemandPercentageAboveBaseCapacity
	}
	switch {
	case percentage == 100:
		return onDemand
	case percentage == 0 && d.OnDemandBaseCapacity == 0:
		return spot
	}
	return ""
}

// launchNow is EC2's answer: instances, and an error for each pool without capacity.
func (a *account) launchNow(call synchronousLaunch) xmlLaunch {
	g, now := call.group, time.Now()
	out := xmlLaunch{AutoScalingGroupName: g.Name, ClientToken: call.token}
	candidates, failure := a.candidates(g)
	if failure != nil || a.groups[g.Name] != g || g.deleting {
		gone := first(failure, &launchFailure{code: "InvalidAutoScalingGroup.NotFound", text: "AutoScalingGroup " + g.Name + " not found."})
		out.Errors.Member = append(out.Errors.Member, a.failureShape(pool{zone: call.zone, capacityType: onDemand}, *gone))
		return out
	}
	why := "At " + seconds(now) + " a user request to launch instances synchronously was made.  "
	launched := 0
	for launched < call.capacity {
		i := a.launchOne(call, candidates, why, &out)
		if i == nil {
			break
		}
		launched += i.weight
		a.raise(g, i.weight, call.by)
		out.add(a, i)
	}
	if g.capacity() > g.Desired+g.surplus { // protected instances are beyond it, and these are not protected yet
		a.scaleIn(g)
	}
	if failed, unlisted := max(0, call.capacity-launched), time.Duration(a.delays.Unlisted); unlisted > 0 {
		g.failing += failed
		a.timeline.after(unlisted, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			g.failing -= failed
		})
	}
	return out
}

// launchOne launches an instance of the first kind with capacity. It reports every pool without once, unless that is unnamed.
func (a *account) launchOne(call synchronousLaunch, candidates []candidate, why string, out *xmlLaunch) *instance {
	g := call.group
	s := slot{zone: call.zone, capacityType: g.capacityTypeOf(candidates[0], 0, 0)}
	for _, c := range a.preferred(g, s, candidates) {
		p := pool{instanceType: c.instanceType, zone: s.zone, capacityType: s.capacityType}
		failure := a.poolFailure(g, p)
		if failure == nil {
			i := a.launch(g, c, p, time.Now(), why)
			i.listed = time.Now().Add(time.Duration(a.delays.Unlisted))
			return i
		}
		shape := a.failureShape(p, *failure)
		if !failure.unnamed && !slices.Contains(out.Errors.Member, shape) {
			out.Errors.Member = append(out.Errors.Member, shape)
			a.launchFailed(g, time.Now(), why, market{p.zone, p.capacityType}, *failure)
		}
	}
	return nil
}

// raise raises the desired capacity by instances that are there already, or lowers it by instances that have left.
func (a *account) raise(g *group, by int, who string) {
	g.Desired += by
	a.events.add(Event{Kind: DesiredChanged, Group: g.Name, By: who, From: g.Desired - by, To: g.Desired})
}

// add puts an instance with the others of its pool.
func (x *xmlLaunch) add(a *account, i *instance) {
	where := a.poolShape(i.pool)
	for n := range x.Instances.Member {
		if c := &x.Instances.Member[n]; c.xmlLaunchPool == where {
			c.InstanceIDs.Member = append(c.InstanceIDs.Member, i.id)
			return
		}
	}
	x.Instances.Member = append(x.Instances.Member, xmlCollection{where, members[string]{[]string{i.id}}})
}

func (a *account) failureShape(p pool, f launchFailure) xmlLaunchFailure {
	return xmlLaunchFailure{xmlLaunchPool: a.poolShape(p), ErrorCode: f.code, ErrorMessage: f.text}
}

func (a *account) poolShape(p pool) xmlLaunchPool {
	x := xmlLaunchPool{
		InstanceType: p.instanceType, MarketType: "OnDemand", SubnetID: subnetID(p.zone),
		AvailabilityZone: p.zone,
	}
	if p.capacityType == spot {
		x.MarketType = "Spot"
	}
	return x
}
