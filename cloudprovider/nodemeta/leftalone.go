package nodemeta

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

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
