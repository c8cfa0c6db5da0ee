package readiness

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	drautils "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/utils"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// unpromised wraps the core's registry and hides slices with accelerators that the group's template promises by count. The core takes a
// Ready node for unready, without end, while its devices have other names or another number than its group's NodeInfo has. That one may be
// a guess, or a copy of a node of another size or with a broken device. StartingNodes waits for what is promised, and no longer than it says.
type unpromised struct {
	cacontext.TemplateNodeInfoRegistry
	provider *aws.Provider
}

func (u unpromised) GetNodeInfo(id string) (*framework.NodeInfo, bool) {
	info, found := u.TemplateNodeInfoRegistry.GetNodeInfo(id)
	if !found || len(info.LocalResourceSlices) == 0 {
		return info, found
	}
	var promised []string
	if t := u.provider.View().Template(id); t != nil {
		for name := range t.Accelerators() {
			promised = append(promised, string(name))
		}
	}
	others := *info
	others.LocalResourceSlices = slices.DeleteFunc(slices.Clone(info.LocalResourceSlices), func(s *resourceapi.ResourceSlice) bool {
		return nodemeta.Assumed.On(s) || shares(s, promised)
	})
	return &others, true
}

// shares reports whether the driver of the slice shares out one of the accelerators.
func shares(s *resourceapi.ResourceSlice, accelerators []string) bool {
	return slices.ContainsFunc(accelerators, func(name string) bool { return nodetemplate.Shares(s.Spec.Driver, corev1.ResourceName(name)) })
}

// lend adds the slices of the group's NodeInfo in which the driver of an awaited accelerator will publish a Ready node's devices.
func lend(devices *drasnapshot.Snapshot, node *corev1.Node, awaited []string, from []*resourceapi.ResourceSlice) {
	from = slices.DeleteFunc(slices.Clone(from), func(s *resourceapi.ResourceSlice) bool { return !shares(s, awaited) })
	lent, _, err := drautils.SanitizedNodeResourceSlices(from, node.Name, node.Name)
	if err != nil || len(lent) == 0 || devices == nil {
		return
	}
	for _, slice := range lent {
		nodemeta.Assumed.Mark(slice)
	}
	own, _ := devices.NodeResourceSlices(node.Name) // of other drivers, or without devices
	devices.RemoveNodeResourceSlices(node.Name)
	_ = devices.AddNodeResourceSlices(node.Name, slices.Concat(own, lent)) // it fails where the node has some
}
