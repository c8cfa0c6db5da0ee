package podlist

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	podutil "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// unneededFor is how long nodes under way must have been without a pod. Deleted pods may be created again meanwhile.
const unneededFor = 20 * time.Second

// comingNodes gives back nodes under way. Implemented by aws.Provider.
type comingNodes interface {
	// NodeGroupName returns the ID of the node group of a node, or "".
	NodeGroupName(node *corev1.Node) string
	// GiveBack begins to give back up to n nodes of a node group.
	GiveBack(nodeGroup string, n int)
}

// GiveBack gives back nodes under way that no pod needs any more, because pods were deleted or found room elsewhere. The core lets
// such nodes come, and scales them down later.
//
// It counts the upcoming nodes in the core's snapshot that have no pod but those of every node. So it belongs behind everything that
// puts pods on upcoming nodes. Nodes of a group are alike, so only their number counts.
type GiveBack struct {
	coming   comingNodes
	clock    clock.PassiveClock
	unneeded map[string]unneeded // by node group
}

// unneeded is how many nodes under way have been without a pod since a moment.
type unneeded struct {
	nodes int
	since time.Time
}

func NewGiveBack(coming comingNodes, c clock.PassiveClock) *GiveBack {
	return &GiveBack{coming: coming, clock: c, unneeded: map[string]unneeded{}}
}

// Process gives back the nodes that have been without a pod for long enough. It returns the pods as they are.
func (b *GiveBack) Process(ctx *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	empty, err := b.empty(ctx)
	if err != nil { // returned, nobody would help the pods
		klog.V(2).InfoS("Could not see which nodes under way are needed", "err", err)
	}
	now := b.clock.Now()
	maps.DeleteFunc(b.unneeded, func(group string, _ unneeded) bool { return empty[group] <= 0 })
	for group, nodes := range empty {
		switch before, known := b.unneeded[group]; {
		case nodes <= 0:
		case !known || nodes < before.nodes: // another pod came, and may go again
			b.unneeded[group] = unneeded{nodes, now}
		case now.Sub(before.since) >= unneededFor:
			b.coming.GiveBack(group, before.nodes)
			b.unneeded[group] = unneeded{nodes, now}
		}
	}
	return pods, nil
}

// empty counts the upcoming nodes without a pod, by node group. An upcoming node may stand in for one that has registered and is not
// ready yet. The snapshot does not have that node, nor the pods that run on it, so it counts as needed.
func (b *GiveBack) empty(ctx *cacontext.AutoscalingContext) (map[string]int, error) {
	infos, err := ctx.ClusterSnapshot.ListNodeInfos()
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, info := range infos {
		if info.Node().Annotations[coreannotations.NodeUpcomingAnnotation] == "true" &&
			len(podutil.FilterRecreatablePods(snapshot.Pods(info))) == 0 { // those that not every node of its group has
			counts[b.coming.NodeGroupName(info.Node())]++
		}
	}
	if len(counts) == 0 {
		return nil, nil
	}
	registered, err := ctx.AllNodeLister().List()
	if err != nil {
		return nil, err
	}
	for _, node := range registered {
		if _, err := ctx.ClusterSnapshot.GetNodeInfo(node.Name); err != nil {
			counts[b.coming.NodeGroupName(node)]--
		}
	}
	delete(counts, "")
	return counts, nil
}

func (*GiveBack) CleanUp() {}
