package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// TerminationError is the error of instances that stay, with the reasons. The others are done.
type TerminationError struct {
	Group string
	Stays map[string]error // by instance ID
}

func (e *TerminationError) Error() string {
	errs := make([]error, 0, len(e.Stays))
	for _, id := range slices.Sorted(maps.Keys(e.Stays)) {
		errs = append(errs, fmt.Errorf("terminate instance %s of auto scaling group %q: %w", id, e.Group, e.Stays[id]))
	}
	return errors.Join(errs...).Error()
}

func (e *TerminationError) Unwrap() []error { return slices.Collect(maps.Values(e.Stays)) }

// Terminate terminates the instances and lowers the desired capacity by them, on a reading at most two seconds old. It refuses instances of other
// groups, those whose loss would leave less than the minimum size, and all while the group is paused. An instance that is on its way out or gone
// counts as done. It costs one call per 100 instances, or one call per instance where AWS does not take several. The error is ErrGroupNotFound, the
// reading's, the pause's, or a *TerminationError.
//
// A heavy instance may weigh more than the desired capacity beyond the minimum size. AWS does not document whether it lets the instance
// go then. So the desired capacity is first raised to what the instances have reached, for which AWS launches nothing. That costs two
// readings and a write.
func (c *Cache) Terminate(ctx context.Context, name string, ids []string) error {
	if err := c.allStrangers(ids); err != nil {
		return fmt.Errorf("terminate %s of auto scaling group %q: %w", strings.Join(ids, ", "), name, err)
	}
	return c.terminate(ctx, togetherKey{name, false}, func() []ending { return endings(ids, nil) })
}

// allStrangers returns an *ownership.OtherClusterError if all of the instances are in groups that may be another cluster's. A reading of
// the group would not change that.
func (c *Cache) allStrangers(ids []string) (err error) {
	for _, id := range ids {
		_, _, err = c.groups.strangers([]string{id})
		if other, is := errors.AsType[*ownership.OtherClusterError](err); !is || other.Group == "" {
			return nil
		}
	}
	return err
}

// Replace is Terminate that keeps the desired capacity, so that AWS launches others in their place.
func (c *Cache) Replace(ctx context.Context, name string, ids []string) error {
	return c.terminate(ctx, togetherKey{name, true}, func() []ending { return endings(ids, nil) })
}

// TerminateTogether is Terminate or Replace for several callers in one call. Callers with the same wait share it until the first one has waited
// and holds the group lock. Interrupted instances have a wait of their own, because the batches of the scale-down may be minutes apart. The
// error is about the caller's own instances. The first caller's context counts. An instance stays for which stays returns an error then, because
// the caller may have waited for minutes. It makes no call, and is nil if nothing can have changed. No call is repeated then.
func (c *Cache) TerminateTogether(ctx context.Context, name string, ids []string, replace bool, wait time.Duration,
	stays func(id string) error) error {
	for began := c.clock.Now().Add(wait); ; wait = drainedPause {
		err := c.together.Join(ctx, togetherKey{name, replace}, wait, endings(ids, stays)...)
		if partial, some := errors.AsType[*TerminationError](err); some {
			own := maps.Clone(partial.Stays)
			maps.DeleteFunc(own, func(id string, _ error) bool { return !slices.Contains(ids, id) })
			if len(own) == 0 {
				return nil
			}
			err = &TerminationError{Group: name, Stays: own}
		}
		passes := awsclient.IsThrottled(err) || awsclient.IsUnauthenticated(err)
		if stays == nil || !passes || ctx.Err() != nil || c.clock.Since(began) >= drainedPatience {
			return err
		}
	}
}

type togetherKey struct {
	group   string
	replace bool
}

// ending is an instance to terminate, and what may keep it at the last moment, or nil.
type ending struct {
	id    string
	stays func(id string) error
}

func endings(ids []string, stays func(id string) error) (all []ending) {
	for _, id := range ids {
		all = append(all, ending{id, stays})
	}
	return all
}

// terminate takes the group lock and a fresh reading, asks for the instances then, leaves out those on their way out, and terminates the rest.
func (c *Cache) terminate(ctx context.Context, of togetherKey, take func() []ending) error {
	name := of.group
	ctx, unlock, _, err := c.groups.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	_, g := c.groups.entry(name)
	if g == nil {
		return fmt.Errorf("terminate in %q: %w", name, ErrGroupNotFound)
	}
	if c.clock.Since(g.ReadAt) > freshEnough {
		if g, err = c.Reread(ctx, name); err != nil {
			c.endFailed(name, err)
			return err
		}
	}
	if err := paused(g, c.clock.Now(), true); err != nil && !of.replace {
		return err
	}
	run := &termination{Cache: c, group: name, keepDesired: of.replace, stays: map[string]error{}}
	all := take()
	members := run.members(ctx, g, all)
	if !of.replace {
		members = run.beyondDesired(ctx, g, members)
		if len(members) > 0 && c.clock.Since(g.ReadAt) > freshEnough { // AWS took its time
			if again, err := c.Reread(ctx, name); err == nil {
				g = again
			}
			members = run.members(ctx, g, slices.DeleteFunc(all, func(e ending) bool {
				return !slices.ContainsFunc(members, func(i group.Instance) bool { return i.ID == e.id })
			}))
		}
		members = run.beyondMinimum(ctx, g, members)
	}
	run.all(ctx, members)
	if len(run.stays) > 0 {
		err = &TerminationError{Group: name, Stays: run.stays}
		c.endFailed(name, slices.Collect(maps.Values(run.stays))...)
	}
	const action = "TerminateInstanceInAutoScalingGroup"
	if awsclient.IsDenied(err) && awsclient.Operation(err) == action { // other nodes would be drained in vain
		c.groups.update(name, func(e *entry) {
			e.Change().Denied = group.Pause{Until: c.clock.Now().Add(synchronousRetry), Operation: launchspec.Operation{
				Text: "AWS denied the termination of its instances: " + awsclient.Brief(err),
				Remedy: "allow autoscaling:" + action + " on it, by the tag that a policy asks for, and deny it nowhere: " +
					"it is tried again after " + synchronousRetry.String() + ", or a change of its tags"}}
		})
	}
	return err
}

// endFailed notes for the group if AWS could not do something of its terminations for now.
func (c *Cache) endFailed(name string, errs ...error) {
	if slices.ContainsFunc(errs, func(err error) bool {
		return errors.Is(err, context.DeadlineExceeded) || awsclient.Operation(err) != "" && !awsclient.IsRefusedForGood(err)
	}) {
		c.groups.update(name, func(e *entry) { e.Change().EndFailed = c.clock.Now() })
	}
}

type termination struct {
	*Cache
	group       string
	keepDesired bool // AWS launches others in their place, but none in the place of instances beyond the desired capacity
	deferred    bool // AWS has deferred them one by one, too

	mu    sync.Mutex
	stays map[string]error // guarded by mu
}

func (t *termination) stay(id string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stays[id] = err
}

func (t *termination) stayAll(instances []group.Instance, err error) {
	for _, i := range instances {
		t.stay(i.ID, err)
	}
}

// members returns the instances of the group to terminate, each once, without those on their way out.
func (t *termination) members(ctx context.Context, g *group.Group, all []ending) []group.Instance {
	var members []group.Instance
	slices.SortStableFunc(all, func(a, b ending) int { return strings.Compare(a.id, b.id) })
	for _, e := range slices.CompactFunc(all, func(a, b ending) bool { return a.id == b.id }) {
		id, i := e.id, g.Instance(e.id)
		if i == nil {
			i = t.recent(id)
		}
		var err error
		if i != nil && e.stays != nil {
			err = e.stays(id)
		}
		switch {
		case i == nil || i.Lifecycle.Leaving():
			klog.FromContext(ctx).V(2).Info("Instance is already on its way out", "group", t.group, "instance", id)
		case !i.Lifecycle.Counts():
			t.stay(id, fmt.Errorf("it is in state %s: put it back into service, or terminate it by hand", i.Lifecycle))
		case err != nil:
			t.stay(id, err)
		default:
			members = append(members, *i)
		}
	}
	return members
}

// beyondDesired terminates members as AWS has them beyond the desired capacity, which stays: AWS launches none in their place. It returns the others.
func (t *termination) beyondDesired(ctx context.Context, g *group.Group, members []group.Instance) []group.Instance {
	left, n := min(g.Kept(), g.Reached()-g.MinSize), 0
	for n < len(members) && members[n].Weight <= left {
		left, n = left-members[n].Weight, n+1
	}
	t.keepDesired = true
	t.all(ctx, members[:n:n])
	t.keepDesired, t.deferred = false, false
	return members[n:]
}

// beyondMinimum leaves out members that the minimum size needs, and has the desired capacity cover the others.
func (t *termination) beyondMinimum(ctx context.Context, g *group.Group, members []group.Instance) []group.Instance {
	left, ending := g.Covered(), 0
	members = slices.DeleteFunc(members, func(i group.Instance) bool {
		if left-i.Weight < g.MinSize {
			t.stay(i.ID, &group.LimitError{Group: t.group, Desired: left - i.Weight, Limit: g.MinSize})
			return true
		}
		left, ending = left-i.Weight, ending+i.Weight
		return false
	})
	if g.DesiredCapacity-ending < g.MinSize && len(members) > 0 {
		g, err := t.Reread(ctx, t.group)
		if err == nil {
			err = t.raise(ctx, g, g.Covered(), 0)
		}
		if err != nil {
			t.stayAll(members, err)
			return nil
		}
	}
	return members
}

// recent returns the instance if it came so lately that a reading without it may be older, or nil.
func (t *termination) recent(id string) (i *group.Instance) {
	t.look(t.group, func(e *entry) { i = e.Recent(id) })
	return i
}

// isDeferred reports whether AWS did nothing because another change of the group is under way.
func isDeferred(err error) bool {
	return awsclient.IsContended(err) || strings.HasPrefix(awsclient.Code(err), "ScalingActivityInProgress")
}

// all terminates the members. It asks again for those that AWS defers to another change of the group: their nodes are drained in vain if they stay.
func (t *termination) all(ctx context.Context, members []group.Instance) {
	for began := t.clock.Now(); ; {
		for batch := range slices.Chunk(members, terminationsPerCall) {
			t.batch(ctx, batch)
		}
		members = slices.DeleteFunc(members, func(i group.Instance) bool { return !isDeferred(t.stays[i.ID]) })
		if len(members) == 0 || t.clock.Since(began) >= contendedPatience || awsclient.Pause(ctx, t.clock, unansweredPoll) != nil {
			return
		}
		t.deferred = true
		for _, i := range members {
			delete(t.stays, i.ID)
		}
	}
}

// batch terminates up to 100 instances by one call, or one by one those that are in service after a refusal or without an answer.
func (t *termination) batch(ctx context.Context, members []group.Instance) {
	for misses := 0; len(members) > 1; {
		if _, open := t.calls.batchTermination.Open(t.group); open {
			break
		}
		began := t.clock.Now()
		out, err := t.tryBatch(ctx, members)
		if err == nil || awsclient.IsRefused(err) || isDeferred(err) {
			if !awsclient.IsUnsent(err) {
				t.calls.batchTermination.Answered(t.group)
			}
			if misses > 0 && err != nil { // AWS may have carried out an earlier try
				sure := false
				if members, sure = t.staying(ctx, members, began.Add(settleTime), err); len(members) == 0 || !sure {
					t.stayAll(members, err)
					return
				}
			}
			t.answered(ctx, members, out, err)
			return
		}
		klog.FromContext(ctx).Info("AWS did not answer a termination, reading its outcome", "group", t.group, "instances", len(members),
			"err", awsclient.Brief(err))
		misses++
		until, enough := began.Add(settleTime), t.calls.batchTermination.Enough(misses)
		if !enough {
			until = began.Add(unansweredPoll)
		}
		staying, sure := t.staying(ctx, members, until, err)
		switch {
		case !sure:
			t.stayAll(staying, err)
			return
		case enough:
			if t.each(ctx, staying) > 0 {
				t.calls.batchTermination.Missed(ctx, t.group, began, err)
			}
			return
		}
		members = staying
	}
	t.each(ctx, members)
}

// tryBatch terminates the instances by one call, which it repeats only where AWS throttles it: a reading shows first what came of any other.
func (t *termination) tryBatch(ctx context.Context, members []group.Instance) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
	ids := make([]string, len(members))
	for at, i := range members {
		ids[at] = i.ID
	}
	for try, most := 1, 1; ; try++ {
		out, err := t.api.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
			AutoScalingGroupName: aws.String(t.group), InstanceIds: ids, ShouldDecrementDesiredCapacity: aws.Bool(!t.keepDesired),
		}, awsclient.Once(&most))
		passes := awsclient.IsThrottled(err) || awsclient.IsClockSkewed(err)
		if try >= most || !passes || awsclient.Pause(ctx, t.clock, unansweredPoll) != nil {
			return out, err
		}
	}
}

func (t *termination) answered(ctx context.Context, members []group.Instance, out *autoscaling.TerminateInstanceInAutoScalingGroupOutput, err error) {
	var unreadTags *unreadTagsError
	switch {
	case err == nil:
		named, unnamed := byAnswer(out, members)
		if t.accepted(ctx, named); len(unnamed) == 0 {
			return
		}
		staying, sure := t.staying(ctx, unnamed, t.clock.Now().Add(settleTime), errNotNamed)
		if len(staying) < len(members) || !sure {
			t.stayAll(staying, errNotNamed)
		} else if t.each(ctx, staying) == len(staying) { // AWS accepted the call and did nothing
			t.calls.batchTermination.Refuse(ctx, errNotNamed)
		}
	case awsclient.IsThrottled(err), awsclient.IsDenied(err), awsclient.IsUnauthenticated(err), errors.As(err, &unreadTags), isDeferred(err) && t.deferred:
		t.stayAll(members, err)
	case awsclient.IsUnsent(err): // one of them belongs to another cluster
		t.each(ctx, members)
	default:
		klog.FromContext(ctx).V(2).Info("AWS refused to terminate several instances at once, trying one by one", "group", t.group,
			"instances", len(members), "err", awsclient.Brief(err))
		if t.each(ctx, members) == len(members) && (awsclient.IsUnsupported(err) || awsclient.NamesParameter(err, "InstanceId")) {
			t.calls.batchTermination.Refuse(ctx, err)
		}
	}
}

// each terminates the instances by one call each, several at a time, and returns how many calls succeeded.
func (t *termination) each(ctx context.Context, members []group.Instance) int {
	var succeeded atomic.Int32
	blocked := make([]error, len(members))
	awsclient.Parallel(len(members), terminationsAtOnce, func(at int) {
		i := members[at]
		_, err := t.api.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
			InstanceId: aws.String(i.ID), ShouldDecrementDesiredCapacity: aws.Bool(!t.keepDesired),
		})
		switch {
		case err == nil:
			t.accepted(ctx, members[at:at+1])
			succeeded.Add(1)
		case awsclient.IsUnsent(err):
			t.stay(i.ID, err)
		case awsclient.IsInstanceNotFound(err): // gone since the reading, or too young
			t.look(t.group, func(e *entry) {
				if !e.NotFound(i.ID, t.clock.Now()) {
					blocked[at] = err
				}
			})
		// A termination may be under way, maybe our own, if the SDK repeats the call because its answer was lost. What else is not found, the text does not say.
		case awsclient.IsRefused(err), isDeferred(err):
			blocked[at] = err
		default:
			// Until that is known, the caller would give the node new pods.
			staying, _ := t.staying(ctx, members[at:at+1], t.clock.Now().Add(settleTime), err)
			t.stayAll(staying, err)
		}
	})
	t.readBlocked(ctx, members, blocked)
	return int(succeeded.Load())
}

// readBlocked reads once which instances with an error are on their way out. The others stay.
func (t *termination) readBlocked(ctx context.Context, members []group.Instance, errs []error) {
	var blocked []group.Instance
	of := map[string]error{}
	for at, err := range errs {
		if err != nil {
			blocked = append(blocked, members[at])
			of[members[at].ID] = err
		}
	}
	if len(blocked) == 0 {
		return
	}
	until := t.clock.Now()
	if slices.ContainsFunc(errs, awsclient.IsThrottled) { // after a try of the SDK that AWS may have carried out
		until = until.Add(settleTime)
	}
	staying, _ := t.staying(ctx, blocked, until, of[blocked[0].ID])
	for _, i := range staying {
		t.stay(i.ID, of[i.ID])
	}
}

// byAnswer divides the instances of a batch by whether AWS's answer names them. AWS may have terminated the others or not.
func byAnswer(out *autoscaling.TerminateInstanceInAutoScalingGroupOutput, batch []group.Instance) (named, unnamed []group.Instance) {
	activities := out.Activities
	if out.Activity != nil {
		activities = append(slices.Clone(activities), *out.Activity)
	}
	for _, i := range batch {
		if slices.ContainsFunc(activities, func(a types.Activity) bool { return strings.Contains(aws.ToString(a.Description), i.ID) }) {
			named = append(named, i)
		} else {
			unnamed = append(unnamed, i)
		}
	}
	return named, unnamed
}

var errNotNamed = errors.New("AWS accepted the termination of several instances and did not terminate this one: it is tried again")

// staying returns the instances that readings show in service until a moment after an unanswered call. The others are done. sure is false if no
// reading began after that moment. An older one may be what is known after Reread, too, where another write has made the newest one too old.
func (t *termination) staying(ctx context.Context, members []group.Instance, until time.Time, cause error) (staying []group.Instance, sure bool) {
	for {
		g, err := t.Reread(ctx, t.group)
		if err == nil {
			members = slices.DeleteFunc(slices.Clone(members), func(i group.Instance) bool {
				now := g.Instance(i.ID)
				if now == nil && t.recent(i.ID) != nil || now != nil && !now.Lifecycle.Leaving() {
					return false // the reading may be older than the instance
				}
				klog.FromContext(ctx).Info("Instance is on its way out after a call that AWS refused or did not answer", "group", t.group, "instance", i.ID,
					"err", awsclient.Brief(cause))
				t.groups.update(t.group, func(e *entry) { e.Terminated([]group.Instance{i}, !t.keepDesired, t.clock.Now()) })
				return true
			})
		}
		switch {
		case len(members) == 0, err == nil && !g.ReadAt.Before(until):
			return members, true
		case ctx.Err() != nil, errors.Is(err, ErrGroupNotFound):
			return members, false
		}
		_ = awsclient.Pause(ctx, t.clock, unansweredPoll) // the next reading reports the end of ctx
	}
}

// accepted enters that AWS took our terminations of the members, so that it does not deny or fail them any more.
func (t *termination) accepted(ctx context.Context, members []group.Instance) {
	for _, i := range members {
		klog.FromContext(ctx).V(1).Info("Terminated instance", "group", t.group, "instance", i.ID, "desiredCapacityStays", t.keepDesired)
	}
	t.groups.update(t.group, func(e *entry) {
		e.Terminated(members, !t.keepDesired, t.clock.Now())
		g := e.Change()
		g.Denied, g.EndFailed = group.Pause{}, time.Time{}
	})
}
