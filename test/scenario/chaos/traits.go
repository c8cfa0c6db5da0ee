package chaos

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Traits configure the account of a plan, and the autoscaler in it.
type Traits struct {
	Strict            bool `json:"strict,omitempty"`            // AWS does the worst that its documents allow
	UsualRefresh      bool `json:"usualRefresh,omitempty"`      // the groups are read each minute, as by default, and not each second
	Queue             bool `json:"queue,omitempty"`             // interruptions come through a queue, some late, twice or out of order
	DrainAtRisk       bool `json:"drainAtRisk,omitempty"`       // --asg-rebalance=drain
	Hooks             bool `json:"hooks,omitempty"`             // instances of some groups wait for a hook before they end
	CapacityRebalance bool `json:"capacityRebalance,omitempty"` // of spot groups
	Weights           bool `json:"weights,omitempty"`           // spot groups count in weights
	Mixed             bool `json:"mixed,omitempty"`             // a group has an on-demand base, and both kinds above it
	Budgets           bool `json:"budgets,omitempty"`           // one pod of each workload at a time may be evicted

	Units         string `json:"units,omitempty"`         // in which a spot group counts: vcpu, memory-mib, or none for instances
	LateNodes     bool   `json:"lateNodes,omitempty"`     // nodes are Ready 4 s to 8 s after they register, each at its own time
	StartupTaints bool   `json:"startupTaints,omitempty"` // nodes of web register with a taint by user data, which an agent takes off some time after Ready
	Divided       bool   `json:"divided,omitempty"`       // a group has divided GPUs, and a pod waits for a whole one there
	Unlisted      bool   `json:"unlisted,omitempty"`      // AWS shows a new desired capacity for seconds before it lists the instances that LaunchInstances launched
	Hurried       bool   `json:"hurried,omitempty"`       // the least-cost expander with limits of milliseconds, and in the end a crowd of pods meets a starved leader
	BurstKill     int    `json:"burstKill,omitempty"`     // the leader dies before (if even) or after its nomination of this number in the burst of the end
}

// newTraits draws traits from a random source of their own. Groups of zonal plans stay as those plans need them.
func newTraits(seed uint64, usualRefresh, zonal bool) Traits {
	r := rand.New(rand.NewPCG(seed, 0x7a175))
	t := Traits{UsualRefresh: usualRefresh, Queue: r.IntN(2) == 0, CapacityRebalance: r.IntN(3) == 0, Weights: r.IntN(2) == 0, Mixed: r.IntN(3) == 0, Strict: r.IntN(2) == 0}
	t.DrainAtRisk, t.Hooks = t.Queue && r.IntN(2) == 0, t.Queue && r.IntN(2) == 0
	t.Budgets = r.IntN(2) == 0
	t.LateNodes, t.StartupTaints, t.Hurried = r.IntN(3) == 0, r.IntN(4) == 0, r.IntN(3) == 0
	if r.IntN(4) == 0 {
		t.Units = pick(r, []string{"vcpu", "memory-mib"})
	}
	t.Divided, t.Unlisted = r.IntN(3) == 0, r.IntN(3) == 0
	if r.IntN(2) == 0 && !t.Hurried { // a crowd whose nominations are lost may need more nodes than one packing
		t.BurstKill = 1 + r.IntN(mostBurstKill)
	}
	if zonal {
		t.Units, t.Divided, t.BurstKill = "", false, 0
		t.CapacityRebalance, t.Weights, t.Mixed = false, false, false
	}
	return t
}

func (t Traits) String() string {
	text := ""
	for _, trait := range []struct {
		name  string
		holds bool
	}{
		{"strict", t.Strict}, {"usual refresh", t.UsualRefresh}, {"queue", t.Queue}, {"drains at risk", t.DrainAtRisk}, {"hooks", t.Hooks},
		{"capacity rebalancing", t.CapacityRebalance}, {"weights", t.Weights}, {"mixed policy", t.Mixed}, {"budgets", t.Budgets},
		{"units of hardware", t.Units != ""}, {"late nodes", t.LateNodes}, {"start-up taints", t.StartupTaints}, {"divided GPUs", t.Divided},
		{"hurried", t.Hurried}, {"unlisted", t.Unlisted}, {"killed in the burst", t.BurstKill > 0},
	} {
		if trait.holds {
			text += trait.name + ", "
		}
	}
	return text
}

const (
	queueName = "interruptions"
	// hookTime is how long an instance waits if nobody completes its hook, or puts it off: the shortest time that AWS allows.
	hookTime = 30 * time.Second
)

func (t Traits) queues() []fakeaws.Queue {
	if !t.Queue {
		return nil
	}
	return []fakeaws.Queue{{
		Name: queueName, Events: []string{"*"}, Lag: fakeaws.Duration(300 * time.Millisecond), Duplicates: 30, Shuffles: 30,
		VisibilityTimeout: fakeaws.Duration(10 * time.Second),
	}}
}

// shape configures the account's groups by the traits.
func (t Traits) shape(groups []fakeaws.AutoScalingGroup) {
	for n := range groups {
		g := &groups[n]
		policy := g.MixedInstancesPolicy
		g.CapacityRebalance = t.CapacityRebalance && policy != nil
		if t.LateNodes {
			g.ReadyAfter, g.ReadyJitter = fakeaws.Duration(4*time.Second), fakeaws.Duration(4*time.Second)
		}
		if pool := g.NodeLabels[poolLabel]; t.StartupTaints && (pool == webPods || pool == dbPool) {
			g.StartupTaints, g.StartupTaintsAfterReady = []string{startupTaint}, fakeaws.Duration(2*time.Second)
		}
		if t.Hooks && n%2 == 0 {
			g.LifecycleHooks = []fakeaws.LifecycleHook{{
				Name: "asg-autoscaler-goodbye", Transition: "terminating", HeartbeatTimeout: fakeaws.Duration(hookTime), DefaultResult: "CONTINUE",
			}}
		}
		if policy == nil {
			continue
		}
		if t.Weights {
			policy.Overrides = weighted(policy.Overrides)
			g.Max *= 2
		}
		if t.Units != "" && g.Name == mixedGroup {
			t.countHardware(g)
		}
		if t.Mixed && g.Name == mixedGroup {
			half := 50
			policy.Distribution.OnDemandBaseCapacity, policy.Distribution.OnDemandPercentageAboveBaseCapacity = 1, &half
		}
	}
}

// mixedGroup is the group that can have both kinds of capacity.
const mixedGroup = "web-spot"

// weights of instance types by their room.
var weights = map[string]int{"m5.large": 2, "m5a.large": 2, "m4.large": 2, "m5.xlarge": 4, "g4dn.xlarge": 2, "g4dn.2xlarge": 4}

// weighted are the overrides with weights, and a type of another weight where all have the same.
func weighted(overrides []fakeaws.Override) []fakeaws.Override {
	if overrides[0].InstanceType == "m5.large" {
		overrides = append(overrides, fakeaws.Override{InstanceType: "m5.xlarge"})
	}
	for n := range overrides {
		overrides[n].WeightedCapacity = weights[overrides[n].InstanceType]
	}
	return overrides
}

// size holds the hardware that a group with a unit of hardware counts for an instance.
type size struct{ vcpu, memoryMiB int }

var sizes = map[string]size{"m5.large": {2, 8192}, "m5a.large": {2, 8192}, "m4.large": {2, 8192}, "m5.xlarge": {4, 16384}}

// in is the size in a unit of hardware.
func (s size) in(unit string) int {
	if unit == "vcpu" {
		return s.vcpu
	}
	return s.memoryMiB
}

// countHardware has a group count its capacity in a unit of hardware. AWS allows that only where requirements select the types.
func (t Traits) countHardware(g *fakeaws.AutoScalingGroup) {
	g.DesiredCapacityType, g.Max = t.Units, 8*sizes["m5.large"].in(t.Units)
	g.MixedInstancesPolicy.Overrides = []fakeaws.Override{{Requirements: &fakeaws.InstanceRequirements{
		VCPUs: fakeaws.Range{Min: 2}, MemoryMiB: fakeaws.Range{Min: 8192}, AllowedInstanceTypes: slices.Sorted(maps.Keys(sizes)),
	}}}
}

// startupTaint is the taint that the EBS driver's documents advise. startupData has kubelet register with it.
const (
	startupTaint = "ebs.csi.aws.com/agent-not-ready=true:NoExecute"
	startupData  = "#!/bin/bash\n/etc/eks/bootstrap.sh eksworkshop --kubelet-extra-args '--register-with-taints=" + startupTaint + "'\n"
)

// garbage are messages that nobody should send to the queue: not of EventBridge, incomplete, or about instances of nobody.
var garbage = []string{
	``,
	`not JSON`,
	`[]`,
	`{"detail-type":"EC2 Spot Instance Interruption Warning"}`,
	`{"version":"0","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","account":"123456789012","region":"cn-northwest-1","detail":{"instance-id":42}}`,
	`{"version":"0","id":"1","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","account":"123456789012",` +
		`"time":"2026-11-01T00:00:00Z","region":"cn-northwest-1","resources":[],"detail":{"instance-id":"i-00000000000000bad","instance-action":"terminate"}}`,
	`{"version":"0","id":"2","detail-type":"EC2 Instance-terminate Lifecycle Action","source":"aws.autoscaling","account":"123456789012",` +
		`"time":"2026-11-01T00:00:00Z","region":"cn-northwest-1","resources":[],"detail":{"AutoScalingGroupName":"nobody","EC2InstanceId":"i-00000000000000bad","LifecycleHookName":"none","LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING"}}`,
	`{"version":"0","id":"3","detail-type":"Somebody Else's Event","source":"com.example","detail":{"instance-id":"i-00000000000000bad"}}`,
}
