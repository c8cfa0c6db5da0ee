package asg

import (
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// Group is one Auto Scaling group as of one reading. It is immutable, so a holder of a *Group may read it for ever.
type Group struct {
	Name string
	// Zone is the zone of a zone group, empty for the whole group. See ByZone.
	Zone string

	// MinSize, MaxSize and DesiredCapacity are AWS's values in capacity units: instances, unless the group's policy gives its types weights. The
	// limits of a --nodes flag narrow AWS's.
	MinSize         int
	MaxSize         int
	DesiredCapacity int

	// Zones are the availability zones that the group may launch in, in AWS's order.
	Zones []string
	// Tags of the group, by key. Keys that differ in case are two keys, as in AWS.
	Tags map[string]string
	// Instances in AWS's order, with those on their way out.
	Instances []Instance
	// Source is where the group's instances are described: template, configuration or policy.
	Source launchspec.Source
	// SuspendedProcesses are the scaling processes that an operator has suspended, sorted.
	SuspendedProcesses []string
	// ProtectsNewInstances reports that AWS terminates no new instance by its own choice, whatever is desired.
	ProtectsNewInstances bool
	// WarmPool reports that AWS keeps further instances ready. They do not count until they join.
	WarmPool bool
	// CapacityRebalance reports that AWS itself replaces spot instances at risk, before they go.
	CapacityRebalance bool
	// ZonalShift reports that the group's impairment policy enables zonal shifts. ImpairedHealth is the policy's treatment of unhealthy instances in
	// a shifted zone, in AWS's spelling.
	ZonalShift     bool
	ImpairedHealth string
	// Operator is the service that alone may change the group, such as "eks.amazonaws.com", or empty.
	Operator string
	// Reservations are the capacity reservations that instances launch into.
	Reservations Reservations
	// Deleting reports that AWS deletes the group.
	Deleting bool

	// ReadAt is the start of the call behind this reading: the group is at least this young.
	ReadAt time.Time

	// Stated are the places that name the cluster of the group, its tags first.
	Stated []launchspec.Statement
	// Launch is the group's launch spec, nil until it is known.
	LaunchSpec *launchspec.LaunchSpec
	// Problems keep this group, and only this one, from working as it should.
	Problems []launchspec.Problem
	// Failure is the reported launch failure of our outstanding request, or nil.
	Failure *cooldown.Failure
	// Requested is how many of our instances AWS has not launched yet.
	Requested int
	// Overdue is how many missing instances nobody should count on: AWS failed to launch them, or has not done it for some minutes, and they are not
	// ours to withdraw.
	Overdue int

	// launchStated are the statements of the launch source. More may come while it is unread.
	launchStated []launchspec.Statement
	unread       bool
	arn          string
	// withdrawalFailed reports that AWS did not let us take back our request.
	withdrawalFailed bool
	// stated is the reading's own desired capacity. DesiredCapacity differs while the reading may be older than our knowledge.
	stated int
	// unshown is the capacity of recent instances that the reading misses, maybe because it is older.
	unshown int
	// others is the least desired capacity that other writers want, as far as is known.
	others int
	// zoneLimits are the limits of --nodes flags that name a zone of the group, by zone.
	zoneLimits map[string]NamedGroup
	// most is the maximum size of a zone group that gets all the rest of the group's.
	most int
}

// Instance is one member of a group.
type Instance struct {
	ID        string
	Type      string
	Zone      string
	Lifecycle Lifecycle
	Weight    int  // in capacity units, at least 1
	Protected bool // from AWS's own choice; a termination by ID still works
	// Origin names the launch template version or launch configuration that it started from, as in LaunchSpec.Origins. It is "" where AWS names
	// none, because somebody attached the instance or deleted its configuration.
	Origin string
}

// Reservations say which capacity reservations a group uses. The zero value leaves that to the launch template.
type Reservations struct {
	Preference string   // in AWS's spelling, such as "capacity-reservations-only"
	IDs        []string // none where any open reservation serves
	Groups     []string // ARNs of resource groups of reservations
}

// processRebalance is AWS's process that terminates instances in one zone and launches others in another in their place (Amazon EC2 Auto Scaling User
// Guide, Process types).
const processRebalance = "AZRebalance"

// launchGroup returns the group in the form of the launch spec Resolver, nil for nil.
func (g *Group) launchGroup() *launchspec.Group {
	if g == nil {
		return nil
	}
	return &launchspec.Group{Name: g.Name, Source: g.Source, Tags: g.Tags, SuspendedProcesses: g.SuspendedProcesses}
}

// Lifecycle is the lifecycle state of an instance in its group (Amazon EC2 Auto Scaling instance lifecycle).
type Lifecycle string

// Counts reports whether AWS counts an instance in this state towards the desired capacity. Departing, detached, standby and warm pool instances do
// not count. All other states do, also those that AWS adds later: a missed member could lower the desired capacity below the members, and AWS would
// terminate one.
func (l Lifecycle) Counts() bool {
	switch l {
	case "Detaching", "Detached", "Standby":
		return false
	}
	return !l.Leaving() && !strings.HasPrefix(string(l), "Warmed:")
}

// Starting reports whether the instance is not in service yet.
func (l Lifecycle) Starting() bool { return strings.HasPrefix(string(l), "Pending") }

// Leaving reports whether the instance is being terminated or is gone.
func (l Lifecycle) Leaving() bool { return strings.HasPrefix(string(l), "Terminat") }

// departedForGood reports whether the instance will not come back by itself.
func (l Lifecycle) departedForGood() bool { return l.Leaving() || l == "Detaching" || l == "Detached" }

const terminating Lifecycle = "Terminating"
