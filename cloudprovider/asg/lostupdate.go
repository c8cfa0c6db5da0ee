package asg

import (
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// setWatched is setDesired on the ground of the reading g. It notes the write before the call, because a reading may show it before AWS answers, and
// the answer may be lost. It takes the note back if AWS refuses.
func (w *capacity) setWatched(ctx context.Context, g *group.Group, desired int) (accepted time.Time, err error) {
	now := w.clock.Now()
	w.groups.update(g.Name, func(e *entry) { e.Attempt(desired, g.Excess(), now) })
	if accepted, err = w.setDesired(ctx, g, desired); err != nil && awsclient.IsRefused(err) {
		w.groups.update(g.Name, func(e *entry) { e.Refused() })
	}
	return accepted, err
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
		if _, lost := e.Lost(0); lost && e.Watched(now) {
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
	covering, lost, at := 0, false, time.Time{}
	w.look(name, func(e *entry) { _, lost = e.Lost(0); at = e.AttemptedAt() })
	if !lost {
		return nil
	}
	moved := w.activities.movedSince(ctx, g, at)
	if w.look(name, func(e *entry) { covering, lost = e.Lost(moved) }); lost {
		_, err = w.repairTo(ctx, g, covering)
	}
	return err
}

// repairTo raises the desired capacity to its floor, as far as the maximum allows.
func (w *capacity) repairTo(ctx context.Context, g *group.Group, desired int) (*group.Group, error) {
	var least int
	w.look(g.Name, func(e *entry) { least = e.Floor() })
	if desired = min(max(desired, least), g.MaxSize); desired <= g.StatedCapacity || desired < least { // the maximum may be old
		return g, nil
	}
	klog.FromContext(ctx).Info("AWS launched more than our write knew of, raising the desired capacity again", "group", g.Name, "desired", desired)
	w.groups.update(g.Name, func(e *entry) { e.AttemptRepair(desired, w.clock.Now()) })
	_, err := w.setDesired(ctx, g, desired)
	after := w.groups.update(g.Name, func(e *entry) {
		if err == nil {
			e.Repaired(desired, w.clock.Now())
		} else if awsclient.IsRefused(err) {
			e.Refused()
		}
	})
	if after == nil && err == nil {
		err = notFound(g.Name)
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
