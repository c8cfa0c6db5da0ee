package plugin

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/utils/gpu"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
)

// justRegistered is the age below which a node counts as starting although it is Ready. The core lists nodes before Refresh, when the
// node may not have been Ready.
const justRegistered = time.Minute

// startingGroups are the node groups with nodes that have registered and are not Ready, as of this Refresh and of the one before it.
type startingGroups struct{ now, before map[string]bool }

func (s *startingGroups) look(provider *aws.Provider, nodes []*corev1.Node, now time.Time) {
	s.before, s.now = s.now, map[string]bool{}
	for _, node := range nodes {
		age := now.Sub(node.CreationTimestamp.Time)
		ready, err := kubernetes.GetNodeReadiness(node)
		_, labelled := node.Labels[provider.GPULabel()] // the core waits for the GPU of such a node
		_, shown := gpu.NodeHasGpuAllocatable(node)
		if age >= justRegistered && err == nil && ready.Ready && (shown || !labelled) {
			continue
		}
		group := provider.NodeGroupOf(node) // by its tag, or else by the core's default
		if group != nil && age < group.Options(config.NodeGroupAutoscalingOptions{MaxNodeStartupTime: clusterstate.MaxNodeStartupTime}).MaxNodeStartupTime {
			s.now[group.Id()] = true
		}
	}
}

// starts reports whether nodes of the group are starting.
func (p *provider) starts(group string) bool {
	p.loop.Lock()
	defer p.loop.Unlock()
	return p.starting.now[group] || p.starting.before[group]
}
