package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// Two of our writes have an older call that does nearly the same: SetDesiredCapacity for LaunchInstances, and a termination with one
// InstanceId for one with InstanceIds. A partition may lack the newer call, and AWS may have trouble with it alone. So a circuit breaker
// stands before each of them. AWS may do what it is asked for and not answer. Therefore a reading shows what came of the newer call before the
// older one is used.

const (
	// enoughMisses is how many tries in a row AWS must miss until the older call is used. AWS misses a try if it answers with a fault of its own,
	// does not answer for some seconds, or breaks the connection. If it goes on with a launch whose caller has gone, the second try shows that.
	enoughMisses = 2
	// settleTime is how long after a broken or hanging try has begun a reading shows what came of it.
	settleTime = lostPatience
	// missRest is how long a group uses the older call after AWS missed a newer one.
	missRest = time.Minute
	// breakerMisses is how many wishes in a row AWS must miss until all groups use the older call, and breakerRest for how long.
	breakerMisses = 3
	breakerRest   = 15 * time.Minute
)

// Problem reasons of groups that use an older call.
const (
	ReasonLaunchUnanswered           = "launch-unanswered"
	ReasonBatchTerminationUnanswered = "batch-termination-unanswered"
)

// missedError is the error of a call that AWS did not answer. AWS may have done what it was asked for.
type missedError struct {
	cause   error
	began   time.Time // the last try
	settled time.Time // when a reading shows what came of it
	zones   []string  // of the launches, where it is about launches
}

// missedAt is the error of a call whose last try began then. Once AWS has answered with a fault, it is done with the call.
func missedAt(began time.Time, cause error) *missedError {
	missed := &missedError{cause: cause, began: began, settled: began}
	if !awsclient.IsAnswer(cause) {
		missed.settled = began.Add(settleTime)
	}
	return missed
}

func (e *missedError) Error() string { return fmt.Sprintf("what came of it is not known: %v", e.cause) }

func (e *missedError) Unwrap() error { return e.cause }

// with is both errors in one. other may be nil.
func (e *missedError) with(other *missedError) *missedError {
	if other == nil {
		return e
	}
	both := *e
	both.zones = append(slices.Clone(other.zones), e.zones...)
	if other.began.After(e.began) {
		both.began = other.began
	}
	if other.settled.After(e.settled) {
		both.settled = other.settled
	}
	return &both
}

// missedOf is the missedError in err, or nil.
func missedOf(err error) *missedError {
	var missed *missedError
	errors.As(err, &missed)
	return missed
}

// A breaker remembers that AWS does not answer a call which an older one can replace. Safe for concurrent use.
type breaker struct {
	reason, call, instead string // of the Problem: its reason, the call that AWS misses, and what happens instead
	clock                 clock.PassiveClock

	mu      sync.Mutex
	misses  int             // wishes since AWS last answered, those at the same time as one
	counted time.Time       // when the last of them was over
	quiet   time.Time       // until when one more miss is enough
	all     miss            // for all groups
	refused bool            // all is because AWS refused the call, and so no Problem
	groups  map[string]miss // for each alone
	answers map[string]int  // by group
}

// miss is why the older call is used, and until when.
type miss struct {
	why   string
	until time.Time
}

func newBreaker(c clock.PassiveClock, reason, call, instead string) *breaker {
	return &breaker{clock: c, reason: reason, call: call, instead: instead, groups: map[string]miss{}, answers: map[string]int{}}
}

// open reports whether the group uses the older call now, and why: the breaker is open.
func (b *breaker) open(group string) (why string, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range []miss{b.all, b.groups[group]} {
		if b.clock.Now().Before(m.until) {
			return m.why, true
		}
	}
	return "", false
}

// enough reports whether AWS has missed enough tries in a row. Where it missed another call lately and has answered none since, one is enough:
// other groups wait meanwhile.
func (b *breaker) enough(misses int) bool {
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if misses < enoughMisses && !now.Before(b.quiet) {
		return false
	}
	b.quiet = now.Add(missRest)
	return true
}

// answered enters that AWS answered a call for the group.
func (b *breaker) answered(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.misses, b.quiet = 0, time.Time{}
	b.answers[group]++
}

// answersTo is how often AWS has answered calls for the group.
func (b *breaker) answersTo(group string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answers[group]
}

// missed enters that AWS missed a wish of the group which the older call can do. The last try began then.
func (b *breaker) missed(ctx context.Context, group string, began time.Time, err error) {
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !began.Before(b.counted) {
		b.misses, b.counted = b.misses+1, now
	}
	why := awsclient.Brief(err)
	b.groups[group] = miss{why, now.Add(missRest)}
	klog.FromContext(ctx).Info("AWS did not answer a call, using an older one in its place", "call", b.call, "group", group, "err", why)
	if b.misses >= breakerMisses {
		b.all, b.refused = miss{why, now.Add(breakerRest)}, false
		klog.FromContext(ctx).Info("Using an older call for all groups", "call", b.call, "until", b.all.until, "err", why)
	}
}

// refuse enters that AWS does not take the call here.
func (b *breaker) refuse(ctx context.Context, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all, b.refused = miss{awsclient.Brief(err), b.clock.Now().Add(breakerRest)}, true
	klog.FromContext(ctx).Info("AWS does not take a call here, using an older one in its place", "call", b.call, "until", b.all.until, "err", b.all.why)
}

// forget drops what is known of a group.
func (b *breaker) forget(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.groups, group)
	delete(b.answers, group)
}

// A Fallback is the Problem of a group that uses an older call of Auto Scaling, or of all groups where Group is empty.
type Fallback struct {
	Group string
	launchspec.Problem
}

// Fallbacks are the groups that use an older call because AWS does not answer the newer one, by name. If all groups do, one Fallback
// stands for them. It makes no call and is safe for concurrent use.
func (c *Cache) Fallbacks() []Fallback {
	return append(c.launchCalls.fallbacks(), c.batchCalls.fallbacks()...)
}

func (b *breaker) fallbacks() []Fallback {
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	fallback := func(group, why, again string) Fallback {
		return Fallback{group, launchspec.Problem{Reason: b.reason,
			Message: fmt.Sprintf("AWS does not answer %s (%s), so %s", b.call, why, b.instead),
			Remedy:  "look at the AWS Health Dashboard, or wait: it is tried again after " + again}}
	}
	if now.Before(b.all.until) && !b.refused {
		return []Fallback{fallback("", b.all.why, "15 minutes")}
	}
	var fallbacks []Fallback
	for _, group := range slices.Sorted(maps.Keys(b.groups)) {
		if m := b.groups[group]; now.Before(m.until) {
			fallbacks = append(fallbacks, fallback(group, m.why, "a minute"))
		}
	}
	return fallbacks
}
