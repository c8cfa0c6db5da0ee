package asg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// launchOrder makes one call and enters its answer. It calls again where the first answer may be an old failure.
func (l *launcher) launchOrder(ctx context.Context, g *group.Group, o launchRequest) launchResult {
	l.look(g.Name, func(e *entry) { e.BeginLaunch() })
	defer l.look(g.Name, func(e *entry) { e.EndLaunch() })
	come, err := l.replays.awaitPredecessor(ctx, g, o, ledger.TokenAge)
	if err != nil || len(come) > 0 {
		return launchResult{launched: come, err: o.wrap(err)}
	}
	o.began = l.clock.Now()
	o.key = ledger.KeyOf(g, o.zone, o.batch, o.began)
	out, err := l.launchInstances(ctx, g, o)
	if err == nil && l.replays.isOldFailure(g, o, out) {
		l.groups.update(g.Name, func(e *entry) { e.UseKey(o.key) })
		if come, err = l.replays.awaitPredecessor(ctx, g, o, ledger.FailureAge); err != nil || len(come) > 0 {
			return launchResult{launched: come, err: o.wrap(err)}
		}
		o.began = l.clock.Now()
		o.key = o.key.Retry(o.began)
		out, err = l.launchInstances(ctx, g, o)
	}
	if err != nil {
		return launchResult{err: o.wrap(err)}
	}
	return l.launched(ctx, g, o, out)
}

// launchInstances makes one call and repeats it with its token until AWS reports the outcome. The token makes the tries one launch.
func (l *launcher) launchInstances(ctx context.Context, g *group.Group, o launchRequest) (*autoscaling.LaunchInstancesOutput, error) {
	uses := 0
	l.look(g.Name, func(e *entry) { uses = e.Uses(o.key) })
	in := &autoscaling.LaunchInstancesInput{
		AutoScalingGroupName: aws.String(g.Name),
		RequestedCapacity:    aws.Int32(int32(o.count * g.Source.MinWeight())),
		AvailabilityZones:    []string{o.zone},
		ClientToken:          aws.String(o.key.Token(g.Name, uses)),
		RetryStrategy:        types.RetryStrategyNone,
	}
	for misses, working := 0, false; ; {
		began := l.clock.Now()
		out, err := l.api.LaunchInstances(ctx, in, awsclient.Impatient, once)
		asked := l.clock.Since(o.began)
		if err == nil || awsclient.IsInProgress(err) || awsclient.IsRefused(err) && !awsclient.IsUnsent(err) {
			l.calls.launch.Answered(g.Name)
		}
		switch {
		case err == nil:
			return out, nil
		case awsclient.IsInProgress(err): // our own launch, or a previous leader's
			if misses, working = 0, true; asked > workingPatience {
				return nil, l.leaveZone(g, o, err)
			}
		case awsclient.IsContended(err):
			if asked >= contendedPatience {
				return nil, l.unansweredLaunch(g, o, began, err)
			}
			klog.FromContext(ctx).Info("AWS is at another change of the group, asking again", "group", g.Name, "zone", o.zone)
		case awsclient.IsTokenDisputed(err):
			l.groups.update(g.Name, func(e *entry) { e.NoteConflict(o.key, l.clock.Now()) })
			return nil, fmt.Errorf("a launch of other instances in the same place began before ours, its outcome is not known yet: %w", err)
		case awsclient.IsUnsupported(err), awsclient.IsDenied(err), awsclient.IsInvalid(err):
			if !l.overtaken(ctx, o, err) {
				l.refusals.refused(ctx, g.Name, err)
			}
			return nil, because(errNotSynchronous, err)
		case awsclient.IsThrottled(err) && asked < throttledPatience:
		case awsclient.IsRefused(err):
			return nil, err
		default:
			klog.FromContext(ctx).Info("AWS did not answer a launch, asking again with its token", "group", g.Name, "zone", o.zone, "err", awsclient.Brief(err))
			if misses++; l.calls.launch.Enough(misses) {
				if working {
					return nil, l.leaveZone(g, o, err)
				}
				return nil, l.unansweredLaunch(g, o, began, err)
			}
		}
		if ended := pause(ctx, l.clock, began.Add(unansweredPoll).Sub(l.clock.Now())); ended != nil {
			return nil, because(err, ended)
		}
	}
}

// once keeps the SDK from repeating the call. Our own repetition with the token learns more.
func once(o *autoscaling.Options) { o.RetryMaxAttempts = 1 }

// unansweredLaunch returns the error of a launch that AWS has not answered. Later launches in the zone get another token, unless the zone must be
// asked again with the same one.
func (l *launcher) unansweredLaunch(g *group.Group, o launchRequest, began time.Time, err error) error {
	if l.mode != LaunchSynchronous && !o.alone {
		l.groups.update(g.Name, func(e *entry) { e.UseKey(o.key) })
	}
	missed := newUnanswered(began, err)
	missed.zones = []string{o.zone}
	if (o.alone || l.mode == LaunchSynchronous) && !awsclient.IsContended(err) || g.Source.Weighted() {
		// A reading can be older than the launch. The next zone would launch too many then, because no desired capacity makes up for it. A
		// weighted group may have got more than it was asked for.
		missed.settled = began.Add(settleTime)
	}
	return missed
}

// leaveZone begins a cool-down of the zone of an unanswered launch, and returns the error.
func (l *launcher) leaveZone(g *group.Group, o launchRequest, err error) error {
	l.available.failed.Unanswered(g.Name, o.zone, awsclient.Brief(err))
	return fmt.Errorf("its outcome is not known: %w", err)
}

// overtaken reports whether AWS refused a launch because the group has changed since the plan: it is gone, or has no room. Another launch may be
// allowed. It costs a call.
func (l *launcher) overtaken(ctx context.Context, o launchRequest, refusal error) bool {
	switch {
	case awsclient.IsGroupNotFound(refusal):
		return true
	case !awsclient.IsInvalid(refusal):
		return false
	}
	now, err := l.reader.Reread(ctx, o.group)
	return errors.Is(err, ErrGroupNotFound) || err == nil && now.Room() < o.count
}

// outcomeOf reads the group to find out the outcome of unanswered launches. before is the group before all launches, and answers is how often AWS had
// answered by then. It adds the instances in the reading to the launched ones. If some of n are still missing, the error is missed, or the reading's.
func (l *launcher) outcomeOf(ctx context.Context, before *group.Group, zone string, n, answers int, launched []group.Instance, missed *unansweredError) ([]group.Instance, error) {
	if wait := missed.settled.Sub(l.clock.Now()); wait > 0 {
		if err := pause(ctx, l.clock, wait); err != nil {
			return launched, err
		}
	}
	g, err := l.reader.Reread(ctx, before.Name)
	if err != nil {
		return launched, err
	}
	launched = union(launched, g.NewSince(before, zone))
	if g.Shortfall(n, launched) > 0 {
		return launched, missed
	}
	klog.FromContext(ctx).Info("AWS carried out an unanswered call", "group", g.Name, "desired", g.DesiredCapacity, "err", awsclient.Brief(missed.cause))
	if zone == "" && l.mode != LaunchSynchronous && l.calls.launch.Answers(g.Name) == answers {
		l.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause) // or the next launch would wait as long
	}
	return launched, nil
}

// settleUnanswered decides what follows from unanswered launches. answers is how often AWS had answered before them. Usually it leaves the zones
// alone, so that launches go elsewhere. But if AWS has answered no launch since, and has missed zonal launches in two zones, the call itself is in
// trouble: the group uses the older one for a minute, and settleUnanswered returns true.
func (l *launcher) settleUnanswered(ctx context.Context, g *group.Group, zonal bool, answers int, missed *unansweredError) bool {
	silent := append(slices.Clone(missed.zones), l.available.failed.UnansweredZones(g.Name)...)
	slices.Sort(silent)
	if l.mode == LaunchSynchronous || l.calls.launch.Answers(g.Name) > answers || zonal && len(slices.Compact(silent)) < 2 {
		l.leaveAlone(g, missed)
		return false
	}
	l.available.failed.Answered(g.Name)
	l.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause)
	return true
}

func (l *launcher) leaveAlone(g *group.Group, missed *unansweredError) {
	for _, zone := range missed.zones {
		l.available.failed.Unanswered(g.Name, zone, awsclient.Brief(missed.cause))
	}
}
