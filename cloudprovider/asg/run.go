package asg

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// Start is ReadOnce for a process that keeps the groups. It retries the reading of the groups until AWS answers, and logs why. It ends
// once AWS has refused the caller for refusedAtStartMost, or there are no credentials: another replica may have them.
func (c *Cache) Start(ctx context.Context) error {
	log, began := klog.FromContext(ctx), c.clock.Now()
	var last error
	for wait := time.Second; ; wait = min(2*wait, startRetryMost) {
		err := c.Refresh(ctx)
		if err == nil {
			return c.readLaunches(ctx)
		}
		refused := awsclient.IsUnauthenticated(err) || awsclient.IsDenied(err)
		if !refused {
			began = c.clock.Now()
		}
		if ctx.Err() != nil || c.clock.Since(began) >= refusedAtStartMost {
			return fmt.Errorf("first reading of the Auto Scaling groups: %w", because(err, last))
		}
		last = err
		log.Error(err, "The first reading of the Auto Scaling groups failed, trying again", "reason", awsclient.Reason(err), "in", wait,
			"remedy", cmp.Or(awsclient.CredentialsRemedy(err), "check the region, the endpoint, the credentials and the permission autoscaling:DescribeAutoScalingGroups"))
		if ended := awsclient.Pause(ctx, c.clock, wait); ended != nil {
			return fmt.Errorf("first reading of the Auto Scaling groups: %w", because(ended, err))
		}
	}
}

// ReadOnce reads all groups, and then their launch specs. It returns when the Snapshot is complete, or as complete as AWS allows.
func (c *Cache) ReadOnce(ctx context.Context) error {
	if err := c.Refresh(ctx); err != nil {
		return err
	}
	return c.readLaunches(ctx)
}

// readLaunches reads the launch specs after the first reading of the groups, and zonal shifts and scheduled actions with them: the first
// loop must launch nothing into a shifted zone, or into a group that AWS lowers in a moment.
func (c *Cache) readLaunches(ctx context.Context) error {
	resolveCtx, cancel := context.WithTimeout(ctx, resolveAtStartMost)
	defer cancel()
	c.turn(ctx) // wants them
	var beside sync.WaitGroup
	most := clusterShiftAtStartMost
	if c.groups.enableShifts() {
		most = shiftsAtStartMost
	}
	beside.Go(func() {
		limited, cancel := context.WithTimeout(resolveCtx, most)
		defer cancel()
		c.available.shifts.Once(limited)
	})
	beside.Go(func() { c.actions.Once(resolveCtx) })
	c.resolveLaunches(resolveCtx)
	beside.Wait()
	c.turn(ctx) // sets the sizes
	log := klog.FromContext(ctx)
	log.V(1).Info("Read the Auto Scaling groups", "groups", len(c.groups.Snapshot().Groups()))
	if len(c.groups.all()) == 0 {
		remedy := "check --nodes and --node-group-auto-discovery against the groups' names and tags, and the region"
		if d := c.options.Discovery; len(d.Filters) > 1 && d.Join != ownership.JoinAny {
			remedy += ", or make the flags alternatives by --asg-node-group-discovery=any"
		}
		log.Info("No Auto Scaling group is selected, so nothing can be scaled", "named", c.options.Discovery.Names(), "filters", c.options.Discovery.Filters,
			"remedy", remedy)
	}
	return ctx.Err()
}

// Run keeps the Snapshot fresh until ctx ends, and returns after the writes under way. It owns and awaits its goroutines.
func (c *Cache) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { c.every(ctx, c.options.RefreshInterval, nil, c.readGroups) })
	loops.Go(func() { c.aheadLoop(ctx) })
	loops.Go(func() { c.every(ctx, c.options.MotionInterval, nil, c.readMoving) })
	loops.Go(func() { c.every(ctx, c.options.MotionInterval, c.failures, c.readFailures) })
	loops.Go(func() { c.resolveLoop(ctx) })
	loops.Go(func() { c.available.shifts.Run(ctx) })
	loops.Go(func() { c.actions.Run(ctx) })
	loops.Go(func() { c.turn(ctx); c.every(ctx, turnInterval, nil, c.turn) })
	loops.Wait()
	c.groups.mu.Lock()
	c.groups.ending = true
	c.groups.mu.Unlock()
	c.groups.writes.Wait()
	return nil
}

func (c *Cache) readGroups(ctx context.Context) {
	if err := c.Refresh(ctx); err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).Error(err, "Refreshing the Auto Scaling groups failed, the last reading stays",
			"reason", awsclient.Reason(err), "age", c.clock.Since(c.groups.Snapshot().ReadAt))
	}
}

// untilBeat returns the time until the next whole interval since the Cache began. So all that looks every two seconds wakes a process at rest once.
func (c *Cache) untilBeat(interval time.Duration) time.Duration {
	return interval - c.clock.Since(c.began)%interval
}

// every runs do at each beat of the interval, and when it is woken, until ctx ends.
func (c *Cache) every(ctx context.Context, interval time.Duration, wake <-chan struct{}, do func(context.Context)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.clock.After(c.untilBeat(interval)):
		case <-wake:
		}
		do(ctx)
	}
}

// readMoving reads the groups in motion that are due, and repairs lost updates that the readings show.
func (c *Cache) readMoving(ctx context.Context) {
	due := c.motionDue()
	if len(due) == 0 {
		return
	}
	if err := c.refreshNamed(ctx, due); err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(2).Info("Reading the groups in motion failed", "groups", due, "reason", awsclient.Reason(err), "err", err)
	}
	c.repairLost(ctx)
}

// motionDue returns the groups in motion whose next reading is due, and plans the one after.
func (c *Cache) motionDue() []string {
	now := c.clock.Now()
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	var names []string
	for name, e := range c.groups.entries {
		g := e.Group()
		due := !now.Before(e.readDue) || !e.WrittenAt().Before(e.plannedAt)
		if g == nil || !due || !g.InMotion() && !e.Watched(now) || c.groups.identity.Foreign(g) {
			continue
		}
		interval := e.Pace(c.options.MotionInterval, now)
		e.readDue, e.plannedAt = now.Add(interval-interval/10), now
		names = append(names, name)
	}
	return names
}

func (c *Cache) resolveLoop(ctx context.Context) {
	last := c.clock.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.resolve:
		case <-c.clock.After(c.untilBeat(launchspec.RetryFirst)):
			if !c.specs.Failing && c.clock.Since(last) < launchspec.RetryMost {
				continue
			}
		}
		last = c.clock.Now()
		c.resolveLaunches(ctx)
	}
}

// resolveLaunches brings the launch specs of all groups up to date. It calls AWS only for what is unknown, changed or suspect. One resolve runs at a
// time.
func (c *Cache) resolveLaunches(ctx context.Context) {
	groups := c.groups.all()
	sources := make([]*launchspec.Group, len(groups))
	for at, g := range groups {
		sources[at] = g.LaunchGroup()
	}
	c.specs.Fetch(ctx, sources)
	changed := false
	c.groups.mu.Lock()
	for at, g := range groups {
		e := c.groups.entries[g.Name]
		if e == nil || !sources[at].SameSource(e.Group().LaunchGroup()) {
			continue // gone, or a newer source waits for the next round
		}
		before := e.Group().LaunchSpec
		stated, unread := c.specs.Statements(sources[at])
		operation, repairs := c.specs.Operation(sources[at]), c.specs.Repairs(sources[at])
		now := e.Change()
		changed = ownership.Describe(now, stated, unread) || changed || operation != now.Operation || repairs != now.EKSRepairs
		now.Operation, now.EKSRepairs = operation, repairs
		changed = e.NoteSpec(c.specs.Spec(sources[at])) || changed
		if !launchspec.SameLaunch(e.Group().LaunchSpec, before) {
			c.available.failed.Forget(g.Name)
			c.refusals.forget(g.Name)
		}
	}
	if changed {
		c.groups.publish()
	}
	c.groups.mu.Unlock()
	if changed {
		klog.FromContext(ctx).V(4).Info("Launch specs of the groups changed")
		signal(c.groups.changed)
	}
}
