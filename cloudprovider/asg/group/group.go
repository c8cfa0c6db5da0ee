package group

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// Group is one Auto Scaling group as of one reading. It is immutable, so a holder of a *Group may read it for ever.
type Group struct {
	Name string
	Zone string // the zone of a zone group, empty for the whole group. See ByZone

	// MinSize, MaxSize and DesiredCapacity are AWS's values in capacity units: instances, unless the group's policy gives its types weights. The
	// limits of a --nodes flag narrow AWS's, and so do limits by the clock. See SetSizes.
	MinSize         int
	MaxSize         int
	DesiredCapacity int

	Zones                []string             // the availability zones that the group may launch in, in AWS's order, each once
	Tags                 map[string]string    // of the group, by key. Keys that differ in case are two keys, as in AWS
	Pause                Pause                // what TagPaused has left alone
	Schedules            []Schedule           // the TagSchedules, by name
	Timed                []Timed              // the limits by the clock that hold now
	Turns                time.Time            // when its sizes may change next by the clock, zero for never
	RaisedByClock        bool                 // MinSize is higher than without them
	Operation            launchspec.Operation // AWS's own work on the instances. See LeftAlone
	Denied               Pause                // of terminations, since AWS denied one
	EndFailed            time.Time            // when AWS last failed to terminate an instance for now, zero once it has accepted a termination
	EKSRepairs           bool                 // EKS itself repairs the nodes of its managed node group, or may
	Instances            []Instance           // in AWS's order, with those on their way out
	Source               launchspec.Source    // of the group's instances: template, configuration or policy
	SuspendedProcesses   []string             // by an operator, sorted
	ProtectsNewInstances bool                 // AWS terminates no new instance by its own choice, whatever is desired
	WarmPool             bool                 // AWS keeps further instances ready, which do not count until they join
	CapacityRebalance    bool                 // AWS itself replaces spot instances at risk, before they go, as it does while it launches any
	// ZonalShift reports that the group's impairment policy enables zonal shifts. ImpairedHealth is the policy's treatment of unhealthy instances in
	// a shifted zone, in AWS's spelling.
	ZonalShift       bool
	ImpairedHealth   string
	ZoneDistribution string // AWS's strategy for a zone in which launches fail, in its spelling: "balanced-only"…
	// Maintenance is the group's instance maintenance policy. MaxInstanceLifetime is the age at which AWS replaces an instance, 0 for never.
	Maintenance         Maintenance
	MaxInstanceLifetime time.Duration
	Operator            string // the service that alone may change the group, such as "eks.amazonaws.com", or empty
	Reservations        Reservations
	PlacementGroup      string    // of EC2, "" where the launch template decides
	Deleting            bool      // by AWS
	ReadAt              time.Time // the start of the call behind this reading: the group is at least this young

	Stated     []launchspec.Statement // the places that name the cluster of the group, its tags first
	LaunchSpec *launchspec.LaunchSpec // nil until it is known
	Problems   []launchspec.Problem   // they keep this group, and only this one, from working as it should
	Failure    *cooldown.Failure      // the reported launch failure of our outstanding request, or nil
	Requested  int                    // our instances that AWS has not launched yet
	// Booked counts the missing instances that we are about to ask AWS for, or that AWS has not answered for yet. DesiredCapacity counts
	// them, and those of the failed increases.
	Booked int
	Failed []FailedIncrease // the latest last
	// Overdue counts the missing instances that AWS failed to launch, or has not launched for minutes, and that are not ours to withdraw.
	Overdue int

	ARN            string
	AWSMin, AWSMax int                    // AWS's own sizes
	LaunchStated   []launchspec.Statement // the statements of the launch source. More may come while it is unread
	LaunchUnread   bool
	ZonesNeeded    bool             // a pod needed one of the zones
	Flag           Named            // the --nodes flag that names the group, or zero
	ZoneLimits     map[string]Named // of --nodes flags that name a zone of the group, by zone
	Searched       []string         // the keys of tags that --node-group-auto-discovery names

	// StatedCapacity is the reading's own desired capacity. DesiredCapacity differs while the reading may be older than our knowledge.
	StatedCapacity   int
	UnshownCapacity  int            // of recent instances that the reading misses, maybe because it is older
	OthersWant       int            // the least desired capacity that other writers want, as far as is known
	BookedIn         map[string]int // Booked by zone, "" for any
	WithdrawalFailed bool           // AWS did not let us take back our request, and the next try has to wait

	most int // the maximum size of a zone group that gets all the rest of the group's
}

type Instance struct {
	ID        string
	Type      string
	Zone      string
	Lifecycle Lifecycle
	Weight    int  // in capacity units, at least 1
	Unweighed bool // Weight is only the least that it may be
	Protected bool // from AWS's own choice, while a termination by ID still works
	// ImageID is the image of its root volume where AWS states it: an instance refresh has replaced that volume, or an override names an image.
	ImageID string
	// Origin names the launch template version or configuration that it started from, as in LaunchSpec.Origins, "" where AWS names none.
	Origin string
}

// Maintenance is an instance maintenance policy, in percent of the desired capacity. The zero value is none.
type Maintenance struct {
	MinHealthyPercent int // 0 to 100
	MaxHealthyPercent int // 100 to 200
}

// Reservations say which capacity reservations a group uses. The zero value leaves that to the launch template.
type Reservations struct {
	Preference string   `json:"preference"`               // in AWS's spelling, such as "capacity-reservations-only"
	IDs        []string `json:"ids,omitempty"`            // none where any open reservation serves
	Groups     []string `json:"resourceGroups,omitempty"` // ARNs of resource groups of reservations
}

// Processes of a group (EC2 Auto Scaling User Guide, Process types, read 2026-11).
const (
	ProcessLaunch    = "Launch"      // AWS launches instances, also for LaunchInstances
	ProcessTerminate = "Terminate"   // AWS terminates instances in service
	ProcessRebalance = "AZRebalance" // AWS launches instances in one zone and terminates others in their place
)

func (g *Group) Suspended(process string) bool { return slices.Contains(g.SuspendedProcesses, process) }

// LaunchGroup returns the group in the form of the launch spec Resolver, nil for nil.
func (g *Group) LaunchGroup() *launchspec.Group {
	if g == nil {
		return nil
	}
	return &launchspec.Group{Name: g.Name, Source: g.Source, Tags: g.Tags, SuspendedProcesses: g.SuspendedProcesses}
}

// Lifecycle is the lifecycle state of an instance in its group (Amazon EC2 Auto Scaling instance lifecycle).
type Lifecycle string

// Counts reports whether AWS counts an instance in this state towards the desired capacity. Unknown states count: a missed member could
// lower the desired capacity below the members, and AWS would terminate one.
func (l Lifecycle) Counts() bool {
	switch l {
	case "Detaching", "Detached", "EnteringStandby", "Standby":
		return false
	}
	return !l.Leaving() && !strings.HasPrefix(string(l), "Warmed:")
}

func (l Lifecycle) Starting() bool { return strings.HasPrefix(string(l), "Pending") }

func (l Lifecycle) Leaving() bool { return strings.HasPrefix(string(l), "Terminat") }

// Retained reports whether the group's instance lifecycle policy keeps the instance after a termination hook was abandoned. It runs and costs until
// somebody terminates it.
func (l Lifecycle) Retained() bool { return l == "Terminating:Retained" }

const Terminating Lifecycle = "Terminating"

// ReplacesRootVolume reports whether an instance refresh replaces the root volume of the instance, which stays in the group.
func (l Lifecycle) ReplacesRootVolume() bool {
	return strings.HasPrefix(string(l), "ReplacingRootVolume")
}

// FailedIncrease is an increase that was under way and has failed. Its instances still count until it is dismissed.
type FailedIncrease struct {
	ID        int    // distinguishes the failures of a group
	Zone      string // "" where AWS chooses the zones
	Instances int    // that did not come
	Err       error  // as Increase and IncreaseZones return it
}

// given returns the sizes by AWS and the --nodes flag that names the group. AWS's own always hold: it refuses to terminate below its minimum, and
// the node would be drained in vain.
func (g *Group) given() (least, most int) {
	if g.Flag.Name == "" {
		return g.AWSMin, g.AWSMax
	}
	most = max(g.AWSMin, min(g.AWSMax, g.Flag.MaxSize))
	return min(max(g.AWSMin, g.Flag.MinSize), most), most
}

// CapacityType returns how the group's next instances are bought: awsmessage.OnDemand or Spot, or "" where the policy mixes both, or where an unread
// launch template decides.
func (g *Group) CapacityType() string {
	s := g.Source
	switch {
	case s.Mixed && s.OnDemandPercentageAboveBase == 100:
		return awsmessage.OnDemand
	case s.Mixed && s.OnDemandBase == 0 && s.OnDemandPercentageAboveBase == 0:
		return awsmessage.Spot
	case s.Mixed, g.LaunchSpec == nil:
		return ""
	case g.LaunchSpec.Spot:
		return awsmessage.Spot
	}
	return awsmessage.OnDemand
}

// reservedOnDemand is a kind of capacity in AWS's spelling, as awsmessage.OnDemand is. See Source.Segments.
const reservedOnDemand = "on-demand-capacity-reservation"

// PaidAhead reports whether instances may run in capacity with another price than on-demand: a capacity block, or an interruptible reservation,
// which the policy or a launch template names.
func (g *Group) PaidAhead() bool {
	return g.LaunchSpec != nil && g.LaunchSpec.PaidAhead || slices.ContainsFunc(slices.Concat(g.Source.Segments...), func(kind string) bool {
		return kind != awsmessage.OnDemand && kind != reservedOnDemand
	})
}

// Reserved reports whether instances may run in capacity that is paid whether they use it or not, also on Dedicated Hosts.
func (g *Group) Reserved() bool {
	r, spec := g.Reservations, g.LaunchSpec
	return g.PaidAhead() || spec != nil && (spec.Reserved && r.Preference != "none" || spec.OnHost()) ||
		slices.Contains(slices.Concat(g.Source.Segments...), reservedOnDemand) || len(r.IDs)+len(r.Groups) > 0 ||
		strings.HasPrefix(r.Preference, "capacity-reservations-") || strings.HasPrefix(g.ZoneDistribution, "reservations-")
}

// hasOwnCapacity reports whether a shortage of other groups says nothing about this one, and its own nothing about them: instances run in reserved
// capacity, on hardware of their own, or in a placement group, which may have no room where the zone has.
func (g *Group) hasOwnCapacity() bool {
	spec := g.LaunchSpec
	return g.Reserved() || spec != nil && (spec.OwnCapacity || spec.OwnHardware()) || g.PlacementGroup != ""
}

func (g *Group) Pool(instanceType, zone string) cooldown.Pool {
	return cooldown.Pool{InstanceType: instanceType, Zone: zone, CapacityType: g.CapacityType(), Own: g.hasOwnCapacity()}
}

// Pools returns the pools in which the group may launch in the zones. Unknown types make one pool without a type for each zone.
func (g *Group) Pools(zones ...string) []cooldown.Pool {
	types := []launchspec.Type{{}}
	if g.LaunchSpec != nil && len(g.LaunchSpec.Types) > 0 {
		types = g.LaunchSpec.Types
	}
	pool := g.Pool("", "")
	pools := make([]cooldown.Pool, 0, len(zones)*len(types))
	for _, zone := range zones {
		for _, t := range types {
			pool.InstanceType, pool.Zone = t.Name, zone
			pools = append(pools, pool)
		}
	}
	return pools
}

// Complete fills in what a message leaves open about a pool if the group has only one choice.
func (g *Group) Complete(m awsmessage.Meaning) awsmessage.Meaning {
	m.Own = g.hasOwnCapacity()
	m.CapacityType = cmp.Or(m.CapacityType, g.CapacityType())
	if m.InstanceType == "" && g.LaunchSpec != nil && len(g.LaunchSpec.Types) == 1 {
		m.InstanceType = g.LaunchSpec.Types[0].Name
	}
	if m.Zone == "" && len(g.Zones) == 1 {
		m.Zone = g.Zones[0]
	}
	return m
}
