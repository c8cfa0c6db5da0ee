package nodemeta

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

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

// indexed returns the objects that have the key in the index.
func indexed[T any](objects cache.Indexer, index, key string) []T {
	found, _ := objects.ByIndex(index, key) // fails without the index
	list := make([]T, 0, len(found))
	for _, object := range found {
		if one, ok := object.(T); ok {
			list = append(list, one)
		}
	}
	return list
}
