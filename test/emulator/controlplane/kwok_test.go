package controlplane

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// createNode creates a node with the label of its name, deleted when the test ends.
func createNode(t *testing.T, client kubernetes.Interface, name string, annotations map[string]string) {
	resources := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("4"),
		corev1.ResourceMemory: resource.MustParse("16Gi"),
		corev1.ResourcePods:   resource.MustParse("58"),
	}
	allocatable := resources.DeepCopy()
	allocatable[corev1.ResourceCPU] = resource.MustParse("3920m")
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations, Labels: map[string]string{corev1.LabelHostname: name}},
		Status:     corev1.NodeStatus{Capacity: resources, Allocatable: allocatable},
	}
	_, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}))
	})
}

// createFakeNode creates a node that KWOK plays and waits until pods may be scheduled to it.
func createFakeNode(t *testing.T, client kubernetes.Interface, name string) {
	createNode(t, client, name, map[string]string{"kwok.x-k8s.io/node": "fake"})
	eventually(t, func(ctx context.Context) error { return nodeUsable(ctx, client, name) })
}

// nodeUsable returns what keeps pods from a node: it is not Ready, or a taint.
func nodeUsable(ctx context.Context, client kubernetes.Interface, name string) error {
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if status := readyStatus(node); status != corev1.ConditionTrue {
		return fmt.Errorf("node %q has Ready=%q", name, status)
	}
	if len(node.Spec.Taints) > 0 {
		return fmt.Errorf("node %q has taints %v", name, node.Spec.Taints)
	}
	return nil
}

func readyStatus(node *corev1.Node) corev1.ConditionStatus {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status
		}
	}
	return ""
}

func TestNodeWithoutTheAnnotationIsLeftAlone(t *testing.T) {
	client := shared(t).Client()
	createNode(t, client, "other", nil)
	createFakeNode(t, client, "later") // KWOK has seen both once it has acted on the later one
	node, err := client.CoreV1().Nodes().Get(t.Context(), "other", metav1.GetOptions{})
	require.NoError(t, err)
	got := readyStatus(node)
	assert.Truef(t, got != corev1.ConditionTrue, "node without the annotation has Ready=%q", got)
}
