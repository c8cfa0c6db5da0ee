package informers

import (
	"fmt"
	"maps"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/autoscaler/cluster-autoscaler/utils/daemonset"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

var (
	requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
	bigger   = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
)

// container has all that decides where its pod fits.
func container(name string) corev1.Container {
	return corev1.Container{Name: name, RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
		Ports:     []corev1.ContainerPort{{HostPort: 80, ContainerPort: 8080}},
		Resources: corev1.ResourceRequirements{Requests: requests, Claims: []corev1.ResourceClaim{{Name: "gpu"}}}}
}

func status(name string, has corev1.ResourceList) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, AllocatedResources: has, Resources: &corev1.ResourceRequirements{Requests: has}}
}

// spec has all that decides where a pod fits.
func spec() corev1.PodSpec {
	return corev1.PodSpec{
		InitContainers: []corev1.Container{container("sidecar")}, Containers: []corev1.Container{container("app"), container("helper")},
		NodeSelector: map[string]string{"group": "a"}, RestartPolicy: corev1.RestartPolicyAlways, SchedulerName: corev1.DefaultSchedulerName,
		Tolerations: []corev1.Toleration{{Key: "spot"}}, Priority: new(int32(7)), HostNetwork: true,
		Volumes: []corev1.Volume{
			{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
		},
	}
}

// pod has all that decides where it fits, and whether it may be moved. A resize of a container is under way.
func pod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "app-1", Labels: map[string]string{"app": "a"}, Annotations: map[string]string{"note": "b"}},
		Spec:       spec(),
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
				{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			InitContainerStatuses: []corev1.ContainerStatus{status("sidecar", bigger)}, ContainerStatuses: []corev1.ContainerStatus{status("app", bigger)},
		},
	}
}

// forKubelet adds to a spec all that only a kubelet needs.
func forKubelet(s *corev1.PodSpec) {
	probe := &corev1.Probe{PeriodSeconds: 1}
	for _, containers := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range containers {
			c := &containers[i]
			c.Image, c.ImagePullPolicy, c.Command, c.Args, c.WorkingDir = "app:1", corev1.PullAlways, []string{"run"}, []string{"fast"}, "/"
			c.Env, c.EnvFrom = []corev1.EnvVar{{Name: "A", Value: "b"}}, []corev1.EnvFromSource{{Prefix: "C"}}
			c.VolumeMounts, c.VolumeDevices = []corev1.VolumeMount{{Name: "data"}}, []corev1.VolumeDevice{{Name: "data"}}
			c.LivenessProbe, c.ReadinessProbe, c.StartupProbe, c.Lifecycle = probe, probe, probe, &corev1.Lifecycle{}
			c.TerminationMessagePath, c.SecurityContext = "/dev/termination-log", &corev1.SecurityContext{}
		}
	}
	for _, source := range []corev1.VolumeSource{{Projected: &corev1.ProjectedVolumeSource{}}, {Secret: &corev1.SecretVolumeSource{}},
		{ConfigMap: &corev1.ConfigMapVolumeSource{}}, {DownwardAPI: &corev1.DownwardAPIVolumeSource{}}} {
		s.Volumes = append([]corev1.Volume{{Name: "files", VolumeSource: source}}, s.Volumes...)
	}
	s.ServiceAccountName, s.SecurityContext, s.ImagePullSecrets = "default", &corev1.PodSecurityContext{}, []corev1.LocalObjectReference{{Name: "registry"}}
	s.DNSPolicy, s.EnableServiceLinks = corev1.DNSClusterFirst, new(true)
}

func trimmed(t *testing.T, object, want any) {
	t.Helper()
	got, err := Trim(object)
	require.NoError(t, err)
	assert.Emptyf(t, cmp.Diff(want, got), "trimmed %T (-want +got)", object)
}

func TestPodKeepsWhatDecidesItsPlace(t *testing.T) {
	full := pod()
	full.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	full.Annotations[corev1.LastAppliedConfigAnnotation] = "{}"
	forKubelet(&full.Spec)
	s := &full.Status
	for _, kind := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.ContainersReady} {
		s.Conditions = append([]corev1.PodCondition{{Type: kind, Status: corev1.ConditionTrue}}, s.Conditions...)
	}
	s.ContainerStatuses[0].Image, s.ContainerStatuses[0].RestartCount = "app:1", 3
	s.ContainerStatuses = append(s.ContainerStatuses, status("helper", requests))              // as the spec says
	s.Resources, s.AllocatedResources = &corev1.ResourceRequirements{Requests: bigger}, bigger // of a pod that asks for no sums itself
	s.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "debug"}}
	s.HostIP, s.PodIP, s.HostIPs, s.PodIPs = "10.0.0.1", "10.0.0.2", []corev1.HostIP{{IP: "10.0.0.1"}}, []corev1.PodIP{{IP: "10.0.0.2"}}
	trimmed(t, full, pod())
}

// Moves wait for a pod that runs and is not Ready for longer than for one that does not run.
func TestPodKeepsItsContainersThatDoNotRun(t *testing.T) {
	runs, ended := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	waits := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	statuses := func(states ...corev1.ContainerState) (list []corev1.ContainerStatus) {
		for i, state := range states {
			list = append(list, corev1.ContainerStatus{Name: fmt.Sprint(i), State: state, RestartCount: 9})
		}
		return list
	}
	for _, tt := range []struct {
		phase      corev1.PodPhase
		init, main []corev1.ContainerState // that stay of one that waits, one that runs and one that has ended
	}{
		{corev1.PodPending, []corev1.ContainerState{waits, runs}, []corev1.ContainerState{waits, ended}},
		{corev1.PodRunning, []corev1.ContainerState{waits}, []corev1.ContainerState{waits, ended}},
		{corev1.PodSucceeded, nil, nil},
		{corev1.PodFailed, nil, nil},
	} {
		p := &corev1.Pod{Status: corev1.PodStatus{Phase: tt.phase, InitContainerStatuses: statuses(waits, runs, ended), ContainerStatuses: statuses(waits, runs, ended)}}
		_, err := Trim(p)
		require.NoError(t, err)
		kept := func(list []corev1.ContainerStatus) (states []corev1.ContainerState) {
			for _, s := range list {
				assert.Zerof(t, s.RestartCount, "restarts of %s", s.Name)
				states = append(states, s.State)
			}
			return states
		}
		assert.Equalf(t, tt.init, kept(p.Status.InitContainerStatuses), "init containers of a pod in phase %s", tt.phase)
		assert.Equalf(t, tt.main, kept(p.Status.ContainerStatuses), "containers of a pod in phase %s", tt.phase)
	}
}

// The templates of DaemonSets keep their environment, because the VPC CNI's is read.
func TestTemplatesKeepWhatDecidesPlacesOfTheirPods(t *testing.T) {
	full := corev1.PodTemplateSpec{Spec: spec()}
	forKubelet(&full.Spec)
	want := corev1.PodTemplateSpec{Spec: spec()}
	trimmed(t, &corev1.ReplicationController{Spec: corev1.ReplicationControllerSpec{Template: full.DeepCopy()}},
		&corev1.ReplicationController{Spec: corev1.ReplicationControllerSpec{Template: &want}})
	trimmed(t, &appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Template: *full.DeepCopy()}},
		&appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Template: want}})
	trimmed(t, &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Template: *full.DeepCopy()}},
		&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Template: want}})
	trimmed(t, &batchv1.Job{Spec: batchv1.JobSpec{Template: *full.DeepCopy()}}, &batchv1.Job{Spec: batchv1.JobSpec{Template: want}})
	trimmed(t, &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: *full.DeepCopy()}},
		&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: full}})
}

// Nodes and pods that copy what an adapter notes would be taken for its copies: a node for a template, whose figures are not compared.
func TestNotesOfAdaptersAreTakenOff(t *testing.T) {
	forged := map[string]string{"note": "b", cloudprovider.FakeNodeReasonAnnotation: cloudprovider.FakeNodeUnregistered, coreannotations.NodeUpcomingAnnotation: "true"}
	for _, note := range nodemeta.Notes {
		forged[string(note)] = "x"
	}
	forged[string(nodemeta.RemovalRequested)] = "true"
	labels := map[string]string{"team": "a", nodemeta.ZoneAssumed: "x", nodemeta.KindAssumed: "x"}
	want := metav1.ObjectMeta{Annotations: map[string]string{"note": "b", string(nodemeta.RemovalRequested): "true"}, Labels: map[string]string{"team": "a"}}
	meta := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{Annotations: maps.Clone(forged), Labels: maps.Clone(labels)}
	}
	trimmed(t, &corev1.Node{ObjectMeta: meta()}, &corev1.Node{ObjectMeta: want})
	trimmed(t, &corev1.Pod{ObjectMeta: meta()}, &corev1.Pod{ObjectMeta: want})
	trimmed(t, &storagev1.CSINode{ObjectMeta: meta()}, &storagev1.CSINode{ObjectMeta: want})
	trimmed(t, &resourceapi.ResourceSlice{ObjectMeta: meta()}, &resourceapi.ResourceSlice{ObjectMeta: want})
}

// Kubelet unmounts no volume whose driver is gone.
func TestDriversOfVolumesAreNotEvictedWithThePodsThatNeedThem(t *testing.T) {
	of := func(kind string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{Kind: kind, Name: "a", Controller: new(true)}}
	}
	files := func(path string) []corev1.Volume {
		return []corev1.Volume{{Name: "files", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}}
	}
	const registry, perNode = "/var/lib/kubelet/plugins_registry/", "cluster-autoscaler.kubernetes.io/daemonset-pod"
	for _, tt := range []struct {
		name        string
		owner       []metav1.OwnerReference
		volumes     []corev1.Volume
		annotations map[string]string
		evicted     bool
	}{
		{"a driver", of("DaemonSet"), files(registry), nil, false},
		{"a driver on Windows", of("DaemonSet"), files(`C:\var\lib\kubelet\plugins_registry`), nil, false},
		{"its operator says true", of("DaemonSet"), files(registry), map[string]string{daemonset.EnableDsEvictionKey: "true"}, true},
		{"its operator says false", of("DaemonSet"), nil, map[string]string{daemonset.EnableDsEvictionKey: "false"}, false},
		{"an agent", of("DaemonSet"), files("/var/log"), map[string]string{"note": "b"}, true},
		{"a device plugin", of("DaemonSet"), files("/var/lib/kubelet/device-plugins"), nil, true},
		{"Mountpoint for S3", nil, nil, map[string]string{perNode: "true"}, false},
		{"an agent of another kind of DaemonSet", of("ExtendedDaemonSetReplicaSet"), nil, map[string]string{perNode: "true"}, true},
		{"a Deployment's", of("ReplicaSet"), files(registry), nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: tt.owner, Annotations: tt.annotations}, Spec: corev1.PodSpec{Volumes: tt.volumes}}
			for range 2 { // an informer may trim an object again
				_, err := Trim(pod)
				require.NoError(t, err)
			}
			assert.Equal(t, tt.evicted, len(daemonset.PodsToEvict([]*corev1.Pod{pod}, true)) > 0, "the core's drain evicts it, if it is a DaemonSet's")
		})
	}
}

func TestNodeKeepsAllThatIsWrittenBack(t *testing.T) {
	want := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}"}, Finalizers: []string{"e"}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///us-east-1a/i-1", Taints: []corev1.Taint{{Key: "f"}}, Unschedulable: true},
		Status:     corev1.NodeStatus{Capacity: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("29")}},
	}
	full := want.DeepCopy()
	full.Status.Images, full.ManagedFields = []corev1.ContainerImage{{Names: []string{"app:1"}}}, []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	trimmed(t, full, want)
}

// replica is a pod of the owner as a reflector decodes it, with strings and maps of its own.
func replica(owner string, n int) *corev1.Pod {
	p := pod().DeepCopy()
	p.Name, p.Namespace, p.GenerateName, p.Spec.NodeName = fmt.Sprint(owner, "-", n), fmt.Sprint("names", "pace"), fmt.Sprint(owner, "-"), fmt.Sprint("node-", n)
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: owner, UID: types.UID(owner), Controller: new(true)}}
	return p
}

func TestPodsOfOneOwnerShareWhatIsEqual(t *testing.T) {
	var s recent
	first, second := replica("a", 1), replica("a", 2)
	s.share(first)
	s.share(second)
	assert.Empty(t, cmp.Diff(replica("a", 2), second), "the second pod is another one now (-want +got)")
	first.Labels["app"], first.Spec.NodeSelector["group"] = "changed", "changed"
	first.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = bigger[corev1.ResourceCPU]
	if second.Labels["app"] != "changed" || second.Spec.NodeSelector["group"] != "changed" ||
		!second.Spec.Containers[0].Resources.Requests.Cpu().Equal(bigger[corev1.ResourceCPU]) {
		t.Error("the pods have maps of their own")
	}
	if &first.Spec.Tolerations[0] != &second.Spec.Tolerations[0] || &first.OwnerReferences[0] != &second.OwnerReferences[0] ||
		unsafe.StringData(first.Namespace) != unsafe.StringData(second.Namespace) {
		t.Error("the pods have tolerations, owners or names of namespaces of their own")
	}
	assert.True(t, &first.Spec.Containers[0] != &second.Spec.Containers[0], "the pods share a container, which the core writes to")
}

func TestPodsThatDifferShareNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*corev1.Pod)
	}{
		{"another owner", func(p *corev1.Pod) { p.OwnerReferences[0].UID = "b" }},
		{"no owner", func(p *corev1.Pod) { p.OwnerReferences = nil }},
		{"other parts", func(p *corev1.Pod) {
			p.Labels["app"], p.Spec.NodeSelector["group"], p.Spec.Tolerations[0].Key = "b", "b", "b"
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = bigger[corev1.ResourceCPU]
			p.Spec.Containers = p.Spec.Containers[:1]
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s recent
			first, second := replica("a", 1), replica("a", 2)
			tt.change(second)
			want := second.DeepCopy()
			s.share(first)
			s.share(second)
			assert.Empty(t, cmp.Diff(want, second), "changed the second pod (-want +got)")
			first.Labels["app"] = "changed"
			assert.True(t, second.Labels["app"] != "changed", "the pods share their labels")
		})
	}
}
