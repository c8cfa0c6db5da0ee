package nodeinfos

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// ebsDriver is the CSI driver of EBS volumes.
const ebsDriver = "ebs.csi.aws.com"

// volumeLimits knows how many EBS volumes can be attached to nodes that do not exist yet.
type volumeLimits struct {
	measured map[string]int32 // the least that the driver reports, by instance type
}

// ebsLimits looks at the cluster. It returns nil if the core does not simulate volume limits, or if nodes list their drivers and
// none lists the EBS driver. Where no node lists any, as in a cluster at zero, a pod with EBS volumes needs the driver in any case.
//
// The limits are on the NodeInfos for scale-up alone. The core takes a Ready node with a late driver for unready only by the promises of
// NodeGroup.TemplateNodeInfo, which has none.
func ebsLimits(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) *volumeLimits {
	if ctx == nil || !ctx.CSINodeAwareSchedulingEnabled || ctx.ClusterSnapshot == nil || ctx.ClusterSnapshot.CsiSnapshot() == nil {
		return nil
	}
	limits, listed, running := &volumeLimits{measured: map[string]int32{}}, false, false
	for _, node := range nodes {
		drivers, err := ctx.ClusterSnapshot.CsiSnapshot().Get(node.Name)
		if err != nil || nodemeta.NoCSINode.On(drivers) {
			continue
		}
		driver := ebsOf(drivers)
		listed, running = true, running || driver != nil
		if driver == nil || driver.Allocatable == nil || driver.Allocatable.Count == nil {
			continue
		}
		name, count := node.Labels[corev1.LabelInstanceTypeStable], *driver.Allocatable.Count
		if known, ok := limits.measured[name]; !ok || count < known {
			limits.measured[name] = count
		}
	}
	if listed && !running {
		return nil
	}
	return limits
}

// ebsOf returns the EBS driver on a node, or nil.
func ebsOf(node *storagev1.CSINode) *storagev1.CSINodeDriver {
	if node == nil {
		return nil
	}
	for i := range node.Spec.Drivers {
		if node.Spec.Drivers[i].Name == ebsDriver {
			return &node.Spec.Drivers[i]
		}
	}
	return nil
}

// complete returns info with the EBS driver on its node, unless the driver is there already. The limit is the least of the types. An
// unknown type has none.
func (l *volumeLimits) complete(info *framework.NodeInfo, types []string, catalogue *instancetypes.Catalogue) *framework.NodeInfo {
	if ebsOf(info.CSINode) != nil {
		return info
	}
	driver := storagev1.CSINodeDriver{Name: ebsDriver, NodeID: info.Node().Name}
	if limit, ok := l.of(types, catalogue); ok {
		driver.Allocatable = &storagev1.VolumeNodeResources{Count: &limit}
	}
	node := &storagev1.CSINode{}
	if info.CSINode != nil {
		node = info.CSINode.DeepCopy()
	}
	node.Name = info.Node().Name
	node.Spec.Drivers = append(node.Spec.Drivers, driver)
	return rebuilt(info, info.Node(), info.LocalResourceSlices).SetCSINode(node)
}

// of returns the least limit of the types. It is false if none is known.
func (l *volumeLimits) of(types []string, catalogue *instancetypes.Catalogue) (least int32, known bool) {
	for _, name := range types {
		limit, ok := l.measured[name]
		if facts, listed := catalogue.Lookup(name); !ok && listed {
			limit, ok = attachable(facts), true
		}
		if ok && (!known || limit < least) {
			least, known = limit, true
		}
	}
	return least, known
}

const (
	// sharedAttachments is how many volumes and other devices most instance types can attach beside their first network
	// interface. Newer ones have more, for volumes alone (github.com/kubernetes-sigs/aws-ebs-csi-driver, pkg/cloud/limits,
	// read 2026-11).
	sharedAttachments = 27
	// attachedAtStart counts the root volume, and the second interface that the VPC CNI attaches to a fresh node.
	attachedAtStart = 2
)

// fewerAttachments lists the exceptions from the rule, from the same source, by instance type or beginning of its name.
var fewerAttachments = map[string]int32{
	"d3.xlarge": 24, "d3.2xlarge": 21, "d3.4xlarge": 15, "d3.8xlarge": 3,
	"d3en.xlarge": 25, "d3en.2xlarge": 23, "d3en.4xlarge": 19, "d3en.6xlarge": 15, "d3en.8xlarge": 11, "d3en.12xlarge": 3,
	"g5.48xlarge": 9, "dl2q.24xlarge": 19, "vt1.3xlarge": 25, "vt1.6xlarge": 23, "mac": 10, "u-": 19,
}

// attachable returns how many volumes the driver will report as attachable on a fresh node of a type, or fewer. Accelerators and
// local disks share the attachments with volumes on older types, and here on all. The number of disks is estimated from their size,
// never too low.
func attachable(t instancetypes.Type) int32 {
	limit := int32(sharedAttachments - t.GPU.Count - t.NeuronDevices - localDisks(t.LocalNVMeBytes))
	for name, fewer := range fewerAttachments {
		exact := strings.Contains(name, ".")
		if exact && t.Name == name || !exact && strings.HasPrefix(t.Name, name) {
			limit = min(limit, fewer)
		}
	}
	return max(1, limit-attachedAtStart)
}

// localDisks returns the greatest number of disks on types with that much local storage.
func localDisks(bytes int64) int {
	const gb = 1e9
	switch {
	case bytes == 0:
		return 0
	case bytes <= 500*gb:
		return 1
	case bytes <= 2000*gb:
		return 2
	case bytes <= 5000*gb:
		return 4
	}
	return 8
}
