package doctor

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
)

// For tests.
var (
	FlagsOf = flagsOf
	Runs    = func(c corev1.Container) string {
		kind, _ := running.AutoscalerIn(&corev1.PodSpec{Containers: []corev1.Container{c}})
		return kind
	}
)
