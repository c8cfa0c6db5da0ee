package scenario

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

func TestInformersAndAPIServerAgreeAboutUndrained(t *testing.T) {
	finished := func(phase corev1.PodPhase) *corev1.Pod {
		pod := testPod("ReplicaSet")
		pod.Status.Phase = phase
		return pod
	}
	for _, tt := range []struct {
		name           string
		node           *corev1.Node
		pod            *corev1.Pod
		instance, want string
	}{
		{name: "marked and empty", node: testNode(marked), instance: "i-0001"},
		{name: "a DaemonSet's pod stays", node: testNode(marked), pod: testPod("DaemonSet"), instance: "i-0001"},
		{name: "the node's own pod stays", node: testNode(marked), pod: testPod("Node"), instance: "i-0001"},
		{name: "a pod that succeeded", node: testNode(marked), pod: finished(corev1.PodSucceeded), instance: "i-0001"},
		{name: "a pod that failed", node: testNode(marked), pod: finished(corev1.PodFailed), instance: "i-0001"},
		{name: "interrupted and empty", node: testNode(corev1.Taint{Key: interruptionTaint}), instance: "i-0001"},
		{name: "never a node", node: testNode(), pod: testPod("ReplicaSet"), instance: "i-9999"},
		{name: "the ID is the end of another", node: testNode(), instance: "0001"},
		{name: "not marked", node: testNode(), instance: "i-0001", want: "node node was not marked for removal"},
		{name: "pods left", node: testNode(marked), pod: testPod("ReplicaSet"), instance: "i-0001",
			want: "node node still held [default/pod-of-ReplicaSet]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			objects := []runtime.Object{tt.node}
			e := &Env{observer: newTestObserver()}
			e.observer.nodeSeen(tt.node)
			if tt.pod != nil {
				objects = append(objects, tt.pod)
				e.observer.podSeen(tt.pod)
			}
			e.client = fake.NewClientset(objects...)
			seen := e.Seen(tt.instance)
			assert.Equal(t, tt.want, seen.Undrained(), "undrained")
			asked, err := e.LookAt(t.Context(), tt.instance)
			require.NoError(t, err)
			assert.Empty(t, cmp.Diff(seen, asked), "the API server's (-informers' +its)")
		})
	}
}

func TestInformersThatAreBehindAccuseNobody(t *testing.T) {
	for _, tt := range []struct {
		name string
		left []runtime.Object // in the API server, beside the node
		want string
	}{
		{name: "the pod is gone"},
		{name: "the pod is there", left: []runtime.Object{testPod("ReplicaSet")}, want: "node node still held [default/pod-of-ReplicaSet]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &Env{observer: newTestObserver(), observing: t.Context(), client: fake.NewClientset(append(tt.left, testNode(marked))...)}
			e.observer.nodeSeen(testNode(marked))
			e.observer.podSeen(testPod("ReplicaSet"))
			assert.Equal(t, tt.want, e.look("i-0001").Undrained(), "undrained")
		})
	}
}
