package trim

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// container has all that decides where its pod fits. A resize of it is under way.
func container() (corev1.Container, corev1.ContainerStatus) {
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
	resized := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
	return corev1.Container{
			Name: "app", Image: "app:1", RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
			Ports:     []corev1.ContainerPort{{HostPort: 80, ContainerPort: 8080}},
			Resources: corev1.ResourceRequirements{Requests: requests, Claims: []corev1.ResourceClaim{{Name: "gpu"}}},
		}, corev1.ContainerStatus{
			Name: "app", Ready: true, RestartCount: 3, AllocatedResources: resized, Resources: &corev1.ResourceRequirements{Requests: resized},
		}
}

// pod has all that decides where it fits, and whether it may be moved.
func pod() *corev1.Pod {
	c, s := container()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "app-1", Labels: map[string]string{"app": "a"}, Annotations: map[string]string{"note": "b"}},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{c}, Containers: []corev1.Container{c}, NodeSelector: map[string]string{"group": "a"},
			Volumes: []corev1.Volume{
				{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
				{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
			},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}},
			InitContainerStatuses: []corev1.ContainerStatus{s}, ContainerStatuses: []corev1.ContainerStatus{s},
		},
	}
}

func TestPodKeepsWhatDecidesItsPlace(t *testing.T) {
	full := pod()
	full.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	probe := &corev1.Probe{PeriodSeconds: 1}
	for _, containers := range [][]corev1.Container{full.Spec.InitContainers, full.Spec.Containers} {
		c := &containers[0]
		c.Command, c.Args, c.WorkingDir = []string{"run"}, []string{"fast"}, "/"
		c.Env, c.EnvFrom = []corev1.EnvVar{{Name: "A", Value: "b"}}, []corev1.EnvFromSource{{Prefix: "C"}}
		c.VolumeMounts, c.VolumeDevices = []corev1.VolumeMount{{Name: "data"}}, []corev1.VolumeDevice{{Name: "data"}}
		c.LivenessProbe, c.ReadinessProbe, c.StartupProbe, c.Lifecycle = probe, probe, probe, &corev1.Lifecycle{}
		c.TerminationMessagePath, c.TerminationMessagePolicy = "/dev/termination-log", corev1.TerminationMessageReadFile
	}
	full.Spec.Volumes[0].Projected.Sources = []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	for _, statuses := range [][]corev1.ContainerStatus{full.Status.InitContainerStatuses, full.Status.ContainerStatuses} {
		s := &statuses[0]
		s.State, s.LastTerminationState, s.Image, s.ImageID, s.ContainerID = running, running, "app:1", "sha256:1", "containerd://1"
		s.VolumeMounts = []corev1.VolumeMountStatus{{Name: "data"}}
	}
	full.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "debug"}}
	got, err := Transform(full)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pod(), got); diff != "" {
		t.Errorf("trimmed pod (-want +got):\n%s", diff)
	}
}

func TestNodeKeepsAllThatIsWrittenBack(t *testing.T) {
	want := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}, Finalizers: []string{"e"}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///us-east-1a/i-1", Taints: []corev1.Taint{{Key: "f"}}, Unschedulable: true},
		Status:     corev1.NodeStatus{Capacity: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("29")}},
	}
	full := want.DeepCopy()
	full.Status.Images, full.ManagedFields = []corev1.ContainerImage{{Names: []string{"app:1"}}}, []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	got, err := Transform(full)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trimmed node (-want +got):\n%s", diff)
	}
}
