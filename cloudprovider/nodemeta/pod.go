package nodemeta

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// daemonSetPod makes the Cluster Autoscaler treat a pod as one of a DaemonSet.
const daemonSetPod = "cluster-autoscaler.kubernetes.io/daemonset-pod"

// HasClaim reports whether a claim stands behind the volume, be it the volume's own.
func HasClaim(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil || v.Ephemeral != nil }

// BelongsToNode reports whether the pod never moves to another node: it is a DaemonSet's, or stands for a static pod. It reads the pod alone. A
// DaemonSet that is being deleted takes its pods with it.
func BelongsToNode(pod *corev1.Pod) bool {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil && owner.Kind == "DaemonSet" {
		return true
	}
	_, static := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return static || pod.Annotations[daemonSetPod] == "true"
}

// TemplateHash tells the pods of a Deployment's templates apart, or of an Argo Rollout's. It is empty for other pods.
func TemplateHash(pod *corev1.Pod) string {
	return cmp.Or(pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey], pod.Labels["rollouts-pod-template-hash"])
}

// Owner returns the pod's controller, the Deployment (or Rollout) in the place of its ReplicaSet. Both are empty for a pod without one.
func Owner(pod *corev1.Pod) (kind, name string) {
	c := metav1.GetControllerOfNoCopy(pod)
	if c == nil {
		return "", ""
	}
	if hash := TemplateHash(pod); hash != "" && c.Kind == "ReplicaSet" {
		kind := "Deployment"
		if pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] == "" {
			kind = "Rollout"
		}
		if name, found := strings.CutSuffix(c.Name, "-"+hash); found {
			return kind, name
		}
	}
	return c.Kind, c.Name
}

// Requests returns what a node must have free for the pod, the pod itself included.
func Requests(pod *corev1.Pod) corev1.ResourceList {
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

// AddRequests adds more to the sum, and leaves more as it is.
func AddRequests(sum, more corev1.ResourceList) {
	for name, q := range more {
		total := sum[name].DeepCopy()
		total.Add(q)
		sum[name] = total
	}
}

// DoNotDisrupt is Karpenter's annotation on a pod or a node that is to be left alone. It is "true", or on a pod a duration from the pod's
// start, such as "4h".
const DoNotDisrupt Annotation = "karpenter.sh/do-not-disrupt"

// LeftAlone reports whether the pod asks now to be left alone, and until when, zero for as long as it runs. A pod asks for a duration once it
// has a node. An error is about a value that counts for nothing.
func LeftAlone(pod *corev1.Pod, now time.Time) (asks bool, until time.Time, err error) {
	value := DoNotDisrupt.Of(pod)
	if value == "" || value == "false" || value == "true" {
		return value == "true", time.Time{}, nil
	}
	d, err := time.ParseDuration(value)
	switch {
	case err != nil || d <= 0:
		return false, time.Time{}, fmt.Errorf("%.80q is neither true nor a duration such as 4h", value)
	case pod.Spec.NodeName == "":
		return false, time.Time{}, nil
	}
	until = began(pod).Add(d)
	return now.Before(until), until, nil
}

// began is the start of the pod, or while the kubelet of its node has yet to state it, the moment at which the pod got its node.
func began(pod *corev1.Pod) time.Time {
	if at := pod.Status.StartTime; at != nil {
		if created := pod.CreationTimestamp.Time; at.Time.Before(created) { // by the clock of a node, which may be behind
			return created
		}
		return at.Time
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return pod.CreationTimestamp.Time
}
