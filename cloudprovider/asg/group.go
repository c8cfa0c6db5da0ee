package asg

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

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

// Reservations say which capacity reservations a group uses. The zero value leaves it to the launch template.
type Reservations struct {
	Preference string   // as AWS spells it, such as "capacity-reservations-only"
	IDs        []string // none where any open reservation will do
	Groups     []string // ARNs of resource groups of reservations
}

func reservationsFrom(spec *types.CapacityReservationSpecification) Reservations {
	if spec == nil {
		return Reservations{}
	}
	r := Reservations{Preference: string(spec.CapacityReservationPreference)}
	if target := spec.CapacityReservationTarget; target != nil {
		r.IDs, r.Groups = slices.Clone(target.CapacityReservationIds), slices.Clone(target.CapacityReservationResourceGroupArns)
	}
	return r
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

// Lifecycle is the lifecycle state of an instance in its group (Amazon EC2 Auto Scaling instance lifecycle).
type Lifecycle string

// Counts reports whether AWS counts an instance in this state towards the desired capacity. One that is leaving, detached, in standby or in the
// warm pool does not count. Every other state does, those included that AWS adds later: to miss a member could lower the desired capacity below
// the members, and AWS would end one.
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

// leftForGood reports whether the instance does not come back into the group by itself.
func (l Lifecycle) leftForGood() bool { return l.Leaving() || l == "Detaching" || l == "Detached" }

const terminating Lifecycle = "Terminating"

// Blocked reports whether a problem keeps the group from launching anything.
func (g *Group) Blocked() bool {
	return slices.ContainsFunc(g.Problems, func(p launchspec.Problem) bool { return p.Blocks })
}

// Counted are the instances that count towards the desired capacity.
func (g *Group) Counted() []Instance {
	counted := make([]Instance, 0, len(g.Instances))
	for _, i := range g.Instances {
		if i.Lifecycle.Counts() {
			counted = append(counted, i)
		}
	}
	return counted
}

// Missing is how many instances AWS still has to launch for the desired capacity: at the smallest weight, so that it is
// never too few.
func (g *Group) Missing() int {
	return ceilDiv(max(0, g.DesiredCapacity-g.countedCapacity()), g.Source.MinWeight())
}

// notInService is how many instances are missing or still starting: at the smallest weight.
func (g *Group) notInService() int {
	missing := g.DesiredCapacity - g.countedCapacity()
	for _, i := range g.Instances {
		if i.Lifecycle.Starting() {
			missing += i.Weight
		}
	}
	return ceilDiv(max(0, missing), g.Source.MinWeight())
}

// TargetInstances is the desired capacity as a number of instances: those that count, and those still missing, less the
// overdue.
func (g *Group) TargetInstances() int {
	if !g.Source.Weighted() {
		return g.DesiredCapacity - g.Overdue
	}
	return len(g.Counted()) + g.Missing() - g.Overdue
}

// Withdrawable is how many of the missing instances Withdraw would take back: our own, and none that the minimum size or
// another writer asks for.
func (g *Group) Withdrawable() int {
	if g.withdrawalFailed {
		return 0
	}
	return (g.DesiredCapacity - g.afterWithdrawal(g.Requested)) / g.Source.MinWeight()
}

// afterWithdrawal is the desired capacity once up to n unfulfilled instances of ours are taken back.
func (g *Group) afterWithdrawal(n int) int {
	floor := max(g.MinSize, g.countedCapacity()+g.unshown, g.others)
	return min(g.DesiredCapacity, max(g.DesiredCapacity-min(n, g.Requested)*g.Source.MinWeight(), floor))
}

// MaxInstances is how many instances the group can hold, as far as its weights can tell: those it has, and the smallest
// that still fit.
func (g *Group) MaxInstances() int {
	if !g.Source.Weighted() {
		return g.MaxSize
	}
	return len(g.Counted()) + max(0, g.MaxSize-g.countedCapacity())/g.Source.MinWeight()
}

// MinInstances is the number of instances below which the group cannot be brought, as far as its weights can tell: taking
// away the heaviest must leave the minimum size.
func (g *Group) MinInstances() int {
	if !g.Source.Weighted() {
		return g.MinSize
	}
	heaviest := 1
	if g.Missing() > 0 {
		heaviest = g.Source.MinWeight()
	}
	for _, i := range g.Counted() {
		heaviest = max(heaviest, i.Weight)
	}
	spare := max(0, g.DesiredCapacity-g.MinSize) / heaviest
	return max(0, len(g.Counted())+g.Missing()-spare)
}

func (g *Group) countedCapacity() int {
	capacity := 0
	for _, i := range g.Instances {
		if i.Lifecycle.Counts() {
			capacity += i.Weight
		}
	}
	return capacity
}

// instance returns the member with the ID, or nil.
func (g *Group) instance(id string) *Instance {
	for i := range g.Instances {
		if g.Instances[i].ID == id {
			return &g.Instances[i]
		}
	}
	return nil
}

// inMotion reports whether the group is expected to look different in a moment.
func (g *Group) inMotion() bool {
	if g.Missing() > 0 || g.stated != g.DesiredCapacity {
		return true
	}
	return slices.ContainsFunc(g.Instances, func(i Instance) bool {
		return i.Lifecycle != "InService" && i.Lifecycle != "Standby"
	})
}

// sameMotion reports whether two readings agree in everything that moves.
func (g *Group) sameMotion(o *Group) bool {
	return g.DesiredCapacity == o.DesiredCapacity && slices.Equal(g.Instances, o.Instances) &&
		(g.Failure == nil) == (o.Failure == nil)
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// groupFrom turns AWS's description into a Group. Every field of it may be missing.
func groupFrom(in types.AutoScalingGroup, at time.Time) *Group {
	g := &Group{
		Name:            aws.ToString(in.AutoScalingGroupName),
		MinSize:         int(aws.ToInt32(in.MinSize)),
		MaxSize:         int(aws.ToInt32(in.MaxSize)),
		DesiredCapacity: int(aws.ToInt32(in.DesiredCapacity)),
		Zones:           slices.Clone(in.AvailabilityZones),
		Tags:            make(map[string]string, len(in.Tags)),
		Instances:       make([]Instance, 0, len(in.Instances)),
		Source:          launchspec.SourceFrom(in),
		WarmPool:        in.WarmPoolConfiguration != nil,

		CapacityRebalance: aws.ToBool(in.CapacityRebalance),
		Deleting:          strings.HasPrefix(aws.ToString(in.Status), "Delete"),
		ReadAt:            at,

		ProtectsNewInstances: aws.ToBool(in.NewInstancesProtectedFromScaleIn),
	}
	g.arn = aws.ToString(in.AutoScalingGroupARN)
	if policy := in.AvailabilityZoneImpairmentPolicy; policy != nil {
		g.ZonalShift, g.ImpairedHealth = aws.ToBool(policy.ZonalShiftEnabled), string(policy.ImpairedZoneHealthCheckBehavior)
	}
	if in.Operator != nil {
		g.Operator = aws.ToString(in.Operator.Principal)
	}
	g.Reservations = reservationsFrom(in.CapacityReservationSpecification)
	for _, tag := range in.Tags {
		g.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	for _, i := range in.Instances {
		g.Instances = append(g.Instances, Instance{
			ID:        aws.ToString(i.InstanceId),
			Type:      aws.ToString(i.InstanceType),
			Zone:      aws.ToString(i.AvailabilityZone),
			Lifecycle: Lifecycle(i.LifecycleState),
			Weight:    launchspec.ParseWeight(i.WeightedCapacity),
			Protected: aws.ToBool(i.ProtectedFromScaleIn),
			Origin:    instanceOrigin(i),
		})
	}
	for _, p := range in.SuspendedProcesses {
		g.SuspendedProcesses = append(g.SuspendedProcesses, aws.ToString(p.ProcessName))
	}
	slices.Sort(g.SuspendedProcesses)
	return g
}

func instanceOrigin(i types.Instance) string {
	if t := i.LaunchTemplate; t != nil {
		return launchspec.TemplateOrigin(aws.ToString(t.LaunchTemplateId), aws.ToString(t.Version))
	}
	return aws.ToString(i.LaunchConfigurationName)
}
