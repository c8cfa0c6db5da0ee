package asg

import (
	"context"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// A node that is under way and not needed any more is given back as long as AWS has not begun to launch its instance. Once AWS has begun, a lower
// desired capacity would make it end an instance of its own choice, so the node comes, and the core scales it down.
//
// AWS begins launches within seconds, unless the group cannot launch: its zones are shifted away, or its Launch process is suspended, by somebody or by
// AWS itself after a day of failures (Amazon EC2 Auto Scaling User Guide, Suspend and resume processes, read 2026-11). Failed launches are not for this
// file. The core withdraws them as soon as the activities show them (activities.go), whether the nodes are needed or not.

// StartGiveBack begins to give back up to n instances, as GiveBack does, and returns. Changed reports the success. Run awaits the goroutine.
func (c *Cache) StartGiveBack(ctx context.Context, name string, n int) {
	if _, err := c.groups.beginWrite(name); err != nil {
		return
	}
	go func() {
		defer c.groups.writes.Done()
		given, _, err := c.GiveBack(ctx, name, n)
		if err != nil {
			klog.FromContext(ctx).V(2).Info("Could not give back instances, they are tried again if no pod needs them", "group", name,
				"err", awsclient.Brief(err))
		}
		if given > 0 {
			klog.FromContext(ctx).V(0).Info("Gave back instances that no pod needs and AWS had not begun to launch", "group", name, "instances", given)
			c.options.GaveBack(name, given)
			signal(c.groups.changed)
		}
	}()
}

// GiveBack is Withdraw of instances that AWS has not begun to launch. It gives back nothing soon after a write of the desired capacity, while another
// write is under way, or if AWS does not show its activities. It costs a call more than Withdraw, and one per further 100 activities of the last
// minute.
//
// AWS ends no instance if it begins no launch between the reading of its activities and the write. The activities are read before the group: an
// instance that AWS lists meanwhile counts twice, and never not at all.
func (c *Cache) GiveBack(ctx context.Context, name string, n int) (int, *group.Group, error) {
	begun, err := c.begun(ctx, name, c.clock.Now().Add(-ledger.ReadingLag-ledger.ClockSkew), time.Time{})
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, freshEnough) // for the group lock
	defer cancel()
	return c.withdraw(ctx, name, func(_ context.Context, g *group.Group) (int, error) {
		var last time.Time
		c.look(name, func(e *entry) { last = e.AttemptedAt() })
		if c.clock.Since(last) < ledger.BeginsWithin {
			return 0, nil
		}
		return min(n, g.NotBegun(begun)), nil
	})
}
