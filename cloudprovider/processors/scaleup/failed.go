package scaleup

import (
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/gpu"
)

// failedRequest is what AWS could not launch of a request, or what has not come of it in time, in the loop that shows it.
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
	o.seeReady()
	for _, g := range o.context.CloudProvider.NodeGroups() {
		o.seeLate(g)
		if o.Failing == nil || !o.Failing(g.Id()) {
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

// seeReady notes which groups have a node that has become Ready since the loop before, or has joined the group so out of a running warm pool.
func (o *Orchestrator) seeReady() {
	before := o.ready
	o.ready = map[string]bool{}
	nodes, _ := o.context.ReadyNodeLister().List() // it reads a cache
	for _, node := range nodes {
		if g, err := o.context.CloudProvider.NodeGroupForNode(node); err == nil && g != nil {
			if o.ready[node.Spec.ProviderID] = true; !before[node.Spec.ProviderID] {
				o.came[g.Id()] = o.Clock.Now()
			}
		}
	}
}

// seeLate takes a request for failed once its first raise is late and no node of the group has become Ready since. The core counts from the
// last raise, so raises that follow each other would never let a group fail whose nodes never come. A request of one raise is left to it.
func (o *Orchestrator) seeLate(g cloudprovider.NodeGroup) {
	last, err := o.context.ClusterStateRegistry.NodeGroupScaleUpTime(g)
	first := o.first[g.Id()]
	if err != nil {
		delete(o.first, g.Id())
	} else if !first.After(o.came[g.Id()]) {
		o.first[g.Id()] = last
	} else if most, err := o.context.ClusterStateRegistry.MaxNodeProvisionTime(g); err == nil && last.After(first) && o.Clock.Since(first) > most {
		coming, _ := o.context.ClusterStateRegistry.GetUpcomingNodes()
		o.failed = append(o.failed, failedRequest{g, coming[g.Id()], &cloudprovider.InstanceErrorInfo{ErrorCode: string(metrics.Timeout),
			ErrorMessage: "Scale-up timed out for node group " + g.Id() + " after " + o.Clock.Since(first).String()}})
	}
}

// delays are for --scale-down-delay-after-add, which the core counts from its last scale-up, whatever comes of it. A pod for which AWS has no
// capacity for days would have no node go meanwhile, because it is tried every few minutes.
type delays struct {
	afterAdd       time.Duration  // the flag
	raised, helped time.Time      // the last scale-up, and the last before it that AWS has not refused
	open           map[string]int // nodes that it asked for in groups that AWS has not refused as many
}

// delay notes a scale-up, which delays scale-down.
func (o *Orchestrator) delay(result *status.ScaleUpStatus, err errors.AutoscalerError) {
	if err != nil || result.Result != status.ScaleUpSuccessful {
		return
	}
	if len(o.open) > 0 {
		o.helped = o.raised
	}
	o.raised, o.open, o.context.ScaleDownDelayAfterAdd = o.Clock.Now(), map[string]int{}, o.afterAdd
	for _, info := range result.ScaleUpInfos {
		o.open[info.Group.Id()] += info.NewSize - info.CurrentSize
	}
}

// forgetRefused has scale-down go on as if the last scale-up had not been, once AWS has refused all of its nodes. Groups that delay by themselves
// share the flag, so it stays for them.
func (o *Orchestrator) forgetRefused() {
	for _, f := range o.failed {
		if f.instances >= o.open[f.group.Id()] {
			delete(o.open, f.group.Id())
		}
	}
	if len(o.open) == 0 && !o.context.ScaleDownDelayTypeLocal {
		o.context.ScaleDownDelayAfterAdd = max(0, o.afterAdd-o.raised.Sub(o.helped))
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
		o.first[f.group.Id()] = now // once its cause is mended, the group may launch, and its next raise has its time
	}
	o.failed = nil
}
