// Package elsewhere repeats, in the same loop, a scale-up that found no capacity in the zones it chose, so that another zone
// is tried at once.
//
// The core tries one choice of node groups per loop. Where a zone turns out to be without capacity, the pods would wait for the
// next loop, although it is known at once that another zone has to do. So the scale-up is done over, as a whole: what the
// expander prefers among the groups that are left is its choice again, not this package's.
package elsewhere

import (
	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"
)

// maxRepetitions bounds how long one loop may look for capacity: a launch takes seconds to fail, and the loop has nodes to
// remove, too. The next loop goes on where this one stopped. No region has as many zones.
const maxRepetitions = 10

// Orchestrator implements the core's scale-up in front of another one. It is used by the core's loop alone.
type Orchestrator struct {
	scaleup.Orchestrator
	closed func(nodeGroupID string) bool
	ctx    *cacontext.AutoscalingContext // nil until Initialize
}

// New makes an Orchestrator in front of inner. closed tells whether a node group is a zonal view in which nothing can be launched
// for the moment, so that the next try leaves it out.
func New(inner scaleup.Orchestrator, closed func(nodeGroupID string) bool) *Orchestrator {
	return &Orchestrator{Orchestrator: inner, closed: closed}
}

// Initialize initializes the inner one.
func (o *Orchestrator) Initialize(ctx *cacontext.AutoscalingContext, processors *caprocessors.AutoscalingProcessors,
	clusterState *clusterstate.ClusterStateRegistry, estimators estimator.EstimatorBuilder, taintConfig taints.TaintConfig,
	quotas *resourcequotas.TrackerFactory) {
	o.ctx = ctx
	o.Orchestrator.Initialize(ctx, processors, clusterState, estimators, taintConfig, quotas)
}

// ScaleUp has the inner one scale up, and do so again if it failed, all node groups that failed are closed, one of them for the
// first time, and nothing was launched: what was is not in the core's picture of the cluster until the next loop, and a
// repetition would launch for the same pods twice. The result is that of the last try. Of those before, it has nothing; their
// events, metrics and backoffs are the core's, as of any failure. All or nothing is so in each try, and with nothing launched
// by those before, in all of them together.
//
// A second call is safe because the core keeps nothing of the first but the backoffs: it reverts every fork of the snapshot, makes
// pod groups, quotas and the limits of its binpacking anew, writes to nodeInfos only where it creates node groups, which ours
// never need, and its loop runs the processors of the status once, after ScaleUp.
func (o *Orchestrator) ScaleUp(pods []*apiv1.Pod, nodes []*apiv1.Node, daemonSets []*appsv1.DaemonSet,
	nodeInfos map[string]*framework.NodeInfo, allOrNothing bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	if o.ctx == nil {
		return o.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
	}
	ofRequests := o.ctx.ProvisioningRequestScaleUpMode
	failed := make(map[string]bool)
	for repetitions := 0; ; repetitions++ {
		before := o.targetSizes()
		result, err := o.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
		if err == nil || repetitions == maxRepetitions || !o.newlyClosed(result, failed) || o.grew(before) {
			return result, err
		}
		// The core's orchestrator of provisioning requests turns to the other kind of pods at every call.
		o.ctx.ProvisioningRequestScaleUpMode = ofRequests
		klog.Background().V(2).Info("Repeated a scale-up without the zones that have no capacity", "nodeGroups", ids(result),
			"repetition", repetitions+1, "err", err)
	}
}

// newlyClosed reports whether node groups failed, all of them are closed, and one is not among failed yet. It adds them.
func (o *Orchestrator) newlyClosed(result *status.ScaleUpStatus, failed map[string]bool) bool {
	found := false
	for _, id := range ids(result) {
		if !o.closed(id) {
			return false
		}
		found = found || !failed[id]
		failed[id] = true
	}
	return found
}

// ids are those of the node groups that failed.
func ids(result *status.ScaleUpStatus) []string {
	if result == nil {
		return nil
	}
	var list []string
	for _, group := range result.FailedResizeNodeGroups {
		list = append(list, group.Id())
	}
	return list
}

// targetSizes are those of the node groups by ID, as far as known.
func (o *Orchestrator) targetSizes() map[string]int {
	sizes := make(map[string]int)
	for _, group := range o.ctx.CloudProvider.NodeGroups() {
		if size, err := group.TargetSize(); err == nil {
			sizes[group.Id()] = size
		}
	}
	return sizes
}

// grew reports whether a node group has grown, or may have. The sum would not do: nodes are removed meanwhile.
func (o *Orchestrator) grew(before map[string]int) bool {
	for _, group := range o.ctx.CloudProvider.NodeGroups() {
		if size, err := group.TargetSize(); err != nil || size > before[group.Id()] {
			return true
		}
	}
	return false
}
