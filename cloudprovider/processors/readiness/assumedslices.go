package readiness

import (
	"slices"

	resourceapi "k8s.io/api/resource/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// publishedOnly wraps the core's registry and hides assumed slices. The core takes a Ready node for unready while it lacks a slice of
// its group's NodeInfo. A guess must not have that effect. StartingNodes decides which nodes are starting, and until when.
type publishedOnly struct {
	cacontext.TemplateNodeInfoRegistry
}

func (p publishedOnly) GetNodeInfo(id string) (*framework.NodeInfo, bool) {
	info, found := p.TemplateNodeInfoRegistry.GetNodeInfo(id)
	if !found {
		return nil, false
	}
	published := *info
	published.LocalResourceSlices = slices.DeleteFunc(slices.Clone(info.LocalResourceSlices), func(s *resourceapi.ResourceSlice) bool {
		return nodemeta.Assumed.On(s)
	})
	return &published, true
}
