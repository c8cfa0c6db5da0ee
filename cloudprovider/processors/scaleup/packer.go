package scaleup

import (
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

// packer is an estimator that notes on which of its new nodes it puts each pod. To do so it is the snapshot of the estimator that it wraps.
type packer struct {
	clustersnapshot.ClusterSnapshot
	inner  estimator.Estimator
	nodes  []string                // new ones
	pods   map[string][]*apiv1.Pod // by node, new or not
	packed packings
}

// Estimate returns the nodes that have pods, and the pods. The core counts an old node, too, if it puts a pod there that must be spread.
func (p *packer) Estimate(groups []estimator.PodEquivalenceGroup, info *framework.NodeInfo, group cloudprovider.NodeGroup) (int, []*apiv1.Pod) {
	count, pods := p.inner.Estimate(groups, info, group)
	var packed [][]*apiv1.Pod
	for _, name := range p.nodes {
		if on := p.pods[name]; len(on) > 0 {
			packed = append(packed, on)
		}
	}
	simulated := 0
	for _, on := range p.pods {
		simulated += len(on)
	}
	// The core's fast path counts further nodes, with equally many of the last pods on each, and simulates none of them.
	if beyond := count - len(p.pods); beyond > 0 {
		packed = slices.AppendSeq(packed, slices.Chunk(pods[simulated:], max(1, (len(pods)-simulated+beyond-1)/beyond)))
	}
	return p.packed.add(packed, pods)
}

// AddNodeInfo adds a new node.
func (p *packer) AddNodeInfo(info *framework.NodeInfo) error {
	p.nodes = append(p.nodes, info.Node().Name)
	return p.ClusterSnapshot.AddNodeInfo(info)
}

// SchedulePod puts the pod on the node if the scheduler's filters agree.
func (p *packer) SchedulePod(pod *apiv1.Pod, node string) clustersnapshot.SchedulingError {
	err := p.ClusterSnapshot.SchedulePod(pod, node)
	if err == nil {
		p.pods[node] = append(p.pods[node], pod)
	}
	return err
}

// SchedulePodOnAnyNodeMatching puts the pod on a node for which the scheduler's filters agree.
func (p *packer) SchedulePodOnAnyNodeMatching(pod *apiv1.Pod, opts clustersnapshot.SchedulingOptions) (string, clustersnapshot.SchedulingError) {
	node, err := p.ClusterSnapshot.SchedulePodOnAnyNodeMatching(pod, opts)
	if err == nil {
		p.pods[node] = append(p.pods[node], pod)
	}
	return node, err
}
