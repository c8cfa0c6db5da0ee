package mix

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// Mix is a set of pods with the groups that could run them. Do not change one that others read.
type Mix struct {
	Name   string
	About  string // one line of description
	Groups []Group
	Pods   []*corev1.Pod
	// DaemonSets are pods that run on every node that they tolerate.
	DaemonSets []*corev1.Pod
	Currency   string
	Region     string
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
	Name         string
	InstanceType string
	Spot         bool
	PerHour      float64 // price of one node
	Max          int     // nodes
	Node         *corev1.Node
	Labels       map[string]string // on its nodes, beside the labels that nodes of its type have anywhere
	Stated       bool              // the mix states what its nodes offer, so that they are no nodes of the catalogue
	Devices      int               // GPUs of one node that a driver shares out by claims
}

// workload is a set of equal pods, as if of one Deployment.
type workload struct {
	name        string
	count       int
	requests    corev1.ResourceList
	selector    map[string]string
	tolerations []corev1.Toleration
	apart       bool   // no two on one node
	exclusive   string // no two pods of any workload with this word on one node, "" for none
	hostPort    int    // port of the node that each takes, 0 for none
	spread      string // topology key over which they are spread evenly, "" for none
	devices     int    // GPUs in each pod's claim
	volumes     int    // EBS volumes of each pod
}

func (w workload) pods() []*corev1.Pod {
	var list []*corev1.Pod
	owner := metav1.OwnerReference{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: w.name, UID: types.UID("owner-" + w.name), Controller: new(true),
	}
	for i := range w.count {
		name := fmt.Sprintf("%s-%d", w.name, i)
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default", Name: name, UID: types.UID(name),
				Labels: map[string]string{"app": w.name}, OwnerReferences: []metav1.OwnerReference{owner},
			},
			Spec: corev1.PodSpec{
				Containers:    []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Requests: w.requests}}},
				NodeSelector:  w.selector,
				Tolerations:   w.tolerations,
				SchedulerName: corev1.DefaultSchedulerName,
			},
			Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			}}},
		}
		w.depend(pod)
		list = append(list, pod)
	}
	return list
}

// depend adds the dependencies of the pod's place beside resources.
func (w workload) depend(pod *corev1.Pod) {
	if w.apart {
		keepOff(pod, "app", w.name)
	}
	if w.exclusive != "" {
		pod.Labels[labelExclusive] = w.exclusive
		keepOff(pod, labelExclusive, w.exclusive)
	}
	if w.hostPort > 0 {
		pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: int32(w.hostPort), HostPort: int32(w.hostPort), Protocol: corev1.ProtocolTCP}}
	}
	if w.spread != "" {
		pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: w.spread, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: pod.Labels},
		}}
	}
	if w.devices > 0 {
		pod.Annotations = map[string]string{annotationDevices: strconv.Itoa(w.devices)}
		pod.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: new(w.name)}}
		pod.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "gpu", ResourceClaimName: new(pod.Name + "-gpu")}}
	}
	for i := range w.volumes {
		name := fmt.Sprintf("data-%d", i)
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name + "-" + pod.Name}}})
	}
}

// keepOff keeps the pod off the nodes where pods with that label are.
func keepOff(pod *corev1.Pod, label, value string) {
	if pod.Spec.Affinity == nil {
		pod.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}}
	}
	terms := &pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	*terms = append(*terms, corev1.PodAffinityTerm{
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{label: value}}, TopologyKey: corev1.LabelHostname,
	})
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

// Tolerated are the pods that may run on the node: they select its labels and tolerate its taints. It ignores the room that is
// left.
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
