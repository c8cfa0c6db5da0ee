package nodemeta

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// LastState returns the last known state of an object whose deletion an informer reports.
func LastState(obj any) any {
	if unknown, missed := obj.(cache.DeletedFinalStateUnknown); missed {
		return unknown.Obj
	}
	return obj
}

func Ready(node *corev1.Node) bool { return condition(node) != nil }

// ReadySince returns when the node became Ready, zero if it is not.
func ReadySince(node *corev1.Node) time.Time {
	if c := condition(node); c != nil {
		return c.LastTransitionTime.Time
	}
	return time.Time{}
}

// clockSkew is well above the difference between the clocks of the control plane and of the autoscaler.
const clockSkew = 5 * time.Second

// CordonedBefore reports whether somebody had cordoned the node before that time of the autoscaler's clock.
func CordonedBefore(node *corev1.Node, at time.Time) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		return t.Key == corev1.TaintNodeUnschedulable && t.TimeAdded != nil && at.Sub(t.TimeAdded.Time) > clockSkew
	})
}

// condition returns the condition by which the node is Ready, or nil.
func condition(node *corev1.Node) *corev1.NodeCondition {
	for at := range node.Status.Conditions {
		if c := &node.Status.Conditions[at]; c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}
