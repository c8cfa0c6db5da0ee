package why

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// requests returns what a node must have free for the pod, the pod itself included.
func requests(pod *corev1.Pod) corev1.ResourceList {
	var asks corev1.Pod // the fields that count, because the core changes others in the meantime
	asks.Spec.Resources, asks.Spec.Overhead = pod.Spec.Resources, pod.Spec.Overhead
	asks.Spec.Containers, asks.Spec.InitContainers = asking(pod.Spec.Containers), asking(pod.Spec.InitContainers)
	sum := resourcehelper.PodRequests(&asks, resourcehelper.PodResourcesOptions{})
	sum[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return sum
}

func asking(containers []corev1.Container) []corev1.Container {
	list := make([]corev1.Container, len(containers))
	for i := range containers {
		list[i].Resources, list[i].RestartPolicy = containers[i].Resources, containers[i].RestartPolicy
	}
	return list
}

// Nodes returns the number of such nodes that the pods fill, one after the other. It looks at requests alone.
func (n *GroupNode) Nodes(pods []*corev1.Pod) int {
	nodes, used := 0, corev1.ResourceList{}
	for _, pod := range pods {
		asked := requests(pod)
		Add(used, asked)
		if nodes == 0 || len(n.resources(used)) > 0 {
			nodes, used = nodes+1, asked
		}
	}
	return nodes
}

// Takes reports whether a next node of the group has all that the pod asks for.
func (n *GroupNode) Takes(pod *corev1.Pod, g *decision.Group) bool {
	return len(n.failing(pod, requests(pod), podzone.Need{}, g)) == 0
}

func Add(sum, more corev1.ResourceList) {
	for name, q := range more {
		total := sum[name].DeepCopy()
		total.Add(q)
		sum[name] = total
	}
}
