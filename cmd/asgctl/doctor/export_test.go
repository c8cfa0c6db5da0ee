package doctor

import corev1 "k8s.io/api/core/v1"

// For tests.
var (
	FlagsOf = flagsOf
	Runs    = func(c corev1.Container) string {
		kind, _ := autoscalerIn(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{c}}})
		return kind
	}
)
