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

func Ready(node *corev1.Node) bool {
	c := condition(node)
	return c != nil && c.Status == corev1.ConditionTrue
}

// ReadySince returns when the node became Ready, zero if it is not, or its condition does not say.
func ReadySince(node *corev1.Node) time.Time {
	if Ready(node) {
		return condition(node).LastTransitionTime.Time
	}
	return time.Time{}
}

// Silent reports whether the node's kubelet no longer says how the node is, or never has. A node that is not Ready otherwise still ends pods.
func Silent(node *corev1.Node) bool {
	c := condition(node)
	return c == nil || c.Status == corev1.ConditionUnknown
}

// taintDeleted is what the core sets on a node that it removes.
const taintDeleted = "ToBeDeletedByClusterAutoscaler"

func DrainedByCore(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == taintDeleted })
}

// CordonedBefore reports whether somebody had cordoned the node before the core set its taint. Kubernetes taints a cordoned node, and
// taints are appended, so no clock is asked.
func CordonedBefore(node *corev1.Node) bool {
	of := func(key string) int {
		return slices.IndexFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key })
	}
	cordon := of(corev1.TaintNodeUnschedulable)
	return cordon >= 0 && cordon < of(taintDeleted)
}

// condition returns the node's condition Ready, or nil.
func condition(node *corev1.Node) *corev1.NodeCondition {
	for at := range node.Status.Conditions {
		if c := &node.Status.Conditions[at]; c.Type == corev1.NodeReady {
			return c
		}
	}
	return nil
}
