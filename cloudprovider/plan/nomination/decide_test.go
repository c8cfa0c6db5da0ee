package nomination

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
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
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(registered)}}
}

// hasBooted is a node whose kubelet is Ready, and whose not-ready taint is not lifted yet.
func hasBooted(node *corev1.Node) {
	taints := node.Spec.Taints
	isReady(node)
	node.Spec.Taints = taints
}

func isCordoned(node *corev1.Node) { node.Spec.Unschedulable = true }

func isTainted(node *corev1.Node) {
	isReady(node)
	node.Spec.Taints = []corev1.Taint{{Key: "example.com/agent-not-ready", Effect: corev1.TaintEffectNoSchedule}}
}

func isInstalling(node *corev1.Node) { node.Spec.Taints[0].Key = "example.com/installing" }

func isAvoided(node *corev1.Node) {
	node.Spec.Taints = []corev1.Taint{{Key: "example.com/old", Effect: corev1.TaintEffectPreferNoSchedule}}
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

func mayNotPreempt(p *corev1.Pod) { p.Spec.PreemptionPolicy = new(corev1.PreemptNever) }

func tolerates(p *corev1.Pod) {
	p.Spec.Tolerations = []corev1.Toleration{{Key: "example.com/agent-not-ready", Operator: corev1.TolerationOpExists}}
}

func TestDecide(t *testing.T) {
	const second, minute = time.Second, time.Minute
	node := func(change ...func(*corev1.Node)) *corev1.Node { return starting("node-a", change...) }
	nominated := target{nominated: "node-a", last: registered}
	written := target{nominated: "node-a", last: registered, written: "2"}
	offered := target{nominated: "node-a", offered: true, usable: registered, last: registered}
	late := target{nominated: "node-a", offered: true, usable: registered.Add(minute), last: registered.Add(minute)}
	read := late
	read.written = "2"
	for _, tt := range []struct {
		name            string
		target          target // of node-a
		pod             *corev1.Pod
		node            *corev1.Node
		unplanned, full bool
		tried           time.Duration // since then, too: kube-scheduler tried a pod
		at              time.Duration // since then, too
		want            step
	}{
		{name: "the node has registered", pod: waiting(""), node: node(), at: minute, want: step{after: 14 * minute}},
		{name: "the node's kubelet is Ready", pod: waiting(""), node: node(hasBooted), want: step{nominate: true}},
		{name: "the node is cordoned after the nomination", target: offered,
			pod: waiting("node-a"), node: node(isReady, isCordoned), at: minute, want: step{clear: true, after: 14 * minute}},
		{name: "the node is no longer Ready", target: offered, pod: waiting("node-a"),
			node: node(), at: minute, want: step{clear: true, after: 14 * minute}},
		{name: "the nomination is there", target: nominated, pod: waiting("node-a"),
			node: node(hasBooted), at: minute, want: step{after: 14 * minute}},
		{name: "the informer does not show the nomination yet", target: written,
			pod: waiting("", version("1")), node: node(hasBooted), at: second, want: step{after: showTime - second}},
		{name: "kube-scheduler has removed the nomination too early", target: written,
			pod: waiting("", version("3")), node: node(hasBooted), at: minute, want: step{after: 14 * minute}},
		{name: "other pods have filled the node", target: late,
			pod: waiting("node-a"), node: node(isReady), full: true, at: minute + second, want: step{clear: true, end: withdrawn}},
		{name: "other pods have filled the node before the nomination",
			pod: waiting(""), node: node(isReady), full: true, at: minute, want: step{end: withdrawn}},
		{name: "a node that cannot take the pod yet has no room",
			pod: waiting(""), node: node(), full: true, at: minute, want: step{after: 14 * minute}},
		{name: "the node can take the pod, and the nomination is gone", target: written,
			pod: waiting("", version("3")), node: node(isReady), at: minute, want: step{nominate: true}},
		{name: "the ready node is nominated", target: late, pod: waiting("node-a"),
			node: node(isReady), at: minute + second, want: step{after: bindTime - second}},
		{name: "the ready node's time is over", target: late, pod: waiting("node-a"),
			node: node(isReady), at: minute + bindTime, want: step{clear: true, end: withdrawn}},
		{name: "kube-scheduler tries others all the time, and has not come to the pod", target: late,
			pod: waiting("node-a"), node: node(isReady), tried: 9 * minute, at: 9 * minute, want: step{after: bindTime}},
		{name: "a try in vain leaves the nomination of a pod that may not preempt", target: late,
			pod: waiting("node-a", mayNotPreempt), node: node(isReady), tried: 2 * minute, at: 2 * minute, want: step{clear: true, end: withdrawn}},
		{name: "kube-scheduler refuses the ready node", target: read,
			pod: waiting("", version("3")), node: node(isReady), at: minute + 2*second, want: step{end: refused}},
		{name: "the ready node is nominated, and the informer shows what kube-scheduler wrote before", target: read,
			pod: waiting("", version("1")), node: node(isReady), at: minute + second, want: step{after: bindTime - second}},
		{name: "the node is gone before the informer shows the nomination", target: written,
			pod: waiting("", version("1")), at: second, want: step{after: showTime - second}},
		{name: "the node is Ready with a taint", target: nominated,
			pod: waiting("node-a"), node: node(isTainted), at: second, want: step{after: longestBind - second}},
		{name: "a taint stays on the Ready node", target: nominated,
			pod: waiting("node-a"), node: node(isTainted), at: longestBind, want: step{clear: true, end: withdrawn}},
		{name: "a start-up taint stays on the Ready node", target: nominated,
			pod: waiting("node-a"), node: node(isTainted, isInstalling), at: longestBind, want: step{after: 14 * minute}},
		{name: "the pod tolerates the taint", target: nominated,
			pod: waiting("node-a", tolerates), node: node(isTainted), at: minute, want: step{after: bindTime}},
		{name: "kube-scheduler need not mind the node's taint", target: nominated,
			pod: waiting("node-a"), node: node(isReady, isAvoided), at: minute, want: step{after: bindTime}},
		{name: "the node shows no GPU yet", target: nominated, pod: waiting("node-a", wantsGPU),
			node: node(isReady), at: minute, want: step{after: 14 * minute}},
		{name: "the node does not become ready", target: nominated,
			pod: waiting("node-a"), node: node(hasBooted), at: readyTime, want: step{clear: true, end: withdrawn}},
		{name: "the node leaves", target: nominated, pod: waiting("node-a"),
			node: node(isLeaving), at: second, want: step{clear: true, end: withdrawn}},
		{name: "the node is gone", target: nominated, pod: waiting("node-a"), at: second, want: step{clear: true, end: withdrawn}},
		{name: "the pod is planned anew", target: nominated, unplanned: true,
			pod: waiting("node-a"), node: node(), at: second, want: step{clear: true, end: withdrawn}},
		{name: "our nomination for an earlier node is there", target: target{nominated: "node-0"},
			pod: waiting("node-0"), node: node(hasBooted), want: step{nominate: true}},
		{name: "somebody else has nominated", pod: waiting("node-b"), node: node(hasBooted), want: step{end: overruled}},
		{name: "the pod has the node", target: nominated, pod: waiting("node-a", boundTo("node-a")),
			node: node(isReady), at: minute, want: step{end: kept}},
		{name: "the pod has another node", target: nominated, pod: waiting("node-a", boundTo("node-b")),
			node: node(), at: minute, want: step{end: elsewhere}},
		{name: "the pod is gone", node: node(), want: step{end: gone}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.target.node = "node-a"
			on := []*corev1.Pod{waiting("")} // the node has room for one more
			if tt.full {
				on = append(on, waiting(""))
			}
			got := tt.target.decide(seen{pod: tt.pod, node: tt.node, planned: !tt.unplanned, on: on, tried: registered.Add(tt.tried), now: registered.Add(tt.at)},
				&Options{ReadyTime: readyTime, StartupTaint: func(key string) bool { return key == "example.com/installing" }})
			assert.Empty(t, cmp.Diff(tt.want, got, cmp.AllowUnexported(step{})), "step (-want +got)")
		})
	}
}
