package nodemeta

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// DoNotDisrupt is Karpenter's annotation on a pod or a node that is to be left alone. It is "true", or on a pod a duration from the pod's
// start, such as "4h".
const DoNotDisrupt Annotation = "karpenter.sh/do-not-disrupt"

// LeftAlone reports whether the pod asks to be left alone, and until when, zero for as long as it runs. An error is about a value that
// counts for nothing.
func LeftAlone(pod *corev1.Pod) (asks bool, until time.Time, err error) {
	value := DoNotDisrupt.Of(pod)
	if value == "" || value == "false" || value == "true" {
		return value == "true", time.Time{}, nil
	}
	d, err := time.ParseDuration(value)
	switch {
	case err != nil || d <= 0:
		return false, time.Time{}, fmt.Errorf("%.80q is neither true nor a duration such as 4h", value)
	case pod.Status.StartTime == nil: // its node's kubelet has yet to see it
		return true, time.Time{}, nil
	}
	return true, pod.Status.StartTime.Add(d), nil
}
