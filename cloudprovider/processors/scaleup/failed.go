package scaleup

import (
	"maps"
	"slices"
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
	afterAdd time.Duration  // the flag
	grew     []growth       // within that time, and the last of all, oldest first
	refused  map[string]int // what AWS could not launch by group, as of the last loop
}

// growth is what a scale-up asked for by group, without what AWS has refused of it.
type growth struct {
	at   time.Time
	open map[string]int
}

// delay notes a scale-up, which delays scale-down.
func (o *Orchestrator) delay(result *status.ScaleUpStatus, err errors.AutoscalerError) {
	if err != nil || result.Result != status.ScaleUpSuccessful {
		return
	}
	now := growth{o.Clock.Now(), map[string]int{}}
	for _, info := range result.ScaleUpInfos {
		now.open[info.Group.Id()] += info.NewSize - info.CurrentSize
	}
	o.grew = append(slices.DeleteFunc(o.grew, func(g growth) bool { return now.at.Sub(g.at) >= o.afterAdd }), now)
	o.context.ScaleDownDelayAfterAdd = o.afterAdd
}

// forgetRefused has scale-down go on as if the last scale-ups had not been, once AWS has refused all of their nodes. Groups that delay by themselves
// share the flag, so it stays for them.
func (o *Orchestrator) forgetRefused() {
	before := o.refused
	o.refused = map[string]int{}
	for _, f := range o.failed {
		id := f.group.Id()
		o.refused[id] += f.instances
		more := o.refused[id] - before[id]
		for _, g := range slices.Backward(o.grew) {
			taken := max(0, min(more, g.open[id]))
			g.open[id], more = g.open[id]-taken, more-taken
		}
	}
	if len(o.grew) == 0 || o.context.ScaleDownDelayTypeLocal {
		return
	}
	counts := func(g growth) bool {
		return slices.ContainsFunc(slices.Collect(maps.Values(g.open)), func(n int) bool { return n > 0 })
	}
	var last time.Time // zero if AWS has refused all
	for _, g := range o.grew {
		if counts(g) {
			last = g.at
		}
	}
	o.context.ScaleDownDelayAfterAdd = max(0, o.afterAdd-o.grew[len(o.grew)-1].at.Sub(last))
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
