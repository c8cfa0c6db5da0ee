package nodeinfos

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodeinfosprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
)

// Provider predicts the next node of each group.
//
// A live node of the group is the best source for CPU, memory and the pods of every node. The core keeps a copy of it, the cached
// NodeInfo. Provider corrects that copy:
//   - Extended resources that the template promises stay promised while the node does not show them. Its device plugin may be late or
//     restarting, or may have been so when the core made the copy. A divided GPU is no whole one. Unhealthy devices count.
//   - A node that the core cannot copy is no model.
//   - A node with fewer accelerators than the template is no model while a sound one lives, and its copy gets all once it is gone.
//   - In a group of several sizes it has no more than the smallest.
//   - It has the taints that the template states and another node of the group shows.
//   - A node of the present launch template version comes before nodes of earlier ones. A copy of one of these has the labels that the
//     template declares.
//   - It has the pods of today's DaemonSets. The copied node may have others.
//   - Where the cluster shares GPUs by dynamic resource allocation, a group whose nodes have shown no devices has the devices that
//     NVIDIA's driver would publish for its instance types.
//   - Where the core simulates volume limits, the node has the EBS driver with the limit of its type.
//   - A cached NodeInfo does not count once the group launches something else or in other zones, once a tag states other accelerators and
//     its node is gone, or if its figures are far from a sound node of its type. Neither does a label that the group's next node is not
//     expected to carry.
//
// It implements the core's TemplateNodeInfoProvider. The core's loop alone uses it.
type Provider struct {
	provider *aws.Provider
	zoneIDs  *ZoneIDs
	live     nodeinfosprovider.TemplateNodeInfoProvider
	uncopied map[string]bool // nodes by name

	forceDaemonSets bool
}

// New makes a Provider that keeps zoneIDs up to date. keep is how long a cached NodeInfo serves (--node-info-cache-expire-time),
// forceDaemonSets is the flag --force-ds.
func New(p *aws.Provider, zoneIDs *ZoneIDs, keep time.Duration, forceDaemonSets bool) *Provider {
	return &Provider{provider: p, zoneIDs: zoneIDs, live: nodeinfosprovider.NewMixedTemplateNodeInfoProvider(&keep, forceDaemonSets),
		forceDaemonSets: forceDaemonSets}
}

// Process returns a NodeInfo for every group, by node group ID. A group about whose nodes nothing is known has a placeholder
// NodeInfo, which no pod fits on. The core copies each NodeInfo for this loop, node and slices included, so the others are completed in place.
func (n *Provider) Process(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node, daemonSets []*appsv1.DaemonSet,
	taintConfig taints.TaintConfig, now time.Time) (map[string]*framework.NodeInfo, caerrors.AutoscalerError) {
	v := n.provider.View()
	nodes = n.soundFirst(v, nodes)
	infos, err := n.live.Process(ctx, nodes, daemonSets, taintConfig, now)
	if err == nil {
		n.uncopied = nil
	} else { // about one node, but the loop would end for all groups
		infos, err = n.live.Process(ctx, n.copyable(ctx, nodes), daemonSets, taintConfig, now)
	}
	if err != nil {
		return nil, err
	}
	n.dropMisleading(v, infos, nodes, daemonSets, taintConfig)
	shared, volumes := n.sharing(ctx, nodes), ebsLimits(ctx, nodes)
	n.zoneIDs.Learn(nodes, v)
	for id, info := range infos {
		if t := v.Template(id); t != nil {
			counted := !nodemeta.Template.On(info.Node()) && showsGPUs(info.Node())
			promise(info, nodes, t)
			limit(info, t, v.Catalogue())
			if shared != nil {
				shared.complete(info, counted, t, v.Catalogue())
			}
			if volumes != nil {
				volumes.complete(info, t.InstanceTypes, v.Catalogue())
			}
			n.completeZone(info.Node(), t, v.Group(id), v.Divisible(id))
			if t.Among != "" {
				info.Node().Labels[nodemeta.KindAssumed] = t.Among
			}
		}
		info = withDaemons(info, daemonSets, n.forceDaemonSets)
		nodemeta.NodeGroup.Set(info.Node(), id)
		infos[id] = info
	}
	for _, ng := range v.NodeGroups() {
		if id := ng.Id(); infos[id] == nil {
			infos[id] = framework.NewNodeInfo(Placeholder(id), nil)
		}
	}
	return infos, nil
}

func (n *Provider) CleanUp() { n.live.CleanUp() }

// copyable returns the nodes that the core can copy, and logs each other one once. The core copies a node with all its pods, and refuses one
// whose pods hold devices that nobody publishes for that node: a driver's slices may be lost while the pods go on.
func (n *Provider) copyable(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) []*corev1.Node {
	before := n.uncopied
	n.uncopied = map[string]bool{}
	return slices.DeleteFunc(slices.Clone(nodes), func(node *corev1.Node) bool {
		info, err := ctx.ClusterSnapshot.GetNodeInfo(node.Name)
		if err == nil && slices.ContainsFunc(info.Pods(), func(p *framework.PodInfo) bool { return len(p.NeededResourceClaims) > 0 }) {
			_, err = simulator.SanitizedNodeInfo(info, "copy")
		}
		if err == nil {
			return false
		}
		if n.uncopied[node.Name] = true; !before[node.Name] {
			klog.Background().Info("Took a node for no model of its group's next one. If the node shows no ResourceSlices of a DRA driver, "+
				"restart the driver's pod on the node, or drain the node", "node", node.Name, "reason", err.Error())
		}
		return true
	})
}

// promise gives a node all of its devices, though some may be unhealthy (kubelet counts these in the capacity alone), and the template's
// extended resources that it lacks or shows as zero, unless the node, or other nodes of the group, show that they lack them for good. A node
// that is gone may have lost an accelerator. While it lives, the next one counts as weak as it is: if all nodes of the group are so, launches
// would not end.
func promise(info *framework.NodeInfo, nodes []*corev1.Node, t *fromgroup.Template) {
	node, live := info.Node(), maps.Clone(info.Node().Status.Allocatable)
	ensureLists(node)
	set := func(name corev1.ResourceName, capacity, allocatable resource.Quantity) {
		if has := node.Status.Allocatable[name]; allocatable.Cmp(has) > 0 && !divided(live, name) && !t.Seen.Learnt.Lacks(name) {
			node.Status.Capacity[name], node.Status.Allocatable[name] = capacity, allocatable
		}
	}
	for name, all := range node.Status.Capacity {
		if strings.Contains(string(name), "/") { // kubelet reserves a part of its own resources
			set(name, all, all)
		}
	}
	gone := weaker(node, t) && !among(nodes, node)
	for name, promised := range t.Capacity {
		if shown := live[name]; shown.IsZero() && nodetemplate.Extended(name) || gone && nodetemplate.IsAccelerator(name) {
			set(name, promised, t.Allocatable[name])
		}
	}
	info.SetNode(node) // only then does the scheduler compute its own sums
}

// among reports whether the node of a NodeInfo lives.
func among(nodes []*corev1.Node, node *corev1.Node) bool {
	return slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return n.Spec.ProviderID == node.Spec.ProviderID })
}

// weaker reports whether the node shows some of an accelerator, and fewer than the template, such as after a GPU has failed.
func weaker(node *corev1.Node, t *fromgroup.Template) bool {
	for name, promised := range t.Capacity {
		if has := node.Status.Capacity[name]; nodetemplate.IsAccelerator(name) && !has.IsZero() && has.Cmp(promised) < 0 {
			return true
		}
	}
	return false
}

// divided reports whether a node shows parts of an accelerator, or renamed time slices, in its place.
func divided(allocatable corev1.ResourceList, whole corev1.ResourceName) bool {
	for name, shown := range allocatable {
		if !shown.IsZero() && nodetemplate.Divides(name, whole) {
			return true
		}
	}
	return false
}

// sizes are the figures in which the types of a group may differ, beside their accelerators. The disk differs where nodes join local ones.
var sizes = map[corev1.ResourceName]func(instancetypes.Type) int64{
	corev1.ResourceCPU:               func(t instancetypes.Type) int64 { return int64(t.VCPU) },
	corev1.ResourceMemory:            func(t instancetypes.Type) int64 { return t.MemoryBytes },
	corev1.ResourcePods:              func(t instancetypes.Type) int64 { return int64(t.ENIMaxPods()) },
	instancetypes.ResourceEFA:        func(t instancetypes.Type) int64 { return int64(t.EFAInterfaces) },
	instancetypes.ResourcePodENI:     func(t instancetypes.Type) int64 { return int64(t.PodENIs) },
	nodetemplate.ResourcePrivateIPv4: func(t instancetypes.Type) int64 { return int64(t.IPv4PerENI) },
	nodetemplate.HugePages2Mi:        nodetemplate.ImageHugePages,
	corev1.ResourceEphemeralStorage:  func(t instancetypes.Type) int64 { return t.LocalNVMeBytes },
}

// sizeOf returns the type's figure for a resource, the number of whole accelerators for a part of one.
func sizeOf(t instancetypes.Type, name corev1.ResourceName) int64 {
	if of := sizes[name]; of != nil {
		return of(t)
	}
	for whole, count := range t.Accelerators() {
		if string(name) == whole || nodetemplate.Divides(name, corev1.ResourceName(whole)) {
			return int64(count)
		}
	}
	return 0
}

// limit leaves a node no more than the template counts on, where another type of the group is smaller than the node's: AWS may
// launch any of them. Of a resource without a promise, such as a part of a GPU, it keeps the smaller type's share. So it does of more GPUs
// than the node's type has, which are parts, and of joined local disks, because the template may know nothing of them. Among types of
// one size the node's figure stays, because it is exact.
func limit(info *framework.NodeInfo, t *fromgroup.Template, catalogue *instancetypes.Catalogue) {
	node := info.Node()
	if len(t.InstanceTypes) == 0 || len(t.InstanceTypes)+len(t.UnknownTypes) < 2 || nodemeta.Template.On(node) {
		return
	}
	own, known := catalogue.Lookup(node.Labels[corev1.LabelInstanceTypeStable])
	all := make([]instancetypes.Type, len(t.InstanceTypes))
	for i, name := range t.InstanceTypes {
		all[i], _ = catalogue.Lookup(name)
	}
	for name, shown := range node.Status.Allocatable {
		if sizes[name] == nil && !nodetemplate.IsAccelerator(name) {
			continue
		}
		size, smallest := sizeOf(own, name), int64(math.MaxInt64)
		for i := range all {
			smallest = min(smallest, sizeOf(all[i], name))
		}
		has, disk := node.Status.Capacity[name], name == corev1.ResourceEphemeralStorage
		if known && size <= smallest || disk && !joined(has.Value(), size) {
			continue
		}
		capacity, promised := t.Capacity[name]
		least, part := t.Allocatable[name], float64(smallest)/float64(max(1, size))
		sliced := known && nodetemplate.IsAccelerator(name) && has.Value() > size
		if share := scaled(shown, part); !promised || (sliced || disk) && least.Cmp(share) < 0 {
			capacity, least = scaled(has, part), share
		}
		if least.Cmp(shown) < 0 {
			node.Status.Capacity[name], node.Status.Allocatable[name] = capacity, least
		}
	}
	info.SetNode(node)
}

// joined reports whether a disk of that size can be the local ones together, or mirrored (RAID 10). Filesystems take some of it.
func joined(disk, local int64) bool { return disk <= local && disk > local*2/5 }

func scaled(q resource.Quantity, by float64) resource.Quantity {
	return *resource.NewQuantity(int64(q.AsApproximateFloat64()*by), q.Format)
}

// Placeholder is a node of a group about which nothing is known. No pod fits on it. Without a NodeInfo of the group the core would give up
// every scale-up, for all groups, while an instance of it is on its way to become a node.
func Placeholder(group string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "unknown-node-of-" + group}, Spec: corev1.NodeSpec{Unschedulable: true}}
	nodemeta.Placeholder.Mark(node)
	ensureLists(node)
	return node
}

func ensureLists(node *corev1.Node) {
	if node.Status.Capacity == nil {
		node.Status.Capacity = corev1.ResourceList{}
	}
	if node.Status.Allocatable == nil {
		node.Status.Allocatable = corev1.ResourceList{}
	}
}
