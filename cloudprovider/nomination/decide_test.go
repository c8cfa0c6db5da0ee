package nomination

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const readyTime = 15 * time.Minute

var registered = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// starting is a node that has just registered, and is as change makes it.
func starting(name string, change ...func(*corev1.Node)) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(registered)},
		Spec:   corev1.NodeSpec{Taints: []corev1.Taint{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}}}
	for _, c := range change {
		c(node)
	}
	return node
}

func isReady(node *corev1.Node) {
	node.Spec.Taints = nil
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
}

func isTainted(node *corev1.Node) {
	isReady(node)
	node.Spec.Taints = []corev1.Taint{{Key: "example.com/agent-not-ready", Effect: corev1.TaintEffectNoSchedule}}
}

func isLeaving(node *corev1.Node) { node.DeletionTimestamp = &metav1.Time{Time: registered} }

// waiting is a pod that waits with a nomination, and is as change makes it.
func waiting(nominated string, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "1"},
		Spec:   corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending, NominatedNodeName: nominated}}
	for _, c := range change {
		c(pod)
	}
	return pod
}

// version is the pod with a resource version, which nominations raise.
func version(v string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.ResourceVersion = v } }

func boundTo(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

func wantsGPU(p *corev1.Pod) {
	p.Spec.Containers[0].Resources.Requests["nvidia.com/gpu"] = resource.MustParse("1")
}

func tolerates(p *corev1.Pod) {
	p.Spec.Tolerations = []corev1.Toleration{{Key: "example.com/agent-not-ready", Operator: corev1.TolerationOpExists}}
}

func TestDecide(t *testing.T) {
	const second, minute = time.Second, time.Minute
	after := func(d time.Duration) time.Time { return registered.Add(d) }
	for _, tt := range []struct {
		name   string
		target target // of node-a
		pod    *corev1.Pod
		node   *corev1.Node
		from   time.Duration // since then, too: nominations may be written
		tried  time.Duration // since then, too: kube-scheduler tried a pod
		full   bool          // the node has no room for the pod
		at     time.Duration // since then, too
		want   step
	}{
		{name: "the node has registered", pod: waiting(""), node: starting("node-a"), want: step{nominate: true}},
		{name: "the nomination is there", target: target{nominated: "node-a", last: registered},
			pod: waiting("node-a"), node: starting("node-a"), at: minute, want: step{after: 14 * minute}},
		{name: "kube-scheduler tries pods", pod: waiting(""), node: starting("node-a"), from: second, at: 400 * time.Millisecond,
			want: step{after: 600 * time.Millisecond}},
		{name: "the informer does not show the nomination yet", target: target{nominated: "node-a", last: registered, written: "2"},
			pod: waiting("", version("1")), node: starting("node-a"), at: second, want: step{after: showTime - second}},
		{name: "kube-scheduler has removed the nomination", target: target{nominated: "node-a", last: registered, written: "2"},
			pod: waiting("", version("3")), node: starting("node-a"), at: second, want: step{nominate: true}},
		{name: "the node becomes ready without a nomination", target: target{nominated: "node-a", last: registered, written: "2"},
			pod: waiting("", version("3")), node: starting("node-a", isReady), from: 2 * minute, at: minute, want: step{nominate: true}},
		{name: "the ready node is nominated", target: target{nominated: "node-a", offered: true, usable: after(minute), last: after(minute)},
			pod: waiting("node-a"), node: starting("node-a", isReady), at: minute + second, want: step{after: roomLook}},
		{name: "other pods fill the ready node", target: target{nominated: "node-a", offered: true, usable: after(minute), last: after(minute)},
			pod: waiting("node-a"), node: starting("node-a", isReady), at: minute + second, full: true, want: step{clear: true, end: refused}},
		{name: "the node's time is nearly over", target: target{nominated: "node-a", offered: true, usable: after(minute), last: after(minute)},
			pod: waiting("node-a"), node: starting("node-a", isReady), at: minute + bindTime - second/2, want: step{after: second / 2}},
		{name: "kube-scheduler still tries others", target: target{nominated: "node-a", offered: true, usable: after(minute), last: after(minute)},
			pod: waiting("node-a"), node: starting("node-a", isReady), tried: minute + 9*second, at: minute + 10*second, want: step{after: roomLook}},
		{name: "kube-scheduler tries others all the time", target: target{nominated: "node-a", offered: true, usable: after(minute), last: after(minute)},
			pod: waiting("node-a"), node: starting("node-a", isReady), tried: 2 * minute, at: 2 * minute, want: step{clear: true, end: withdrawn}},
		{name: "kube-scheduler refuses the ready node", target: target{nominated: "node-a", offered: true, usable: after(minute), last: after(minute), written: "2"},
			pod: waiting("", version("3")), node: starting("node-a", isReady), at: minute + 2*second, want: step{end: refused}},
		{name: "the ready node is nominated, and the informer shows what kube-scheduler wrote before", target: target{nominated: "node-a", offered: true,
			usable: after(minute), last: after(minute), written: "4"},
			pod: waiting("", version("3")), node: starting("node-a", isReady), at: minute + second, want: step{after: showTime - second}},
		{name: "the node is gone before the informer shows the nomination", target: target{nominated: "node-a", last: registered, written: "4"},
			pod: waiting("", version("3")), at: second, want: step{after: showTime - second}},
		{name: "the ready node stays without the pod", target: target{nominated: "node-a", usable: after(minute), last: registered},
			pod: waiting("node-a"), node: starting("node-a", isReady), at: 2 * minute, want: step{clear: true, end: withdrawn}},
		{name: "the node is Ready with a start-up taint", target: target{nominated: "node-a", last: registered},
			pod: waiting("node-a"), node: starting("node-a", isTainted), at: minute, want: step{after: 14 * minute}},
		{name: "the pod tolerates the taint", target: target{nominated: "node-a", last: registered},
			pod: waiting("node-a", tolerates), node: starting("node-a", isTainted), at: minute, want: step{after: roomLook}},
		{name: "the node shows no GPU yet", target: target{nominated: "node-a", last: registered},
			pod: waiting("node-a", wantsGPU), node: starting("node-a", isReady), at: minute, want: step{after: 14 * minute}},
		{name: "the node does not become ready", target: target{nominated: "node-a", last: registered},
			pod: waiting("node-a"), node: starting("node-a"), at: readyTime, want: step{clear: true, end: withdrawn}},
		{name: "the node leaves", target: target{nominated: "node-a", last: registered},
			pod: waiting("node-a"), node: starting("node-a", isLeaving), at: second, want: step{clear: true, end: withdrawn}},
		{name: "the node is gone", target: target{nominated: "node-a", last: registered},
			pod: waiting("node-a"), at: second, want: step{clear: true, end: withdrawn}},
		{name: "the pod is planned anew", target: target{nominated: "node-a", last: registered, replanned: true},
			pod: waiting("node-a"), node: starting("node-a"), at: second, want: step{clear: true, end: withdrawn}},
		{name: "our nomination for an earlier node is there", target: target{nominated: "node-0"},
			pod: waiting("node-0"), node: starting("node-a"), want: step{nominate: true}},
		{name: "somebody else has nominated", pod: waiting("node-b"), node: starting("node-a"), want: step{end: overruled}},
		{name: "the pod has the node", target: target{nominated: "node-a", last: registered},
			pod: waiting("node-a", boundTo("node-a")), node: starting("node-a", isReady), at: minute, want: step{end: kept}},
		{name: "the pod has another node", target: target{nominated: "node-a", last: registered},
			pod: waiting("node-a", boundTo("node-b")), node: starting("node-a"), at: minute, want: step{end: elsewhere}},
		{name: "the pod has another node and no nomination", target: target{nominated: "node-a", last: registered},
			pod: waiting("", boundTo("node-b")), node: starting("node-a"), at: minute, want: step{end: elsewhere}},
		{name: "the pod is gone", node: starting("node-a"), want: step{end: gone}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.target.node = "node-a"
			got := tt.target.decide(tt.pod, tt.node, registered.Add(tt.at), registered.Add(tt.from), registered.Add(tt.tried), tt.full, readyTime)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(step{})); diff != "" {
				t.Errorf("step (-want +got):\n%s", diff)
			}
		})
	}
}
