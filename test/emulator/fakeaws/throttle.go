package fakeaws

import (
	"fmt"
	"path"
	"slices"
	"sync"
	"time"
)

// A Throttle limits how often each action may be called. Each action has its own token bucket, as in EC2, or all actions share one, as in
// Auto Scaling. An action without a Throttle has no limit.
//
//	throttles:
//	- {service: ec2, action: "Describe*", burst: 100, perSecond: 20}
//	- {service: autoscaling, action: SetDesiredCapacity, burst: 2, perSecond: 0.2}
//	- {service: autoscaling, shared: true, burst: 100, perSecond: 10}
type Throttle struct {
	Service   string  `json:"service,omitempty"` // autoscaling, ec2, eks, sqs or sts. Empty is any
	Action    string  `json:"action,omitempty"`  // may contain *. Empty is any. The first Throttle that matches counts
	Burst     int     `json:"burst"`             // calls that a full bucket holds
	PerSecond float64 `json:"perSecond"`         // calls that it regains
	Shared    bool    `json:"shared,omitempty"`  // one bucket for all actions of the Service that match
}

// strictThrottles are the limits of a strict account that names none. EC2's for Describe* are documented ("Request throttling
// for the Amazon EC2 API", read 2026-11: 100 tokens, 20 a second, each action for itself). Auto Scaling documents no figures.
// Its limits here are a guess on the strict side.
var strictThrottles = []Throttle{
	{Service: serviceEC2, Burst: 100, PerSecond: 20},
	{Service: serviceAutoScaling, Action: "Describe*", Burst: 40, PerSecond: 10},
	{Service: serviceAutoScaling, Burst: 20, PerSecond: 5},
}

func (t Throttle) validate() error {
	if _, err := path.Match(t.Action, ""); err != nil {
		return fmt.Errorf("throttle of %q: action %q: %w", t.Service, t.Action, err)
	}
	if t.Burst < 1 || t.PerSecond < 0 {
		return fmt.Errorf("throttle of %q %q: burst %d and %v per second: want at least 1, and 0", t.Service, t.Action, t.Burst, t.PerSecond)
	}
	return nil
}

func (t Throttle) covers(service, action string) bool {
	matched, _ := path.Match(t.Action, action)
	return (t.Service == "" || t.Service == service) && (t.Action == "" || matched)
}

// buckets count the calls against the Throttles.
type buckets struct {
	throttles []Throttle
	mu        sync.Mutex
	levels    map[[2]string]bucket // by service and action, or by service and Throttle
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newBuckets(throttles []Throttle) *buckets {
	return &buckets{throttles: throttles, levels: map[[2]string]bucket{}}
}

// take uses up one call of an action. It returns false where none is left.
func (b *buckets) take(service, action string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := slices.IndexFunc(b.throttles, func(t Throttle) bool { return t.covers(service, action) })
	if n < 0 {
		return true
	}
	t, now, key := b.throttles[n], time.Now(), [2]string{service, action}
	if t.Shared {
		key = [2]string{service, fmt.Sprint(n)}
	}
	level, used := b.levels[key]
	if !used {
		level.tokens = float64(t.Burst)
	}
	if used {
		level.tokens = min(float64(t.Burst), level.tokens+now.Sub(level.at).Seconds()*t.PerSecond)
	}
	level.at = now
	allowed := level.tokens >= 1
	if allowed {
		level.tokens--
	}
	b.levels[key] = level
	return allowed
}
