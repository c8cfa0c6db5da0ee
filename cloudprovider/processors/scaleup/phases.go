package scaleup

import (
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// phase has the core scale up once, for pods that can run anywhere and for pods that need a zone in alternate phases.
//
// The core spreads new nodes over similar node groups only if each of them helps all pods of the option it chose. With one
// pod that needs a volume's zone among many that do not, all nodes would come up in that zone. So they would with a pod that must be spread
// if only one zone may take it now. The phase of the others comes first, because kube-scheduler gives nodes to pods as they come: a node
// launched earlier for a pod with a volume would go to one of the others. A phase lasts while an expander's plan for its pods goes on.
//
// It scales up for all pods where no node group helps this phase, the other phase has no pods, or there are no zone groups. The pods of the
// other phase count as awaiting evaluation.
func (o *Orchestrator) phase(pods []*apiv1.Pod, once func([]*apiv1.Pod) (*status.ScaleUpStatus, errors.AutoscalerError)) (
	*status.ScaleUpStatus, errors.AutoscalerError) {
	later, now := o.divide(pods)
	if len(o.later) > 0 {
		o.zonalNext = !o.zonalNext
	}
	if o.zonalNext {
		later, now = now, later
	}
	if len(now) == 0 || len(later) == 0 {
		o.zonalNext = false
		return once(pods)
	}
	forRequests := o.context.ProvisioningRequestScaleUpMode
	result, err := once(now)
	unhelped := err == nil && result != nil && (result.Result == status.ScaleUpNoOptionsAvailable || result.Result == status.ScaleUpNotNeeded)
	if o.zonalNext || unhelped {
		// The core's orchestrator of provisioning requests changes to the other kind of pods at every call. Pods that need a zone
		// are neither kind. If their phase counted, every phase of the others would be for requests.
		o.context.ProvisioningRequestScaleUpMode = forRequests
	}
	o.zonalNext = !o.zonalNext
	if unhelped {
		o.zonalNext = false
		return once(pods)
	}
	if result != nil {
		result.PodsAwaitEvaluation = append(result.PodsAwaitEvaluation, later...)
	}
	return result, err
}

// divide separates the pods that need a zone, or that other pods may keep out of one, from the others. Without zone groups no pod needs
// one. Pods of a provisioning request stay together, because they want all or nothing or count for each other.
func (o *Orchestrator) divide(pods []*apiv1.Pod) (zonal, others []*apiv1.Pod) {
	if o.Zones == nil || !o.Zones.Views() {
		return nil, pods
	}
	for _, pod := range pods {
		if !o.ofRequest(pod) && (o.Zones.Needs(pod) || podzone.DependsOnPods(pod)) {
			zonal = append(zonal, pod)
		} else {
			others = append(others, pod)
		}
	}
	return zonal, others
}
