package asg

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"k8s.io/klog/v2"
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
	until   time.Time
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
		e.known = max(e.known, desired)
		e.overwrite = overwrite{desired: desired, perhaps: desired, excess: excess, until: now.Add(overwriteWatch)}
	})
	return func() {
		c.update(g.Name, func(e *entry, now *Group) { e.known, e.overwrite = now.DesiredCapacity, was })
	}
}

// excess is the capacity that counts beyond what is desired.
func (g *Group) excess() int { return max(0, g.countedCapacity()-g.DesiredCapacity) }

// watched reports whether a write may yet turn out to have been too low.
func (e *entry) watched(now time.Time) bool { return now.Before(e.overwrite.until) }

// short reports whether there is an instance more than our last write left room for, and nobody has set anything else since.
func (o overwrite) short(g *Group) bool {
	return (g.DesiredCapacity == o.desired || g.DesiredCapacity == o.perhaps) && g.excess() >= o.excess+g.lightest()
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

// findOthers notes what others want by the reading g. What they raise the desired capacity to is theirs as a whole: they
// may have counted on what we had asked for.
func (e *entry) findOthers(g *Group) {
	if e.group != nil && g.DesiredCapacity > e.known {
		e.others = g.DesiredCapacity
	}
	if g.DesiredCapacity >= e.known || !e.watched(g.ReadAt) { // else the reading may not know of our write
		e.known = g.DesiredCapacity
	}
	e.others = min(e.others, e.known)
	g.others = e.others
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

// mendOne reads the group anew and raises its desired capacity to what is there. The caller has the group's turn.
func (c *Cache) mendOne(ctx context.Context, name string) error {
	g, err := c.readOne(ctx, name)
	if err != nil {
		return err
	}
	if o := c.overwriteOf(name); o.short(g) {
		_, err = c.raiseAgain(ctx, g, g.countedCapacity()-o.excess)
	}
	return err
}

func (c *Cache) overwriteOf(name string) overwrite {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[name]; e != nil {
		return e.overwrite
	}
	return overwrite{}
}

// raiseAgain raises the desired capacity to what it should not have been set below, as far as the maximum allows.
func (c *Cache) raiseAgain(ctx context.Context, g *Group, desired int) (*Group, error) {
	if desired = min(desired, g.MaxSize); desired <= g.DesiredCapacity {
		return g, nil
	}
	klog.FromContext(ctx).Info("AWS has launched more than our write knew of, raising the desired capacity again", "group", g.Name, "desired", desired)
	_, err := c.setDesired(ctx, g, desired)
	after := c.update(g.Name, func(e *entry, now *Group) {
		if e.overwrite.perhaps = desired; err == nil {
			now.DesiredCapacity = desired
			e.wrote(c.clock.Now())
			e.overwrite.desired, e.known = desired, desired
		}
	})
	return after, err
}
