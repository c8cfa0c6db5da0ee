package asg

import (
	"cmp"
	"context"
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
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// launchRequest is one call to come: a number of instances in a zone.
type launchRequest struct {
	group string
	zone  string
	count int
	batch int // its number among the requests for the zone
	key   ledger.Key
	began time.Time // the first try
	alone bool      // no other zone serves
}

func (o launchRequest) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("launch %d instances in %s of auto scaling group %q: %w", o.count, o.zone, o.group, err)
}

func meaningOf(g *group.Group, o launchRequest, e types.LaunchInstancesError) awsmessage.Meaning {
	return g.Complete(awsmessage.OfLaunch(aws.ToString(e.ErrorCode), cooldown.Bounded(aws.ToString(e.ErrorMessage)), aws.ToString(e.InstanceType),
		cmp.Or(aws.ToString(e.AvailabilityZone), o.zone), aws.ToString(e.MarketType)))
}

type launchResult struct {
	launched []group.Instance
	failures cooldown.Failures
	replayed bool // AWS replayed an answer to a previous leader
	// unweighed reports that the weight of some instances is unknown.
	unweighed bool
	missed    *unansweredError // the launches that AWS did not answer
	err       error            // why another call is not worth it now
}

// LaunchError is the error of a launch that brought nothing, in AWS's words.
type LaunchError struct {
	Group string
	cooldown.Failures
}

func (e *LaunchError) Error() string {
	var all []string
	for _, k := range e.Kinds() {
		all = append(all, fmt.Sprintf("%s (%s): %s", k.Code, k.Pools(), k.Message))
	}
	return fmt.Sprintf("launch in auto scaling group %q: %s", e.Group, strings.Join(all, "; "))
}

func (l *launcher) launched(ctx context.Context, g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) launchResult {
	if err := l.deniedIn(ctx, g, o, out); err != nil {
		return launchResult{err: err}
	}
	l.refusals.forget(g.Name)
	var result launchResult
	var arrived []group.Instance
	instances := out.Instances
	if result.replayed = hasAny(g, out) || l.replays.endedBefore(o, out); result.replayed {
		instances = nil
	}
	for _, some := range instances {
		for _, id := range some.InstanceIds {
			i := group.Instance{ID: id, Type: aws.ToString(some.InstanceType), Zone: cmp.Or(aws.ToString(some.AvailabilityZone), o.zone), Lifecycle: "Pending"}
			var weighed bool
			i.Weight, weighed = g.Source.WeightOf(i.Type, l.types)
			result.unweighed = result.unweighed || !weighed
			arrived = append(arrived, i)
		}
		pool := cooldown.Pool{InstanceType: aws.ToString(some.InstanceType), Zone: o.zone, CapacityType: g.CapacityType()}
		l.available.failed.Succeed(g.Name, pool, l.clock.Now())
	}
	now := l.clock.Now()
	for _, e := range out.Errors {
		m := meaningOf(g, o, e)
		failure := cooldown.NewFailure(m, aws.ToString(e.ErrorMessage), now)
		l.available.failed.Fail(g.Name, m, failure.Message, o.key.OldUntil())
		result.failures = append(result.failures, *failure)
	}
	for _, k := range result.failures.Kinds() {
		klog.FromContext(ctx).Info("AWS could not launch requested instances", "group", g.Name, "pool", k.Pools(), "code", k.Code, "message", k.Message)
	}
	if len(arrived) > 0 {
		klog.FromContext(ctx).V(0).Info("Launched instances", "group", g.Name, "zone", o.zone, "instances", len(arrived), "of", o.count)
	}
	l.groups.update(g.Name, func(e *entry) { e.Launched(o.key, arrived, o.began, serverTime(out.ResultMetadata, now), now) })
	result.launched = arrived
	if len(arrived) == 0 && len(result.failures) == 0 && !result.replayed {
		result.err = fmt.Errorf("launch in %s of auto scaling group %q: AWS answered with neither instances nor errors", o.zone, g.Name)
	}
	if g.Shortfall(o.count, arrived) > 0 && len(result.failures) > 0 && !l.closed(g, result.failures) {
		result.err = &LaunchError{Group: g.Name, Failures: result.failures}
	}
	return result
}

// closed reports whether the failures began a cool-down, so that another try goes elsewhere.
func (l *launcher) closed(g *group.Group, failures cooldown.Failures) bool {
	return slices.ContainsFunc(failures, func(f cooldown.Failure) bool {
		_, resting := l.available.failed.Of(g.Name, f.Pool)
		return resting
	})
}

// deniedIn returns the error of an answer without instances because somebody lacks a permission. A synchronous launch needs more permissions than
// Auto Scaling's own, so this counts as a refusal of the call.
func (l *launcher) deniedIn(ctx context.Context, g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) error {
	denied := func(e types.LaunchInstancesError) bool { return meaningOf(g, o, e).Class == awsmessage.Permission }
	if len(out.Instances) > 0 || len(out.Errors) == 0 || slices.ContainsFunc(out.Errors, func(e types.LaunchInstancesError) bool { return !denied(e) }) {
		return nil
	}
	l.groups.update(g.Name, func(e *entry) { e.UseKey(o.key) })
	err := &smithy.GenericAPIError{Code: aws.ToString(out.Errors[0].ErrorCode), Message: cooldown.Bounded(aws.ToString(out.Errors[0].ErrorMessage))}
	klog.FromContext(ctx).Info("AWS was not allowed to launch requested instances", "group", g.Name, "code", err.Code,
		"action", meaningOf(g, o, out.Errors[0]).Action)
	l.refusals.refused(ctx, g.Name, err)
	return because(errNotSynchronous, err)
}
