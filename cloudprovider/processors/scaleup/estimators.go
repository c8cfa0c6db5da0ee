package scaleup

import (
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// packings are the nodes of options. The key is the first place in the option's list of pods, by which an option is known that no expander
// has cut.
type packings map[**apiv1.Pod][]plan.Node

// add adds an option, and returns the number of its nodes, and its pods.
func (p packings) add(nodes []plan.Node, pods []*apiv1.Pod) (int, []*apiv1.Pod) {
	if len(pods) == 0 {
		return 0, nil
	}
	p[&pods[0]] = nodes
	return len(nodes), pods
}

// planned is an estimator that does not pack. Its options are what the expander's plan still has for each group.
type planned struct {
	nodes  []plan.Node
	packed packings
}

// Estimate returns the nodes that the plan has for the group, and those of its pods that the group can take.
func (p planned) Estimate(pending []estimator.PodEquivalenceGroup, _ *framework.NodeInfo, group cloudprovider.NodeGroup) (int, []*apiv1.Pod) {
	if !slices.ContainsFunc(p.nodes, func(n plan.Node) bool { return n.Group == group.Id() }) {
		return 0, nil // most groups of many: pending may be thousands of pods
	}
	waiting := make(map[types.UID]*apiv1.Pod)
	for _, similar := range pending {
		for _, pod := range similar.Pods {
			waiting[pod.UID] = pod
		}
	}
	var perNode [][]*apiv1.Pod
	for _, node := range p.nodes {
		if node.Group != group.Id() {
			continue
		}
		if pods := node.Waiting(waiting); len(pods) > 0 {
			perNode = append(perNode, pods)
		}
	}
	return p.packed.add(plan.Nodes(group.Id(), perNode), slices.Concat(perNode...))
}

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
	var perNode [][]*apiv1.Pod
	for _, name := range p.nodes {
		if on := p.pods[name]; len(on) > 0 {
			perNode = append(perNode, on)
		}
	}
	simulated := 0
	for _, on := range p.pods {
		simulated += len(on)
	}
	// The core's fast path counts further nodes, with equally many of the last pods on each, and simulates none of them.
	if beyond := count - len(p.pods); beyond > 0 {
		perNode = slices.AppendSeq(perNode, slices.Chunk(pods[simulated:], max(1, (len(pods)-simulated+beyond-1)/beyond)))
	}
	return p.packed.add(plan.Nodes(group.Id(), perNode), pods)
}

func (p *packer) AddNodeInfo(info *framework.NodeInfo) error {
	p.nodes = append(p.nodes, info.Node().Name)
	return p.ClusterSnapshot.AddNodeInfo(info)
}

func (p *packer) SchedulePod(pod *apiv1.Pod, node string) clustersnapshot.SchedulingError {
	err := p.ClusterSnapshot.SchedulePod(pod, node)
	if err == nil {
		p.pods[node] = append(p.pods[node], pod)
	}
	return err
}

func (p *packer) SchedulePodOnAnyNodeMatching(pod *apiv1.Pod, opts clustersnapshot.SchedulingOptions) (string, clustersnapshot.SchedulingError) {
	node, err := p.ClusterSnapshot.SchedulePodOnAnyNodeMatching(pod, opts)
	if err == nil {
		p.pods[node] = append(p.pods[node], pod)
	}
	return node, err
}
