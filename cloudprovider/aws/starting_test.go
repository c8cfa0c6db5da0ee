package aws

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/customresources"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	kubelettypes "k8s.io/kubernetes/pkg/kubelet/types"
	testclock "k8s.io/utils/clock/testing"
)

func TestANodeIsStartingUntilItShowsItsAccelerator(t *testing.T) {
	w := newWorld(t, nil,
		group("gpu", "g4dn.xlarge", 0, 1, 5, map[string]string{template + "autoscaling-options/maxnodestartuptime": "10m"}),
		group("plain", "m5.large", 0, 1, 5, nil))
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	ready := func(id string, age time.Duration, shown corev1.ResourceList) *corev1.Node {
		n := w.nodes(id)[0]
		n.CreationTimestamp = metav1.NewTime(now.Add(-age))
		n.Status = corev1.NodeStatus{Allocatable: shown, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}
		return n
	}
	for _, tt := range []struct {
		name      string
		node      *corev1.Node
		pods      []*corev1.Pod
		wantReady bool
		wantEvent bool
	}{
		{name: "no accelerator promised", node: ready("plain", time.Minute, resources("cpu", "2")), wantReady: true},
		{name: "published", node: ready("gpu", time.Minute, resources("nvidia.com/gpu", "1")), wantReady: true},
		{name: "not published yet", node: ready("gpu", 9*time.Minute, resources("cpu", "4"))},
		{name: "published in slices", node: ready("gpu", time.Minute, resources("nvidia.com/mig-1g.5gb", "7")), wantReady: true},
		{name: "not published, but used already", node: ready("gpu", time.Minute, resources("cpu", "4")), wantReady: true,
			pods: []*corev1.Pod{podOn(ready("gpu", 0, nil).Name, "ReplicaSet")}},
		{name: "not published, with the pods of every node", node: ready("gpu", time.Minute, resources("cpu", "4")),
			pods: []*corev1.Pod{podOn(ready("gpu", 0, nil).Name, "DaemonSet"), podOn("other", "ReplicaSet")}},
		{name: "not published, with the pods of its kubelet", node: ready("gpu", time.Minute, resources("cpu", "4")),
			pods: []*corev1.Pod{
				marked(podOn(ready("gpu", 0, nil).Name, "Node"), kubelettypes.ConfigMirrorAnnotationKey),
				marked(podOn(ready("gpu", 0, nil).Name, "Node"), kubelettypes.ConfigSourceAnnotationKey)}},
		{name: "not published, and used by a pod that succeeded", node: ready("gpu", time.Minute, resources("cpu", "4")),
			pods: []*corev1.Pod{finished(podOn(ready("gpu", 0, nil).Name, "Job"), corev1.PodSucceeded)}},
		{name: "not published, and used by a pod that failed", node: ready("gpu", time.Minute, resources("cpu", "4")),
			pods: []*corev1.Pod{finished(podOn(ready("gpu", 0, nil).Name, "Job"), corev1.PodFailed)}},
		{name: "zero published", node: ready("gpu", 9*time.Minute, resources("nvidia.com/gpu", "0"))},
		{name: "never published", node: ready("gpu", 11*time.Minute, resources("cpu", "4")), wantReady: true, wantEvent: true},
		{name: "not ours", node: node("stranger", "aws:///cn-northwest-1a/i-0fffffffffffffff0"), wantReady: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.events.all())
			s := NewStartingNodes(w.Provider, customresources.NewDefaultCustomResourcesProcessor(false, false), testclock.NewFakePassiveClock(now))
			ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, AutoscalingOptions: config.AutoscalingOptions{
				NodeGroupDefaults: config.NodeGroupAutoscalingOptions{MaxNodeStartupTime: 15 * time.Minute}}}
			ctx.ListerRegistry = podsOf{list: tt.pods}
			nodes := []*corev1.Node{tt.node}
			for range 3 { // loops
				all, stillReady := s.FilterOutNodesWithUnreadyResources(ctx, nodes, nodes, nil, nil)
				if got := len(stillReady) == 1; got != tt.wantReady {
					t.Errorf("counts as ready: %t, want %t", got, tt.wantReady)
				}
				if len(all) != 1 {
					t.Fatalf("%d nodes of 1", len(all))
				}
				if r, _ := kubernetes.GetNodeReadiness(all[0]); !tt.wantReady && (r.Ready || r.Reason != kubernetes.ResourceUnready) {
					t.Errorf("among all nodes its readiness is %+v, want not ready for its resources", r)
				}
			}
			events := w.events.all()[before:]
			if diff := cmp.Diff(tt.wantEvent, len(events) == 1 && strings.Contains(events[0], "nvidia.com/gpu")); diff != "" || !tt.wantEvent && len(events) > 0 {
				t.Errorf("events = %q, want one about the accelerator: %t", events, tt.wantEvent)
			}
		})
	}
}

func TestANodeThatIsLateIsReportedOnceWhateverHappensMeanwhile(t *testing.T) {
	w := newWorld(t, nil, group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	late := w.nodes("gpu")[0]
	late.CreationTimestamp = metav1.NewTime(now.Add(-time.Hour))
	s := NewStartingNodes(w.Provider, customresources.NewDefaultCustomResourcesProcessor(false, false), testclock.NewFakePassiveClock(now))
	ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider}
	all := []*corev1.Node{late}
	for _, loop := range []struct {
		ready []*corev1.Node
		pods  []*corev1.Pod
	}{{ready: all}, {ready: all, pods: []*corev1.Pod{podOn(late.Name, "ReplicaSet")}}, {ready: nil}, {ready: all}} {
		ctx.ListerRegistry = podsOf{list: loop.pods}
		s.FilterOutNodesWithUnreadyResources(ctx, all, loop.ready, nil, nil)
	}
	if events := w.events.all(); len(events) != 1 {
		t.Errorf("events %q, want one", events)
	}
}

// podsOf is a registry of listers of which only that of all pods is asked for.
type podsOf struct {
	kubernetes.ListerRegistry
	list []*corev1.Pod
}

func (p podsOf) AllPodLister() kubernetes.PodLister { return p }

func (p podsOf) List() ([]*corev1.Pod, error) { return p.list, nil }

func podOn(node, ownerKind string) *corev1.Pod {
	controller := true
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: ownerKind, Controller: &controller}}},
		Spec: corev1.PodSpec{NodeName: node}}
}

// marked is the pod as a kubelet that has it from a file marks it.
func marked(pod *corev1.Pod, annotation string) *corev1.Pod {
	pod.Annotations = map[string]string{annotation: "file"}
	return pod
}

func finished(pod *corev1.Pod, phase corev1.PodPhase) *corev1.Pod {
	pod.Status.Phase = phase
	return pod
}
