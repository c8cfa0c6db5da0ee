package scaledown

import (
	"math"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/eligibility"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/unremovable"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// FreshCandidates has the core remove no node while the last reading of the groups is too old to choose by. It leaves out the nodes that the provider
// keeps, and nodes that are rebooted. Nodes whose instance is ending are no candidates either, and no pods move to them. It also leaves out
// unneeded nodes with a pod that asks to be left alone for a time: the core would not look at such a node for minutes after its time has ended,
// because it remembers which nodes a pod blocked.
type FreshCandidates struct {
	nodes.ScaleDownNodeProcessor
	provider *aws.Provider
	clock    clock.PassiveClock
	checker  *eligibility.Checker
	kept     map[string]KeptBy
}

func NewFreshCandidates(p *aws.Provider, c nodegroupconfig.NodeGroupConfigProcessor, clock clock.PassiveClock, then nodes.ScaleDownNodeProcessor) *FreshCandidates {
	return &FreshCandidates{ScaleDownNodeProcessor: then, provider: p, clock: clock, checker: eligibility.NewChecker(c)}
}

// Kept returns the nodes that the last loop kept for the time of a pod. The map is not changed any more.
func (f *FreshCandidates) Kept() map[string]KeptBy { return f.kept }

func (f *FreshCandidates) GetScaleDownCandidates(ctx *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	f.kept = map[string]KeptBy{}
	if f.provider.TooOldToRemove() {
		ctx.ProcessorCallbacks.DisableScaleDownForLoop() // without candidates the core would forget since when nodes are not needed
	}
	now := f.clock.Now()
	candidates, err := f.ScaleDownNodeProcessor.GetScaleDownCandidates(ctx, all)
	return slices.DeleteFunc(slices.Clone(candidates), func(n *corev1.Node) bool {
		if s, _ := move.StateOf(n); s.Step == move.Rebooting || f.provider.Keeps(n) || f.provider.IsLeaving(n) {
			return true
		}
		by := longest(ctx, n.Name, now)
		if by.Pod == "" {
			return false
		}
		unneeded, _, _ := f.checker.FilterOutUnremovable(ctx, []*corev1.Node{n}, now, unremovable.NewNodes())
		if len(unneeded) > 0 {
			f.kept[n.Name] = by
		}
		return len(unneeded) > 0
	}), err
}

func (f *FreshCandidates) GetPodDestinationCandidates(ctx *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	destinations, err := f.ScaleDownNodeProcessor.GetPodDestinationCandidates(ctx, all)
	return slices.DeleteFunc(slices.Clone(destinations), f.provider.IsLeaving), err
}

// CheapestFirst has the core consider a node before another if its pods cost less to move (move.Cost). It stands behind the core's own
// comparers: a node that was considered before has waited for its removal, and would wait anew behind one that has just become cheaper.
type CheapestFirst struct {
	Cluster clustersnapshot.ClusterSnapshot
	costs   map[*corev1.Node]float64 // of the nodes of this sort that the other comparers call equal
}

// ResetState forgets the costs, before each sort.
func (c *CheapestFirst) ResetState() { c.costs = map[*corev1.Node]float64{} }

func (c *CheapestFirst) ScaleDownEarlierThan(a, b *corev1.Node) bool { return c.cost(a) < c.cost(b) }

func (c *CheapestFirst) cost(n *corev1.Node) float64 {
	if _, known := c.costs[n]; !known {
		c.costs[n] = math.Inf(1)
		if info, err := c.Cluster.GetNodeInfo(n.Name); err == nil {
			c.costs[n] = move.Cost(snapshot.Pods(info))
		}
	}
	return c.costs[n]
}

// GroupDelays is the core's processor for --scale-down-delay-type-local with a lock. The core's own one keeps plain maps: each loop reads them,
// and goroutines of the core that end a removal write them beside the loop, which ends the process. Register it both for candidates and for
// changes of scale.
type GroupDelays struct {
	*scaledowncandidates.ScaleDownCandidatesDelayProcessor
	mu sync.Mutex
}

func (d *GroupDelays) GetScaleDownCandidates(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ScaleDownCandidatesDelayProcessor.GetScaleDownCandidates(ctx, nodes)
}

func (d *GroupDelays) RegisterScaleUp(changed cloudprovider.NodeGroup, delta int, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ScaleDownCandidatesDelayProcessor.RegisterScaleUp(changed, delta, now)
}

func (d *GroupDelays) RegisterScaleDown(changed cloudprovider.NodeGroup, node string, now, expected time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ScaleDownCandidatesDelayProcessor.RegisterScaleDown(changed, node, now, expected)
}

func (d *GroupDelays) RegisterFailedScaleDown(changed cloudprovider.NodeGroup, reason string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ScaleDownCandidatesDelayProcessor.RegisterFailedScaleDown(changed, reason, now)
}
