package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// maxGroupsPerCall is the largest page DescribeAutoScalingGroups serves, and the most names it takes
// (EC2 Auto Scaling API reference, MaxRecords).
const maxGroupsPerCall = 100

// garbledRetries is how often a page is asked for again that could not be read.
const garbledRetries = 2

// readTimeout bounds one reading of a handful of groups, its retries included.
const readTimeout = 30 * time.Second

// ErrGroupNotFound is the error of a write to a group that AWS no longer lists.
var ErrGroupNotFound = errors.New("auto scaling group not found: it was deleted, or lost the tags that select it")

// AutoScalingAPI is what this package asks of EC2 Auto Scaling.
type AutoScalingAPI interface {
	groupsAPI
	launchspec.ConfigurationsAPI
	writesAPI
}

type groupsAPI interface {
	DescribeAutoScalingGroups(context.Context, *autoscaling.DescribeAutoScalingGroupsInput,
		...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error)
	DescribeScalingActivities(context.Context, *autoscaling.DescribeScalingActivitiesInput,
		...func(*autoscaling.Options)) (*autoscaling.DescribeScalingActivitiesOutput, error)
}

type writesAPI interface {
	SetDesiredCapacity(context.Context, *autoscaling.SetDesiredCapacityInput,
		...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error)
	LaunchInstances(context.Context, *autoscaling.LaunchInstancesInput,
		...func(*autoscaling.Options)) (*autoscaling.LaunchInstancesOutput, error)
	TerminateInstanceInAutoScalingGroup(context.Context, *autoscaling.TerminateInstanceInAutoScalingGroupInput,
		...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error)
}

// Options of a Cache.
type Options struct {
	AutoScaling AutoScalingAPI
	Launches    launchspec.APIs
	Instances   InstancesAPI // may be nil: then nobody asks what the tags of an instance state
	Discovery   Discovery
	// RefreshInterval is how often all groups are read, MotionInterval how often those in motion are.
	RefreshInterval time.Duration
	MotionInterval  time.Duration
	LaunchMode      LaunchMode  // the zero value is LaunchAuto
	ZonalGroups     ZonalGroups // the zero value is ZonalTagged
	// Cluster is the name of our cluster by --aws-cluster-name, StockCluster by --cluster-name. Both may be empty.
	Cluster, StockCluster string
	// ClusterInUserData finds the name of the cluster in user data as AWS keeps it, "" where there is none. A nil one finds none.
	ClusterInUserData func(userData string) string
	ZonalShifts       cooldown.ShiftAPIs // the zero value asks nobody
	Clock             clock.WithTicker
	// Types says how much an instance counts in groups whose capacity is counted in vCPUs or memory. A nil one knows no type.
	Types *instancetypes.Catalogue
}

// Cache keeps the groups. Snapshot, Changed and the writes are safe for concurrent use; Start and then Run are called
// once each, by the owner.
type Cache struct {
	api       AutoScalingAPI
	discovery Discovery
	specs     *launchspec.Resolver
	instances InstancesAPI // nil: nobody asks what tags of instances state
	clock     clock.WithTicker
	refresh   time.Duration
	motion    time.Duration

	current  atomic.Pointer[Snapshot]
	changed  chan struct{} // something the core should look at
	resolve  chan struct{} // a group's launch source is new
	failures chan struct{} // failed launches are to be read now

	mu      sync.Mutex // guards what follows; never held across a call
	entries map[string]*entry
	dropped map[string]*entry // groups that were dropped, in case they come back
	absent  map[string]bool   // groups of the --nodes flag that AWS does not have
	readAt  time.Time
	ending  bool // no write begins any more

	identity identity

	writes sync.WaitGroup // those under way

	calls newerCalls

	types     *instancetypes.Catalogue // may be nil
	mode      LaunchMode
	zonal     ZonalGroups
	available availability
	refusals  *refusals
}

// entry is what the Cache knows of one group beyond its last reading.
type entry struct {
	group   *Group
	turn    chan struct{} // one write at a time: whoever puts a token in has the turn
	request request
	// writtenAt is when our last write ended. A reading that began earlier may not know of it.
	writtenAt time.Time
	metAt     time.Time // when we first read it
	movedAt   time.Time
	readDue   time.Time
	short     shortage
	look      look
	overwrite overwrite
	level     level
	leaving   map[string]departure // instances on their way out
	recent    map[string]sighting  // instances that came lately
	arriving  map[string]arrival   // instances that AWS has launched for us and no reading has shown
	tries     map[attempt]int      // synchronous launches that have ended
	disputes  map[string]time.Time // since when a launch that is not ours stands in the way of one, by zone
	// ended are instances that were seen on their way out, and when, and those that AWS tells to have ended before our first
	// launch, once it was asked; nil once no process before us can have launched such.
	ended      map[string]time.Time
	endedAsked bool

	identity  string    // of the group, where another may get its name
	createdAt time.Time // when AWS made the group
	droppedAt time.Time // when the group was dropped, if it was
}

func newEntry() *entry {
	return &entry{turn: make(chan struct{}, 1), leaving: map[string]departure{}, recent: map[string]sighting{}, arriving: map[string]arrival{},
		tries: map[attempt]int{}, disputes: map[string]time.Time{}, ended: map[string]time.Time{}}
}

// NewCache makes a Cache without a reading.
func NewCache(o Options) *Cache {
	c := &Cache{
		discovery: o.Discovery, clock: o.Clock, identity: newIdentity(o.Cluster, o.StockCluster),
		specs: launchspec.New(o.AutoScaling, o.Launches, o.Clock, o.ClusterInUserData), instances: o.Instances,
		refresh: o.RefreshInterval, motion: o.MotionInterval,
		changed: make(chan struct{}, 1), resolve: make(chan struct{}, 1), failures: make(chan struct{}, 1),
		entries: map[string]*entry{}, dropped: map[string]*entry{}, absent: map[string]bool{},
		types:     o.Types,
		mode:      o.LaunchMode,
		zonal:     o.ZonalGroups,
		available: newAvailability(o.Clock, o.ZonalShifts), calls: newNewerCalls(o.Clock),
		refusals: &refusals{clock: o.Clock, mode: o.LaunchMode, groups: map[string]refusal{}},
	}
	c.api = guarded{o.AutoScaling, c}
	c.current.Store(newSnapshot(map[string]*Group{}, nil, time.Time{}))
	return c
}

// Snapshot returns the newest reading; before Start it is empty.
func (c *Cache) Snapshot() *Snapshot { return c.current.Load() }

// Changed receives after a reading in which a group moved: instances came or went, or a launch failed.
func (c *Cache) Changed() <-chan struct{} { return c.changed }

// Absent are the names that --nodes flags give and that neither a group has, nor a zone of one, as of the last complete reading.
func (c *Cache) Absent() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, named := range c.discovery.Named {
		if c.absent[named.Name] {
			names = append(names, named.Name)
		}
	}
	return names
}

// Refresh reads every group that the flags name or the filters match, keyed by name, and publishes them. It makes one
// call per 100 groups and search. On error the last Snapshot stays and keeps its age: stale beats partial.
func (c *Cache) Refresh(ctx context.Context) error {
	start := c.clock.Now()
	found := map[string]types.AutoScalingGroup{}
	for names := range slices.Chunk(c.discovery.names(), maxGroupsPerCall) {
		if err := c.describe(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names}, found); err != nil {
			return err
		}
	}
	searched := map[string]types.AutoScalingGroup{}
	for _, filter := range c.discovery.searches() {
		if err := c.describe(ctx, &autoscaling.DescribeAutoScalingGroupsInput{Filters: filter.filters()}, searched); err != nil {
			return err
		}
	}
	if len(searched) == 0 && c.Snapshot().ReadAt.IsZero() {
		c.hintAtAny(ctx)
	}
	maps.Copy(found, searched)
	c.apply(ctx, found, start, nil)
	klog.FromContext(ctx).V(4).Info("Refreshed Auto Scaling groups", "groups", len(found), "duration", c.clock.Since(start))
	return nil
}

// hintAtAny says so where no group matches all discovery flags while some match one of them: the flags may be meant as
// alternatives. It asks AWS for each flag until one matches a group.
func (c *Cache) hintAtAny(ctx context.Context) {
	if c.discovery.Join == JoinAny || len(c.discovery.Filters) < 2 {
		return
	}
	for _, filter := range c.discovery.Filters {
		matching := map[string]types.AutoScalingGroup{}
		if err := c.describe(ctx, &autoscaling.DescribeAutoScalingGroupsInput{Filters: filter.filters()}, matching); err != nil {
			return // a hint is not worth another try
		}
		if len(matching) > 0 {
			klog.FromContext(ctx).Info("No Auto Scaling group has the tags of all --node-group-auto-discovery flags, but some have those of one",
				"flag", filter, "groups", len(matching),
				"remedy", "give --aws-node-group-discovery=any if the flags are alternatives, or else correct the tags or the flags")
			return
		}
	}
}

// refreshNamed reads the named groups only. Those that AWS does not return are gone.
func (c *Cache) refreshNamed(ctx context.Context, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for some := range slices.Chunk(names, maxGroupsPerCall) {
		start := c.clock.Now()
		found := map[string]types.AutoScalingGroup{}
		if err := c.describe(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: some}, found); err != nil {
			return err
		}
		c.apply(ctx, found, start, some)
	}
	return nil
}

// describe follows the pages of one request and adds the groups to found, by name.
func (c *Cache) describe(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput, found map[string]types.AutoScalingGroup) error {
	in.MaxRecords = aws.Int32(maxGroupsPerCall)
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.api, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		for again := 0; awsclient.IsGarbled(err) && again < garbledRetries && ctx.Err() == nil; again++ {
			page, err = pages.NextPage(ctx)
		}
		if err != nil {
			return fmt.Errorf("describe auto scaling groups: %w", err)
		}
		for _, g := range page.AutoScalingGroups {
			if name := aws.ToString(g.AutoScalingGroupName); name != "" {
				found[name] = g
			}
		}
	}
	return nil
}

// apply merges a reading that began at start and publishes the result. asked names the groups it was about; nil means
// all of them.
func (c *Cache) apply(ctx context.Context, found map[string]types.AutoScalingGroup, start time.Time, asked []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	moved, newSource := false, false
	for name, described := range found {
		e := c.entries[name]
		if e != nil && e.identity != identityOf(described) {
			if aws.ToTime(described.CreatedTime).Before(e.createdAt) {
				continue // a reading from before the group was made anew
			}
			klog.FromContext(ctx).Info("Auto Scaling group was deleted and made anew under its name", "group", name)
			c.refusals.forget(name)
			e = c.meet(name, described)
		}
		if e == nil && asked != nil {
			continue // dropped by a complete reading while this one was under way
		}
		if e == nil {
			e = c.meet(name, described)
			klog.FromContext(ctx).V(2).Info("Discovered Auto Scaling group", "group", name)
		}
		if e.group != nil && (start.Before(e.group.ReadAt) || start.Before(e.writtenAt)) {
			continue // begun before what we already know
		}
		before := e.group
		if !e.droppedAt.IsZero() {
			before, e.droppedAt = nil, time.Time{}
		}
		c.merge(e, groupFrom(described, start))
		if before == nil || !before.sameMotion(e.group) {
			e.movedAt, moved = start, true
		}
		newSource = newSource || !before.launchGroup().SameSource(e.group.launchGroup())
	}
	moved = c.forget(ctx, found, start, asked) || moved
	if asked == nil {
		c.readAt = start
		c.noteAbsent(ctx, found)
		c.identity.forget(c.entries, start)
	}
	c.publish()
	if moved {
		signal(c.changed)
	}
	if newSource {
		signal(c.resolve)
	}
}

// merge makes the reading g the entry's group, with what we know beside it.
func (c *Cache) merge(e *entry, g *Group) {
	if limits, ok := c.discovery.named(g.Name); ok {
		g.MaxSize = min(g.MaxSize, limits.MaxSize)
		g.MinSize = min(max(g.MinSize, limits.MinSize), g.MaxSize)
	}
	g.zoneLimits = c.discovery.zoneLimits(g)
	c.weigh(g)
	g.inheritStatements(e.group)
	e.noteNew(g)
	newest := e.isNewest(g)
	e.markLeaving(g)
	e.resolve(g, newest)
	e.markArriving(g)
	if e.group == nil {
		e.begin(g, c.readAt.IsZero())
	} else {
		g.Launch, g.Problems = e.group.Launch, e.group.Problems
		if !slices.Equal(g.SuspendedProcesses, e.group.SuspendedProcesses) {
			c.refusals.forget(g.Name) // it may have been for one of them
		}
	}
	if !e.overwrite.unanswered {
		e.request.fulfil(g)
	}
	e.request.settle(g)
	e.noteShort(g)
	e.markOverdue(g)
	e.noteEnded(g)
	e.group = g
}

// weigh enters what instances count for whose weight the reading leaves out.
func (c *Cache) weigh(g *Group) {
	for at := range g.Instances {
		if i := &g.Instances[at]; i.Weight == 1 && g.Source.CountsHardware() {
			i.Weight, _ = g.Source.WeightOf(i.Type, c.types)
		}
	}
}

// rememberDropped is how long we remember a group that was dropped.
const rememberDropped = time.Hour

// meet returns the entry for a group that is new in a reading. A group that lost its tags for a while, or was missing from one reading,
// is still the one that we wrote to: what we asked for stays ours, and a write under way keeps its turn. A new group of the same name has nothing
// of that. The caller holds mu.
func (c *Cache) meet(name string, described types.AutoScalingGroup) *entry {
	e, id := c.dropped[name], identityOf(described)
	delete(c.dropped, name)
	if e == nil || e.identity != id {
		e = newEntry()
		e.identity, e.createdAt = id, aws.ToTime(described.CreatedTime)
	}
	c.entries[name] = e
	return e
}

// identityOf is what distinguishes a group from another one that had its name before.
func identityOf(g types.AutoScalingGroup) string {
	return aws.ToString(g.AutoScalingGroupARN) + " " + aws.ToTime(g.CreatedTime).UTC().Format(time.RFC3339)
}

// begin makes g the first reading of the group. A deficit that the first complete reading finds is taken over from the autoscaler before us: it
// is ours to withdraw, and failures count from now on. A deficit of a group that comes later is somebody else's.
func (e *entry) begin(g *Group, atStart bool) {
	e.metAt = g.ReadAt
	if atStart {
		e.request = request{asked: g.Missing(), since: g.ReadAt}
		return
	}
	e.level.others = g.DesiredCapacity
	g.others = e.level.others
}

// overdueAfter is how long instances may be missing, without a launch that failed, before those that are not ours to withdraw are counted on no longer.
// It is well above what a launch takes, and below the time after which the core gives nodes up (--max-node-provision-time).
const overdueAfter = 5 * time.Minute

// markOverdue enters how many of the missing instances are overdue: all that are not ours to withdraw, once a launch has failed since the shortage
// changed, or overdueAfter has passed. What its minimum size asks for never is: the core would ask for it again.
func (e *entry) markOverdue(g *Group) {
	g.Overdue = 0
	if s := e.short; s.failure != nil || s.missing > 0 && g.ReadAt.Sub(s.began) >= overdueAfter {
		g.Overdue = max(0, min(g.Missing(), g.TargetInstances()-g.MinInstances())-g.Withdrawable())
	}
}

// noteAbsent says once of each group that a --nodes flag names that AWS does not have it.
func (c *Cache) noteAbsent(ctx context.Context, found map[string]types.AutoScalingGroup) {
	for _, named := range c.discovery.Named {
		name := named.Name
		_, ok := found[name]
		if group, zone, isView := named.view(); isView && !ok {
			ok = slices.Contains(found[group].AvailabilityZones, zone)
		}
		if ok {
			delete(c.absent, name)
		} else if !c.absent[name] {
			c.absent[name] = true
			klog.FromContext(ctx).Info("There is no Auto Scaling group of the name that a --nodes flag gives, in this region and account",
				"group", name)
		}
	}
}

// forget drops the groups that the reading was about and did not find.
func (c *Cache) forget(ctx context.Context, found map[string]types.AutoScalingGroup, start time.Time, asked []string) bool {
	dropped := false
	maps.DeleteFunc(c.dropped, func(_ string, e *entry) bool { return start.Sub(e.droppedAt) > rememberDropped })
	if asked == nil {
		asked = slices.Collect(maps.Keys(c.entries))
	}
	for _, name := range asked {
		e := c.entries[name]
		if _, ok := found[name]; ok || e == nil || e.group != nil && start.Before(e.group.ReadAt) {
			continue
		}
		klog.FromContext(ctx).Info("Auto Scaling group is gone or no longer selected, dropped it", "group", name)
		e.droppedAt = start
		c.dropped[name] = e
		delete(c.entries, name)
		c.refusals.forget(name)
		c.calls.forget(name)
		dropped = true
	}
	return dropped
}

// publish makes the entries the next Snapshot. The caller holds mu.
func (c *Cache) publish() {
	groups := make(map[string]*Group, len(c.entries))
	var foreign []*Group
	for name, e := range c.entries {
		if c.identity.foreign(e.group) {
			foreign = append(foreign, c.identity.disowned(e.group))
		} else {
			groups[name] = e.group
		}
	}
	c.current.Store(newSnapshot(groups, foreign, c.readAt))
}

// all are the groups of the last reading, those of other clusters included.
func (c *Cache) all() []*Group {
	c.mu.Lock()
	defer c.mu.Unlock()
	groups := make([]*Group, 0, len(c.entries))
	for _, name := range slices.Sorted(maps.Keys(c.entries)) {
		groups = append(groups, c.entries[name].group)
	}
	return groups
}

// update publishes a changed copy of a group. The caller does not hold mu.
func (c *Cache) update(name string, change func(*entry, *Group)) *Group {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.find(name)
	if e == nil {
		return nil
	}
	g := *e.group
	change(e, &g)
	e.group = &g
	if c.entries[name] == nil {
		return nil
	}
	c.publish()
	return &g
}

// find returns the entry of a group, of a dropped one too, or nil. The caller holds mu.
func (c *Cache) find(name string) *entry {
	if e := c.entries[name]; e != nil {
		return e
	}
	return c.dropped[name]
}

func (c *Cache) entry(name string) (*entry, *Group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[name]; e != nil {
		return e, e.group
	}
	return nil, nil
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is waiting already
	}
}
