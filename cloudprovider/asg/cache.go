package asg

import (
	"context"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Options of a Cache.
type Options struct {
	AutoScaling AutoScalingAPI
	Launches    launchspec.APIs
	Instances   InstancesAPI // may be nil, then nobody checks the tags of instances
	Discovery   Discovery
	// RefreshInterval is the interval of readings of all groups, MotionInterval of the groups in motion.
	RefreshInterval time.Duration
	MotionInterval  time.Duration
	LaunchMode      LaunchMode  // the zero value is LaunchAuto
	ZonalGroups     ZonalGroups // the zero value is ZonalTagged
	// Cluster is the name of our cluster by --aws-cluster-name, StockCluster by --cluster-name. Both may be empty.
	Cluster, StockCluster string
	// ClusterInUserData finds the name of the cluster in user data in AWS's form, "" where there is none. A nil one finds none.
	ClusterInUserData func(userData string) string
	ZonalShifts       cooldown.ShiftAPIs // the zero value asks nobody
	Clock             clock.WithTicker
	// Types knows the weights of instances in groups whose capacity counts vCPUs or memory. A nil one knows no type.
	Types *instancetypes.Catalogue
}

// Cache keeps the groups. It is safe for concurrent use, but Start and then Run are called once each, by the owner.
type Cache struct {
	clock     clock.WithTicker
	refresh   time.Duration
	motion    time.Duration
	failures  chan struct{} // wakes the failure loop
	specs     *launchspec.Resolver
	available availability
	calls     newerCalls
	refusals  *refusals

	groups     *groups
	reader     *reader
	locks      *locks
	capacity   *capacity
	activities *activities
	replays    *replays
	zoneGroups *zoneGroups
	increases  *increases
	zones      *zoneLaunches
	terminator *terminator
}

// NewCache makes a Cache without a reading.
func NewCache(o Options) *Cache {
	c := &Cache{clock: o.Clock, refresh: o.RefreshInterval, motion: o.MotionInterval, failures: make(chan struct{}, 1),
		specs:     launchspec.New(o.AutoScaling, o.Launches, o.Clock, o.ClusterInUserData),
		available: newAvailability(o.Clock, o.ZonalShifts), calls: newNewerCalls(o.Clock),
		refusals: &refusals{clock: o.Clock, mode: o.LaunchMode, groups: map[string]refusal{}}, groups: newGroups(o.Cluster, o.StockCluster)}
	api := guarded{o.AutoScaling, c.groups, o.Instances, o.Clock}
	c.reader = &reader{groups: c.groups, api: api, clock: o.Clock, discovery: o.Discovery, types: o.Types, calls: c.calls, refusals: c.refusals,
		resolve: make(chan struct{}, 1), absent: map[string]bool{}}
	c.locks = &locks{groups: c.groups}
	c.activities = &activities{groups: c.groups, api: api, clock: o.Clock, available: c.available, specs: c.specs, resolve: c.reader.resolve}
	c.capacity = &capacity{groups: c.groups, reader: c.reader, locks: c.locks, activities: c.activities, api: api, clock: o.Clock}
	c.replays = &replays{groups: c.groups, reader: c.reader, activities: c.activities, clock: o.Clock}
	l := &launcher{groups: c.groups, reader: c.reader, replays: c.replays, api: api, clock: o.Clock, mode: o.LaunchMode, types: o.Types,
		available: c.available, calls: c.calls, refusals: c.refusals}
	c.zoneGroups = &zoneGroups{groups: c.groups, launcher: l, available: c.available, which: o.ZonalGroups, mode: o.LaunchMode}
	c.terminator = &terminator{groups: c.groups, reader: c.reader, locks: c.locks, api: api, clock: o.Clock, calls: c.calls}
	c.increases = &increases{groups: c.groups, reader: c.reader, locks: c.locks, capacity: c.capacity, replays: c.replays, launcher: l,
		zoneGroups: c.zoneGroups, terminator: c.terminator, clock: o.Clock, mode: o.LaunchMode, calls: c.calls}
	c.zones = &zoneLaunches{groups: c.groups, increases: c.increases, launcher: l, replays: c.replays, calls: c.calls}
	return c
}

// Snapshot returns the newest reading. It is empty before Start.
func (c *Cache) Snapshot() *Snapshot { return c.groups.snapshot() }

// Changed receives after a reading in which a group moved: instances came or went, or a launch failed.
func (c *Cache) Changed() <-chan struct{} { return c.groups.changed }

// Absent returns the names in --nodes flags that no group and no zone of a group has, as of the last complete reading.
func (c *Cache) Absent() []string { return c.reader.absentNames() }

// Refresh reads every group that the flags name or the filters match, keyed by name, and publishes them. It makes one call per 100 groups and search.
// On error the last Snapshot stays and keeps its age: stale beats partial.
func (c *Cache) Refresh(ctx context.Context) error { return c.reader.refresh(ctx) }

// Reread reads the group now and publishes it, by one call. The error is ErrGroupNotFound or the reading's.
func (c *Cache) Reread(ctx context.Context, name string) (*Group, error) {
	return c.reader.readOne(ctx, name)
}

// Increase makes AWS launch n more instances, or as many as the maximum leaves room for. It counts from a reading made for the purpose, so requests
// of others since then stay. Where the group can be launched synchronously, the returned Group has the instances, maybe fewer than n. Elsewhere
// Increase raises the desired capacity. The error is ErrGroupNotFound, a *LimitError, a *LaunchError, or wraps the SDK's.
func (c *Cache) Increase(ctx context.Context, name string, n int) (*Group, error) {
	return c.increases.increase(ctx, name, n)
}

// IncreaseAtomically launches n more instances or none. It terminates the instances again if AWS launches fewer. Only groups that can be launched
// synchronously can do that. The error of others wraps ErrNotAtomic. A named zone gets all instances, as in IncreaseZones.
func (c *Cache) IncreaseAtomically(ctx context.Context, name, zone string, n int) (*Group, error) {
	return c.increases.increaseAtomically(ctx, name, zone, n)
}

// IncreaseZones launches instances in several zones of a group that is scaled zone by zone: in the named zones or not at all. It reads the group once
// and makes a call per zone and 100 instances, several at a time. Zones get the group's room in alphabetical order. The errors are by zone. A zone
// without one got its instances, or as many as there were. The error of a group that is not scaled zone by zone, or turns out not to be, wraps
// ErrNotZonal. If AWS leaves the launches in one zone unanswered for some seconds, that zone is left alone for a minute, so that the others need not
// wait for it. If it answers in none of two zones, the group is scaled as one for that time.
func (c *Cache) IncreaseZones(ctx context.Context, name string, wanted map[string]int) map[string]error {
	return c.zones.increaseZones(ctx, name, wanted)
}

// Withdraw takes back up to n instances that we asked for and AWS has not launched, and returns how many. It leaves a desired capacity of at least
// the minimum size and the instances that a reading made for the purpose counts. A reading after the write repairs it upwards at once if an instance
// arrived in between.
func (c *Cache) Withdraw(ctx context.Context, name string, n int) (int, *Group, error) {
	return c.capacity.withdraw(ctx, name, n)
}

// Terminate terminates the instances and lowers the desired capacity by them, on a reading at most two seconds old. It refuses instances of other
// groups, and those whose loss would leave less than the minimum size. An instance that is on its way out or gone counts as done. It costs one call
// per 100 instances, or one call per instance where AWS does not take several. The error is ErrGroupNotFound, the reading's, or a *TerminationError.
func (c *Cache) Terminate(ctx context.Context, name string, ids []string) (*Group, error) {
	return c.terminator.terminateAndShrink(ctx, name, ids)
}

// Replace terminates the instances and keeps the desired capacity, so that AWS launches others in their place. It costs and returns the same as
// Terminate.
func (c *Cache) Replace(ctx context.Context, name string, ids []string) (*Group, error) {
	return c.terminator.replace(ctx, name, ids)
}

// NodeGroups returns the node groups to scale: the group itself, or its zone groups. The Problems say why there are no zone groups where somebody
// asks for them. A group whose launch spec is unknown has a Problem of its own for that. It makes no call and is safe for concurrent use.
func (c *Cache) NodeGroups(g *Group) ([]*Group, []launchspec.Problem) {
	return c.zoneGroups.nodeGroups(g)
}

// CoolDown returns the first cool-down to end if no zone of the group is available. It makes no call and is safe for concurrent use.
func (c *Cache) CoolDown(g *Group) (cooldown.Period, bool) { return c.available.inAllZones(g, "") }

// Shifted reports whether a zonal shift keeps launches out of the group's zone. It makes no call and is safe for concurrent use.
func (c *Cache) Shifted(g *Group, zone string) bool {
	p, unavailable := c.available.inZone(g, zone)
	return unavailable && p.Class == cooldown.ZonalShift
}

// Trouble returns the latest failure to launch in any pool of the group, during its cool-down and for as long after it. Nothing has come from the
// pool since. Other pools of the group may work. It makes no call and is safe for concurrent use.
func (c *Cache) Trouble(g *Group) (cooldown.Period, bool) {
	var pools []cooldown.Pool
	for _, zone := range g.Zones {
		pools = append(pools, g.pools(zone)...)
	}
	return c.available.failed.Latest(g.Name, pools)
}

// Interrupted remembers for the length of a cool-down that EC2 takes a spot instance back from the pool. Other pools come first meanwhile. A group
// without another pool is still launched there. Safe for concurrent use.
func (c *Cache) Interrupted(pool cooldown.Pool, message string) {
	if pool.InstanceType == "" || pool.Zone == "" {
		return // the pool is not known
	}
	c.available.interrupted.Fail("", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: pool.InstanceType, Zone: pool.Zone,
		CapacityType: awsmessage.Spot}, message)
}

// WasInterrupted reports whether EC2 has lately interrupted instances in all pools and zones where the group would launch. It makes no call and is
// safe for concurrent use.
func (c *Cache) WasInterrupted(g *Group) bool {
	return len(g.Zones) > 0 && !slices.ContainsFunc(g.Zones, func(zone string) bool { return !c.available.interruptedIn(g, zone) })
}

// Fallbacks returns the groups that use an older call because AWS does not answer the newer one, by name. One Fallback stands for all groups if all
// do. It makes no call and is safe for concurrent use.
func (c *Cache) Fallbacks() []Fallback { return c.calls.fallbacks() }

// Cluster returns the name of our cluster and its source. Both are empty while the name is not known.
func (c *Cache) Cluster() launchspec.Statement { return c.groups.cluster() }

// Age is how long ago the last complete reading of all groups began.
func (c *Cache) Age() time.Duration { return c.clock.Since(c.groups.snapshot().ReadAt) }

// TooOldToRemove reports whether the last reading is too old to choose nodes to remove by.
func (c *Cache) TooOldToRemove() bool { return c.Age() > max(oldestToRemove, 2*c.refresh) }

// TooOldToAdd reports whether the last reading is too old to choose a group to grow by.
func (c *Cache) TooOldToAdd() bool { return c.Age() > max(oldestToAdd, 2*c.refresh) }

// LaunchFailed has the group's failed launches read now, before their next look is due. Looks stay firstLook apart, however often it is called. It
// makes no call and is safe for concurrent use.
func (c *Cache) LaunchFailed(name string) {
	c.groups.mu.Lock()
	if e := c.groups.entries[name]; e != nil {
		if soonest := e.look.at.Add(firstLook); soonest.Before(e.look.due) {
			e.look.due = soonest
		}
	}
	c.groups.mu.Unlock()
	signal(c.failures)
}
