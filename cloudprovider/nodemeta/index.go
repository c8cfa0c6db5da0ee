package nodemeta

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

const byInstance = "asg-autoscaler/instance"

// NodesByInstance indexes nodes by the ID of their instance. An informer that has the index already refuses it, and keeps its own.
var NodesByInstance = cache.Indexers{byInstance: func(object any) ([]string, error) {
	if id := InstanceOf(object.(*corev1.Node)); id != "" {
		return []string{id}, nil
	}
	return nil, nil
}}

// NodesOf returns the nodes of an instance by NodesByInstance, which the cache must have, in no order. They are shared and must not be
// changed. The list is the caller's.
func NodesOf(nodes cache.Indexer, instance string) []*corev1.Node {
	return indexed[*corev1.Node](nodes, byInstance, instance)
}

const byNode = "asg-autoscaler/node"

// PodsByNode indexes pods by the name of their node. Pods that have ended use no room, and are left out.
var PodsByNode = cache.Indexers{byNode: func(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil, nil
	}
	return []string{pod.Spec.NodeName}, nil
}}

// PodsOn returns the pods of a node by PodsByNode, which the cache must have. They are shared and must not be changed. The list is the caller's.
func PodsOn(pods cache.Indexer, node string) []*corev1.Pod {
	return indexed[*corev1.Pod](pods, byNode, node)
}

func indexed[T any](objects cache.Indexer, index, key string) []T {
	found, _ := objects.ByIndex(index, key) // fails without the index
	list := make([]T, 0, len(found))
	for _, object := range found {
		list = append(list, object.(T)) // which the index has looked at
	}
	return list
}
