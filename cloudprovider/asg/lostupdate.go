package asg

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// SetDesiredCapacity has no condition. Our write overwrites another writer's of a moment before, and the instances that AWS was launching for them,
// or for a request that we take back, are too many when they arrive. AWS then ends instances of its own choice. So the capacity writer watches every
// group that it wrote to, and raises the desired capacity again.

// setWatched is setDesired on the ground of the reading g. It notes the write before the call, because a reading may show it before AWS answers, and
// the answer may be lost. It takes the note back if AWS refuses.
func (w *capacity) setWatched(ctx context.Context, g *group.Group, desired int) (accepted time.Time, err error) {
	var was lostUpdate
	now := w.clock.Now()
	w.groups.update(g.Name, func(e *entry, _ *group.Group) { was = e.attempt(desired, g.Excess(), now) })
	if accepted, err = w.setDesired(ctx, g, desired); err != nil && awsclient.IsRefused(err) {
		w.groups.update(g.Name, func(e *entry, _ *group.Group) { e.written = was })
	}
	return accepted, err
}

// lost reports whether more instances arrived than our last write left room for, and no other write followed.
func (o lostUpdate) lost(g *group.Group) bool {
	return (g.StatedCapacity == o.desired || g.StatedCapacity == o.unconfirmed) && g.CountedCapacity()-g.StatedCapacity >= o.excess+g.Lightest()
}

// repairLost raises the desired capacity of the groups in which more arrived than our last write left room for. It leaves locked groups for the next
// time.
func (w *capacity) repairLost(ctx context.Context) {
	for _, name := range w.lostUpdates() {
		held, unlock, ok := w.locks.tryLock(ctx, name)
		if !ok {
			continue
		}
		if err := w.repairGroup(held, name); err != nil {
			klog.FromContext(ctx).Error(err, "Could not raise the desired capacity to the launched instances, trying again", "group", name)
		}
		unlock()
	}
}

// lostUpdates returns the groups whose desired capacity we have set too low, by their last reading.
func (w *capacity) lostUpdates() []string {
	now := w.clock.Now()
	w.groups.mu.Lock()
	defer w.groups.mu.Unlock()
	short := map[string]bool{}
	for name, e := range w.groups.entries {
		if e.watched(now) && e.written.lost(e.group) {
			short[name] = true
		}
	}
	return slices.Sorted(maps.Keys(short))
}

// repairGroup reads the group and raises its desired capacity to its instances, but not to instances that AWS launched to move others. The caller has the
// group lock.
func (w *capacity) repairGroup(ctx context.Context, name string) error {
	g, err := w.reader.Reread(ctx, name)
	if err != nil {
		return err
	}
	var o lostUpdate
	w.look(name, func(e *entry) { o = e.written })
	if !o.lost(g) {
		return nil
	}
	o.excess += w.activities.movedSince(ctx, g, o.at)
	if o.lost(g) {
		_, err = w.repairTo(ctx, g, g.CountedCapacity()-o.excess)
	}
	return err
}

// repairTo raises the desired capacity to its floor, as far as the maximum allows.
func (w *capacity) repairTo(ctx context.Context, g *group.Group, desired int) (*group.Group, error) {
	var least int
	w.look(g.Name, func(e *entry) { least = e.least() })
	if desired = min(max(desired, least), g.MaxSize); desired <= g.StatedCapacity || desired < least { // the maximum may be old
		return g, nil
	}
	klog.FromContext(ctx).Info("AWS launched more than our write knew of, raising the desired capacity again", "group", g.Name, "desired", desired)
	var was lostUpdate
	w.groups.update(g.Name, func(e *entry, _ *group.Group) {
		was = e.written
		e.unansweredRaise(desired, w.clock.Now())
	})
	_, err := w.setDesired(ctx, g, desired)
	after := w.groups.update(g.Name, func(e *entry, now *group.Group) {
		if err == nil {
			e.set(now, desired, w.clock.Now())
		} else if awsclient.IsRefused(err) {
			e.written = was
		}
	})
	if after == nil && err == nil {
		err = fmt.Errorf("auto scaling group %q: %w", g.Name, ErrGroupNotFound)
	}
	return after, err
}

// repair looks for a lost update after our write. before is the group behind the decision, and written our value. If AWS has launched more for
// another writer than is desired now, it is about to terminate the excess. Then repair raises the desired capacity to the other's value, as far as
// can be seen, plus extra. An excess from before the write stays, and a later write of somebody else stays theirs.
func (w *capacity) repair(ctx context.Context, before *group.Group, written, extra int) (*group.Group, error) {
	g, err := w.reader.Reread(ctx, before.Name)
	if err != nil {
		return nil, err
	}
	ended := g.EndedSince(before)
	there := g.CountedCapacity() + ended - before.Excess()
	if there-written < g.Lightest() || g.StatedCapacity != written { // AWS may have launched a heavy instance for our own write
		return g, nil
	}
	if there -= w.activities.replacements(ctx, g, before, ended); there-written < g.Lightest() {
		return g, nil
	}
	return w.repairTo(ctx, g, there+extra)
}
