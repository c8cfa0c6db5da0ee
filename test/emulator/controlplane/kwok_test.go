package controlplane

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const gpu corev1.ResourceName = "nvidia.com/gpu"

// createNode creates a node with the label of its name, deleted when the test ends.
func createNode(t *testing.T, client kubernetes.Interface, name string, annotations map[string]string) {
	t.Helper()
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
	if _, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// createFakeNode creates a node that KWOK plays and waits until pods may be scheduled to it.
func createFakeNode(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
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

// podTemplate returns the template of a pod for one node.
func podTemplate(app, node string, limits corev1.ResourceList) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{corev1.LabelHostname: node},
			Containers: []corev1.Container{{
				Name: "main", Image: "example.com/main", Resources: corev1.ResourceRequirements{Limits: limits},
			}},
		},
	}
}

// deploy creates a Deployment in the default namespace and deletes it when the test ends.
func deploy(t *testing.T, client kubernetes.Interface, name string, replicas int32, template corev1.PodTemplateSpec) {
	t.Helper()
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: template.Labels},
			Template: template,
		},
	}
	if _, err := client.AppsV1().Deployments("default").Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.AppsV1().Deployments("default").Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// available waits until a Deployment has all its replicas running.
func available(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		d, err := client.AppsV1().Deployments("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.AvailableReplicas != *d.Spec.Replicas {
			return fmt.Errorf("deployment %q has %d of %d replicas available", name, d.Status.AvailableReplicas, *d.Spec.Replicas)
		}
		return nil
	})
}

func TestAnnotatedNodeBecomesReadyAndRunsADeployment(t *testing.T) {
	client := shared(t).Client()
	createFakeNode(t, client, "ready")
	deploy(t, client, "web", 2, podTemplate("web", "ready", nil))
	available(t, client, "web")
}

func TestNodeKeepsItsCapacityAndAllocatable(t *testing.T) {
	client := shared(t).Client()
	createFakeNode(t, client, "sized")
	node, err := client.CoreV1().Nodes().Get(t.Context(), "sized", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := node.Status.Capacity.Cpu().String(), "4"; got != want {
		t.Errorf("capacity of cpu = %s, want %s", got, want)
	}
	if got, want := node.Status.Allocatable.Cpu().String(), "3920m"; got != want {
		t.Errorf("allocatable cpu = %s, want %s", got, want)
	}
}

func TestExtendedResourcePatchedLaterIsKeptAndUsable(t *testing.T) {
	client := shared(t).Client()
	createFakeNode(t, client, "gpu")
	deploy(t, client, "trainer", 1, podTemplate("trainer", "gpu", corev1.ResourceList{gpu: resource.MustParse("1")}))

	patchNodeStatus(t, client, "gpu", `{"capacity": {"nvidia.com/gpu": "1"}, "allocatable": {"nvidia.com/gpu": "1"}}`)
	available(t, client, "trainer")

	// KWOK writes the node's status again, which must not undo the patch.
	patchNodeStatus(t, client, "gpu", `{"conditions": [{"type": "Ready", "status": "False"}]}`)
	eventually(t, func(ctx context.Context) error { return nodeUsable(ctx, client, "gpu") })
	node, err := client.CoreV1().Nodes().Get(t.Context(), "gpu", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, resources := range map[string]corev1.ResourceList{"capacity": node.Status.Capacity, "allocatable": node.Status.Allocatable} {
		if got := resources[gpu]; got.Value() != 1 {
			t.Errorf("%s of %s = %s, want 1", name, gpu, got.String())
		}
	}
}

func patchNodeStatus(t *testing.T, client kubernetes.Interface, name, status string) {
	t.Helper()
	_, err := client.CoreV1().Nodes().Patch(t.Context(), name, types.StrategicMergePatchType,
		[]byte(`{"status": `+status+`}`), metav1.PatchOptions{}, "status")
	if err != nil {
		t.Fatal(err)
	}
}

func TestNodeWithoutTheAnnotationIsLeftAlone(t *testing.T) {
	client := shared(t).Client()
	createNode(t, client, "other", nil)
	createFakeNode(t, client, "later") // KWOK has seen both once it has acted on the later one
	node, err := client.CoreV1().Nodes().Get(t.Context(), "other", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := readyStatus(node); got == corev1.ConditionTrue {
		t.Errorf("node without the annotation has Ready=%q", got)
	}
}

func TestJobCompletes(t *testing.T) {
	client := shared(t).Client()
	createFakeNode(t, client, "batch")
	template := podTemplate("job", "batch", nil)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	template.Annotations = map[string]string{"controlplane/run-for": "300ms"}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "once"}, Spec: batchv1.JobSpec{Template: template}}
	if _, err := client.BatchV1().Jobs("default").Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		job, err := client.BatchV1().Jobs("default").Get(ctx, "once", metav1.GetOptions{})
		if err == nil && job.Status.Succeeded != 1 {
			err = fmt.Errorf("job has status %+v", job.Status)
		}
		return err
	})
}

func TestDeletedPodsAreGone(t *testing.T) {
	client := shared(t).Client()
	createFakeNode(t, client, "drained")
	deploy(t, client, "brief", 3, podTemplate("brief", "drained", nil))
	available(t, client, "brief")
	none := int32(0)
	scale, err := client.AppsV1().Deployments("default").GetScale(t.Context(), "brief", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = none
	if _, err := client.AppsV1().Deployments("default").UpdateScale(t.Context(), "brief", scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=brief"})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d pods are left", len(pods.Items))
		}
		return err
	})
}
