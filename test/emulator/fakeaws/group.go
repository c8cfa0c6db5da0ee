package fakeaws

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Capacity types.
const (
	onDemand = "on-demand"
	spot     = "spot"
)

// Lifecycle states of instances in a group.
const (
	pending            = "Pending"
	pendingWait        = "Pending:Wait"
	pendingProceed     = "Pending:Proceed"
	inService          = "InService"
	terminating        = "Terminating"
	terminatingWait    = "Terminating:Wait"
	terminatingProceed = "Terminating:Proceed"
	enteringStandby    = "EnteringStandby"
	standby            = "Standby"
	detached           = "Detached"
)

// A group is an Auto Scaling group at work. Desired capacity, weights and counts are in the group's units.
type group struct {
	AutoScalingGroup
	arn       string
	created   time.Time
	deleting  bool
	instances []*instance        // in the order of launch
	surplus   int                // temporary weight of the instances beyond the desired capacity
	retryAt   time.Time          // no launches before, after one failed in every zone
	attempts  map[int][]slot     // requested from EC2 and not answered yet, by attempt number
	launching int                // capacity of the synchronous launches under way
	failing   int                // capacity that has failed to launch, and that descriptions of the group still show as desired
	drawn     int                // instances that the warm pool has lost to the group
	refreshes []*instanceRefresh // the latest first
	next      *LaunchTemplateRef // of an instance refresh under way, nil for the group's own
}

// A pool is a unit of EC2's capacity.
type pool struct{ instanceType, zone, capacityType string }

type instance struct {
	id              string
	group           *group
	pool            pool
	weight          int
	override        *Override          // it was launched for, if any
	template        *LaunchTemplateRef // with its ID, name and version number
	config, imageID string
	tags            map[string]string
	state           string
	protected       bool
	launchTime      time.Time
	listed          time.Time // when readings of the group begin to show it
	ended           time.Time // EC2 shows it as terminated since then
	address         [4]byte
	nodeName        string
	nodeDue         bool // the kubelet runs: the Node belongs in the cluster
	running         bool
	boots           int        // after the first
	announcedState  string     // EC2's state last announced to EventBridge
	dead            bool       // taken from outside: EC2 has ended it
	reason          *ec2Reason // EC2's reason for its end, if given
	atRisk          bool       // capacity rebalancing has dealt with it
	order           uint32     // place among the others of its group in descriptions
	launching       *activity  // of its launch
	ending          *activity  // of its termination

	actions map[string]*lifecycleAction // it waits for, by hook
	onward  func()                      // when it need not wait any more
}

func newGroup(a *account, cfg AutoScalingGroup) *group {
	g := &group{AutoScalingGroup: cfg, created: time.Now(), attempts: map[int][]slot{}}
	g.arn = a.groupARN(uuidOf("group", cfg.Name), cfg.Name)
	if a.created[cfg.Name]++; a.created[cfg.Name] > 1 {
		g.arn = a.groupARN(uuidOf("group", cfg.Name, a.created[cfg.Name]), cfg.Name)
	}
	g.Tags = maps.Collect(maps.All(cfg.Tags)) // never nil
	a.balanceItself(g)
	return g
}

// version is the version of a launch template from which the instance was launched, or nothing.
func (a *account) version(i *instance) (version LaunchTemplateVersion) {
	if i.template != nil {
		if t := a.templates[i.template.ID]; t != nil {
			if n := t.number(i.template.Version); n > 0 {
				version = t.Versions[n-1]
			}
		}
	}
	return version
}

// counts reports whether the instance fills desired capacity.
func (i *instance) counts() bool {
	switch i.state {
	case pending, pendingWait, pendingProceed, inService,
		replacingRootVolume, replacingRootVolumeWait, replacingRootVolumeProceed, rootVolumeReplaced:
		return true
	}
	return false
}

// capacity is the sum of the weights of the instances that count.
func (g *group) capacity() int {
	sum := 0
	for _, i := range g.instances {
		if i.counts() {
			sum += i.weight
		}
	}
	return sum
}

// inFlight is the sum of the weights requested from EC2 and not answered yet.
func (g *group) inFlight() int {
	sum := 0
	for _, slots := range g.attempts {
		for _, s := range slots {
			sum += s.weight
		}
	}
	return sum
}

// baseRef is the launch template the group starts from, or nil with a launch configuration.
func (g *group) baseRef() *LaunchTemplateRef {
	if g.next != nil {
		return g.next
	}
	if g.MixedInstancesPolicy != nil {
		return &g.MixedInstancesPolicy.LaunchTemplate
	}
	return g.LaunchTemplate
}

// overrides of the mixed instances policy, if there is one.
func (g *group) overrides() []Override {
	if g.MixedInstancesPolicy == nil {
		return nil
	}
	return g.MixedInstancesPolicy.Overrides
}

// nextCapacityType decides how the next unit is bought: on-demand up to the base, then on-demand for the percentage above it,
// rounded up in favour of on-demand. The rest is spot.
func (d Distribution) nextCapacityType(onDemandUnits, allUnits, weight int) string {
	if onDemandUnits < d.OnDemandBaseCapacity {
		return onDemand
	}
	percentage := 100
	if d.OnDemandPercentageAboveBaseCapacity != nil {
		percentage = *d.OnDemandPercentageAboveBaseCapacity
	}
	above := allUnits + weight - d.OnDemandBaseCapacity
	wanted := (above*percentage + 99) / 100
	if onDemandUnits-d.OnDemandBaseCapacity < wanted {
		return onDemand
	}
	return spot
}

// spotPools is the number of pools that a lowest-price strategy spreads over.
func (d Distribution) spotPools() int {
	if first(d.SpotAllocationStrategy, "lowest-price") != "lowest-price" {
		return 1
	}
	return first(d.SpotInstancePools, 2)
}

// victim is the instance that scale-in would end next, or nil. It never picks a protected one, but no instance is protected before it is in
// service (user guide, "Use instance scale-in protection"). As the default termination policy does, it takes the zone with the most
// instances, there instances of an older launch template or version first, and among them the one launched first. The policy's last resort,
// closeness to the next billing hour, is approximated by age. In a strict account it is chance.
func (a *account) victim(g *group) *instance {
	zones := g.zoneCounts()
	var victim *instance
	for _, i := range shuffled(a, slices.Clone(g.instances)) { // oldest first, or in any order
		if !i.counts() || i.protected && i.state == inService {
			continue
		}
		if victim == nil || zones[i.pool.zone] > zones[victim.pool.zone] ||
			zones[i.pool.zone] == zones[victim.pool.zone] && a.outdated(i) && !a.outdated(victim) {
			victim = i
		}
	}
	return victim
}

// outdated reports whether the group would launch the instance from another template, version or configuration today.
func (a *account) outdated(i *instance) bool {
	g := i.group
	ref := g.baseRef()
	if ref == nil || i.template == nil {
		return i.config != g.LaunchConfiguration || ref != nil
	}
	if i.override != nil && i.override.LaunchTemplate != nil {
		ref = i.override.LaunchTemplate
	}
	t := a.template(*ref)
	return t != nil && (t.ID != i.template.ID || strconv.Itoa(t.number(ref.Version)) != i.template.Version)
}
