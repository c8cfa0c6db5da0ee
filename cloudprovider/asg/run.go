package asg

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// restlessFor is how long after its last move a group in motion is read at the quick pace; then at the slow one.
	restlessFor       = 3 * time.Minute
	slowMotionFactor  = 8
	startRetryMax     = 30 * time.Second
	resolveAtStartMax = 20 * time.Second
)

// Start reads all groups for the first time, and then what they would launch. It returns when the first Snapshot is
// complete, or as complete as AWS lets it be; until AWS answers the first reading it tries again and says why.
func (c *Cache) Start(ctx context.Context) error {
	log := klog.FromContext(ctx)
	var last error
	for wait := time.Second; ; wait = min(2*wait, startRetryMax) {
		err := c.Refresh(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("first reading of the Auto Scaling groups: %w", because(err, last))
		}
		last = err
		log.Error(err, "The first reading of the Auto Scaling groups failed, trying again", "reason", awsclient.Reason(err), "in", wait,
			"remedy", "check the region, the endpoint, the credentials and the permission autoscaling:DescribeAutoScalingGroups")
		select {
		case <-ctx.Done():
			return fmt.Errorf("first reading of the Auto Scaling groups: %w", because(ctx.Err(), err))
		case <-c.clock.After(wait):
		}
	}
	resolveCtx, cancel := context.WithTimeout(ctx, resolveAtStartMax)
	defer cancel()
	c.resolveLaunches(resolveCtx)
	log.V(1).Info("Read the Auto Scaling groups", "groups", len(c.Snapshot().Groups()))
	if len(c.all()) == 0 {
		log.Info("No Auto Scaling group is selected, so nothing can be scaled", "named", c.discovery.names(), "filters", c.discovery.Filters,
			"remedy", "check --nodes and --node-group-auto-discovery against the groups' names and tags, and the region")
	}
	return ctx.Err()
}

// Run keeps the Snapshot fresh until ctx ends, and returns when the writes under way have ended, too. It owns and awaits its
// goroutines.
func (c *Cache) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { c.readLoop(ctx) })
	loops.Go(func() { c.motionLoop(ctx) })
	loops.Go(func() { c.failureLoop(ctx) })
	loops.Go(func() { c.resolveLoop(ctx) })
	loops.Go(func() { c.shiftLoop(ctx) })
	loops.Wait()
	c.endWrites()
	return nil
}

func (c *Cache) readLoop(ctx context.Context) {
	ticker := c.clock.NewTicker(c.refresh)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			if err := c.Refresh(ctx); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Refreshing the Auto Scaling groups failed, the last reading stays",
					"reason", awsclient.Reason(err), "age", c.clock.Since(c.Snapshot().ReadAt))
			}
		}
	}
}

func (c *Cache) motionLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.clock.After(c.motion):
		}
		c.readMoving(ctx)
	}
}

// readMoving reads the groups in motion that are due, and mends what their readings show.
func (c *Cache) readMoving(ctx context.Context) {
	due := c.motionDue()
	if len(due) == 0 {
		return
	}
	if err := c.refreshNamed(ctx, due); err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(2).Info("Reading the groups in motion failed", "groups", due, "reason", awsclient.Reason(err), "err", err)
	}
	c.mend(ctx)
}

func (c *Cache) failureLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.clock.After(c.motion):
		case <-c.failures:
		}
		c.readFailures(ctx)
		c.readEnded(ctx)
	}
}

// motionDue returns the groups in motion whose next reading is due, and plans the one after.
func (c *Cache) motionDue() []string {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var due []string
	for name, e := range c.entries {
		if e.group == nil || !e.group.inMotion() && !e.watched(now) || now.Before(e.readDue) || c.identity.foreign(e.group) {
			continue
		}
		interval := c.motion
		if now.Sub(e.movedAt) > restlessFor {
			interval *= slowMotionFactor
		}
		e.readDue = now.Add(interval - interval/10)
		due = append(due, name)
	}
	return due
}

func (c *Cache) resolveLoop(ctx context.Context) {
	ticker := c.clock.NewTicker(launchspec.RetryFirst)
	defer ticker.Stop()
	last := c.clock.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.resolve:
		case <-ticker.C():
			if !c.specs.Failing && c.clock.Since(last) < launchspec.RetryMost {
				continue
			}
		}
		last = c.clock.Now()
		c.resolveLaunches(ctx)
	}
}

func (c *Cache) shiftLoop(ctx context.Context) {
	if !c.available.shifts.Enabled() {
		return
	}
	for {
		// No call is worth it while no group enables zonal shift.
		if slices.ContainsFunc(c.Snapshot().Groups(), func(g *Group) bool { return g.ZonalShift }) && c.available.shifts.Look(ctx) {
			signal(c.changed)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.clock.After(cooldown.ShiftInterval):
		}
	}
}

// Reread reads the group now and publishes it, by one call. The error is ErrGroupNotFound or that of the reading.
func (c *Cache) Reread(ctx context.Context, name string) (*Group, error) { return c.readOne(ctx, name) }

// LaunchFailed has the group's failed launches read now, and not when their next look is due. Looks stay firstLook apart, however often it
// is called. It makes no call and is safe for concurrent use.
func (c *Cache) LaunchFailed(name string) {
	c.mu.Lock()
	if e := c.entries[name]; e != nil {
		if soonest := e.look.at.Add(firstLook); soonest.Before(e.look.due) {
			e.look.due = soonest
		}
	}
	c.mu.Unlock()
	signal(c.failures)
}
