package scenario

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// Undrained says why AWS would lose a node that nobody drained if it terminated the instance now. It is empty when the instance
// never became a node, or its node is marked and empty. It asks the API server, because an informer may be behind.
func (e *Env) Undrained(ctx context.Context, instanceID string) (reason string, err error) {
	nodes, err := e.Cluster.Client().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("find the node of %s: %w", instanceID, err)
	}
	for _, node := range nodes.Items {
		if !hasSuffixSegment(node.Spec.ProviderID, instanceID) {
			continue
		}
		pods, err := e.cutOff(ctx, node.Name)
		if err != nil {
			return "", err
		}
		switch {
		case len(pods) > 0:
			return fmt.Sprintf("node %s still held %v", node.Name, pods), nil
		case !tainted(&node):
			return fmt.Sprintf("node %s was not marked for removal", node.Name), nil
		}
	}
	return "", nil
}

// cutOff lists the pods that a removal of the node would cut off.
func (e *Env) cutOff(ctx context.Context, node string) ([]string, error) {
	pods, err := e.Cluster.Client().CoreV1().Pods(corev1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("list the pods of node %q: %w", node, err)
	}
	var names []string
	for _, pod := range pods.Items {
		finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !finished && !staysWithNode(&pod) {
			names = append(names, pod.Namespace+"/"+pod.Name)
		}
	}
	return names, nil
}
