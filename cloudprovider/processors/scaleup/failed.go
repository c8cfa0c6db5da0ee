package scaleup

import (
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/gpu"
)

// failedRequest is what AWS could not launch of a request, in the loop that shows it.
type failedRequest struct {
	group     cloudprovider.NodeGroup
	instances int
	why       *cloudprovider.InstanceErrorInfo
}

// seeFailed finds the failed requests. The core looks at the instances of a group only every two minutes unless it takes the group for scaling
// up, and takes it for that only while the group has fewer nodes than it wants. Nodes that are about to end count there, and the size does not
// count them. So the core is told to look at once.
func (o *Orchestrator) seeFailed() {
	o.failed = nil
	if o.Failing == nil {
		return
	}
	for _, g := range o.context.CloudProvider.NodeGroups() {
		if !o.Failing(g.Id()) {
			continue
		}
		o.context.ClusterStateRegistry.InvalidateNodeInstancesCacheEntry(g)
		instances, _ := g.Nodes() // of memory
		f := failedRequest{group: g}
		for _, i := range instances {
			if i.Status != nil && i.Status.ErrorInfo != nil {
				f.instances, f.why = f.instances+1, i.Status.ErrorInfo
			}
		}
		if f.why != nil {
			o.failed = append(o.failed, f)
		}
	}
}

// pauseFailed pauses the groups of failed requests that the core has not paused, because it took their scale-up for finished.
func (o *Orchestrator) pauseFailed(nodeInfos map[string]*framework.NodeInfo) {
	registry, now := o.context.ClusterStateRegistry, o.Clock.Now()
	for _, f := range o.failed {
		if registry.BackoffStatusForNodeGroup(f.group, now).IsBackedOff {
			continue
		}
		o.context.LogRecorder.Eventf(apiv1.EventTypeWarning, "ScaleUpFailed", "Failed adding %v nodes to group %v due to %v; source errors: %v",
			f.instances, f.group.Id(), f.why.ErrorCode, f.why.ErrorMessage)
		resource, kind := "", ""
		if info := nodeInfos[f.group.Id()]; info != nil {
			p := o.context.CloudProvider
			resource, kind = gpu.GetGpuInfoForMetrics(p.GetNodeGpuConfig(info.Node()), p.GetAvailableGPUTypes(), info.Node(), f.group)
		}
		registry.RegisterFailedScaleUp(f.group, f.instances, f.why.ErrorCode, f.why.ErrorMessage, resource, kind, now)
	}
	o.failed = nil
}
