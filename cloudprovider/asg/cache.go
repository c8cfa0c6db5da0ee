package asg

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

type Options struct {
	AutoScaling     AutoScalingAPI
	Launches        launchspec.APIs
	Instances       lookup.InstancesAPI // may be nil, then nobody checks the tags of instances
	Discovery       ownership.Discovery
	RefreshInterval time.Duration // between readings of all groups
	MotionInterval  time.Duration // of the groups in motion
	LaunchMode      LaunchMode    // the zero value is LaunchAuto
	ZonalGroups     ZonalGroups   // the zero value is ZonalTagged
	NoPredecessor   bool          // no launch of an earlier process can be in progress
	// TokenTime returns the time by which the token of a launch is made that begins now. A successor must get the same one for as long as the
	// launch may be in progress. Nil is for the Clock's, which has edges.
	TokenTime func(context.Context) (time.Time, error)
	// Cluster is the name of our cluster by --asg-cluster-name, StockCluster by --cluster-name. Both may be empty.
	Cluster, StockCluster string
	// ClusterInUserData finds the name of the cluster in user data in AWS's form, "" where there is none. A nil one finds none.
	ClusterInUserData func(userData string) string
	ZonalShifts       cooldown.ShiftAPIs // asked while a group enables zonal shift, or its cluster may be of EKS
	Actions           ActionsAPI         // nil: scheduled actions come unseen
	Clock             clock.WithTicker
	// Launched is called with each request for instances once AWS has answered, and with each launch that AWS gave up later. It must return at
	// once, and may be called by several goroutines. Nil is not called.
	Launched func(Launch)
	// Read is called after each reading of all groups, with the beginning of the last complete one, and with awsclient's reason, or
	// "unauthenticated", and AWS's words if this one failed. It must return at once. Nil is not called.
	Read func(last time.Time, reason, text string)
	// Types returns the types whose instances have known weights in groups whose capacity counts vCPUs or memory. More may become known. Nil knows none.
	Types func() *instancetypes.Catalogue
}

// Cache keeps the groups. It is safe for concurrent use, but the owner calls Start and then Run once. Methods without a context wait for no call.
type Cache struct {
	*groups
	options   Options // without nil functions
	api       guarded
	clock     clock.WithTicker
	began     time.Time // of the first beat
	specs     *launchspec.Resolver
	available availability
	// calls are the circuit breakers before calls that an older one can replace: SetDesiredCapacity replaces LaunchInstances, and a termination with one
	// InstanceId replaces one with InstanceIds. A partition may lack the newer call, and AWS may have trouble with it alone. AWS may do a call that it
	// does not answer. Therefore a reading must show the outcome of the newer call before the older one is used.
	calls    struct{ launch, batchTermination *cooldown.Breaker }
	refusals *refusals
	skew     atomic.Int64                   // how many nanoseconds AWS's clock is ahead of ours, by the last reading
	trouble  atomic.Int64                   // when a reading of all groups last failed because AWS is overloaded or at fault, in nanoseconds
	absent   []string                       // names in --nodes flags that AWS does not have, guarded by the mu of groups. Replaced, never changed
	actions  *lookup.Cache[[]group.Timed]   // that AWS has scheduled, by group
	acted    *lookup.Answers[[]group.Timed] // the actions by which turn has set the sizes
	looked   time.Time                      // when turn has last requested the actions
	paged    atomic.Bool                    // they come in several pages, and so cost more than a call
	resolve  chan struct{}                  // a launch source may be new
	failures chan struct{}                  // wakes the failure loop
	ahead    ahead
	together awsclient.Batcher[togetherKey, ending, error]

	rereading atomic.Int32 // how many callers of Reread wait
	readings  awsclient.Batcher[struct{}, string, error]
}

func NewCache(o Options) *Cache {
	if o.Launched == nil {
		o.Launched = func(Launch) {}
	}
	if o.Read == nil {
		o.Read = func(time.Time, string, string) {}
	}
	if o.TokenTime == nil {
		o.TokenTime = func(context.Context) (time.Time, error) { return o.Clock.Now(), nil }
	}
	if o.Types == nil {
		o.Types = func() *instancetypes.Catalogue { return nil }
	}
	g := newGroups(o.Cluster, o.StockCluster)
	g.identity.Assumed = o.Discovery.Assumed
	c := &Cache{groups: g, options: o, api: guarded{o.AutoScaling, g, o.Instances, o.Clock}, clock: o.Clock, began: o.Clock.Now(),
		specs: launchspec.New(o.AutoScaling, o.Launches, o.Clock, o.ClusterInUserData),
		available: availability{failed: cooldown.NewList(o.Clock), interrupted: cooldown.NewList(o.Clock), cluster: g.Cluster,
			shifts: cooldown.NewShifts(o.ZonalShifts, o.Clock, func() bool { return !g.enableShifts() })},
		refusals: &refusals{clock: o.Clock, mode: o.LaunchMode, groups: map[string]refusal{}}, resolve: make(chan struct{}, 1), failures: make(chan struct{}, 1),
		ahead: ahead{due: make(chan struct{}, 1)}}
	c.calls.launch, c.calls.batchTermination = cooldown.NewBreaker(o.Clock, "LaunchInstances"), cooldown.NewBreaker(o.Clock, "the termination of several instances in one call")
	c.together.Clock, c.together.Call = o.Clock, c.terminate
	c.actions = lookup.New(o.Clock, o.Actions != nil, lookup.Question[[]group.Timed]{AtOnce: 1, Whole: true, Age: actionInterval, Ask: c.readActions,
		Failure: "Could not see the scheduled actions of groups, so AWS carries them out without a drain",
		Remedy:  "allow autoscaling:DescribeScheduledActions"})
	c.readings.Clock, c.readings.Call = o.Clock, func(ctx context.Context, _ struct{}, names func() []string) error {
		return c.refreshNamed(context.WithoutCancel(ctx), slices.Compact(slices.Sorted(slices.Values(names()))))
	}
	return c
}

// Changed receives after a reading in which a group moved: instances came or went, or a launch failed.
func (c *Cache) Changed() <-chan struct{} { return c.changed }

// CoolDown returns the first cool-down to end if no zone of the group is available.
func (c *Cache) CoolDown(g *group.Group) (cooldown.Period, bool) {
	return c.available.inAllZones(g, "")
}

// CoolDowns returns the cool-downs of the group's pools, and of its zones under a zonal shift.
func (c *Cache) CoolDowns(g *group.Group) []cooldown.Period {
	var shifts []cooldown.Period
	for _, zone := range g.Zones {
		if p, shifted := c.available.shifted(g, zone); shifted {
			shifts = append(shifts, p)
		}
	}
	return append(shifts, c.available.failed.Holding(g.Name, func() []cooldown.Pool { return g.Pools(g.Zones...) })...)
}

// Shifted reports whether a zonal shift keeps launches out of the group's zone.
func (c *Cache) Shifted(g *group.Group, zone string) bool {
	_, shifted := c.available.shifted(g, zone)
	return shifted
}

// Closed reports whether nothing can be launched in the group's zone now.
func (c *Cache) Closed(g *group.Group, zone string) bool {
	_, closed := c.available.inZone(g, zone)
	return closed
}

// Trouble returns the latest failure to launch in any pool of the group, during its cool-down and for a while after it. Nothing has come from the
// pool since. Other pools of the group may work.
func (c *Cache) Trouble(g *group.Group) (cooldown.Period, bool) {
	return c.available.failed.Latest(g.Name, g.Pools(g.Zones...))
}

// Interrupted remembers for the length of a cool-down that EC2 takes a spot instance back from the pool. Other pools come first meanwhile. A group
// without another pool is still launched there.
func (c *Cache) Interrupted(pool cooldown.Pool, message string) {
	if pool.InstanceType == "" || pool.Zone == "" {
		return // the pool is not known
	}
	c.available.interrupted.Fail("", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: pool.InstanceType, Zone: pool.Zone,
		CapacityType: awsmessage.Spot}, message)
}

// WasInterrupted reports whether EC2 has lately interrupted instances in all pools and zones where the group would launch.
func (c *Cache) WasInterrupted(g *group.Group) bool { return c.available.interruptedIn(g, g.Zones...) }

// byAWS returns a moment of our clock by AWS's, if the two differ: answers name whole seconds.
func (c *Cache) byAWS(moment time.Time) time.Time {
	if skew := time.Duration(c.skew.Load()); skew.Abs() > ledger.ClockSkew {
		return moment.Add(skew)
	}
	return moment
}

func (c *Cache) Age() time.Duration { return c.clock.Since(c.groups.Snapshot().ReadAt) }

// Unread returns the time since the last complete reading, or since AWS's own trouble last failed one, if that is shorter. No restart of the
// process mends AWS.
func (c *Cache) Unread() time.Duration {
	return min(c.Age(), c.clock.Since(time.Unix(0, c.trouble.Load())))
}

// OldestToRemove is the age of the last reading beyond which no node is removed.
func (c *Cache) OldestToRemove() time.Duration {
	return max(oldestToRemove, 2*c.options.RefreshInterval)
}

func (c *Cache) TooOldToRemove() bool { return c.Age() > c.OldestToRemove() }

func (c *Cache) TooOldToAdd() bool { return c.Age() > max(oldestToAdd, 2*c.options.RefreshInterval) }

// LaunchFailed has the group's failed launches read as soon as may be: looks stay some seconds apart, however often it is called.
func (c *Cache) LaunchFailed(name string) {
	c.look(name, func(e *entry) { e.LookSoon() })
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
