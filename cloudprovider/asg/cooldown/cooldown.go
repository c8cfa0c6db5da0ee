package cooldown

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// ShortestPoolCoolDown is the cool-down of a pool without capacity. Stock waits longer, as do AWS's own retries, and pods lose that time.
const ShortestPoolCoolDown = 3 * time.Minute

// How long a pool is left alone after a failed launch. Other pools are used meanwhile.
const (
	capacityCoolDown   = ShortestPoolCoolDown
	quotaCoolDown      = 5 * time.Minute  // somebody must ask AWS for a higher quota
	deniedCoolDown     = 5 * time.Minute  // somebody must allow the launch
	brokenCoolDown     = 15 * time.Minute // somebody must correct the configuration
	unansweredCoolDown = time.Minute      // AWS did not answer a launch, or failed for a moment
)

// hookTime is how long the next instance may take to fail as well, so that the problem lasts until then.
const hookTime = 10 * time.Minute

// An instance in service proves the configuration, also of one that died at launch up to retryLead before.
const retryLead = time.Minute

// Pool is a source of instances: one type in one zone, bought in one way. An empty field stands for any.
type Pool struct {
	InstanceType string
	Zone         string
	CapacityType string // awsmessage.OnDemand or Spot
	Own          bool   // reserved capacity, hardware of its own, or a placement group: failures of others say nothing about it
}

func poolOf(m awsmessage.Meaning) Pool {
	return Pool{InstanceType: m.InstanceType, Zone: m.Zone, CapacityType: m.CapacityType, Own: m.Own}
}

func (p Pool) String() string {
	parts := slices.DeleteFunc([]string{p.CapacityType, p.InstanceType, p.Zone}, func(s string) bool { return s == "" })
	return cmp.Or(strings.Join(parts, " "), "any")
}

func (p Pool) has(q Pool) bool {
	return (p.InstanceType == "" || p.InstanceType == q.InstanceType) && (p.Zone == "" || p.Zone == q.Zone) &&
		(p.CapacityType == "" || q.CapacityType == "" || p.CapacityType == q.CapacityType)
}

// Period is one cool-down: a pool is left alone because nothing could be launched in it.
type Period struct {
	Pool
	Group   string // the only group it holds for, empty where it holds for all
	Class   awsmessage.Class
	Message string // AWS's own
	Until   time.Time

	length time.Duration
	by     string // the group whose launch failed, "" where EC2 interrupted instances
	silent bool   // AWS did not answer
}

// Since returns when the cool-down began. It is zero for a zonal shift, whose beginning is not known.
func (p Period) Since() time.Time {
	if p.length == 0 {
		return time.Time{}
	}
	return p.Until.Add(-p.length)
}

// holdsFor reports whether the cool-down holds for the group's pool. A group may have capacity of its own, or buy some instances in
// another way than the capacity type that failed. Then only its own failure counts.
func (p Period) holdsFor(group string, pool Pool) bool {
	otherWay := pool.Own || p.CapacityType != "" && pool.CapacityType == ""
	return p.concerns(group) && p.has(pool) && !(otherWay && p.by != "" && p.by != group)
}

func (p Period) concerns(group string) bool { return p.Group == "" || p.Group == group }

// over reports whether the cool-down ended long ago. It counts for nothing then.
func (p Period) over(now time.Time) bool {
	after := max(p.length, capacityCoolDown)
	if p.afterLaunch() {
		after = max(after, hookTime)
	}
	return now.After(p.Until.Add(after))
}

// afterLaunch reports whether instances were launched, and failed before they were in service, by the group's configuration.
func (p Period) afterLaunch() bool {
	return p.Class == awsmessage.Configuration && afterLaunch(p.Message)
}

// List remembers cool-downs. The first launch in the pool afterwards is a probe with one instance where possible. Safe for concurrent use.
type List struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	periods []Period // guarded by mu. Each stays for a while after its end, so that a probe is known to be one
}

func NewList(c clock.PassiveClock) *List { return &List{clock: c} }

// Fail remembers a failed launch of the group, and reports whether that causes a cool-down. A failure that says nothing about a pool causes
// none, such as a throttled call.
func (l *List) Fail(group string, m awsmessage.Meaning, message string) bool {
	p := Period{by: group, Class: m.Class, Message: message, Pool: poolOf(m)}
	length := capacityCoolDown
	switch m.Class {
	case awsmessage.NoCapacity:
		switch {
		case awsmessage.LacksAddresses(m.Code, message):
			p.Group, p.InstanceType = group, "" // whatever its type, because others may have another subnet
		case m.InstanceType == "", m.Zone == "":
			p.Group = group // AWS does not name the pool
		case awsmessage.OfOwnCapacity(m.Code, message), m.Code == "SpotMaxPriceTooLow", strings.Contains(message, "Spot request price"):
			p.Group = group // the reservation, the host or the maximum price is the group's
		}
	case awsmessage.SpotLimit, awsmessage.Quota: // each family of types has its own
		p.Zone = ""
		if m.Class == awsmessage.SpotLimit {
			p.CapacityType = awsmessage.Spot
		} else {
			length = quotaCoolDown
		}
		if m.InstanceType == "" {
			p.Group = group
		}
	case awsmessage.Permission:
		p.Group, p.Pool, length = group, Pool{InstanceType: m.InstanceType}, deniedCoolDown // a policy may deny one type
	case awsmessage.Configuration:
		p.Group, p.Pool = group, Pool{InstanceType: m.InstanceType, Zone: m.Zone}
		if !awsmessage.AbandonedByHook(message) { // the hook may have let its siblings through
			length = brokenCoolDown
		}
	default:
		return false
	}
	if m.Own {
		p.Group = group
	}
	l.add(p, length)
	return true
}

// Unanswered remembers that AWS did not answer a launch of the group in a zone.
func (l *List) Unanswered(group, zone, why string) { l.leave(group, zone, why, true) }

// Passing remembers that AWS failed for a moment in a zone of the group, or has not ended a launch there. The empty zone is any.
func (l *List) Passing(group, zone, why string) { l.leave(group, zone, why, false) }

func (l *List) leave(group, zone, why string, silent bool) {
	p := Period{by: group, Group: group, Pool: Pool{Zone: zone}, Class: awsmessage.Transient, Message: why, silent: silent}
	l.add(p, unansweredCoolDown)
}

func (l *List) UnansweredZones(group string) []string {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var zones []string
	for _, p := range l.periods {
		if p.Group == group && p.silent && now.Before(p.Until) {
			zones = append(zones, p.Zone)
		}
	}
	return zones
}

func (l *List) add(p Period, length time.Duration) {
	now := l.clock.Now()
	p.Until, p.length = now.Add(length), length
	l.mu.Lock()
	defer l.mu.Unlock()
	replaced := func(o Period) bool { return o.Group == p.Group && o.Pool == p.Pool && o.by == p.by || o.over(now) }
	l.periods = append(slices.DeleteFunc(l.periods, replaced), p)
}

// Of returns the longest cool-down that holds for a pool of the group now.
func (l *List) Of(group string, pool Pool) (Period, bool) {
	now := l.clock.Now()
	return l.lastToEnd(func(p Period) bool { return p.holdsFor(group, pool) && now.Before(p.Until) })
}

// Holding returns the cool-downs that hold for the group's pools now, the latest for each pool, the oldest first.
func (l *List) Holding(group string, pools func() []Pool) []Period {
	now, listed := l.clock.Now(), map[Period]bool{}
	own := sync.OnceValue(pools) // mostly nobody needs them
	l.mu.Lock()
	defer l.mu.Unlock()
	var latest []Period
	for _, p := range slices.Backward(l.periods) {
		pool := Period{Group: p.Group, Pool: p.Pool}
		if now.Before(p.Until) && p.concerns(group) && !listed[pool] &&
			slices.ContainsFunc(own(), func(of Pool) bool { return p.holdsFor(group, of) }) {
			listed[pool] = true
			latest = append(latest, p)
		}
	}
	slices.Reverse(latest)
	return latest
}

// All returns the first cool-down to end if every one of the pools has one. One available pool is enough to launch in.
func (l *List) All(group string, pools []Pool) (Period, bool) {
	return FirstToEnd(pools, func(pool Pool) (Period, bool) { return l.Of(group, pool) })
}

// FirstToEnd returns the first cool-down to end if every place has one.
func FirstToEnd[P any](places []P, of func(P) (Period, bool)) (Period, bool) {
	var first Period
	for _, place := range places {
		p, unavailable := of(place)
		if !unavailable {
			return Period{}, false
		}
		if first.Until.IsZero() || p.Until.Before(first.Until) {
			first = p
		}
	}
	return first, len(places) > 0
}

// Latest returns the cool-down of any of the pools that ends last, or ended last and not long ago. Nothing has come from its pool since.
func (l *List) Latest(group string, pools []Pool) (Period, bool) {
	return l.lastToEnd(func(p Period) bool {
		return p.concerns(group) && slices.ContainsFunc(pools, func(pool Pool) bool { return p.holdsFor(group, pool) })
	})
}

func (l *List) lastToEnd(counts func(Period) bool) (last Period, found bool) {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.periods {
		if p.Until.After(last.Until) && !p.over(now) && counts(p) {
			last, found = p, true
		}
	}
	return last, found
}

// Probing reports whether a cool-down of the group's pool has ended lately and nothing has been launched there since. A probe says nothing for
// minutes where instances failed after their launch.
func (l *List) Probing(group string, pool Pool) bool {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.periods, func(p Period) bool {
		return p.holdsFor(group, pool) && !now.Before(p.Until) && !p.over(now) && !p.afterLaunch()
	})
}

// Succeed ends cool-downs that an instance proves wrong, because it was launched in the pool after they began: after refused launches, or if
// the instance is in service, after instances that failed once they were launched.
func (l *List) Succeed(group string, pool Pool, launched time.Time, inService bool) {
	l.remove(func(p Period) bool {
		began := p.Since()
		if p.Class == awsmessage.Configuration {
			began = began.Add(-retryLead)
		}
		return p.afterLaunch() == inService && p.holdsFor(group, pool) && !began.After(launched) &&
			(p.CapacityType == "" || pool.CapacityType != "")
	})
}

// Forget ends the cool-downs of the group alone, because it launches something else now.
func (l *List) Forget(group string) { l.remove(func(p Period) bool { return p.Group == group }) }

func (l *List) Answered(group string) {
	l.remove(func(p Period) bool { return p.Group == group && p.silent })
}

func (l *List) remove(drop func(Period) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.periods = slices.DeleteFunc(l.periods, drop)
}
