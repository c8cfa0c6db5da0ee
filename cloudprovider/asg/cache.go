package asg

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// ErrGroupNotFound is the error of a write to a group that AWS no longer lists.
var ErrGroupNotFound = errors.New("auto scaling group not found: it was deleted, or lost the tags that select it")

// AutoScalingAPI has this package's calls to EC2 Auto Scaling.
type AutoScalingAPI interface {
	launchspec.ConfigurationsAPI
	DescribeAutoScalingGroups(context.Context, *autoscaling.DescribeAutoScalingGroupsInput,
		...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error)
	DescribeScalingActivities(context.Context, *autoscaling.DescribeScalingActivitiesInput,
		...func(*autoscaling.Options)) (*autoscaling.DescribeScalingActivitiesOutput, error)
	SetDesiredCapacity(context.Context, *autoscaling.SetDesiredCapacityInput,
		...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error)
	LaunchInstances(context.Context, *autoscaling.LaunchInstancesInput,
		...func(*autoscaling.Options)) (*autoscaling.LaunchInstancesOutput, error)
	TerminateInstanceInAutoScalingGroup(context.Context, *autoscaling.TerminateInstanceInAutoScalingGroupInput,
		...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error)
}

type Options struct {
	AutoScaling AutoScalingAPI
	Launches    launchspec.APIs
	Instances   InstancesAPI // may be nil, then nobody checks the tags of instances
	Discovery   ownership.Discovery
	// RefreshInterval is the interval of readings of all groups, MotionInterval of the groups in motion.
	RefreshInterval time.Duration
	MotionInterval  time.Duration
	LaunchMode      LaunchMode  // the zero value is LaunchAuto
	ZonalGroups     ZonalGroups // the zero value is ZonalTagged
	// NoPredecessor means that no launch of an earlier process can be in progress, so that no launch waits for one.
	NoPredecessor bool
	// Cluster is the name of our cluster by --asg-cluster-name, StockCluster by --cluster-name. Both may be empty.
	Cluster, StockCluster string
	// ClusterInUserData finds the name of the cluster in user data in AWS's form, "" where there is none. A nil one finds none.
	ClusterInUserData func(userData string) string
	ZonalShifts       cooldown.ShiftAPIs // the zero value asks nobody
	Clock             clock.WithTicker
	// Launched is called with each request for instances once AWS has answered, and with each launch that AWS gave up later. It must return at
	// once, and may be called by several goroutines. Nil is not called.
	Launched func(Launch)
	// GaveBack is called with the number of instances that StartGiveBack gave back in a group. It must return at once, and may be called by several
	// goroutines. Nil is not called.
	GaveBack func(group string, instances int)
	// Read is called after each reading of all groups, with the beginning of the last complete one, and with awsclient's reason and AWS's words
	// if this one failed. It must return at once. Nil is not called.
	Read func(last time.Time, reason, text string)
	// Types knows the weights of instances in groups whose capacity counts vCPUs or memory. A nil one knows no type.
	Types *instancetypes.Catalogue
}

// Cache keeps the groups. Its embedded parts have most of its methods. It is safe for concurrent use, but Start and then Run are called once each, by
// the owner.
type Cache struct {
	*shared
	*reader
	*capacity
	*increases
	*zoneGroups
	*terminator
	activities *activities
	replays    *replays
	refresh    time.Duration
	motion     time.Duration
	failures   chan struct{} // wakes the failure loop
}

// shared belongs to every part of a Cache.
type shared struct {
	*groups
	locks     *locks
	api       guarded
	clock     clock.WithTicker
	mode      LaunchMode
	types     *instancetypes.Catalogue // may be nil
	specs     *launchspec.Resolver
	available availability
	calls     newerCalls
	refusals  *refusals
	resolve   chan struct{} // a launch source may be new
	observe   func(Launch)
	gaveBack  func(group string, instances int)
}

func NewCache(o Options) *Cache {
	g := newGroups(o.Cluster, o.StockCluster)
	s := &shared{groups: g, locks: &locks{groups: g}, api: guarded{o.AutoScaling, g, o.Instances, o.Clock}, clock: o.Clock, mode: o.LaunchMode,
		types: o.Types, specs: launchspec.New(o.AutoScaling, o.Launches, o.Clock, o.ClusterInUserData),
		available: availability{failed: cooldown.NewList(o.Clock), interrupted: cooldown.NewList(o.Clock), shifts: cooldown.NewShifts(o.ZonalShifts, o.Clock)},
		calls:     newNewerCalls(o.Clock),
		refusals:  &refusals{clock: o.Clock, mode: o.LaunchMode, groups: map[string]refusal{}}, resolve: make(chan struct{}, 1), observe: o.Launched, gaveBack: o.GaveBack}
	if s.observe == nil {
		s.observe = func(Launch) {}
	}
	if s.gaveBack == nil {
		s.gaveBack = func(string, int) {}
	}
	r := &reader{shared: s, discovery: o.Discovery, absent: map[string]bool{}, read: o.Read}
	a := &activities{s}
	p := &replays{shared: s, reader: r, activities: a, noPredecessor: o.NoPredecessor}
	l := &launcher{shared: s, reader: r, replays: p}
	w := &capacity{shared: s, reader: r, activities: a}
	z := &zoneGroups{shared: s, launcher: l, which: o.ZonalGroups}
	t := &terminator{shared: s, reader: r, capacity: w}
	i := &increases{shared: s, reader: r, capacity: w, replays: p, launcher: l, zoneGroups: z, terminator: t}
	return &Cache{shared: s, reader: r, capacity: w, increases: i, zoneGroups: z, terminator: t, activities: a, replays: p,
		refresh: o.RefreshInterval, motion: o.MotionInterval, failures: make(chan struct{}, 1)}
}

// Changed receives after a reading in which a group moved: instances came or went, or a launch failed.
func (c *Cache) Changed() <-chan struct{} { return c.changed }

// CoolDown returns the first cool-down to end if no zone of the group is available. It makes no call and is safe for concurrent use.
func (c *Cache) CoolDown(g *group.Group) (cooldown.Period, bool) {
	return c.available.inAllZones(g, "")
}

// CoolDowns returns the cool-downs of the group's pools, and of its zones under a zonal shift. It makes no call and is safe for concurrent use.
func (c *Cache) CoolDowns(g *group.Group) []cooldown.Period {
	var shifts []cooldown.Period
	for _, zone := range g.Zones {
		if p, shifted := c.available.shifted(g, zone); shifted {
			shifts = append(shifts, p)
		}
	}
	return append(shifts, c.available.failed.Holding(g.Name, func() []cooldown.Pool { return g.Pools(g.Zones...) })...)
}

// Shifted reports whether a zonal shift keeps launches out of the group's zone. It makes no call and is safe for concurrent use.
func (c *Cache) Shifted(g *group.Group, zone string) bool {
	_, shifted := c.available.shifted(g, zone)
	return shifted
}

// Trouble returns the latest failure to launch in any pool of the group, during its cool-down and for as long after it. Nothing has come from the
// pool since. Other pools of the group may work. It makes no call and is safe for concurrent use.
func (c *Cache) Trouble(g *group.Group) (cooldown.Period, bool) {
	return c.available.failed.Latest(g.Name, g.Pools(g.Zones...))
}

// Interrupted remembers for the length of a cool-down that EC2 takes a spot instance back from the pool. Other pools come first meanwhile. A group
// without another pool is still launched there. Safe for concurrent use.
func (c *Cache) Interrupted(pool cooldown.Pool, message string) {
	if pool.InstanceType == "" || pool.Zone == "" {
		return // the pool is not known
	}
	c.available.interrupted.Fail("", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: pool.InstanceType, Zone: pool.Zone,
		CapacityType: awsmessage.Spot}, message, time.Time{})
}

// WasInterrupted reports whether EC2 has lately interrupted instances in all pools and zones where the group would launch. It makes no call and is
// safe for concurrent use.
func (c *Cache) WasInterrupted(g *group.Group) bool { return c.available.interruptedIn(g, g.Zones...) }

func (c *Cache) Age() time.Duration { return c.clock.Since(c.groups.Snapshot().ReadAt) }

// TooOldToRemove reports whether the last reading is too old to choose nodes to remove by.
func (c *Cache) TooOldToRemove() bool { return c.Age() > max(oldestToRemove, 2*c.refresh) }

// TooOldToAdd reports whether the last reading is too old to choose a group to grow by.
func (c *Cache) TooOldToAdd() bool { return c.Age() > max(oldestToAdd, 2*c.refresh) }

// LaunchFailed has the group's failed launches read now, before their next look is due. Looks stay some seconds apart, however often it is called.
// It makes no call and is safe for concurrent use.
func (c *Cache) LaunchFailed(name string) {
	c.groups.mu.Lock()
	if e := c.groups.entries[name]; e != nil {
		e.LookSoon()
	}
	c.groups.mu.Unlock()
	signal(c.failures)
}

// SeeCluster takes in the cluster's evidence of its name, and publishes the groups anew if the name is news. It makes no call. Before its first call,
// no instance counts as a node of ours.
func (c *Cache) SeeCluster(ctx context.Context, e ownership.Evidence) {
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	if c.groups.identity.See(ctx, e, c.groups.allGroups()) {
		c.groups.publish()
		signal(c.groups.changed)
	}
}

// ClusterName returns our name and the place that settled it, zero while it is not known.
func (c *Cache) ClusterName() launchspec.Statement { return c.cluster() }
