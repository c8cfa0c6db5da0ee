package mix

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// Mix is a set of pods with the groups that could run them. Do not change one that others read.
type Mix struct {
	Name   string
	About  string // one line of description
	Groups []Group
	Pods   []*corev1.Pod
	// DaemonSets are pods that run on every node that they tolerate.
	DaemonSets       []*corev1.Pod
	Currency, Region string
}

// Copy is an independent copy, because the core writes to the pods it is given.
func (m *Mix) Copy() *Mix {
	c := *m
	c.Groups, c.Pods, c.DaemonSets = slices.Clone(m.Groups), slices.Clone(m.Pods), slices.Clone(m.DaemonSets)
	for i := range c.Groups {
		c.Groups[i].Node = c.Groups[i].Node.DeepCopy()
	}
	for _, list := range [][]*corev1.Pod{c.Pods, c.DaemonSets} {
		for i := range list {
			list[i] = list[i].DeepCopy()
		}
	}
	return &c
}

// Group is a node group without nodes.
type Group struct {
	Name, InstanceType string
	Spot               bool
	PerHour            float64 // price of one node
	Max                int     // nodes
	Node               *corev1.Node
	Labels             map[string]string // on its nodes, beside the labels that nodes of its type have anywhere
	Devices            int               // GPUs of one node that a driver shares out by claims
}

const (
	// labelExclusive has the word of the pods of which a node takes one.
	labelExclusive = "asg-autoscaler/exclusive"
	// annotationDevices is how many GPUs a pod's claim is for.
	annotationDevices = "asg-autoscaler/devices"
	// Attachable is how many EBS volumes a node can attach: 27 less the root volume and a second network interface
	// (cloudprovider/processors/nodeinfos/volumes.go).
	Attachable = 25
	// Names of devices and volumes in Requests and Offers. They are no resources.
	devices corev1.ResourceName = "bench/devices"
	volumes corev1.ResourceName = "bench/volumes"
)

func Devices(pod *corev1.Pod) int {
	count, _ := strconv.Atoi(pod.Annotations[annotationDevices])
	return count
}

// Requests is the sum of a pod's container requests, claimed devices and attached volumes.
func Requests(pod *corev1.Pod) corev1.ResourceList {
	list := corev1.ResourceList{}
	for _, c := range pod.Spec.Containers {
		for name, q := range c.Resources.Requests {
			sum := list[name]
			sum.Add(q)
			list[name] = sum
		}
	}
	for name, count := range map[corev1.ResourceName]int{devices: Devices(pod), volumes: len(pod.Spec.Volumes)} {
		if count > 0 {
			list[name] = *resource.NewQuantity(int64(count), resource.DecimalSI)
		}
	}
	return list
}

// Offers is a node's resources for pods, with devices and volumes.
func (g *Group) Offers() corev1.ResourceList {
	list := g.Node.Status.Allocatable.DeepCopy()
	list[devices] = *resource.NewQuantity(int64(g.Devices), resource.DecimalSI)
	list[volumes] = *resource.NewQuantity(Attachable, resource.DecimalSI)
	return list
}

// shareDevices shares the GPUs of all groups out by a driver for claims if any pod has a claim.
func (m *Mix) shareDevices() {
	if !slices.ContainsFunc(m.Pods, func(pod *corev1.Pod) bool { return Devices(pod) > 0 }) {
		return
	}
	for i := range m.Groups {
		status := &m.Groups[i].Node.Status
		count := status.Allocatable["nvidia.com/gpu"]
		m.Groups[i].Devices = int(count.Value())
		delete(status.Allocatable, "nvidia.com/gpu")
		delete(status.Capacity, "nvidia.com/gpu")
	}
}

// check returns why a mix cannot run, or nil.
func (m *Mix) check() error {
	switch {
	case len(m.Groups) == 0:
		return fmt.Errorf(`no groups: list "groups", or "types" to have a group of each`)
	case len(m.Pods) == 0:
		return fmt.Errorf(`no pods: list some under "pods", each with a count`)
	}
	names := make([]string, 0, len(m.Groups))
	for _, g := range m.Groups {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return fmt.Errorf("two groups are called %q: give one another name", names[i])
		}
	}
	seen := make(map[string]bool)
	for _, pod := range append(slices.Clone(m.Pods), m.DaemonSets...) {
		if seen[pod.Name] {
			return fmt.Errorf("two pods are called %q: give their workloads other names", pod.Name)
		}
		seen[pod.Name] = true
	}
	return nil
}

// Tolerated are the pods that may run on the node: they select its labels and tolerate its taints. It ignores the room that is left.
func Tolerated(pods []*corev1.Pod, node *corev1.Node) []*corev1.Pod {
	var list []*corev1.Pod
	for _, pod := range pods {
		if Suits(pod, node) {
			list = append(list, pod)
		}
	}
	return list
}

// Suits reports whether the pod selects the node and tolerates its taints.
func Suits(pod *corev1.Pod, node *corev1.Node) bool {
	for key, value := range pod.Spec.NodeSelector {
		if node.Labels[key] != value {
			return false
		}
	}
	for _, taint := range node.Spec.Taints {
		tolerated := slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
			return t.ToleratesTaint(klog.Background(), &taint, false)
		})
		if taint.Effect != corev1.TaintEffectPreferNoSchedule && !tolerated {
			return false
		}
	}
	return true
}

// Exclusive are the names of the things that the pod needs and of which each node has one: a place for its workload or its word,
// and a port.
func Exclusive(pod *corev1.Pod) []string {
	var names []string
	if pod.Spec.Affinity != nil && pod.Spec.Affinity.PodAntiAffinity != nil {
		for _, term := range pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			names = append(names, metav1.FormatLabelSelector(term.LabelSelector))
		}
	}
	for _, c := range pod.Spec.Containers {
		for _, port := range c.Ports {
			if port.HostPort > 0 {
				names = append(names, fmt.Sprint("port ", port.HostPort))
			}
		}
	}
	return names
}
