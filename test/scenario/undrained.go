package scenario

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// NodeLook is an instance's node as the API server has it at one moment.
type NodeLook struct {
	Node   string   // empty if the instance has none
	Marked bool     // for removal, by the core or for an interruption
	Pods   []string // "namespace/name", of the pods that a removal of the node would cut off
}

// Undrained returns why a removal of the node now would lose it undrained, or nothing.
func (l NodeLook) Undrained() string {
	switch {
	case len(l.Pods) > 0:
		return fmt.Sprintf("node %s still held %v", l.Node, l.Pods)
	case l.Node != "" && !l.Marked:
		return fmt.Sprintf("node %s was not marked for removal", l.Node)
	}
	return ""
}

// Seen is the node of an instance as the informers have it, which may be behind.
func (e *Env) Seen(instanceID string) NodeLook {
	o := e.observer
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, node := range o.nodes {
		if hasSuffixSegment(node.Spec.ProviderID, instanceID) {
			return NodeLook{Node: node.Name, Marked: tainted(node), Pods: o.podsOn(node.Name)}
		}
	}
	return NodeLook{}
}

// look is the node of an instance that is about to be terminated. The autoscaler may hear of the end of a pod sooner than the informers here, so
// the API server decides about a node that they see as not drained.
func (e *Env) look(instanceID string) NodeLook {
	seen := e.Seen(instanceID)
	if seen.Undrained() == "" {
		return seen
	}
	ctx, cancel := context.WithTimeout(e.observing, lookLimit)
	defer cancel()
	if asked, err := e.LookAt(ctx, instanceID); err == nil {
		return asked
	}
	return seen
}

// LookAt asks the API server for the node of an instance and its pods, because an informer may be behind.
func (e *Env) LookAt(ctx context.Context, instanceID string) (NodeLook, error) {
	nodes, err := e.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return NodeLook{}, fmt.Errorf("find the node of %s: %w", instanceID, err)
	}
	for _, node := range nodes.Items {
		if hasSuffixSegment(node.Spec.ProviderID, instanceID) {
			pods, err := e.podsOn(ctx, node.Name)
			return NodeLook{Node: node.Name, Marked: tainted(&node), Pods: pods}, err
		}
	}
	return NodeLook{}, nil
}

// podsOn asks the API server for the pods that a removal of the node would cut off.
func (e *Env) podsOn(ctx context.Context, node string) ([]string, error) {
	pods, err := e.client.CoreV1().Pods(corev1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("list the pods of node %q: %w", node, err)
	}
	var names []string
	for _, pod := range pods.Items {
		if cutOff(&pod) {
			names = append(names, pod.Namespace+"/"+pod.Name)
		}
	}
	return names, nil
}

// cutOff reports whether a removal of its node would cut the pod off: it is neither finished nor owned by a DaemonSet or the node itself.
func cutOff(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	for _, owner := range pod.OwnerReferences {
		if owner.Kind == "DaemonSet" || owner.Kind == "Node" {
			return false
		}
	}
	return true
}
