package nodeready

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Is reports whether the node's kubelet says that it is Ready.
func Is(node *corev1.Node) bool {
	c := condition(node)
	return c != nil && c.Status == corev1.ConditionTrue
}

// Since returns when the node became Ready, zero if it is not.
func Since(node *corev1.Node) time.Time {
	if !Is(node) {
		return time.Time{}
	}
	return condition(node).LastTransitionTime.Time
}

func condition(node *corev1.Node) *corev1.NodeCondition {
	for at := range node.Status.Conditions {
		if c := &node.Status.Conditions[at]; c.Type == corev1.NodeReady {
			return c
		}
	}
	return nil
}
