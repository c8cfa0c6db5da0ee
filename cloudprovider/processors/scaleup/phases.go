package scaleup

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
)

// zones knows the zone groups, and the pods that need one zone.
type zones interface {
	// Views reports whether there are zone groups at all.
	Views() bool
	// Needs reports whether the pod has to run in one particular zone.
	Needs(pod *apiv1.Pod) bool
}

// Phases has the core scale up for pods that can run anywhere and for pods that need one zone in alternate phases.
//
// The core spreads new nodes over similar node groups only if each of them helps all pods of the option it chose. With one
// pod that needs a volume's zone among many that do not, all nodes would come up in that zone. Apart from such pods, the
// others are spread over the zone groups. Their phase comes first, because kube-scheduler gives nodes to pods as they come. A
// node launched earlier for a pod with a volume would go to one of the others. The phase of the pods that need a zone is in
// the next scale-up, which a Salvo makes in the same loop.
type Phases struct {
	wrapper
	zones       zones
	placeholder func(*framework.NodeInfo) bool
	zonalNext   bool
}

// NewPhases wraps inner. placeholder reports whether a NodeInfo stands for nodes of which nothing is known.
func NewPhases(inner corescaleup.Orchestrator, zones zones, placeholder func(*framework.NodeInfo) bool) *Phases {
	return &Phases{wrapper: wrapper{Orchestrator: inner}, zones: zones, placeholder: placeholder}
}

// ScaleUp scales up for the pods of this phase. It scales up for all pods where no node group helps this phase, the other
// phase has no pods, there are no zone groups, or all or nothing is wanted. The pods of the other phase count as awaiting
// evaluation. Salvo says why a second call of the core's scale-up in one loop is safe.
func (p *Phases) ScaleUp(pods []*apiv1.Pod, nodes []*apiv1.Node, daemonSets []*appsv1.DaemonSet,
	nodeInfos map[string]*framework.NodeInfo, allOrNothing bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	later, now := p.divide(pods)
	if p.zonalNext {
		later, now = now, later
	}
	if p.context == nil || allOrNothing || len(now) == 0 || len(later) == 0 {
		p.zonalNext = false
		return p.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
	}
	forRequests := p.context.ProvisioningRequestScaleUpMode
	result, err := p.Orchestrator.ScaleUp(now, nodes, daemonSets, nodeInfos, allOrNothing)
	unhelped := err == nil && result != nil && (result.Result == status.ScaleUpNoOptionsAvailable || result.Result == status.ScaleUpNotNeeded)
	if p.zonalNext || unhelped {
		// The core's orchestrator of provisioning requests changes to the other kind of pods at every call. Pods that need a zone
		// are neither kind. If their phase counted, every phase of the others would be for requests.
		p.context.ProvisioningRequestScaleUpMode = forRequests
	}
	p.zonalNext = !p.zonalNext
	if unhelped {
		p.zonalNext = false
		return p.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
	}
	if result != nil {
		result.PodsAwaitEvaluation = append(result.PodsAwaitEvaluation, later...)
	}
	return result, err
}

// ScaleUpToNodeGroupMinSize raises the groups of whose nodes something is known. The core does not look at the NodeInfo for this, and
// passes over a group that has none.
func (p *Phases) ScaleUpToNodeGroupMinSize(nodes []*apiv1.Node, nodeInfos map[string]*framework.NodeInfo) (
	*status.ScaleUpStatus, errors.AutoscalerError) {
	known := maps.Clone(nodeInfos)
	maps.DeleteFunc(known, func(_ string, info *framework.NodeInfo) bool { return p.placeholder(info) })
	return p.Orchestrator.ScaleUpToNodeGroupMinSize(nodes, known)
}

// ZonalNext reports whether the next phase is for the pods that need a zone: the last scale-up was for the others alone.
func (p *Phases) ZonalNext() bool { return p.zonalNext }

// divide separates the pods that need a zone from the others. Without zone groups no pod needs one. Pods of a provisioning request
// stay together, because they want all or nothing or count for each other.
func (p *Phases) divide(pods []*apiv1.Pod) (zonal, others []*apiv1.Pod) {
	if !p.zones.Views() {
		return nil, pods
	}
	for _, pod := range pods {
		if _, requested := pod.Annotations[provreqv1.ProvisioningRequestPodAnnotationKey]; !requested && p.zones.Needs(pod) {
			zonal = append(zonal, pod)
		} else {
			others = append(others, pod)
		}
	}
	return zonal, others
}
