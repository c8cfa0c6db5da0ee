package why

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// podLevel are the resources that a pod may request as a whole, instead of by container (KEP-2837).
func podLevel(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory || inBytes(name) && name != corev1.ResourceEphemeralStorage
}

// requests is what a node must have free for the pod, the pod itself included: the sum of all containers that run together, or more
// while it starts (Kubernetes, "Sidecar Containers: resource sharing within containers").
func requests(pod *corev1.Pod) corev1.ResourceList {
	running, starting, sidecars := corev1.ResourceList{}, corev1.ResourceList{}, corev1.ResourceList{}
	for i := range pod.Spec.Containers { // not copied: the core changes other fields of the containers in the meantime
		c := &pod.Spec.Containers[i]
		add(running, c.Resources.Requests)
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(running, c.Resources.Requests)
			add(sidecars, c.Resources.Requests)
			atLeast(starting, sidecars)
			continue
		}
		step := sidecars.DeepCopy()
		add(step, c.Resources.Requests)
		atLeast(starting, step)
	}
	atLeast(running, starting)
	if pod.Spec.Resources != nil {
		for name, q := range pod.Spec.Resources.Requests {
			if podLevel(name) {
				running[name] = q
			}
		}
	}
	add(running, pod.Spec.Overhead)
	running[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return running
}

// Nodes returns how many such nodes the pods fill, one after the other. It looks at requests alone.
func (n *GroupNode) Nodes(pods []*corev1.Pod) int {
	nodes, used := 0, corev1.ResourceList{}
	for _, pod := range pods {
		asked := requests(pod)
		add(used, asked)
		if nodes == 0 || len(n.resources(used)) > 0 {
			nodes, used = nodes+1, asked
		}
	}
	return nodes
}

// Takes reports whether a next node of the group has all that the pod asks for.
func (n *GroupNode) Takes(pod *corev1.Pod, g *decision.Group) bool {
	return len(n.failing(pod, requests(pod), "", g)) == 0
}

func add(sum, more corev1.ResourceList) {
	for name, q := range more {
		total := sum[name].DeepCopy()
		total.Add(q)
		sum[name] = total
	}
}

func atLeast(list, least corev1.ResourceList) {
	for name, q := range least {
		if has := list[name]; has.Cmp(q) < 0 {
			list[name] = q
		}
	}
}
