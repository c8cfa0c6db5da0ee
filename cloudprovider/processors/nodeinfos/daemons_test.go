package nodeinfos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

func daemonSet(name, generation, cpu string) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: name, UID: types.UID(name),
			Annotations: map[string]string{appsv1.DeprecatedTemplateGeneration: generation}},
		Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: requesting(cpu)}}}}
}

func requesting(cpu string) []corev1.Container {
	return []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: awsworld.Resources("cpu", cpu)}}}
}

// daemonPod returns a pod on the node that requests the CPU, maybe more than the template of its DaemonSet says.
func daemonPod(of, generation, cpu string, on *corev1.Node) *corev1.Pod {
	yes := true
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: of + "-" + on.Name, UID: types.UID(of + "-" + on.Name),
		Labels:          map[string]string{"pod-template-generation": generation},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: of, UID: types.UID(of), Controller: &yes}}},
		Spec: corev1.PodSpec{NodeName: on.Name, Containers: requesting(cpu)}}
}

func TestNextNodeHasThePodsOfTodaysDaemonSets(t *testing.T) {
	agent := []*appsv1.DaemonSet{daemonSet("agent", "1", "500m")}
	elsewhere := daemonSet("gpu", "1", "300m")
	elsewhere.Spec.Template.Spec.NodeSelector = map[string]string{"gpu": "true"}
	critical := daemonSet("big", "1", "3")
	critical.Spec.Template.Spec.PriorityClassName = "system-node-critical"
	for _, tt := range []struct {
		name         string
		now          []*appsv1.DaemonSet
		want, forced int64 // thousandths of the two CPUs of the next node that are taken
	}{
		{"the DaemonSet is the same, its pod enlarged", agent, 1500, 1500},
		{"its template has changed", []*appsv1.DaemonSet{daemonSet("agent", "2", "100m")}, 100, 100},
		{"it is deleted", nil, 0, 0},
		{"another one came", append(agent, daemonSet("new", "1", "400m")), 1900, 1900},
		{"another one came in its place", []*appsv1.DaemonSet{daemonSet("new", "1", "900m")}, 900, 900},
		{"another one came that runs elsewhere", append(agent, elsewhere), 1500, 1500},
		{"another one came that does not fit beside it", append(agent, daemonSet("big", "1", "600m")), 1500, 2100},
		{"it no longer fits", []*appsv1.DaemonSet{daemonSet("agent", "2", "3")}, 0, 3000},
		{"a critical one came that does not fit", append(agent, critical), 4500, 4500},
	} {
		for _, force := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 1, 5, nil))
				w.NextLoop()
				live := showing(w, "web", "m5.large", time.Hour, awsworld.Resources("cpu", "2", "memory", "7Gi", "pods", "29"))
				infos := New(w.Provider, NewZoneIDs(w.Provider), time.Hour, force)
				pods, want := []*corev1.Pod{daemonPod("agent", "1", "1500m", live[0])}, tt.want
				if force {
					want = tt.forced
				}
				taken := func(now []*appsv1.DaemonSet, live []*corev1.Node, pods ...*corev1.Pod) int64 {
					return processWith(w, infos, now, pods, live...)["web"].GetRequested().GetMilliCPU()
				}
				assert.EqualValues(t, 1500, taken(agent, live, pods...), "before, CPU taken on the next node")
				assert.Equalf(t, want, taken(tt.now, live, pods...), "with the live node, --force-ds=%t: CPU taken on the next node", force)
				assert.EqualValues(t, 1500, taken(agent, live, pods...), "back again, CPU taken on the next node")
				assert.Equalf(t, want, taken(tt.now, nil), "at zero, --force-ds=%t: CPU taken on the next node", force)
			})
		}
	}
}

// A rolling update stands still where the larger pod does not fit a full node.
func TestStandingUpdateOfADaemonSetCountsOnTheNextNode(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 3, 5, nil))
	w.NextLoop()
	live := showing(w, "web", "m5.large", time.Hour, awsworld.Resources("cpu", "2", "memory", "7Gi", "pods", "29"))
	// The first node waits for its new one.
	pods := []*corev1.Pod{daemonPod("agent", "1", "100m", live[1]), daemonPod("agent", "2", "500m", live[2])}
	for range live {
		live = append(live[1:], live[0]) // the core's list has no order
		got := processWith(w, newProvider(w), []*appsv1.DaemonSet{daemonSet("agent", "2", "500m")}, pods, live...)
		assert.EqualValuesf(t, 500, got["web"].GetRequested().GetMilliCPU(), "%s first: CPU taken on the next node", live[0].Name)
	}
}

func TestPodsThatNoDaemonSetOfKubernetesOwnsStayOnTheNextNode(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 1, 5, nil))
	w.NextLoop()
	live := showing(w, "web", "m5.large", time.Hour, awsworld.Resources("cpu", "2", "memory", "7Gi", "pods", "29"))
	static, foreign := daemonPod("static", "", "100m", live[0]), daemonPod("foreign", "1", "200m", live[0])
	noted, mountpoint := daemonPod("noted", "", "400m", live[0]), daemonPod("mp", "", "800m", live[0])
	static.OwnerReferences, static.Annotations = nil, map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	foreign.OwnerReferences[0].APIVersion = "apps.kruise.io/v1alpha1"
	noted.OwnerReferences[0].APIVersion, noted.OwnerReferences[0].Kind = "datadoghq.com/v1alpha1", "ExtendedDaemonSetReplicaSet"
	noted.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/daemonset-pod": "true"}
	// Mountpoint for S3 serves the volume of a pod on the node (awslabs/mountpoint-s3-csi-driver#675).
	mountpoint.OwnerReferences, mountpoint.Annotations = nil, noted.Annotations
	got := processWith(w, newProvider(w), nil, []*corev1.Pod{static, foreign, noted, mountpoint}, live...)
	assert.EqualValues(t, 700, got["web"].GetRequested().GetMilliCPU(), "CPU taken on the next node")
}
