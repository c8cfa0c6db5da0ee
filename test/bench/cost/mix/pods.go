package mix

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// podsOf makes the pods of a list of the file.
func podsOf(list []filePods, where string) ([]*corev1.Pod, error) {
	var pods []*corev1.Pod
	for i, entry := range list {
		entry.Name = cmp.Or(entry.Name, fmt.Sprintf("%s-%d", where, i+1))
		some, err := entry.pods()
		if err != nil {
			return nil, fmt.Errorf("%s, item %d: %q: %w", where, i+1, entry.Name, err)
		}
		pods = append(pods, some...)
	}
	return pods, nil
}

// pods are equal pods, as if of one Deployment.
func (p *filePods) pods() ([]*corev1.Pod, error) {
	count := 1
	if p.Count != nil {
		count = *p.Count
	}
	if p.Spread != "" && topologyKeys[p.Spread] == "" {
		return nil, fmt.Errorf("spread %q is neither \"node\" nor \"zone\"", p.Spread)
	}
	requests, err := resources(p.CPU, p.Memory, p.GPU, p.Resources)
	if err != nil {
		return nil, err
	}
	var tolerations []corev1.Toleration
	for _, text := range p.Tolerations {
		t, err := parseToleration(text)
		if err != nil {
			return nil, err
		}
		tolerations = append(tolerations, t)
	}
	var list []*corev1.Pod
	owner := metav1.OwnerReference{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: p.Name, UID: types.UID("owner-" + p.Name), Controller: new(true),
	}
	for i := range count {
		name := fmt.Sprintf("%s-%d", p.Name, i)
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default", Name: name, UID: types.UID(name),
				Labels: map[string]string{"app": p.Name}, OwnerReferences: []metav1.OwnerReference{owner},
			},
			Spec: corev1.PodSpec{
				Containers:    []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Requests: requests}}},
				NodeSelector:  p.NodeSelector,
				Tolerations:   tolerations,
				SchedulerName: corev1.DefaultSchedulerName,
			},
			Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			}}},
		}
		p.depend(pod)
		list = append(list, pod)
	}
	return list, nil
}

// topologyKeys are those that the word in a mix names.
var topologyKeys = map[string]string{"node": corev1.LabelHostname, "zone": corev1.LabelTopologyZone}

// depend adds the dependencies of the pod's place beside resources.
func (p *filePods) depend(pod *corev1.Pod) {
	if p.OnePerNode {
		keepOff(pod, "app", p.Name)
	}
	if p.Exclusive != "" {
		pod.Labels[labelExclusive] = p.Exclusive
		keepOff(pod, labelExclusive, p.Exclusive)
	}
	if p.HostPort > 0 {
		pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: int32(p.HostPort), HostPort: int32(p.HostPort), Protocol: corev1.ProtocolTCP}}
	}
	if p.Spread != "" {
		pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: topologyKeys[p.Spread], WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: pod.Labels},
		}}
	}
	if p.Claims > 0 {
		pod.Annotations = map[string]string{annotationDevices: strconv.Itoa(p.Claims)}
		pod.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: new(p.Name)}}
		pod.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "gpu", ResourceClaimName: new(pod.Name + "-gpu")}}
	}
	for i := range p.Volumes {
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

// parseToleration parses a tolerated taint, or only its key for any value and effect.
func parseToleration(text string) (corev1.Toleration, error) {
	if !strings.ContainsAny(text, ":=") {
		return corev1.Toleration{Key: text, Operator: corev1.TolerationOpExists}, nil
	}
	taint, err := parseTaint(text)
	if err != nil {
		return corev1.Toleration{}, fmt.Errorf("toleration: %w, nor a key", err)
	}
	return corev1.Toleration{Key: taint.Key, Value: taint.Value, Operator: corev1.TolerationOpEqual, Effect: taint.Effect}, nil
}
