package asg

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// ActionsAPI is the call of EC2 Auto Scaling that lists scheduled actions.
type ActionsAPI = autoscaling.DescribeScheduledActionsAPIClient

// Started notes how long a node of the group took from its launch until it was Ready. Minimums by the clock begin as much earlier.
func (c *Cache) Started(name string, took time.Duration) {
	if took > longestStart { // through an outage, which says nothing of the next start
		return
	}
	c.groups.look(name, func(e *entry) { e.starts = append(e.starts[max(0, len(e.starts)-startsKept+1):], took) })
}

// lead is how long before its time a minimum of the group holds. Nodes out of a warm pool say little of those that come once it is empty.
func (e *entry) lead() time.Duration {
	if len(e.starts) == 0 {
		return unknownStart
	}
	lead := max(0, slices.Max(e.starts)) + startReserve
	if g := e.Group(); g != nil && g.WarmPool {
		lead = max(lead, unknownStart)
	}
	return min(lead, longestStart)
}

// setSizes sets the sizes of a group of the entry that hold now, by AWS's clock, by which AWS acts. A minimum that holds ahead of its time stays
// when less time turns out to be enough, or its nodes would go and come again. The caller holds mu.
func (c *Cache) setSizes(e *entry, g *group.Group) {
	now, lead := c.byAWS(c.clock.Now()), e.lead()
	actions, _ := c.actions.Known().Of(g.Name)
	if before := e.Group(); before != nil {
		for _, t := range before.Timed {
			if t.Min > 0 {
				lead = max(lead, t.From.Sub(now))
			}
		}
	}
	g.SetSizes(now, lead, actions)
}

// turn requests the look-ups of scheduled actions and zonal shifts, where they are worth their calls. It sets the sizes of the groups whose time
// has come, and of all groups once the actions changed. It wakes the core if sizes or shifts changed.
func (c *Cache) turn(ctx context.Context) {
	now, actions, changed := c.byAWS(c.clock.Now()), c.actions.Known(), false
	acts := func(g *group.Group) bool { _, has := actions.Of(g.Name); return has }
	if c.clock.Since(c.looked) >= idleActions || !c.paged.Load() && slices.ContainsFunc(c.groups.Snapshot().Groups(), acts) {
		c.looked = c.clock.Now()
		c.actions.Want("")
	}
	shiftable := map[string]bool{}
	for _, g := range c.groups.Snapshot().Groups() {
		for _, arn := range c.available.shiftedBy(g) {
			shiftable[arn] = true
		}
	}
	if len(shiftable) > 0 {
		c.available.shifts.Want("")
	}
	c.groups.mu.Lock()
	for _, e := range c.groups.entries {
		before := e.Group()
		if before == nil || actions == c.acted && (before.Turns.IsZero() || now.Before(before.Turns)) {
			continue
		}
		c.setSizes(e, e.Change())
		changed = changed || !sameSizes(before, e.Group()) || len(before.Timed) != len(e.Group().Timed)
	}
	if changed {
		c.groups.publish()
	}
	c.groups.mu.Unlock()
	c.acted = actions
	if c.available.shifts.Changed(ctx, shiftable) || changed {
		signal(c.groups.changed)
	}
}

func sameSizes(a, b *group.Group) bool { return a.MinSize == b.MinSize && a.MaxSize == b.MaxSize }

// readActions asks for the next of each scheduled action in the account, with one call for each 100.
func (c *Cache) readActions(ctx context.Context, _ []string) (map[string][]group.Timed, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	found := map[string][]group.Timed{}
	pages := autoscaling.NewDescribeScheduledActionsPaginator(c.options.Actions, &autoscaling.DescribeScheduledActionsInput{MaxRecords: aws.Int32(actionsPerCall)})
	for n := 0; pages.HasMorePages() && n < maxActionPages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe scheduled actions: %w", err)
		}
		c.paged.Store(n > 0)
		for _, a := range page.ScheduledUpdateGroupActions {
			if t, comes := nextOf(a, c.byAWS(c.clock.Now()).Add(-group.ActionLate)); comes {
				name := aws.ToString(a.AutoScalingGroupName)
				found[name] = append(found[name], t)
			}
		}
	}
	now := c.byAWS(c.clock.Now())
	for _, g := range c.groups.Snapshot().Groups() { // AWS no longer lists what it has just done, and the group's reading may be older
		ran, _ := c.actions.Known().Of(g.Name)
		for _, t := range ran {
			listed := slices.ContainsFunc(found[g.Name], func(f group.Timed) bool { return f.By == t.By && f.From.Equal(t.From) })
			if !listed && !t.From.After(now) && t.From.After(now.Add(-group.ActionLate)) {
				found[g.Name] = append(found[g.Name], t)
			}
		}
	}
	return found, nil
}

// nextOf returns the limits that a scheduled action sets next, after a moment. A desired capacity is both limits for that moment.
func nextOf(a types.ScheduledUpdateGroupAction, after time.Time) (group.Timed, bool) {
	t := group.Timed{By: "the scheduled action " + aws.ToString(a.ScheduledActionName), Max: math.MaxInt, From: aws.ToTime(a.StartTime)}
	if a.Recurrence != nil { // its start and end are its bounds, or its start is the next time
		if w, err := group.ParseWindow(strings.TrimSpace(*a.Recurrence), "1m", aws.ToString(a.TimeZone)); err == nil {
			t.From, _ = w.Next(later(after, t.From.Add(-time.Nanosecond)))
		}
	}
	for _, least := range []*int32{a.MinSize, a.DesiredCapacity} {
		t.Min = max(t.Min, int(aws.ToInt32(least)))
	}
	for _, most := range []*int32{a.MaxSize, a.DesiredCapacity} {
		if most != nil {
			t.Max = min(t.Max, int(*most))
		}
	}
	return t, t.From.After(after) && (a.EndTime == nil || !t.From.After(*a.EndTime))
}
