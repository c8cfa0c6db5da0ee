package asg

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// SetDesiredCapacity has no condition: what we set overwrites what another writer set a moment before, and what AWS was
// launching for them, or for a request that we take back, is one too many when it arrives. AWS ends instances then, and
// chooses which. So every such write is looked after, and the desired capacity raised again.

// overwriteWatch is how long a group is looked at closely after its desired capacity was set: what AWS had asked EC2 for
// before arrives within seconds.
const overwriteWatch = 30 * time.Second

// overwrite is a desired capacity that we have set, and may have set too low.
type overwrite struct {
	desired int // what was set, less what we have terminated since
	perhaps int // or this, if what was lost is but the answer
	excess  int // what AWS had beyond the desired capacity before: it has while it moves instances
	at      time.Time
	// unanswered means that AWS may or may not have taken perhaps.
	unanswered bool
	until      time.Time
}

// overwriting notes that we are about to set the desired capacity, g being the group by which that was decided: readings may
// show it before AWS has answered, and its answer may be lost. refused takes that back.
func (c *Cache) overwriting(g *Group, desired int) (refused func()) {
	now := c.clock.Now()
	var was overwrite
	c.update(g.Name, func(e *entry, _ *Group) {
		excess := g.excess()
		if was = e.overwrite; e.watched(now) {
			excess = min(excess, was.excess) // the rest is what we look after
		}
		e.overwrite = overwrite{desired: desired, perhaps: desired, excess: excess, at: now, unanswered: true, until: now.Add(overwriteWatch)}
	})
	return func() {
		c.update(g.Name, func(e *entry, _ *Group) { e.overwrite = was })
	}
}

// excess is the capacity that counts beyond what is desired.
func (g *Group) excess() int { return max(0, g.countedCapacity()-g.DesiredCapacity) }

// watched reports whether a write may yet turn out to have been too low.
func (e *entry) watched(now time.Time) bool { return now.Before(e.overwrite.until) }

// short reports whether there is an instance more than our last write left room for, and nobody has set anything else since.
func (o overwrite) short(g *Group) bool {
	return (g.stated == o.desired || g.stated == o.perhaps) && g.countedCapacity()-g.stated >= o.excess+g.lightest()
}

// lightest is the least weight of the instances that count: where they have weights, AWS launches a part of one more than is
// desired, and keeps it.
func (g *Group) lightest() int {
	least := math.MaxInt32
	for _, i := range g.Counted() {
		least = min(least, i.Weight)
	}
	return least
}

// mend raises the desired capacity of the groups in which more has arrived than our last write left room for. Groups that
// are written to are left for the next time.
func (c *Cache) mend(ctx context.Context) {
	for _, name := range c.short() {
		turn, done, ok := c.tryTurn(ctx, name)
		if !ok {
			continue
		}
		if err := c.mendOne(turn, name); err != nil {
			klog.FromContext(ctx).Error(err, "Could not raise the desired capacity to what AWS has launched, trying again", "group", name)
		}
		done()
	}
}

// short are the groups whose desired capacity we have set too low, by their last reading.
func (c *Cache) short() []string {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	short := map[string]bool{}
	for name, e := range c.entries {
		if e.watched(now) && e.overwrite.short(e.group) {
			short[name] = true
		}
	}
	return slices.Sorted(maps.Keys(short))
}

// mendOne reads the group anew and raises its desired capacity to what is there, but for what AWS launched to move instances. The
// caller has the group's turn.
func (c *Cache) mendOne(ctx context.Context, name string) error {
	g, err := c.readOne(ctx, name)
	if err != nil {
		return err
	}
	o := c.overwriteOf(name)
	if !o.short(g) {
		return nil
	}
	if g.movesInstances() {
		o.excess += c.moved(ctx, g, o.at)
	}
	if o.short(g) {
		_, err = c.raiseAgain(ctx, g, g.countedCapacity()-o.excess)
	}
	return err
}

// movesInstances reports whether AWS may launch instances of the group beyond the desired capacity, to end others after that.
func (g *Group) movesInstances() bool {
	return g.CapacityRebalance || len(g.launchZones()) > 1 && !slices.Contains(g.SuspendedProcesses, processRebalance)
}

func (c *Cache) overwriteOf(name string) overwrite {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[name]; e != nil {
		return e.overwrite
	}
	return overwrite{}
}

// least is what a raise of the group's desired capacity must not set it below.
func (c *Cache) least(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.find(name); e != nil {
		return e.least()
	}
	return 0
}

// raiseAgain raises the desired capacity to what it should not have been set below, as far as the maximum allows.
func (c *Cache) raiseAgain(ctx context.Context, g *Group, desired int) (*Group, error) {
	least := c.least(g.Name)
	if desired = min(max(desired, least), g.MaxSize); desired <= g.stated || desired < least { // the maximum may be an old one
		return g, nil
	}
	klog.FromContext(ctx).Info("AWS has launched more than our write knew of, raising the desired capacity again", "group", g.Name, "desired", desired)
	_, err := c.setDesired(ctx, g, desired)
	after := c.update(g.Name, func(e *entry, now *Group) {
		if err == nil {
			e.set(now, desired, c.clock.Now())
		} else if !awsclient.IsRefused(err) {
			e.overwrite.perhaps, e.overwrite.at, e.overwrite.unanswered = desired, c.clock.Now(), true
		}
	})
	if after == nil && err == nil {
		err = fmt.Errorf("auto scaling group %q: %w", g.Name, ErrGroupNotFound)
	}
	return after, err
}
