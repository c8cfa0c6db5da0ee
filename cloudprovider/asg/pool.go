package asg

import (
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// How long what failed to launch is left alone. Other pools are used meanwhile.
const (
	capacityRest = 3 * time.Minute // EC2 had none: stock, and AWS's own retries, wait longer and lose pods' time
	quotaRest    = 5 * time.Minute // until somebody has asked AWS for more
	deniedRest   = 5 * time.Minute // until somebody has allowed it
	brokenRest   = 15 * time.Minute
	silentRest   = time.Minute // AWS did not say what came of a launch
)

// Pool is where instances come from: one type in one zone, bought in one way. An empty field stands for any.
type Pool struct {
	InstanceType string
	Zone         string
	CapacityType string // awsmessage.OnDemand or Spot
}

func (p Pool) String() string {
	var parts []string
	for _, s := range []string{p.CapacityType, p.InstanceType, p.Zone} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return "any"
	}
	return strings.Join(parts, " ")
}

// has reports whether q is one of the pools that p stands for.
func (p Pool) has(q Pool) bool {
	return (p.InstanceType == "" || p.InstanceType == q.InstanceType) && (p.Zone == "" || p.Zone == q.Zone) &&
		(p.CapacityType == "" || q.CapacityType == "" || p.CapacityType == q.CapacityType)
}

// Rest is a pool that is left alone because nothing could be launched in it.
type Rest struct {
	Pool
	Group   string // the only group it holds for; empty where it holds for all
	Class   awsmessage.Class
	Message string // AWS's own
	Until   time.Time

	pause time.Duration // how long it is in all
}

// rests remembers the pools that are left alone. Once a rest is over, the first launch in the pool is a probe: of one
// instance, where that is possible. Safe for concurrent use.
type rests struct {
	clock clock.PassiveClock

	mu   sync.Mutex
	list []Rest // guarded by mu; those that are over stay for as long again, so that a probe is known to be one
}

// fail remembers that a launch of the group failed, and returns what is left alone for it, if anything. A failure that says
// nothing of a pool, such as a throttled call, leaves none alone.
func (r *rests) fail(group string, m awsmessage.Meaning, message string) (Rest, bool) {
	rest := Rest{Class: m.Class, Message: message, Pool: Pool{InstanceType: m.InstanceType, Zone: m.Zone, CapacityType: m.CapacityType}}
	pause := capacityRest
	switch m.Class {
	case awsmessage.NoCapacity:
		switch {
		case outOfAddresses(m, message):
			rest.Group, rest.InstanceType = group, "" // whatever its type; others may have another subnet
		case m.InstanceType == "", m.Code == "ReservationCapacityExceeded":
			rest.Group = group // of which of its types, is not said; a reservation is its own
		}
	case awsmessage.SpotLimit:
		rest.Pool = Pool{CapacityType: awsmessage.Spot}
	case awsmessage.Quota:
		rest.Zone, pause = "", quotaRest
		if m.InstanceType == "" {
			rest.Group = group
		}
	case awsmessage.Permission:
		rest.Group, rest.Pool, pause = group, Pool{}, deniedRest
	case awsmessage.Configuration:
		rest.Group, rest.Pool, pause = group, Pool{InstanceType: m.InstanceType, Zone: m.Zone}, brokenRest
	default:
		return Rest{}, false
	}
	return r.add(rest, pause), true
}

// unanswered remembers that AWS did not say what came of a launch of the group in a zone.
func (r *rests) unanswered(group, zone, why string) {
	r.add(Rest{Group: group, Pool: Pool{Zone: zone}, Class: awsmessage.Transient, Message: why}, silentRest)
}

// add has the pool rest from now on.
func (r *rests) add(rest Rest, pause time.Duration) Rest {
	now := r.clock.Now()
	rest.Until, rest.pause = now.Add(pause), pause
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(o Rest) bool {
		return o.Group == rest.Group && o.Pool == rest.Pool || now.After(o.Until.Add(o.pause))
	})
	r.list = append(r.list, rest)
	return rest
}

// outOfAddresses reports whether it is not EC2 that lacks something, but the group's subnet.
func outOfAddresses(m awsmessage.Meaning, message string) bool {
	return m.Code == "InsufficientFreeAddressesInSubnet" || strings.Contains(message, "not enough free addresses")
}

// of is the rest that holds for a pool of the group now, the longest if there are several.
func (r *rests) of(group string, pool Pool) (Rest, bool) {
	var found Rest
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.list {
		if (o.Group == "" || o.Group == group) && o.has(pool) && now.Before(o.Until) && o.Until.After(found.Until) {
			found = o
		}
	}
	return found, !found.Until.IsZero()
}

// probing reports whether a pool of the group had a rest that is over, and nothing has been launched in it since.
func (r *rests) probing(group string, pool Pool) bool {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.list, func(o Rest) bool {
		return (o.Group == "" || o.Group == group) && o.has(pool) && !now.Before(o.Until)
	})
}

// succeed forgets the rests that an instance launched in the pool proves wrong.
func (r *rests) succeed(group string, pool Pool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(o Rest) bool { return (o.Group == "" || o.Group == group) && o.has(pool) })
}

// changed forgets what held for the group alone: it launches something else now.
func (r *rests) changed(group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(o Rest) bool { return o.Group == group })
}

// CapacityType is how the group's next instances are bought: awsmessage.OnDemand or Spot, or "" where its policy mixes both or that is not
// known.
func (g *Group) CapacityType() string { return g.Source.CapacityType(g.Launch) }

// pools are where the group may launch in a zone; one with an empty type where the types are not known.
func (g *Group) pools(zone string) []Pool {
	pool := Pool{Zone: zone, CapacityType: g.CapacityType()}
	if g.Launch == nil || len(g.Launch.Types) == 0 {
		return []Pool{pool}
	}
	pools := make([]Pool, 0, len(g.Launch.Types))
	for _, t := range g.Launch.Types {
		pool.InstanceType = t.Name
		pools = append(pools, pool)
	}
	return pools
}

// closed is why nothing can be launched in a zone of the group now: the rest of its pools that ends first. Where one pool is
// open, so is the zone.
func (r *rests) closed(g *Group, zone string) (Rest, bool) {
	var first Rest
	for _, pool := range g.pools(zone) {
		rest, resting := r.of(g.Name, pool)
		if !resting {
			return Rest{}, false
		}
		if first.Until.IsZero() || rest.Until.Before(first.Until) {
			first = rest
		}
	}
	return first, true
}

// Resting is why nothing can be launched in the group now, in any of its zones: the rest that ends first. It makes no call
// and is safe for concurrent use.
func (c *Cache) Resting(g *Group) (Rest, bool) { return c.restingIn(g, "") }

// restingIn is Resting in one zone; "" is all.
func (c *Cache) restingIn(g *Group, named string) (Rest, bool) {
	var first Rest
	for _, zone := range g.Zones {
		if named != "" && zone != named {
			continue
		}
		rest, closed := c.closedIn(g, zone)
		if !closed {
			return Rest{}, false
		}
		if first.Until.IsZero() || rest.Until.Before(first.Until) {
			first = rest
		}
	}
	return first, !first.Until.IsZero()
}
