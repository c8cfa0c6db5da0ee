package scenario

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func newTestObserver() *clusterObserver {
	return &clusterObserver{
		timeline: &Timeline{},
		pods:     map[string]*corev1.Pod{},
		nodes:    map[string]*corev1.Node{},
		added:    map[string]bool{},
	}
}

func testNode(taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node", UID: "node-uid"},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///cn-northwest-1a/i-0001", Taints: taints},
	}
}

func testPod(owner string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "pod-of-" + owner, UID: "pod-uid",
			OwnerReferences: []metav1.OwnerReference{{Kind: owner, Name: "owner"}},
		},
		Spec:   corev1.PodSpec{NodeName: "node"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
}

var marked = corev1.Taint{Key: toBeDeletedTaint, Effect: corev1.TaintEffectNoSchedule}

func TestNodeRecordsEachStepOnce(t *testing.T) {
	o := newTestObserver()
	node := testNode()
	o.nodeSeen(node)
	node = node.DeepCopy()
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	node.Status.Allocatable = corev1.ResourceList{gpuResource: resource.MustParse("0")}
	o.nodeSeen(node)
	node = node.DeepCopy()
	node.Status.Allocatable[gpuResource] = resource.MustParse("1")
	o.nodeSeen(node)
	o.podSeen(testPod("ReplicaSet"))
	node = node.DeepCopy()
	node.Spec.Taints = []corev1.Taint{marked}
	o.nodeSeen(node)
	o.nodeSeen(node)
	o.podGone(testPod("ReplicaSet"))
	o.nodeGone(node)

	var got []Kind
	for _, m := range o.timeline.moments {
		got = append(got, m.Kind)
	}
	want := []Kind{NodeRegistered, NodeReady, GPUPublished, PodRunning, NodeTainted, PodGone, NodeDrained, NodeGone}
	assert.Empty(t, cmp.Diff(want, got), "moments (-want +got)")
}

func TestChoiceGivesItsReasons(t *testing.T) {
	const winner = `I1120 09:00:00.000000       1 chain.go:79] "Chose a scale-up option" nodeGroup="g4dn-spot" nodes=3 pods=3 options=1 why="least-waste: \"a\""`
	for _, tt := range []struct {
		name  string
		lines []string
		why   string
	}{
		{name: "alone", lines: []string{winner}, why: `3 node(s) for 3 pod(s): least-waste: "a"`},
		{name: "others do not fit", lines: []string{"No pod can fit to basic", "No pod can fit to big", winner},
			why: `3 node(s) for 3 pod(s): least-waste: "a"; no pod fits basic, big`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var choices choiceReader
			var group, why string
			for _, line := range tt.lines {
				group, why, _ = choices.read(line)
			}
			assert.Truef(t, group == "g4dn-spot" && why == tt.why, "chose %q because %q, want %q", group, why, tt.why)
		})
	}
}
