package aws

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodeinfosprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"
)

// NodeInfos tells the core what the next node of each group looks like. A live node of the group is the best witness of
// CPU, memory and what runs on every node; but accelerators and other extended resources that the group's template
// promises stay promised while a live node does not show them: its device plugin is late, restarting, or was when the
// core took the node's picture for later. Where GPUs are shared out by dynamic resource allocation instead, a group whose
// nodes have not shown their devices yet has those that NVIDIA's driver would publish for its instance types; and where the
// core simulates volume limits, a new node has the EBS driver with the limit of its type, as other nodes have it. Once a group
// launches something else, or in other zones, pictures of the nodes it had before do not count any more. A node with figures that no
// sound node of its type has never counts, and neither does a label that most nodes of the group lack.
//
// It implements the core's TemplateNodeInfoProvider, and is used by the core's loop alone.
type NodeInfos struct {
	provider *Provider
	live     nodeinfosprovider.TemplateNodeInfoProvider
}

// NewNodeInfos makes a NodeInfos. keep is how long a picture of a live node serves (--node-info-cache-expire-time);
// forceDaemonSets is the flag --force-ds.
func NewNodeInfos(p *Provider, keep time.Duration, forceDaemonSets bool) *NodeInfos {
	return &NodeInfos{provider: p, live: nodeinfosprovider.NewMixedTemplateNodeInfoProvider(&keep, forceDaemonSets)}
}

// Process returns a NodeInfo for every group, by node group ID: one that no pod fits on where nothing is known of its nodes.
func (n *NodeInfos) Process(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node, daemonSets []*appsv1.DaemonSet,
	taintConfig taints.TaintConfig, now time.Time) (map[string]*framework.NodeInfo, caerrors.AutoscalerError) {
	infos, err := n.live.Process(ctx, nodes, daemonSets, taintConfig, now)
	if err != nil {
		return nil, err
	}
	n.dropMisleading(infos, daemonSets, taintConfig)
	v, shared, volumes := n.provider.view.Load(), n.provider.sharing(ctx, nodes), ebsLimits(ctx, nodes)
	zones := n.provider.learnZoneIDs(nodes, v)
	for id, info := range infos {
		if t := v.templates[id]; t != nil {
			counted := !ofTemplate(info) && showsGPUs(info.Node())
			info = withPromised(info, t.Capacity, t.Allocatable)
			if shared != nil {
				info = shared.complete(info, counted, t, v.catalogue)
			}
			if volumes != nil {
				info = volumes.complete(info, t.InstanceTypes, v.catalogue)
			}
			zones.complete(info, t)
		}
		nameGroup(info, id)
		infos[id] = info
	}
	addStandIns(infos, v.nodeGroups)
	return infos, nil
}

// CleanUp implements the core's TemplateNodeInfoProvider.
func (n *NodeInfos) CleanUp() { n.live.CleanUp() }

// withPromised returns info with the extended resources of a template that its node lacks or shows as zero. The NodeInfo is
// built anew, because the scheduler's own sums in it are made when its node is set and only then.
func withPromised(info *framework.NodeInfo, capacity, allocatable corev1.ResourceList) *framework.NodeInfo {
	var node *corev1.Node
	for name, promised := range capacity {
		shown := info.Node().Status.Allocatable[name]
		if !extended(name) || promised.IsZero() || !shown.IsZero() {
			continue
		}
		if node == nil {
			node = info.Node().DeepCopy()
			ensureLists(node)
		}
		node.Status.Capacity[name] = promised
		node.Status.Allocatable[name] = allocatable[name]
	}
	if node == nil {
		return info
	}
	return rebuilt(info, node, info.LocalResourceSlices)
}

// rebuilt is info with another node and other slices.
func rebuilt(info *framework.NodeInfo, node *corev1.Node, slices []*resourceapi.ResourceSlice) *framework.NodeInfo {
	again := framework.NewNodeInfo(node, slices, info.Pods()...)
	if info.CSINode != nil {
		again.SetCSINode(info.CSINode)
	}
	return again
}

func ensureLists(node *corev1.Node) {
	if node.Status.Capacity == nil {
		node.Status.Capacity = corev1.ResourceList{}
	}
	if node.Status.Allocatable == nil {
		node.Status.Allocatable = corev1.ResourceList{}
	}
}

// extended reports whether a resource is published by something that may start later than the node. CPU, memory and their
// like come with the kubelet.
func extended(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods, corev1.ResourceEphemeralStorage:
		return false
	}
	return true
}

// Launchable is the core's NodeGroupListProcessor: it leaves out the groups that can launch nothing, those whose pools have all
// been without capacity a moment ago, and those of which no NodeInfo could be made, so that the core neither asks them nor
// complains of each at every scale-up. That they are out, and why, has been reported. While the last reading of the groups
// is too old to choose by, it leaves out all.
type Launchable struct{ provider *Provider }

// NewLaunchable makes a Launchable.
func NewLaunchable(p *Provider) Launchable { return Launchable{provider: p} }

// Process returns the groups that can grow.
func (l Launchable) Process(_ *cacontext.AutoscalingContext, groups []cloudprovider.NodeGroup, infos map[string]*framework.NodeInfo,
	_ []*corev1.Pod) ([]cloudprovider.NodeGroup, map[string]*framework.NodeInfo, error) {
	if l.provider.cache.TooOldToAdd() {
		return nil, infos, nil
	}
	v := l.provider.view.Load()
	able := make([]cloudprovider.NodeGroup, 0, len(groups))
	for _, ng := range groups {
		g := v.groups[ng.Id()]
		if info := infos[ng.Id()]; g == nil || info == nil || IsStandIn(info) || g.Blocked() {
			continue
		}
		if rest, resting := l.provider.cache.CoolDown(g); resting {
			klog.FromContext(l.provider.ctx).V(2).Info("Passed over a node group that cannot launch now", "nodeGroup", g.ID(),
				"pool", rest.Pool, "reason", rest.Class, "until", rest.Until)
			continue
		}
		able = append(able, candidate(ng, g))
	}
	return able, infos, nil
}

// CleanUp implements the core's NodeGroupListProcessor.
func (Launchable) CleanUp() {}
