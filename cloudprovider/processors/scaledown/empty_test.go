package scaledown

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/utils/ptr"
)

// All nodes with up to three pods of these kinds are as empty as by the core's own rules.
func TestSameNodesAreEmpty(t *testing.T) {
	now := time.Unix(10000, 0)
	kinds := map[string]func(*corev1.Pod){
		"replicated": func(*corev1.Pod) {},
		"DaemonSet":  func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" },
		"mirror":     func(p *corev1.Pod) { p.Annotations["kubernetes.io/config.mirror"] = "" },
		"of nobody":  func(p *corev1.Pod) { p.OwnerReferences = nil },
		"completed": func(p *corev1.Pod) {
			p.Spec.RestartPolicy, p.Status.Phase = corev1.RestartPolicyNever, corev1.PodSucceeded
		},
		"long terminating": func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now.Add(-time.Hour)} },
		"safe to evict":    func(p *corev1.Pod) { p.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] = "true" },
		"not safe":         func(p *corev1.Pod) { p.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] = "false" },
		"on completion":    func(p *corev1.Pod) { p.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] = "OnCompletion" },
		"system":           func(p *corev1.Pod) { p.Namespace = metav1.NamespaceSystem },
	}
	sets := [][]string{nil}
	for first := 0; len(sets[first]) < 3; first++ {
		for kind := range kinds {
			sets = append(sets, append(sets[first][:len(sets[first]):len(sets[first])], kind))
		}
	}
	deletion := options.NodeDeleteOptions{SkipNodesWithSystemPods: true, SkipNodesWithLocalStorage: true, SkipNodesWithCustomControllerPods: true}
	empty := 0
	for _, set := range sets {
		node := framework.NewNodeInfo(&corev1.Node{}, nil)
		for _, kind := range set {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: kind, Namespace: "default", Annotations: map[string]string{},
				OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Controller: ptr.To(true)}}}}
			kinds[kind](p)
			node.AddPod(framework.NewPodInfo(p, nil))
		}
		want, errWant := simulator.GetPodsToMove(node, deletion, nil, nil, nil, now)
		got, err := simulator.GetPodsToMove(node, deletion, EmptyRules(rules.Default(deletion)), nil, nil, now)
		isEmpty := errWant == nil && len(want.Pods) == 0
		if (err == nil && len(got.Pods) == 0) != isEmpty || isEmpty && len(got.OnCompletionPods) != len(want.OnCompletionPods) {
			t.Errorf("node with %q: empty %t, %d pods that complete; got error %v, %d and %d pods", strings.Join(set, ", "), isEmpty, len(want.OnCompletionPods),
				err, len(got.Pods), len(got.OnCompletionPods))
		}
		if isEmpty {
			empty++
		}
	}
	assert.Truef(t, empty != 0 && empty != len(sets), "%d of %d nodes are empty: the test tells nothing apart", empty, len(sets))
}
