package nodeinfos

import (
	"cmp"
	"math"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// ebsDriver is the CSI driver of EBS volumes.
const ebsDriver = "ebs.csi.aws.com"

// volumeLimits are the numbers of EBS volumes that can be attached to nodes: the least that the driver reports, by instance type.
type volumeLimits map[string]int32

// ebsLimits looks at the cluster. It returns nil if the core does not simulate volume limits, or if nodes list their drivers and
// none lists the EBS driver. Where no node lists any, as in a cluster at zero, a pod with EBS volumes needs the driver in any case.
//
// The limits are on the NodeInfos for scale-up alone. The core takes a Ready node with a late driver for unready only by the promises of
// NodeGroup.TemplateNodeInfo, which has none.
func ebsLimits(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) volumeLimits {
	if ctx == nil || ctx.CsiProvider == nil || ctx.ClusterSnapshot == nil || ctx.ClusterSnapshot.CsiSnapshot() == nil {
		return nil
	}
	limits, listed, running := volumeLimits{}, false, false
	for _, node := range nodes {
		drivers, err := ctx.ClusterSnapshot.CsiSnapshot().Get(node.Name)
		if err != nil {
			continue
		}
		driver := ebsOf(drivers)
		listed, running = true, running || driver != nil
		if driver == nil || driver.Allocatable == nil || driver.Allocatable.Count == nil {
			continue
		}
		name, count := node.Labels[corev1.LabelInstanceTypeStable], *driver.Allocatable.Count
		if known, ok := limits[name]; !ok || count < known {
			limits[name] = count
		}
	}
	if listed && !running {
		return nil
	}
	return limits
}

// ebsOf returns the EBS driver on a node, or nil.
func ebsOf(node *storagev1.CSINode) *storagev1.CSINodeDriver {
	for i := range ptr.Deref(node, storagev1.CSINode{}).Spec.Drivers {
		if node.Spec.Drivers[i].Name == ebsDriver {
			return &node.Spec.Drivers[i]
		}
	}
	return nil
}

// usualLimit is the number of volumes that most instance types can attach beside the root volume and two network interfaces. Accelerators
// and a local disk take the place of a volume each (github.com/kubernetes-sigs/aws-ebs-csi-driver, pkg/cloud/limits, read 2026-11).
const usualLimit = 25

// complete gives info's node the EBS driver. The limit is the least of the types: what a node of the type has shown, or else
// the usual one. The driver of a live node stays as it is in a group of one type, and where it states no limit.
func (l volumeLimits) complete(info *framework.NodeInfo, types []string, catalogue *instancetypes.Catalogue) {
	node, least := cmp.Or(info.CSINode, &storagev1.CSINode{}), int32(math.MaxInt32)
	live := ebsOf(node)
	if live != nil && (len(types) < 2 || live.Allocatable == nil || live.Allocatable.Count == nil) {
		return
	}
	for _, name := range types {
		limit, shown := l[name]
		if facts, _ := catalogue.Lookup(name); !shown {
			limit = max(1, usualLimit-int32(facts.GPU.Count+facts.NeuronDevices)-int32(min(1, facts.LocalNVMeBytes)))
		}
		least = min(least, limit)
	}
	if live != nil {
		*live.Allocatable.Count = min(*live.Allocatable.Count, least)
		return
	}
	node.Name = info.Node().Name
	node.Spec.Drivers = append(node.Spec.Drivers, storagev1.CSINodeDriver{Name: ebsDriver, NodeID: node.Name,
		Allocatable: &storagev1.VolumeNodeResources{Count: &least}})
	info.CSINode = node
}
