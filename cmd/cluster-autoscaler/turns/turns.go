// Package turns has the core scale up for pods that need one particular zone and for those that can run anywhere in turns.
//
// The core spreads new nodes over similar node groups only if each of them helps all pods of the option it chose. One pod with
// a volume in a zone among many without, and all nodes come up in that zone. Apart from them, the pods that can run anywhere
// are spread over the zonal views of a group. Their turn is the first: kube-scheduler gives nodes to pods as they come, and a
// node launched for a pod with a volume that came before theirs would go to one of them. The others' turn is in the next
// loop, whatever comes meanwhile; after a scale-up that starts at once.
//
// Where there are zones to take turns for, none of them waits for another: the core launches in several at once.
package turns

import (
	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/front"
)

// zones tells which pods need one. Implemented by aws.ZonalPods.
type zones interface {
	// Views reports whether there are zonal views at all.
	Views() bool
	// Needs reports whether the pod has to run in one particular zone.
	Needs(pod *apiv1.Pod) bool
}

// Orchestrator stands in front of another one. It is used by the core's loop alone.
type Orchestrator struct {
	front.Orchestrator
	zones    zones
	parallel bool
	owed     bool // the next turn is that of pods that need a zone
}

// New makes an Orchestrator in front of inner. parallel has the core launch in several node groups at once while there are zonal
// views, and only then; without it, that is left as it is.
func New(inner scaleup.Orchestrator, zones zones, parallel bool) *Orchestrator {
	return &Orchestrator{Orchestrator: front.Orchestrator{Orchestrator: inner}, zones: zones, parallel: parallel}
}

// ScaleUp has the inner one scale up for the pods whose turn it is; and for all pods where no node group helps those, or there
// are no others, or no zonal views, or all or nothing is wanted. The pods left for later count as awaiting evaluation. That a
// scale-up which did nothing can be followed by another, see package elsewhere.
func (o *Orchestrator) ScaleUp(pods []*apiv1.Pod, nodes []*apiv1.Node, daemonSets []*appsv1.DaemonSet,
	nodeInfos map[string]*framework.NodeInfo, allOrNothing bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	o.setParallel()
	later, now := o.divide(pods)
	if o.owed {
		later, now = now, later
	}
	if o.Context == nil || allOrNothing || len(now) == 0 || len(later) == 0 {
		o.owed = false
		return o.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
	}
	ofRequests := o.Context.ProvisioningRequestScaleUpMode
	result, err := o.Orchestrator.ScaleUp(now, nodes, daemonSets, nodeInfos, allOrNothing)
	unhelped := err == nil && result != nil && (result.Result == status.ScaleUpNoOptionsAvailable || result.Result == status.ScaleUpNotNeeded)
	if o.owed || unhelped {
		// The core's orchestrator of provisioning requests turns to the other kind of pods at every call. Those that need a zone are
		// none of its kinds: after each of their turns it would be that of a request, and never of pods that can run anywhere.
		o.Context.ProvisioningRequestScaleUpMode = ofRequests
	}
	o.owed = !o.owed
	if unhelped {
		o.owed = false
		return o.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
	}
	if result != nil {
		result.PodsAwaitEvaluation = append(result.PodsAwaitEvaluation, later...)
	}
	return result, err
}

// ScaleUpToNodeGroupMinSize has the inner one do so.
func (o *Orchestrator) ScaleUpToNodeGroupMinSize(nodes []*apiv1.Node, nodeInfos map[string]*framework.NodeInfo) (
	*status.ScaleUpStatus, errors.AutoscalerError) {
	o.setParallel()
	return o.Orchestrator.ScaleUpToNodeGroupMinSize(nodes, nodeInfos)
}

// setParallel sets the core's option, which it reads at every launch.
func (o *Orchestrator) setParallel() {
	if o.parallel && o.Context != nil {
		o.Context.ParallelScaleUp = o.zones.Views()
	}
}

// Owed reports whether the next turn is that of the pods that need a zone: the scale-up before was for the others alone.
func (o *Orchestrator) Owed() bool { return o.owed }

// divide separates the pods that need a zone from the others; without zonal views none do. Pods of a provisioning request stay
// together: they want all or nothing, or count for each other.
func (o *Orchestrator) divide(pods []*apiv1.Pod) (zonal, others []*apiv1.Pod) {
	if !o.zones.Views() {
		return nil, pods
	}
	for _, pod := range pods {
		if _, requested := pod.Annotations[provreqv1.ProvisioningRequestPodAnnotationKey]; !requested && o.zones.Needs(pod) {
			zonal = append(zonal, pod)
		} else {
			others = append(others, pod)
		}
	}
	return zonal, others
}
