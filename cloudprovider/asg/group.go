package asg

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// Group is one Auto Scaling group as of one reading. It is immutable: what holds a *Group may read it for ever.
type Group struct {
	Name string
	// Zone is the one that a zonal view of the group is about; empty for the group itself. See ByZone.
	Zone string

	// MinSize, MaxSize and DesiredCapacity are what AWS states, in capacity units: instances, unless the group's
	// policy gives its types weights. Where the --nodes flag names the group, its limits narrow those of AWS.
	MinSize         int
	MaxSize         int
	DesiredCapacity int

	// Zones are the availability zones the group may launch in, in AWS's order.
	Zones []string
	// Tags of the group, by key. A key that two tags share in another case is two keys, as in AWS.
	Tags map[string]string
	// Instances in AWS's order, those on their way out included.
	Instances []Instance
	// Source is where the group's instances are described: template, configuration or policy.
	Source launchspec.Source
	// SuspendedProcesses are the scaling processes an operator has suspended, sorted.
	SuspendedProcesses []string
	// ProtectsNewInstances tells that AWS ends no new instance by its own choice, whatever is desired.
	ProtectsNewInstances bool
	// WarmPool tells that instances beside the group's own are kept ready for it; they count for nothing until they join.
	WarmPool bool
	// CapacityRebalance tells that AWS itself replaces spot instances at risk, before they go.
	CapacityRebalance bool
	// ZonalShift tells that the group's impairment policy lets zones be shifted away from. ImpairedHealth is what the policy has
	// AWS do about unhealthy instances in such a zone, as AWS spells it.
	ZonalShift     bool
	ImpairedHealth string
	// Operator is the service that alone may change the group, such as "eks.amazonaws.com". It is empty where everybody may.
	Operator string
	// Reservations are the capacity reservations that instances are launched into.
	Reservations Reservations
	// Deleting tells that the group is being deleted.
	Deleting bool

	// ReadAt is when the call began that this reading comes from: the group is at least this young.
	ReadAt time.Time

	// Stated are the places that name the cluster of the group, its tags first.
	Stated []launchspec.Statement
	// Launch is what the group would launch; nil until it is known.
	Launch *launchspec.LaunchSpec
	// Problems hold what keeps this group, and only this one, from working as it should.
	Problems []launchspec.Problem
	// Failure is the launch failure that AWS reported for our outstanding request, or nil.
	Failure *cooldown.Failure
	// Requested is how many instances we asked for that AWS has not launched yet.
	Requested int
	// Overdue is how many of the missing instances nobody should count on any longer: AWS failed to launch them, or has not done it for
	// some minutes, and they are not ours to withdraw.
	Overdue int

	// launchStated are the statements of the launch source. It may make others while it is unread.
	launchStated []launchspec.Statement
	unread       bool
	arn          string
	// withdrawalFailed tells that AWS did not let us take back our request.
	withdrawalFailed bool
	// stated is the desired capacity of the reading itself. DesiredCapacity is another while the reading may be older than what we know.
	stated int
	// unshown is the capacity of instances that came lately and the reading does not show. It may be older than they are.
	unshown int
	// others is the desired capacity that somebody else wants at least, as far as is known.
	others int
	// zoneLimits are those of --nodes flags that name a zone of the group, by zone.
	zoneLimits map[string]NamedGroup
	// most is the maximum size of a zonal view that gets all that is left of the group's.
	most int
}

// Instance is one member of a group.
type Instance struct {
	ID        string
	Type      string
	Zone      string
	Lifecycle Lifecycle
	Weight    int  // in capacity units, at least 1
	Protected bool // from being ended by AWS's own choice; naming it still ends it
	// Origin names the launch template version or launch configuration it was started from, as in Launch.Origins; "" where
	// AWS names none: it was attached, or its configuration is gone.
	Origin string
}

// Reservations say which capacity reservations a group uses. The zero value leaves it to the launch template.
type Reservations struct {
	Preference string   // as AWS spells it, such as "capacity-reservations-only"
	IDs        []string // none where any open reservation will do
	Groups     []string // ARNs of resource groups of reservations
}

// processRebalance is the process by which AWS ends instances in one zone and launches others in their place in another (Amazon
// EC2 Auto Scaling User Guide, Process types).
const processRebalance = "AZRebalance"

// launchGroup is the group as the Resolver of launch specs sees it; nil for nil.
func (g *Group) launchGroup() *launchspec.Group {
	if g == nil {
		return nil
	}
	return &launchspec.Group{Name: g.Name, Source: g.Source, Tags: g.Tags, SuspendedProcesses: g.SuspendedProcesses}
}
