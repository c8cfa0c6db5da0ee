package scenario

import (
	"testing"

	"github.com/google/go-cmp/cmp"
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
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("moments (-want +got):\n%s", diff)
	}
}
