package nodemeta

import corev1 "k8s.io/api/core/v1"

// RemovalRequested is the annotation by which somebody asks for the removal of a node. People and asgctl write it, and the autoscaler only
// reads it. The request counts while its value is "true", or ReplaceFirst.
const RemovalRequested Annotation = "cluster-autoscaler.kubernetes.io/scale-down-requested"

// ReplaceFirst is the value of RemovalRequested that has another node come first if the group or the pods need it.
const ReplaceFirst = "replace"

// ToGo reports whether somebody asks for the removal of the node.
func ToGo(node *corev1.Node) bool {
	return RemovalRequested.Of(node) == "true" || RemovalRequested.Of(node) == ReplaceFirst
}
