package nodemeta

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

const byInstance = "asg-autoscaler/instance"

// IndexByInstance has the informer index the nodes by the ID of their instance, unless it does so already. Two callers must not call it at once.
func IndexByInstance(nodes cache.SharedIndexInformer) error {
	if _, done := nodes.GetIndexer().GetIndexers()[byInstance]; done {
		return nil
	}
	return nodes.AddIndexers(cache.Indexers{byInstance: func(object any) ([]string, error) {
		if node, ok := object.(*corev1.Node); ok {
			if id := InstanceOf(node); id != "" {
				return []string{id}, nil
			}
		}
		return nil, nil
	}})
}

// NodesOf returns the nodes of an instance, in no order. The informer of the cache must have IndexByInstance. The nodes are shared and must
// not be changed. The list is the caller's.
func NodesOf(nodes cache.Indexer, instance string) []*corev1.Node {
	return indexed[*corev1.Node](nodes, byInstance, instance)
}
