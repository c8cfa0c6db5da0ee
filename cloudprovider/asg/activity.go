package asg

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

const (
	// firstLook is how long AWS may take over a launch before the group's activities are looked at: one that succeeds is in
	// the group sooner. The pause doubles from look to look, up to slowestLook, and further in a group in which nothing moves.
	firstLook   = 3 * time.Second
	slowestLook = 30 * time.Second
	// looksPerRound is how many groups are looked at in one interval of motion, so that an outage of a region is no burst of calls.
	looksPerRound = 20
	// looksAtOnce bounds the calls under way at any time.
	looksAtOnce = 6
	// lookTimeout is short: what one group's activities tell is not worth more.
	lookTimeout = 10 * time.Second
	// movedTimeout is shorter still: a desired capacity that was set too low has AWS end instances within seconds.
	movedTimeout = 2 * time.Second
	// maxActivities is enough to see the newest attempt in every pool; AWS lists the newest first.
	maxActivities = 20
	// activitiesPerCall is the largest page (EC2 Auto Scaling API reference, DescribeScalingActivities, MaxRecords), and maxActivityPages how many
	// are read at most to find out which instances have gone lately.
	activitiesPerCall = 100
	maxActivityPages  = 10
)

// A look is when the activities of a group that is short of instances are read.
type look struct {
	due    time.Time // the next one
	at     time.Time // the last one
	count  int       // since the shortage changed last
	denied bool      // AWS did not let us see, and that was said
}

// soon has the group looked at once AWS has had a moment, and looks begin to slow down anew.
func (l *look) soon(now time.Time) {
	due := now.Add(firstLook)
	if l.count == 0 && l.due.After(now.Add(-slowestLook)) && l.due.Before(due) {
		due = l.due // it waits for that already: instances come, and die
	}
	l.due, l.count = due, 0
	if apart := l.at.Add(firstLook); l.due.Before(apart) {
		l.due = apart
	}
}

// A shortage is that AWS has launched less than is desired, whoever asked for it.
type shortage struct {
	missing int       // by the last reading
	began   time.Time // when instances were first missing, or last came
	open    int       // missing or not in service yet: instances that die before they are may come and go
	since   time.Time // the reading before the last change of open: a launch that failed later may be of these
	died    bool      // one of these has died and AWS has not been asked why
	failure *cooldown.Failure
}

// noteShort follows what is missing in the readings.
func (e *entry) noteShort(g *Group) {
	s, missing, open := &e.short, g.Missing(), g.notInService()
	if s.missing == 0 || missing < s.missing {
		s.began = g.ReadAt
	}
	s.missing = missing
	if e.lostStarting(g) {
		s.died = true
		e.look.soon(g.ReadAt)
	}
	if open == s.open {
		return
	}
	s.open, s.failure, s.since = open, nil, g.ReadAt
	if e.group == nil {
		return // the first look is due at once: AWS has been at it for a while
	}
	if s.since = g.ReadAt.Add(-failureAge); s.since.Before(e.group.ReadAt) {
		s.since = e.group.ReadAt
	}
	e.look.soon(g.ReadAt)
}

// lostStarting reports whether an instance has gone since the reading before that had not been in service, and not by our doing.
func (e *entry) lostStarting(g *Group) bool {
	return e.group != nil && slices.ContainsFunc(e.group.Instances, func(was Instance) bool {
		if !was.Lifecycle.Starting() {
			return false
		}
		i := g.instance(was.ID)
		return i == nil || i.Lifecycle.Leaving()
	})
}

// unexplained reports whether instances are missing, or have died, and it is not known why.
func (e *entry) unexplained() bool {
	s, r := &e.short, &e.request
	return r.failure == nil && (r.instances > 0 || r.asked > 0 && s.died) || s.failure == nil && (s.died || e.group.Missing() > e.group.Withdrawable())
}

// readFailures looks up why instances are missing: one call per group that is short, several at a time.
func (c *Cache) readFailures(ctx context.Context) {
	due := c.failuresDue()
	parallel(len(due), looksAtOnce, func(i int) {
		failures, ahead, err := c.failedLaunches(ctx, due[i])
		switch {
		case ctx.Err() != nil:
		case err != nil:
			c.lookFailed(ctx, due[i], err)
		default:
			c.failed(ctx, due[i], failures, ahead)
		}
	})
}

// failuresDue returns the groups that have been short for long enough to ask AWS why, those that wait longest first, and no more than
// looksPerRound. A group is looked at soon after its shortage changed, then ever more rarely, and not at all once the reason is known.
func (c *Cache) failuresDue() []string {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var due []string
	for name, e := range c.entries {
		if now.Before(e.look.due) || !e.unexplained() || c.identity.foreign(e.group) {
			continue
		}
		due = append(due, name)
	}
	slices.SortFunc(due, func(a, b string) int {
		return cmp.Or(c.entries[a].look.due.Compare(c.entries[b].look.due), cmp.Compare(a, b))
	})
	due = due[:min(len(due), looksPerRound)]
	for _, name := range due {
		e := c.entries[name]
		l, slowest := &e.look, slowestLook
		if now.Sub(e.movedAt) > restlessFor {
			slowest *= slowMotionFactor
		}
		l.due, l.at = now.Add(min(firstLook<<min(l.count, 10), slowest)), now
		l.count++
	}
	return due
}

// lookFailed plans another look by why AWS did not show the activities, and says so once where it may not.
func (c *Cache) lookFailed(ctx context.Context, name string, err error) {
	news := false
	c.update(name, func(e *entry, _ *Group) {
		if retry := c.clock.Now().Add(awsclient.RetryAfter(err, e.look.count)); retry.After(e.look.due) {
			e.look.due = retry
		}
		news, e.look.denied = !e.look.denied, true
	})
	if news {
		klog.FromContext(ctx).Info("Could not see why AWS does not launch what is missing", "group", name, "err", awsclient.Brief(err),
			"remedy", "allow autoscaling:DescribeScalingActivities; until then what we asked for is waited for until --max-node-provision-time, and the rest for minutes")
	}
}

// failed enters failed launches as far as they may be of what is missing, and wakes the core when one is news.
func (c *Cache) failed(ctx context.Context, name string, failures []cooldown.FailedLaunch, ahead time.Duration) {
	var ours, others *cooldown.Failure // that are news
	c.update(name, func(e *entry, g *Group) {
		e.look.denied = false
		r, s := &e.request, &e.short
		if (r.instances > 0 || r.asked > 0 && s.died) && r.failure == nil {
			ours = cooldown.Newest(failures, func(f cooldown.FailedLaunch) bool { return !f.At.Before(r.since.Truncate(time.Second)) })
			r.failure = ours
			r.settle(g)
		}
		if s.failure == nil && (s.died || g.Missing() > g.Withdrawable()) {
			since := s.since.Truncate(time.Second)
			others = cooldown.Newest(failures, func(f cooldown.FailedLaunch) bool { return f.Lasts() && !f.Ended.Before(since.Add(ahead)) })
			s.failure = others
		}
		s.died = false
		e.markOverdue(g)
	})
	news := cmp.Or(ours, others)
	if news == nil {
		return
	}
	_, g := c.entry(name)
	if _, known := c.available.failed.Fail(name, meaning(g, news), news.Message); !known && others != nil {
		c.available.failed.Unanswered(name, "", others.Message) // or the core would ask for them again at once
	}
	klog.FromContext(ctx).Info("AWS could not launch what is missing", "group", name, "code", news.Code, "message", news.Message)
	c.specs.Suspect(name)
	signal(c.changed)
	signal(c.resolve)
}

// failedLaunches returns the failed among the newest activities of the group, the newest first.
func (c *Cache) failedLaunches(ctx context.Context, name string) (failures []cooldown.FailedLaunch, ahead time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	out, err := c.api.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: aws.String(name), MaxRecords: aws.Int32(maxActivities),
	})
	if err != nil {
		return nil, 0, fmt.Errorf("describe scaling activities of %q: %w", name, err)
	}
	if told, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		ahead = told.Sub(c.clock.Now())
	}
	return cooldown.FailedLaunches(out.Activities), ahead, nil
}

// ended are the instances of the group that AWS began to end since a moment of its clock, and when, as far as its newest activities
// show.
func (c *Cache) ended(ctx context.Context, name string, since time.Time) (map[string]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	ended := map[string]time.Time{}
	in := &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String(name), MaxRecords: aws.Int32(activitiesPerCall)}
	pages := autoscaling.NewDescribeScalingActivitiesPaginator(c.api, in)
	for n := 0; pages.HasMorePages() && n < maxActivityPages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe scaling activities of %q: %w", name, err)
		}
		for _, a := range page.Activities {
			began := aws.ToTime(a.StartTime)
			if began.Before(since) && a.EndTime != nil {
				return ended, nil // the newest come first, after those in progress
			}
			if began.Before(since) {
				continue
			}
			if id, _, terminating := cooldown.Subject(a); terminating {
				ended[id] = began
			}
		}
	}
	return ended, nil
}

// moved is the capacity of instances that AWS launched since a moment to even out zones, or in place of instances at risk, and that
// are still one too many in g: it had not ended another for them by then. It is 0 where AWS does not say. It costs a call.
func (c *Cache) moved(ctx context.Context, g *Group, since time.Time) int {
	ctx, cancel := context.WithTimeout(ctx, movedTimeout)
	defer cancel()
	out, err := c.api.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: aws.String(g.Name), MaxRecords: aws.Int32(activitiesPerCall)})
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Could not see whether AWS moves instances", "group", g.Name, "err", awsclient.Brief(err))
		return 0
	}
	capacity := 0
	for _, a := range out.Activities {
		// Such as "instances were launched to balance instances in zones", "unbalanced", "rebalance recommendation". A raise of the desired
		// capacity has no such word.
		if aws.ToTime(a.StartTime).Before(since.Truncate(time.Second)) || !strings.Contains(aws.ToString(a.Cause), "balanc") {
			continue
		}
		id, launching, terminating := cooldown.Subject(a)
		i := g.instance(id)
		switch counts := i != nil && i.Lifecycle.Counts(); {
		case counts && launching:
			capacity += i.Weight
		case !counts && terminating: // else AWS ends it since g was read
			capacity -= g.Source.MaxWeight()
		}
	}
	return max(0, capacity)
}

// meaning is what the failure says about pools, completed by the group where it has only one choice. The group may be nil.
func meaning(g *Group, f *cooldown.Failure) awsmessage.Meaning {
	if g == nil {
		return f.Meaning()
	}
	return g.complete(f.Meaning())
}
