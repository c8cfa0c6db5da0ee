package cooldown

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// When a Breaker has a call replaced by an older one, and for how long.
const (
	// enoughMisses tries in a row must go unanswered first. AWS misses a try if it answers with a fault of its own, does not answer for
	// some seconds, or breaks the connection. If AWS continues a launch whose caller has gone, the second try shows that.
	enoughMisses   = 2
	groupFallback  = time.Minute // for which one group uses the older call
	enoughRequests = 3           // unanswered requests in a row have all groups use the older call for sharedFallback
	sharedFallback = 15 * time.Minute
)

// Breaker is a circuit breaker before a call that AWS may not answer and an older one can replace. Safe for concurrent use.
type Breaker struct {
	call  string
	clock clock.PassiveClock

	mu       sync.Mutex
	requests int               // unanswered since AWS last answered, concurrent ones counted once
	counted  time.Time         // the end of the last of them
	quiet    time.Time         // until then one more miss is enough
	all      outage            // of all groups
	refused  bool              // AWS refused the call, so all is no outage to report
	groups   map[string]outage // of one group each
	answers  map[string]int    // by group
}

type outage struct {
	why   string
	until time.Time
}

func NewBreaker(c clock.PassiveClock, call string) *Breaker {
	return &Breaker{clock: c, call: call, groups: map[string]outage{}, answers: map[string]int{}}
}

// Open reports whether the group uses the older call now, and why.
func (b *Breaker) Open(group string) (why string, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range []outage{b.all, b.groups[group]} {
		if b.clock.Now().Before(o.until) {
			return o.why, true
		}
	}
	return "", false
}

// Enough reports whether AWS has missed enough tries in a row. One is enough where AWS missed another call lately and has answered none
// since, because other groups wait meanwhile.
func (b *Breaker) Enough(misses int) bool {
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if misses < enoughMisses && !now.Before(b.quiet) {
		return false
	}
	b.quiet = now.Add(groupFallback)
	return true
}

func (b *Breaker) Answered(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests, b.quiet = 0, time.Time{}
	b.answers[group]++
}

func (b *Breaker) Answers(group string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answers[group]
}

// Known reports whether AWS has answered the call for any group that is still there.
func (b *Breaker) Known() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.answers) > 0
}

// Missed notes that AWS missed a request of the group which the older call can fulfil. began is the start of the last try.
func (b *Breaker) Missed(ctx context.Context, group string, began time.Time, err error) {
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !began.Before(b.counted) {
		b.requests, b.counted = b.requests+1, now
	}
	why := awsclient.Brief(err)
	b.groups[group] = outage{why, now.Add(groupFallback)}
	klog.FromContext(ctx).Info("AWS did not answer a call, using an older one in its place", "call", b.call, "group", group, "err", why)
	if b.requests >= enoughRequests {
		b.all, b.refused = outage{why, now.Add(sharedFallback)}, false
		klog.FromContext(ctx).Info("Using an older call for all groups", "call", b.call, "until", b.all.until, "err", why)
	}
}

func (b *Breaker) Refuse(ctx context.Context, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all, b.refused = outage{awsclient.Brief(err), b.clock.Now().Add(sharedFallback)}, true
	klog.FromContext(ctx).Info("AWS does not take a call here, using an older one in its place", "call", b.call, "until", b.all.until, "err", b.all.why)
}

func (b *Breaker) Forget(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.groups, group)
	delete(b.answers, group)
}

// Outage is a call that AWS does not answer for a group, or for all groups where Group is empty.
type Outage struct {
	Group, Call, Why string
	Retry            string // when the call is tried again, as text
}

// Outages returns the outages by group name. One Outage without a name stands for all groups.
func (b *Breaker) Outages() []Outage {
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.all.until) && !b.refused {
		return []Outage{{Call: b.call, Why: b.all.why, Retry: "15 minutes"}}
	}
	var outages []Outage
	for _, group := range slices.Sorted(maps.Keys(b.groups)) {
		if o := b.groups[group]; now.Before(o.until) {
			outages = append(outages, Outage{Group: group, Call: b.call, Why: o.why, Retry: "a minute"})
		}
	}
	return outages
}
