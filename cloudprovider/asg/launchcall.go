package asg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/smithy-go"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// launchOrder makes one call and enters its answer.
func (c *Cache) launchOrder(ctx context.Context, g *group.Group, o launchRequest) (r launchResult) {
	began := c.clock.Now()
	defer func() {
		// A call that the endpoint does not know is no failure where another one launches then.
		another := awsclient.IsUnknownCall(r.err) && c.options.LaunchMode != LaunchSynchronous
		if !another && (!r.replayed || len(r.launched) > 0) {
			c.options.Launched(Launch{Group: g.Name, Zone: o.zone, Call: "LaunchInstances", Asked: o.count, Launched: len(r.launched), Started: began,
				Failures: r.failures}.ended(c.clock.Now(), r.err))
		}
	}()
	c.look(g.Name, func(e *entry) { e.BeginLaunch(o.count * g.Source.MinWeight()) })
	defer c.groups.update(g.Name, func(e *entry) { e.EndLaunch() })
	at, err := c.options.TokenTime(ctx)
	if err != nil {
		return launchResult{err: o.wrap(err)}
	}
	o.began = c.clock.Now()
	o.key = ledger.KeyOf(g, o.zone, o.batch, at)
	out, err := c.launchInstances(ctx, g, o)
	if err != nil {
		return launchResult{err: o.wrap(err)}
	}
	return c.launched(ctx, g, o, out)
}

// launchInstances makes one call and repeats it with its token until AWS reports the outcome. The token makes the tries one launch.
func (c *Cache) launchInstances(ctx context.Context, g *group.Group, o launchRequest) (*autoscaling.LaunchInstancesOutput, error) {
	token := func() (token *string) {
		c.look(g.Name, func(e *entry) { token = aws.String(e.Token(g.Name, o.key)) })
		return token
	}
	in := &autoscaling.LaunchInstancesInput{
		AutoScalingGroupName: aws.String(g.Name),
		RequestedCapacity:    aws.Int32(int32(o.count * g.Source.MinWeight())),
		AvailabilityZones:    []string{o.zone},
		ClientToken:          token(),
		RetryStrategy:        types.RetryStrategyNone,
	}
	var lost error // of a try that AWS did not answer, and may carry out
	for misses, working := 0, false; ; {
		if _, err := c.options.TokenTime(ctx); err != nil { // it stays the same for this try, too
			return nil, err
		}
		began := c.clock.Now()
		asking, cancel := context.WithTimeout(ctx, impatientTimeout)
		out, err := c.api.LaunchInstances(asking, in, awsclient.Once(new(int))) // our own repetition with the token learns more
		cancel()
		asked := c.clock.Since(o.began)
		answered := awsclient.IsRefused(err) && !awsclient.IsUnsent(err)
		if err == nil || awsclient.IsInProgress(err) || answered {
			c.calls.launch.Answered(g.Name)
		}
		refused := answered && !awsclient.IsTokenDisputed(err) &&
			!(awsclient.IsThrottled(err) && asked < throttledPatience) && !(awsclient.IsContended(err) && asked < contendedPatience)
		switch {
		case err == nil:
			return out, nil
		case awsclient.IsInProgress(err): // our own launch, or a previous leader's
			if misses, working = 0, true; asked > workingPatience {
				return nil, c.leaveZone(g, o, err)
			}
		case refused && (working || lost != nil):
			if awsclient.IsDenied(err) {
				c.refusals.refused(ctx, g.Name, err)
			}
			if working {
				return nil, c.leaveZone(g, o, err)
			}
			return nil, c.unansweredLaunch(g, o, began, lost)
		case awsclient.IsContended(err):
			if asked >= contendedPatience {
				return nil, c.unansweredLaunch(g, o, began, err)
			}
			klog.FromContext(ctx).Info("AWS is at another change of the group, asking again", "group", g.Name, "zone", o.zone)
		case awsclient.IsTokenDisputed(err):
			ended := false
			c.look(g.Name, func(e *entry) { ended = e.PassOver(o.key, g.ReadAt) })
			if !ended || asked > workingPatience {
				return nil, fmt.Errorf("a launch of other instances in the same place began before ours, its outcome is not known yet: %w", err)
			}
			in.ClientToken = token()
			continue
		case (awsclient.IsThrottled(err) || awsclient.IsClockSkewed(err)) && asked < throttledPatience:
		case awsclient.IsUnsent(err), awsclient.IsUnauthenticated(err), c.isNoRefusalOfTheCall(err):
			return nil, err
		case awsclient.IsThrottled(err) && awsclient.IsRefused(err): // the older call has a rate of its own
			c.calls.launch.Missed(ctx, g.Name, began, err)
			return nil, because(errNotSynchronous, err)
		case awsclient.IsUnknownCall(err), awsclient.IsRefused(err):
			if !c.overtaken(ctx, o, err) {
				c.refusals.refused(ctx, g.Name, err)
			}
			return nil, because(errNotSynchronous, err)
		default:
			klog.FromContext(ctx).Info("AWS did not answer a launch, asking again with its token", "group", g.Name, "zone", o.zone, "err", awsclient.Brief(err))
			lost = err
			if misses++; c.calls.launch.Enough(misses) {
				if working {
					return nil, c.leaveZone(g, o, err)
				}
				return nil, c.unansweredLaunch(g, o, began, err)
			}
		}
		if ended := awsclient.Pause(ctx, c.clock, began.Add(unansweredPoll).Sub(c.clock.Now())); ended != nil {
			return nil, because(err, ended)
		}
	}
}

// isNoRefusalOfTheCall reports whether AWS refused a launch for a reason that the older call does not help against, or that is soon over: a passing
// state, and a rate where the mode allows no other call. AWS sends a fault's code with the status 500 or more. Another endpoint may refuse by it a
// call that it does not know.
func (c *Cache) isNoRefusalOfTheCall(err error) bool {
	switch code := awsclient.Code(err); awsmessage.OfCode(code) {
	case awsmessage.Transient:
		fault := strings.HasPrefix(code, "Internal") || strings.HasPrefix(code, "Server") || strings.HasSuffix(code, "Unavailable")
		return awsclient.IsRefused(err) && !fault
	case awsmessage.Throttle:
		return awsclient.IsRefused(err) && c.options.LaunchMode == LaunchSynchronous
	}
	return false
}

// unansweredLaunch returns the error of a launch without an answer. Later ones get another token, unless the zone must be asked again.
func (c *Cache) unansweredLaunch(g *group.Group, o launchRequest, began time.Time, err error) error {
	if c.options.LaunchMode != LaunchSynchronous && !o.alone {
		c.groups.update(g.Name, func(e *entry) { e.UseKey(o.key) })
	}
	missed := &unansweredError{cause: err, began: began, settled: began, zones: []string{o.zone}}
	if !awsclient.IsAnswer(err) || (o.alone || c.options.LaunchMode == LaunchSynchronous) && !awsclient.IsContended(err) || g.Source.Weighted() {
		// AWS is done with a call once it has answered with a fault. But a reading can be older than the launch. The next zone would launch too many
		// then, because no desired capacity makes up for it. A weighted group may have got more than it was asked for.
		missed.settled = began.Add(settleTime)
	}
	return missed
}

// leaveZone begins a cool-down of the zone of a launch that AWS is still at, and returns the error.
func (c *Cache) leaveZone(g *group.Group, o launchRequest, err error) error {
	c.available.failed.Passing(g.Name, o.zone, awsclient.Brief(err))
	return fmt.Errorf("its outcome is not known: %w", err)
}

// overtaken reports whether AWS may have refused a launch only because the group is gone, or has no room or not the zone since the plan. It costs a call.
func (c *Cache) overtaken(ctx context.Context, o launchRequest, refusal error) bool {
	switch {
	case awsclient.IsGroupNotFound(refusal):
		return true
	case !awsclient.IsInvalid(refusal):
		return false
	}
	now, err := c.Reread(ctx, o.group)
	return err != nil || now.Room() < o.count || o.zone != "" && !slices.Contains(now.Zones, o.zone)
}

// outcomeOf reads the group to find out the outcome of unanswered launches. before is the group before all launches, and answers is how often AWS had
// answered by then. It adds the instances in the reading to the launched ones. If some of n are still missing, the error is missed, or the reading's.
func (c *Cache) outcomeOf(ctx context.Context, before *group.Group, zone string, n, answers int, launched []group.Instance, missed *unansweredError) ([]group.Instance, error) {
	if wait := missed.settled.Sub(c.clock.Now()); wait > 0 {
		if err := awsclient.Pause(ctx, c.clock, wait); err != nil {
			return launched, err
		}
	}
	g, err := c.Reread(ctx, before.Name)
	if err != nil {
		return launched, err
	}
	launched = union(launched, g.NewSince(before, zone))
	if g.Shortfall(n, launched) > 0 {
		return launched, missed
	}
	klog.FromContext(ctx).Info("AWS carried out an unanswered call", "group", g.Name, "desired", g.DesiredCapacity, "err", awsclient.Brief(missed.cause))
	if zone == "" && c.options.LaunchMode != LaunchSynchronous && c.calls.launch.Answers(g.Name) == answers {
		c.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause) // or the next launch would wait as long
	}
	return launched, nil
}

// settleUnanswered decides what follows from unanswered launches. answers is how often AWS had answered before them. Usually it leaves the zones
// alone, so that launches go elsewhere. But if AWS has answered no launch since, and has missed zonal launches in two zones, or in one before it
// answered any, the call itself is in trouble: the group uses the older one for a minute, and settleUnanswered returns true. It also returns true
// where AWS has refused the call meanwhile, or answered with nothing. The group uses the older call for synchronousRetry then.
func (c *Cache) settleUnanswered(ctx context.Context, g *group.Group, zonal bool, answers int, missed *unansweredError) bool {
	if c.refusals.of(g.Name) != nil {
		return true
	}
	silent := append(slices.Clone(missed.zones), c.available.failed.UnansweredZones(g.Name)...)
	slices.Sort(silent)
	if c.options.LaunchMode == LaunchSynchronous || c.calls.launch.Answers(g.Name) > answers ||
		zonal && len(slices.Compact(silent)) < 2 && c.calls.launch.Known() {
		c.leaveAlone(g, missed)
		return false
	}
	c.available.failed.Answered(g.Name)
	c.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause)
	return true
}

func (c *Cache) leaveAlone(g *group.Group, missed *unansweredError) {
	for _, zone := range missed.zones {
		c.available.failed.Unanswered(g.Name, zone, awsclient.Brief(missed.cause))
	}
}

// errAnsweredNothing is the error of an endpoint that accepts a call which it does not know.
var errAnsweredNothing = errors.New("AWS answered with neither instances nor errors")

func (c *Cache) launched(ctx context.Context, g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) launchResult {
	result := launchResult{replayed: c.dropEnded(ctx, g, o, out)}
	if err := c.deniedIn(ctx, g, o, out); err != nil {
		return launchResult{err: err}
	}
	var arrived []group.Instance
	for _, some := range out.Instances {
		for _, id := range some.InstanceIds {
			i := group.Instance{ID: id, Type: aws.ToString(some.InstanceType), Zone: cmp.Or(aws.ToString(some.AvailabilityZone), o.zone), Lifecycle: "Pending"}
			weight, known := g.Source.WeightOf(i.Type, c.options.Types())
			i.Weight, i.Unweighed = weight, !known
			arrived = append(arrived, i)
		}
		if !result.replayed {
			c.available.failed.Succeed(g.Name, g.Pool(aws.ToString(some.InstanceType), o.zone), c.clock.Now(), false)
		}
	}
	now := c.clock.Now()
	for _, e := range out.Errors {
		m := meaningOf(g, o, e)
		failure := cooldown.NewFailure(m, aws.ToString(e.ErrorMessage), now)
		c.available.failed.Fail(g.Name, m, failure.Message)
		result.failures = append(result.failures, *failure)
	}
	for _, k := range result.failures.Kinds() {
		klog.FromContext(ctx).Info("AWS could not launch requested instances", "group", g.Name, "pool", k.Pools(), "code", k.Code, "message", k.Message)
	}
	if len(arrived) > 0 {
		klog.FromContext(ctx).V(0).Info("Launched instances", "group", g.Name, "zone", o.zone, "instances", len(arrived), "of", o.count)
	}
	c.groups.update(g.Name, func(e *entry) { e.Launched(o.key, arrived, now) })
	result.launched = arrived
	if result.replayed {
		return result
	}
	if len(arrived) == 0 && len(result.failures) == 0 {
		result.err = fmt.Errorf("launch in %s of auto scaling group %q: %w", o.zone, g.Name, errAnsweredNothing)
		if c.options.LaunchMode != LaunchSynchronous {
			c.refusals.refused(ctx, g.Name, errAnsweredNothing)
			result.err = c.unansweredLaunch(g, o, o.began, errAnsweredNothing)
		}
		return result
	}
	c.refusals.answered(g.Name)
	// AWS does not document that it names each pool that it has tried, so this launch leaves the zone alone after any failure.
	if _, closed := c.available.inZone(g, o.zone); !closed && len(result.failures) > 0 && g.Shortfall(o.count, arrived) > 0 {
		result.passing = map[string]string{o.zone: result.failures[0].Message}
	}
	return result
}

// deniedIn returns the error of an answer without instances because somebody lacks a permission. A synchronous launch needs more permissions than
// Auto Scaling's own, so this counts as a refusal of the call.
func (c *Cache) deniedIn(ctx context.Context, g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) error {
	if len(out.Instances) > 0 || len(out.Errors) == 0 || slices.ContainsFunc(out.Errors, func(e types.LaunchInstancesError) bool {
		m := meaningOf(g, o, e)
		return m.Class != awsmessage.Permission || m.Action == "" && unnamed[aws.ToString(e.ErrorCode)] == ""
	}) {
		return nil
	}
	c.groups.update(g.Name, func(e *entry) { e.UseKey(o.key) })
	err := &smithy.GenericAPIError{Code: aws.ToString(out.Errors[0].ErrorCode), Message: aws.ToString(out.Errors[0].ErrorMessage)}
	klog.FromContext(ctx).Info("AWS was not allowed to launch requested instances", "group", g.Name, "code", err.Code,
		"action", meaningOf(g, o, out.Errors[0]).Action)
	c.refusals.refused(ctx, g.Name, err)
	return because(errNotSynchronous, err)
}
