package asg

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// readFailures looks up why instances are missing, with one call per group that is short, several at a time.
func (c *Cache) readFailures(ctx context.Context) {
	due := c.failuresDue()
	awsclient.Parallel(len(due), looksAtOnce, func(i int) {
		name, since := due[i], time.Time{}
		c.groups.look(name, func(e *entry) { since = e.Look(c.clock.Now()) })
		if since.IsZero() { // the group is gone
			return
		}
		failures, all, err := c.failedLaunches(ctx, name, since)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			c.lookFailed(ctx, name, err)
		default:
			c.noteFailures(ctx, name, failures, all)
		}
	})
}

// failuresDue returns up to looksPerRound groups that have been short for long enough to ask AWS why, the longest waiting first.
func (c *Cache) failuresDue() []string {
	now := c.clock.Now()
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	waiting := map[string]time.Time{}
	for name, e := range c.groups.entries {
		if at, due := e.LookDue(now); due && !c.groups.identity.Foreign(e.Group()) {
			waiting[name] = at
		}
	}
	names := slices.SortedFunc(maps.Keys(waiting), func(x, y string) int { return cmp.Or(waiting[x].Compare(waiting[y]), cmp.Compare(x, y)) })
	return names[:min(len(names), looksPerRound)]
}

// lookFailed plans another look after an error, and logs once if AWS denies it.
func (c *Cache) lookFailed(ctx context.Context, name string, err error) {
	news := false
	c.groups.update(name, func(e *entry) {
		news = e.LookFailed(c.clock.Now().Add(awsclient.RetryAfter(err, e.Looks())), awsclient.IsForbidden(err))
	})
	if log := klog.FromContext(ctx); !news {
		log.V(2).Info("Could not see why AWS does not launch missing instances, trying again", "group", name, "err", awsclient.Brief(err))
	} else {
		log.Info("Could not see why AWS does not launch missing instances", "group", name, "err", awsclient.Brief(err),
			"remedy", "allow autoscaling:DescribeScalingActivities, because until then the autoscaler waits for its own instances until --max-node-provision-time, and for others some minutes")
	}
}

// noteFailures enters the failed launches that may explain the shortage, with the pools of all, and wakes the core if the newest is news.
func (c *Cache) noteFailures(ctx context.Context, name string, failures []cooldown.FailedLaunch, complete bool) {
	var ours, others cooldown.Failures // empty unless they are news
	g := c.groups.update(name, func(e *entry) { ours, others = e.NoteFailures(failures, time.Duration(c.skew.Load()), complete) })
	all := ours
	if len(all) == 0 {
		all = others
	}
	news := all.First()
	if news == nil {
		return
	}
	known := false
	for _, f := range slices.Backward(all) {
		meaning := f.Meaning()
		if g != nil {
			meaning = g.Complete(meaning) // where the group has only one choice
		}
		known = c.available.failed.Fail(name, meaning, f.Message) || known
	}
	if !known && len(others) > 0 {
		c.available.failed.Passing(name, "", others[0].Message) // or the core would ask for them again at once
	}
	failed := Launch{Group: name, Call: "SetDesiredCapacity", Started: news.At, Failures: cooldown.Failures{*news}}
	c.options.Launched(failed.ended(c.clock.Now(), nil))
	klog.FromContext(ctx).Info("AWS could not launch missing instances", "group", name, "code", news.Code, "message", news.Message)
	c.specs.Suspect(name)
	signal(c.groups.changed)
	signal(c.resolve)
}

// failedLaunches returns the failed launches of the group since a moment of AWS's clock, and earlier ones on the same pages: a lifecycle hook may give
// up a launch that began long before. The newest come first. all reports whether it had all of them.
func (c *Cache) failedLaunches(ctx context.Context, name string, since time.Time) (failures []cooldown.FailedLaunch, all bool, err error) {
	all, err = c.eachPageSince(ctx, name, since, func(page *autoscaling.DescribeScalingActivitiesOutput) {
		failures = append(failures, cooldown.FailedLaunches(page.Activities)...)
	})
	if len(failures) > 0 {
		err = nil // they may be all there are
	}
	return failures, all, err
}

// begun returns the instances that AWS is launching in the group, or has launched since a moment of its clock. Instances that somebody attaches, or
// brings back from standby, count as launched. An instance without an ID yet is "", and is left out if its launch began before waiting. So is an
// instance that AWS has begun to terminate.
//
// AWS lists a launch from its beginning. The API reference names the states of a launch in progress and does not explain them (Activity, StatusCode,
// read 2026-11). So every launch that has not ended counts, also where AWS waits for a spot instance: its request stands, and may be fulfilled.
func (c *Cache) begun(ctx context.Context, name string, since, waiting time.Time) ([]string, error) {
	var ids []string
	ended := map[string]bool{}
	all, err := c.eachPageSince(ctx, name, since, func(page *autoscaling.DescribeScalingActivitiesOutput) {
		for _, act := range page.Activities {
			if endedBefore(act, since) {
				continue
			}
			id, launching, terminating := cooldown.Subject(act)
			what := aws.ToString(act.Description)
			joins := launching || strings.HasPrefix(what, "Moving EC2 instance out of Standby") || strings.HasPrefix(what, "Attaching")
			switch {
			case terminating && id != "":
				ended[id] = true
			case joins && !givenUp(act) && (id != "" || !aws.ToTime(act.StartTime).Before(waiting)):
				ids = append(ids, id)
			}
		}
	})
	ids = slices.DeleteFunc(ids, func(id string) bool { return ended[id] })
	if err == nil && !all {
		err = fmt.Errorf("describe scaling activities of %q: there are too many to read them all", name)
	}
	return ids, err
}

// endedBefore reports whether an activity that began before the moment has ended. AWS lists those in progress first, then the newest first. The end is
// optional.
func endedBefore(act types.Activity, since time.Time) bool {
	ended := act.EndTime != nil || givenUp(act) || act.StatusCode == types.ScalingActivityStatusCodeSuccessful
	return ended && aws.ToTime(act.StartTime).Before(since)
}

func givenUp(act types.Activity) bool {
	return act.StatusCode == types.ScalingActivityStatusCodeFailed || act.StatusCode == types.ScalingActivityStatusCodeCancelled
}

// eachPageSince calls do with the pages of activities that are in progress or began since a moment of AWS's clock, and reports whether it had them all.
// The last page may also have earlier activities.
func (c *Cache) eachPageSince(ctx context.Context, name string, since time.Time, do func(*autoscaling.DescribeScalingActivitiesOutput)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	in := &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String(name), MaxRecords: aws.Int32(activitiesPerCall)}
	pages := autoscaling.NewDescribeScalingActivitiesPaginator(c.api, in)
	for read := 0; pages.HasMorePages() && read < maxActivities; {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, fmt.Errorf("describe scaling activities of %q: %w", name, err)
		}
		do(page)
		read += max(len(page.Activities), leastPage)
		if slices.ContainsFunc(page.Activities, func(act types.Activity) bool { return endedBefore(act, since) }) {
			return true, nil
		}
	}
	return !pages.HasMorePages(), nil
}

// movedSince returns the capacity that AWS launched since a moment of its clock in place of other instances, and that is still excess in g because
// AWS had not terminated these by then. It is 0 where AWS does not say. It costs a call.
func (c *Cache) movedSince(ctx context.Context, g *group.Group, since time.Time) int {
	capacity := 0
	for _, act := range c.newest(ctx, g.Name) {
		began := aws.ToTime(act.StartTime)
		if began.Before(since.Add(-replacedWithin)) || !replaces(act) {
			continue
		}
		id, launching, terminating := cooldown.Subject(act)
		i := g.Instance(id)
		switch counts := i != nil && i.Lifecycle.Counts(); {
		case counts && launching && !began.Before(since.Truncate(time.Second)):
			capacity += i.Weight
		case !counts && terminating: // else AWS terminates it since g was read
			capacity -= g.Source.MaxWeight()
		}
	}
	return max(0, capacity)
}

// replacements is the capacity of the instances that AWS launched since the reading before in place of others. ended is the capacity that ended since
// then: a launch for a difference between desired and actual capacity replaces no more than that, because AWS also repeats a launch that has failed.
// It is 0 where AWS does not say. It costs a call.
func (c *Cache) replacements(ctx context.Context, g, before *group.Group, ended int) int {
	come := map[string]int{}
	for _, i := range g.Counted() {
		if before.Instance(i.ID) == nil {
			come[i.ID] = i.Weight
		}
	}
	moved, unstated := 0, 0
	for _, act := range c.newest(ctx, g.Name) {
		id, launching, terminating := cooldown.Subject(act)
		switch {
		case terminating && replaces(act) && g.LeftUncounted(before, id) && !aws.ToTime(act.StartTime).Before(c.byAWS(before.ReadAt).Add(-replacedWithin)):
			moved -= g.Source.MaxWeight() // the launch in its place brought nothing beyond it
		case !launching || changesDesired(act):
		case replaces(act):
			moved += come[id]
		default:
			unstated += come[id]
		}
		if launching {
			delete(come, id)
		}
	}
	moved = max(0, moved)
	return moved + min(unstated, max(0, ended-moved))
}

// changesDesired reports whether the activity followed a new desired capacity. AWS writes "changing the desired capacity from 3 to 5".
func changesDesired(a types.Activity) bool {
	return strings.Contains(aws.ToString(a.Cause), "changing the desired capacity")
}

// replaces reports whether AWS launched an instance in place of another, or terminated one that it replaces. It may launch first: to even out zones,
// in an instance refresh, or where a maintenance policy asks for it. AWS writes "launched to aid in balancing the group's zones", "launched in response
// to an instance refresh", "taken out of service in response to an EC2 health check". Where the capacity changes, AWS adds "increasing the capacity from
// 3 to 4" or "shrinking". It adds that also when it evens out zones. Other endpoints may leave it out.
func replaces(a types.Activity) bool {
	cause := aws.ToString(a.Cause)
	if changesDesired(a) { // maybe by a policy with "balance" in its name
		return false
	}
	return strings.Contains(cause, "balanc") ||
		cause != "" && !strings.Contains(cause, "capacity from") && !strings.Contains(cause, "desired and actual capacity")
}

// newest returns the newest activities of the group, or none where AWS does not answer within movedTimeout.
func (c *Cache) newest(ctx context.Context, name string) []types.Activity {
	ctx, cancel := context.WithTimeout(ctx, movedTimeout)
	defer cancel()
	out, err := c.api.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: aws.String(name), MaxRecords: aws.Int32(activitiesPerCall)})
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Could not see why AWS launched or terminated instances", "group", name, "err", awsclient.Brief(err))
		return nil
	}
	return out.Activities
}
