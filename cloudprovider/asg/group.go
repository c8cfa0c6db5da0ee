package asg

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// Group is one Auto Scaling group as of one reading. It is immutable: what holds a *Group may read it for ever.
type Group struct {
	Name string
	ARN  string

	// MinSize, MaxSize and DesiredCapacity are what AWS states, in capacity units: instances, unless the group's
	// policy gives its types weights. MinSize and MaxSize are those of the --nodes flag where it names the group.
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
	Source LaunchSource
	// SuspendedProcesses are the scaling processes an operator has suspended, sorted.
	SuspendedProcesses []string
	// NewInstancesProtected tells whether instances are born protected from scale-in.
	NewInstancesProtected bool
	// Deleting tells that the group is being deleted.
	Deleting bool

	// ReadAt is when the call began that this reading comes from: the group is at least this young.
	ReadAt time.Time

	// Launch is what the group would launch; nil until it is known.
	Launch *Launch
	// Problems hold what keeps this group, and only this one, from working as it should.
	Problems []Problem
	// Failure is the launch failure that AWS reported for our outstanding request, or nil.
	Failure *LaunchFailure
	// Requested is how many instances we asked for that AWS has not launched yet.
	Requested int
}

// Instance is one member of a group.
type Instance struct {
	ID           string
	Type         string
	Zone         string
	Lifecycle    Lifecycle
	Protected    bool
	Weight       int // in capacity units, at least 1
	HealthStatus string
}

// Lifecycle is the lifecycle state of an instance in its group (Amazon EC2 Auto Scaling instance lifecycle).
type Lifecycle string

// Counts reports whether AWS counts an instance in this state towards the desired capacity. One that is leaving,
// detached or in standby does not count: its replacement does.
func (l Lifecycle) Counts() bool {
	return l == "InService" || l == "Quarantined" || l == "EnteringStandby" || strings.HasPrefix(string(l), "Pending")
}

// Starting reports whether the instance is not in service yet.
func (l Lifecycle) Starting() bool { return strings.HasPrefix(string(l), "Pending") }

// Leaving reports whether the instance is being terminated or is gone.
func (l Lifecycle) Leaving() bool { return strings.HasPrefix(string(l), "Terminat") }

const terminating Lifecycle = "Terminating"

// Problem is one reason why a group does not work as it should, in words an operator can act on.
type Problem struct {
	// Reason is one of a small set of words, fit for a metric label.
	Reason string
	// Message says what is wrong and how we know.
	Message string
	// Remedy is the next step.
	Remedy string
}

// LaunchFailure is why AWS did not launch an instance that we asked for.
type LaunchFailure struct {
	At      time.Time
	Code    string // AWS's own code, or "LaunchFailed" where the message has none
	Message string
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
	if missing := g.DesiredCapacity - g.countedCapacity(); missing > 0 {
		return ceilDiv(missing, g.Source.MinWeight())
	}
	return 0
}

// TargetInstances is the desired capacity as a number of instances: those that count, and those still missing.
func (g *Group) TargetInstances() int {
	if !g.Source.weighted() {
		return g.DesiredCapacity
	}
	return len(g.Counted()) + g.Missing()
}

// MaxInstances is how many instances the group can hold, as far as its weights can tell: those it has, and the smallest
// that still fit.
func (g *Group) MaxInstances() int {
	if !g.Source.weighted() {
		return g.MaxSize
	}
	return len(g.Counted()) + max(0, g.MaxSize-g.countedCapacity())/g.Source.MinWeight()
}

// MinInstances is the least number of instances that can satisfy the minimum size.
func (g *Group) MinInstances() int {
	return ceilDiv(g.MinSize, g.Source.maxWeight())
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
	if g.DesiredCapacity != g.countedCapacity() {
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
		Name:                  aws.ToString(in.AutoScalingGroupName),
		ARN:                   aws.ToString(in.AutoScalingGroupARN),
		MinSize:               int(aws.ToInt32(in.MinSize)),
		MaxSize:               int(aws.ToInt32(in.MaxSize)),
		DesiredCapacity:       int(aws.ToInt32(in.DesiredCapacity)),
		Zones:                 slices.Clone(in.AvailabilityZones),
		Tags:                  make(map[string]string, len(in.Tags)),
		Instances:             make([]Instance, 0, len(in.Instances)),
		Source:                launchSourceFrom(in),
		NewInstancesProtected: aws.ToBool(in.NewInstancesProtectedFromScaleIn),
		Deleting:              strings.HasPrefix(aws.ToString(in.Status), "Delete"),
		ReadAt:                at,
	}
	for _, tag := range in.Tags {
		g.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	for _, i := range in.Instances {
		g.Instances = append(g.Instances, Instance{
			ID:           aws.ToString(i.InstanceId),
			Type:         aws.ToString(i.InstanceType),
			Zone:         aws.ToString(i.AvailabilityZone),
			Lifecycle:    Lifecycle(i.LifecycleState),
			Protected:    aws.ToBool(i.ProtectedFromScaleIn),
			Weight:       weightFrom(i.WeightedCapacity),
			HealthStatus: aws.ToString(i.HealthStatus),
		})
	}
	for _, p := range in.SuspendedProcesses {
		g.SuspendedProcesses = append(g.SuspendedProcesses, aws.ToString(p.ProcessName))
	}
	slices.Sort(g.SuspendedProcesses)
	return g
}

// weightFrom reads a weight, which AWS keeps as text from 1 to 999; anything else weighs 1.
func weightFrom(text *string) int {
	weight, err := strconv.Atoi(aws.ToString(text))
	if err != nil || weight < 1 || weight > math.MaxInt16 {
		return 1
	}
	return weight
}
