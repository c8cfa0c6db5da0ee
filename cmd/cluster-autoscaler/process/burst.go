package process

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/lifecycle"
)

// burst gives each scale-up the memory that makes it fast: it packs thousands of pods on nodes of dozens of groups, and throws the nodes away.
type burst struct{ corescaleup.Orchestrator }

// ScaleUp implements the core's Orchestrator.
func (b burst) ScaleUp(pods []*corev1.Pod, nodes []*corev1.Node, daemonSets []*appsv1.DaemonSet, infos map[string]*framework.NodeInfo,
	allOrNothing bool) (*corestatus.ScaleUpStatus, errors.AutoscalerError) {
	defer lifecycle.Burst()()
	return b.Orchestrator.ScaleUp(pods, nodes, daemonSets, infos, allOrNothing)
}
