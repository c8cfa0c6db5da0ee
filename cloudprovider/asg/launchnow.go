package asg

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/smithy-go"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

const (
	// launchesPerCall is the most instances one LaunchInstances launches, and callsAtOnce how many of them are under way.
	launchesPerCall = 100 // EC2 Auto Scaling API reference, RequestedCapacity
	callsAtOnce     = 8
	// launchPoll is the time from one question to the next what came of a launch that AWS did not answer to, or is still at.
	launchPoll = time.Second
	// tokenAge is how long the same launch of the same instances is taken for a repetition of a call whose answer nobody got.
	tokenAge = 10 * time.Minute
	// disputeAge is how long a launch that a process before us began may still be under way.
	disputeAge = 10 * time.Second
	// mostRepeated is how many answers that were given before one launch gets past: a process before us would have had to
	// launch so often in the age of a token, every time from the same instances.
	mostRepeated = 20
	// AWS is asked again for a launch that it throttles for throttledPatience, and for one that it puts off because of another change of the group
	// for contendedPatience. While it is still at a launch it is asked what came of it for workingPatience. Other launches wait meanwhile.
	throttledPatience = 5 * time.Second
	contendedPatience = 6 * time.Second
	workingPatience   = 30 * time.Second
	// arrivingGrace is how long a reading may not show an instance yet that AWS has launched for us.
	arrivingGrace = readingLag
)

// LaunchError tells why AWS launched nothing, in AWS's words.
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

// launch launches n instances in the group at once, g being a fresh reading, and returns those it got: fewer where they weigh more.
// It spreads them over the zones that have capacity, and tries the next ones where AWS says that it has none; or it launches
// them in the one zone that is named. Where an instance counts for what its type has, it launches in one zone after the other, since the first
// may bring all: AWS chooses the types, and gives a whole instance for the smallest part of one. Where nothing at all was launched, the error is a
// *LaunchError, wraps errNotSynchronous, or wraps the SDK's. A *missedError can come with instances. It costs a call per zone and 100 instances.
// The caller has the group's turn.
func (c *Cache) launch(ctx context.Context, g *Group, zone string, n int) (launched []Instance, err error) {
	name := g.Name
	var failures cooldown.Failures
	repeated, before, answers := 0, g, c.calls.launch.Answers(name)
	for rounds := 2*len(g.Zones) + 1; g.lacking(n, launched) > 0 && rounds > 0; rounds-- {
		plan := c.spread(g, zone, g.lacking(n, launched))
		if len(plan) == 0 {
			break
		}
		if g.Source.CountsHardware() {
			plan = []order{slices.MaxFunc(plan, func(a, b order) int { return cmp.Compare(a.count, b.count) })}
		}
		got := c.launchRound(ctx, g, plan)
		launched = withOthers(launched, got.launched)
		failures = append(failures, got.failures...)
		if got.repeated && repeated < mostRepeated {
			repeated++
			rounds++ // nothing came of it, and nothing failed
		} else if g.Source.CountsHardware() && len(got.launched) > 0 {
			rounds++
		}
		if got.missed != nil {
			return c.afterMiss(ctx, before, zone, n, answers, launched, got.missed)
		}
		if got.unweighed {
			return launched, nil // the next reading tells how much they are
		}
		if got.err != nil {
			if len(launched) == 0 {
				return nil, got.err
			}
			klog.FromContext(ctx).Info("Launched less than asked", "group", name, "launched", len(launched), "of", n, "err", awsclient.Brief(got.err))
			return launched, nil
		}
		if _, g = c.entry(name); g == nil {
			return launched, fmt.Errorf("auto scaling group %q: %w", name, ErrGroupNotFound)
		}
	}
	if len(launched) > 0 {
		return launched, nil
	}
	if len(failures) == 0 { // no zone was open
		rest, _ := c.available.inAllZones(g, zone)
		failures = cooldown.Failures{{At: c.clock.Now(), Code: string(rest.Class), Pool: rest.Pool,
			Message: fmt.Sprintf("left alone until %s: %s", rest.Until.UTC().Format(time.TimeOnly), rest.Message)}}
	}
	return nil, &LaunchError{Group: name, Failures: failures}
}

// lacking is how many instances of the least weight are still to come of n, some having been launched. AWS is asked for capacity,
// of which a heavier instance is several times as much.
func (g *Group) lacking(n int, launched []Instance) int {
	least := g.Source.MinWeight()
	missing := n * least
	for _, i := range launched {
		missing -= i.Weight
	}
	return max(0, missing+least-1) / least
}

// order is one call to come: so many instances in a zone.
type order struct {
	group string
	zone  string
	count int
	part  int // of the orders for this zone, which it is
	as    attempt
	began time.Time // when AWS was first asked
	alone bool      // the zone is the only one that will do
}

// inheritance is how long after our first reading of a group instances may come that a process before us asked for: its call
// may have been under way when it ended.
const inheritance = time.Minute

// inherited is how many of the instances that were to be launched, in those of the least weight, have come from a process before us
// since before, the group by which that was decided; in the zone if one is named. It wanted the same.
func (c *Cache) inherited(before, g *Group, zone string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[g.Name]
	if e == nil || before == nil || c.clock.Since(e.metAt) > inheritance {
		return 0
	}
	come := 0
	for _, i := range g.comeSince(before, zone) {
		come += i.Weight
	}
	return min(come, max(0, g.DesiredCapacity-before.DesiredCapacity)) / g.Source.MinWeight()
}

// comeSince returns the instances that count and were not there before, in the zone if one is named. It returns none beyond the
// growth of the desired capacity: those replace others.
func (g *Group) comeSince(before *Group, zone string) []Instance {
	var come []Instance
	grown := g.DesiredCapacity - before.DesiredCapacity
	for _, i := range g.Counted() {
		if grown > 0 && before.instance(i.ID) == nil && (zone == "" || i.Zone == zone) {
			come = append(come, i)
			grown -= i.Weight
		}
	}
	return come
}

// withOthers adds the instances that are not in the list yet.
func withOthers(list, others []Instance) []Instance {
	for _, o := range others {
		if !slices.ContainsFunc(list, func(i Instance) bool { return i.ID == o.ID }) {
			list = append(list, o)
		}
	}
	return list
}

// attempt is what two processes that want the same have in common, and two launches in a row have not: where, when, and
// what was there.
type attempt struct {
	zone   string
	part   int
	window int64 // since 1970, counted in tokenAge
	there  string
	again  int64 // since 1970, counted in failureAge: asked once more, past a failure that may be older. Else zero
}

// attemptOf is what the order is an attempt at, g being the group by which it was planned.
func attemptOf(g *Group, o order) attempt {
	var there []string
	for _, i := range g.Counted() {
		if i.Zone == o.zone {
			there = append(there, i.ID)
		}
	}
	slices.Sort(there)
	return attempt{zone: o.zone, part: o.part, window: windowOf(o.began, tokenAge), there: strings.Join(there, " ")}
}

// windowOf is the window that a moment is in, of those that are so long, counted since 1970.
func windowOf(at time.Time, length time.Duration) int64 { return at.UnixNano() / int64(length) }

// spread divides n instances among the zones of the group that are open, or has all of them launched in the one that is named:
// to the one with the fewest instances first, and to the first by AWS's order among equals. A zone whose rest has just ended
// gets one, as a probe.
func (c *Cache) spread(g *Group, named string, n int) []order {
	have, want, most := map[string]int{}, map[string]int{}, map[string]int{}
	for _, i := range g.Counted() {
		have[i.Zone]++
	}
	var open []string
	for _, zone := range g.launchZones() {
		if _, closed := c.available.inZone(g, zone); closed || named != "" && zone != named {
			continue
		}
		open = append(open, zone)
	}
	open = c.available.leastInterrupted(g, open)
	for _, zone := range open {
		most[zone] = n
		if !slices.ContainsFunc(g.pools(zone), func(p cooldown.Pool) bool { return !c.available.failed.Probing(g.Name, p) }) {
			most[zone] = 1
		}
	}
	for range n {
		best := ""
		for _, zone := range open {
			if want[zone] < most[zone] && (best == "" || have[zone]+want[zone] < have[best]+want[best]) {
				best = zone
			}
		}
		if best == "" {
			break
		}
		want[best]++
	}
	var orders []order
	for _, zone := range open {
		for part := 0; want[zone] > 0; part++ {
			count := min(want[zone], launchesPerCall)
			orders = append(orders, order{group: g.Name, zone: zone, count: count, part: part, alone: named != ""})
			want[zone] -= count
		}
	}
	return orders
}

// outcome is what came of one call, or of several.
type outcome struct {
	launched []Instance
	failures cooldown.Failures
	repeated bool // AWS repeated an answer that a process before us had
	// unweighed tells that it is not known how much the instances count for.
	unweighed bool
	missed    *missedError // what AWS did not answer to
	err       error        // why the group is not worth another call now
}

// launchRound makes the calls of a plan, several at a time, and enters what came of them.
func (c *Cache) launchRound(ctx context.Context, g *Group, plan []order) outcome {
	outcomes := make([]outcome, len(plan))
	parallel(len(plan), callsAtOnce, func(at int) { outcomes[at] = c.launchOrder(ctx, g, plan[at]) })
	var all outcome
	for _, o := range outcomes {
		all.launched = withOthers(all.launched, o.launched)
		all.failures = append(all.failures, o.failures...)
		all.repeated = all.repeated || o.repeated
		all.unweighed = all.unweighed || o.unweighed
		if missed := missedOf(o.err); missed != nil {
			all.missed = missed.with(all.missed)
		} else if all.err == nil {
			all.err = o.err
		}
	}
	return all
}

// launchOrder makes one call and enters its answer. It asks twice where the first answer may be an old failure.
func (c *Cache) launchOrder(ctx context.Context, g *Group, o order) outcome {
	come, err := c.outlast(ctx, g, o, tokenAge)
	if err != nil || len(come) > 0 {
		return outcome{launched: come, err: o.wrap(err)}
	}
	o.began = c.clock.Now()
	o.as = attemptOf(g, o)
	out, err := c.launchInstances(ctx, g, o)
	if err == nil && c.repeatedFailure(g, o, out) {
		c.update(g.Name, func(e *entry, _ *Group) { e.tried(o.as) })
		if come, err = c.outlast(ctx, g, o, failureAge); err != nil || len(come) > 0 {
			return outcome{launched: come, err: o.wrap(err)}
		}
		o.began = c.clock.Now()
		o.as.again = windowOf(o.began, failureAge)
		out, err = c.launchInstances(ctx, g, o)
	}
	if err != nil {
		return outcome{err: o.wrap(err)}
	}
	return c.launched(ctx, g, o, out)
}

// wrap says which launch failed; nil stays nil.
func (o order) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("launch %d instances in %s of auto scaling group %q: %w", o.count, o.zone, o.group, err)
}

// outlast waits while a process before us may have a launch under way whose token belongs to the window before ours. AWS would
// take our token for another launch. Then outlast reads the group and returns the instances that came of it. Only a young
// process waits, and only just after the edge of a window: a call never outlives disputeAge.
func (c *Cache) outlast(ctx context.Context, g *Group, o order, window time.Duration) (come []Instance, err error) {
	e, _ := c.entry(g.Name)
	if e == nil {
		return nil, nil
	}
	now := c.clock.Now()
	last := time.Unix(0, windowOf(now, window)*int64(window)) // when a token of the window before was last used
	if e.metAt.Before(last) {
		last = e.metAt // the process before us ended before we first read the group
	}
	wait := last.Add(disputeAge).Sub(now)
	if wait <= 0 {
		return nil, nil
	}
	klog.FromContext(ctx).Info("Waiting for a launch that a process before this one may have begun", "group", g.Name, "zone", o.zone, "wait", wait)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.clock.After(wait):
	}
	after, err := c.readOne(ctx, g.Name)
	if err != nil {
		return nil, err
	}
	zone := ""
	if o.alone {
		zone = o.zone
	}
	return after.comeSince(g, zone), nil
}

// launchInstances makes one call and repeats it until AWS tells what came of it, by a token that makes it one launch.
func (c *Cache) launchInstances(ctx context.Context, g *Group, o order) (*autoscaling.LaunchInstancesOutput, error) {
	in := &autoscaling.LaunchInstancesInput{
		AutoScalingGroupName: aws.String(g.Name),
		RequestedCapacity:    aws.Int32(int32(o.count * g.Source.MinWeight())),
		AvailabilityZones:    []string{o.zone},
		ClientToken:          aws.String(c.token(g, o.as)),
		RetryStrategy:        types.RetryStrategyNone,
	}
	for misses, working := 0, false; ; {
		began := c.clock.Now()
		out, err := c.api.LaunchInstances(ctx, in, awsclient.Impatient, once)
		asked := c.clock.Since(o.began)
		if err == nil || awsclient.IsInProgress(err) || awsclient.IsRefused(err) && !awsclient.IsUnsent(err) {
			c.calls.launch.Answered(g.Name)
		}
		switch {
		case err == nil:
			return out, nil
		case awsclient.IsInProgress(err): // by us, a moment ago, or by the process before us
			if misses, working = 0, true; asked > workingPatience {
				return nil, c.unanswered(g, o, err)
			}
		case awsclient.IsContended(err):
			if asked >= contendedPatience {
				return nil, c.missedLaunch(g, o, began, err)
			}
			klog.FromContext(ctx).Info("AWS is at another change of the group, asking again", "group", g.Name, "zone", o.zone)
		case awsclient.IsTokenDisputed(err):
			c.disputed(g.Name, o)
			return nil, fmt.Errorf("a launch of other instances in the same place began before ours, its outcome is not known yet: %w", err)
		case awsclient.IsUnsupported(err), awsclient.IsDenied(err), awsclient.IsInvalid(err):
			if !c.overtaken(ctx, o, err) {
				c.refusals.refused(ctx, g.Name, err)
			}
			return nil, because(errNotSynchronous, err)
		case awsclient.IsThrottled(err) && asked < throttledPatience:
		case awsclient.IsRefused(err):
			return nil, err
		default:
			klog.FromContext(ctx).Info("AWS did not answer to a launch, asking what came of it", "group", g.Name, "zone", o.zone, "err", awsclient.Brief(err))
			if misses++; c.calls.launch.Enough(misses) {
				if working {
					return nil, c.unanswered(g, o, err)
				}
				return nil, c.missedLaunch(g, o, began, err)
			}
		}
		select {
		case <-ctx.Done():
		case <-c.clock.After(began.Add(launchPoll).Sub(c.clock.Now())):
		}
		if ctx.Err() != nil { // the pause may have been over already
			return nil, because(err, ctx.Err())
		}
	}
}

// once keeps the SDK from repeating the call. The caller asks again by the token, which tells more.
func once(o *autoscaling.Options) { o.RetryMaxAttempts = 1 }

// missedLaunch is the error of a launch that AWS has not answered. Launches in the same zone have another token from now on, unless the zone is
// asked again by the same one.
func (c *Cache) missedLaunch(g *Group, o order, began time.Time, err error) error {
	if c.mode != LaunchSynchronous && !o.alone {
		c.update(g.Name, func(e *entry, _ *Group) { e.tried(o.as) })
	}
	missed := missedAt(began, err)
	missed.zones = []string{o.zone}
	if o.alone && !awsclient.IsContended(err) || g.Source.Weighted() {
		// A reading can be older than the launch. Another zone is asked next, or AWS may have launched more than it was asked for.
		missed.settled = began.Add(settleTime)
	}
	return missed
}

// unanswered leaves the zone of a launch alone of which AWS does not say what came of it, and says so.
func (c *Cache) unanswered(g *Group, o order, err error) error {
	c.available.failed.Unanswered(g.Name, o.zone, awsclient.Brief(err))
	return fmt.Errorf("what came of it is not known: %w", err)
}

// overtaken reports whether AWS refused a launch for what became of the group since it was decided on: it is gone, or has no
// room for it. Another launch may be allowed. It costs a call.
func (c *Cache) overtaken(ctx context.Context, o order, refusal error) bool {
	switch {
	case awsclient.IsGroupNotFound(refusal):
		return true
	case !awsclient.IsInvalid(refusal):
		return false
	}
	now, err := c.readOne(ctx, o.group)
	return errors.Is(err, ErrGroupNotFound) || err == nil && now.room() < o.count
}

// launched enters what AWS answered.
func (c *Cache) launched(ctx context.Context, g *Group, o order, out *autoscaling.LaunchInstancesOutput) outcome {
	if err := c.deniedIn(ctx, g, o, out); err != nil {
		return outcome{err: err}
	}
	var result outcome
	var arrived []Instance
	old := g.shows(out) || c.sawEnded(o, out)
	result.repeated = old
	for _, some := range out.Instances {
		for _, id := range some.InstanceIds {
			if old {
				continue
			}
			i := Instance{ID: id, Type: aws.ToString(some.InstanceType), Zone: aws.ToString(some.AvailabilityZone), Lifecycle: "Pending"}
			if i.Zone == "" {
				i.Zone = o.zone
			}
			var weighed bool
			i.Weight, weighed = g.Source.WeightOf(i.Type, c.types)
			result.unweighed = result.unweighed || !weighed
			arrived = append(arrived, i)
		}
		if !old {
			c.available.failed.Succeed(g.Name, cooldown.Pool{InstanceType: aws.ToString(some.InstanceType), Zone: o.zone, CapacityType: g.CapacityType()})
		}
	}
	now := c.clock.Now()
	for _, e := range out.Errors {
		result.failures = append(result.failures, c.failedNow(g, o, e, now))
	}
	for _, k := range result.failures.Kinds() {
		klog.FromContext(ctx).Info("AWS could not launch what we asked for", "group", g.Name, "pool", k.Pools(), "code", k.Code, "message", k.Message)
	}
	if len(arrived) > 0 {
		klog.FromContext(ctx).V(0).Info("Launched instances", "group", g.Name, "zone", o.zone, "instances", len(arrived), "of", o.count)
	}
	c.update(g.Name, func(e *entry, g *Group) {
		e.wrote(now)
		e.tried(o.as)
		e.arrive(g, arrived, now, e.lastOfOthers(o, out, now))
	})
	result.launched = arrived
	if len(arrived) == 0 && len(result.failures) == 0 && !old {
		result.err = fmt.Errorf("launch in %s of auto scaling group %q: AWS answered with neither instances nor errors", o.zone, g.Name)
	}
	if g.lacking(o.count, arrived) > 0 && len(result.failures) > 0 && !c.closed(g, result.failures) {
		result.err = &LaunchError{Group: g.Name, Failures: result.failures}
	}
	return result
}

// closed reports whether the failures closed a pool, so that another try goes elsewhere.
func (c *Cache) closed(g *Group, failures cooldown.Failures) bool {
	return slices.ContainsFunc(failures, func(f cooldown.Failure) bool {
		_, resting := c.available.failed.Of(g.Name, f.Pool)
		return resting
	})
}

// deniedIn is the error of an answer by which nothing was launched because somebody lacks a permission: who launches at once needs
// more than Auto Scaling does for itself. So it counts as a refusal of the call.
func (c *Cache) deniedIn(ctx context.Context, g *Group, o order, out *autoscaling.LaunchInstancesOutput) error {
	denied := func(e types.LaunchInstancesError) bool { return g.meaningOf(o, e).Class == awsmessage.Permission }
	if len(out.Instances) > 0 || len(out.Errors) == 0 || slices.ContainsFunc(out.Errors, func(e types.LaunchInstancesError) bool { return !denied(e) }) {
		return nil
	}
	c.update(g.Name, func(e *entry, _ *Group) { e.tried(o.as) })
	err := &smithy.GenericAPIError{Code: aws.ToString(out.Errors[0].ErrorCode), Message: cooldown.Bounded(aws.ToString(out.Errors[0].ErrorMessage))}
	klog.FromContext(ctx).Info("AWS was not allowed to launch what we asked for", "group", g.Name, "code", err.Code,
		"action", g.meaningOf(o, out.Errors[0]).Action)
	c.refusals.refused(ctx, g.Name, err)
	return because(errNotSynchronous, err)
}

// meaningOf is what one error of an answer says.
func (g *Group) meaningOf(o order, e types.LaunchInstancesError) awsmessage.Meaning {
	return g.complete(awsmessage.OfLaunch(aws.ToString(e.ErrorCode), cooldown.Bounded(aws.ToString(e.ErrorMessage)), aws.ToString(e.InstanceType),
		cmp.Or(aws.ToString(e.AvailabilityZone), o.zone), aws.ToString(e.MarketType)))
}

// failedNow takes in one error of an answer.
func (c *Cache) failedNow(g *Group, o order, e types.LaunchInstancesError, now time.Time) LaunchFailure {
	m := g.meaningOf(o, e)
	failure := cooldown.NewFailure(m, aws.ToString(e.ErrorMessage), now)
	c.available.failed.Fail(g.Name, m, failure.Message)
	return *failure
}

// token makes a call one launch: whoever asks for the same group, zone and part, with the same instances there, in the same
// window, gets the answer of the first. So a process that comes after one that did not live to see the answer finds out the
// outcome of the launch instead of making another. See outlast for the edge of a window.
func (c *Cache) token(g *Group, as attempt) string {
	hash := sha256.New()
	for _, p := range []string{g.Name, as.zone, strconv.Itoa(as.part), strconv.FormatInt(as.window, 10), strconv.Itoa(c.try(g.Name, as)), as.there,
		strconv.FormatInt(as.again, 10)} {
		_, _ = fmt.Fprintf(hash, "%d:%s", len(p), p)
	}
	return "asga-" + hex.EncodeToString(hash.Sum(nil))[:40]
}

// try is how many calls for the same this process has seen the end of.
func (c *Cache) try(group string, as attempt) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[group]; e != nil {
		return e.tries[as]
	}
	return 0
}

// tried counts a call whose end was seen, and forgets those that nothing can be taken for any more.
func (e *entry) tried(as attempt) {
	maps.DeleteFunc(e.tries, func(old attempt, _ int) bool { return old.window < as.window })
	e.tries[as]++
}

// disputed remembers that a process before us began another launch in the zone. Its end is waited for: either its instances
// show, or nothing came of it.
func (c *Cache) disputed(name string, o order) {
	now := c.clock.Now()
	c.update(name, func(e *entry, _ *Group) {
		switch since, before := e.disputes[o.zone]; {
		case !before:
			e.disputes[o.zone] = now
		case now.Sub(since) >= disputeAge:
			delete(e.disputes, o.zone)
			e.tried(o.as)
		}
	})
}

// arrive enters instances that AWS has launched for us; those that it began to end by lastOfOthers were launched for a process
// before us. g is not shared yet.
func (e *entry) arrive(g *Group, instances []Instance, now, lastOfOthers time.Time) {
	g.Instances = slices.Clone(g.Instances)
	for _, i := range instances {
		if g.instance(i.ID) != nil {
			continue // a reading has shown it already
		}
		g.Instances = append(g.Instances, i)
		e.shift(g, i.Weight, now)
		e.arriving[i.ID] = arrival{Instance: i, at: now, lastOfOthers: lastOfOthers}
	}
}

// arrival is an instance that AWS has launched for us and no reading has shown.
type arrival struct {
	Instance
	at time.Time
	// lastOfOthers is a moment of AWS's clock: if it began to end the instance no later, the answer that told of it is one that a
	// process before us had. Zero if there can be no such answer.
	lastOfOthers time.Time
}

// markArriving carries the instances that AWS has launched into a reading that does not show them yet, and forgets those that
// it does.
func (e *entry) markArriving(g *Group) {
	for id, a := range e.arriving {
		if g.instance(id) != nil || g.ReadAt.Sub(a.at) > arrivingGrace {
			delete(e.arriving, id)
			continue
		}
		g.Instances = append(g.Instances, a.Instance)
	}
}
