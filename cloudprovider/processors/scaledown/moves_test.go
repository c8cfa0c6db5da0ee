package scaledown

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

func TestPodsComeFirstForWhichTheCoreMayLaunch(t *testing.T) {
	requesting := func(key string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.Annotations = map[string]string{key: "train"} }
	}
	prioritized := func(priority int32) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.Spec.Priority = &priority }
	}
	for _, tt := range []struct {
		name     string
		pod      func(*corev1.Pod)
		requests bool // --enable-provisioning-requests
		want     bool
	}{
		{"any pod", func(*corev1.Pod) {}, true, true},
		{"a pod that has waited for long", func(pod *corev1.Pod) {
			pod.CreationTimestamp = metav1.NewTime(start.Add(-move.PodHoldsFor))
		}, true, false},
		{"a pod whose node was asked for", func(pod *corev1.Pod) { pod.UID = "planned" }, true, false},
		{"a pod that no group helps", func(pod *corev1.Pod) { pod.UID = "hopeless" }, true, false},
		{"a pod of a DaemonSet", func(pod *corev1.Pod) {
			pod.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "agent", Controller: new(true)}}
		}, true, false},
		{"a priority below the cutoff", prioritized(-11), true, false},
		{"a priority at the cutoff", prioritized(-10), true, true},
		{"a pod that consumes a request", requesting("autoscaling.x-k8s.io/consume-provisioning-request"), true, false},
		{"one with the old annotation", requesting("cluster-autoscaler.kubernetes.io/consume-provisioning-request"), true, false},
		{"one while requests are off", requesting("autoscaling.x-k8s.io/consume-provisioning-request"), false, true},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "waiting", UID: "waiting", CreationTimestamp: metav1.NewTime(start)}}
		tt.pod(pod)
		m := NewMoves(Moves{Clock: clocktesting.NewFakePassiveClock(start), Planned: func(uid types.UID) bool { return uid == "planned" }})
		m.hopeless = map[types.UID]bool{"hopeless": true}
		ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{
			ExpendablePodsPriorityCutoff: -10, ProvisioningRequestEnabled: tt.requests}}
		assert.Equalf(t, tt.want, m.comeFirst(ctx, []*corev1.Pod{pod}), "%s comes first", tt.name)
		m.hurry = []*corev1.Pod{pod}
		assert.Equalf(t, pod.UID != "planned", m.comeFirst(ctx, nil), "%s on a node that AWS takes comes first", tt.name)
	}
}

// Once the new node of a consolidation was asked for, its pods have no use for their turn.
func TestPodsThatNoGroupHelpsTakeAnUnusedTurnOfAConsolidation(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("small", "m5.large", 0, 0, 5, nil))
	w.NextLoop()
	own, other := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "own"}}, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "other"}}
	for launched, want := range map[bool]*corev1.Pod{false: own, true: other} {
		m := NewMoves(Moves{Provider: w.Provider, Consolidation: &Consolidation{Reason: &move.Consolidate{Launched: launched}}})
		m.states["dear"], m.owners = move.State{Reason: move.Consolidation, Why: move.Why{Into: "small"}}, map[types.UID]string{"own": "dear"}
		m.before, m.theirs = map[types.UID]bool{"other": true}, true
		assert.Equal(t, []*corev1.Pod{want}, m.Admit([]*corev1.Pod{own, other}))
		_, bounded := m.Bound("small")
		assert.Equal(t, !launched, bounded, "only the group of the plan launches")
	}
}

// A budget lets the pods go one after the other, and the core waits for two minutes.
func TestDrainThatRanOutOfTimeIsAFailureIfNoPodWent(t *testing.T) {
	stays := scaledownstatus.PodEvictionResult{TimedOut: true, Err: errors.New("budget")}
	some := map[string]scaledownstatus.PodEvictionResult{"a": stays, "b": {}}
	unended := map[string]scaledownstatus.PodEvictionResult{"a": {TimedOut: true}, "b": {TimedOut: true}}
	for _, tt := range []struct {
		name   string
		reason string
		pods   map[string]scaledownstatus.PodEvictionResult
		after  time.Duration // a drain like it
		failed int
	}{
		{"one has gone", move.Rotation, some, 0, 0},
		{"some have gone for less than an hour", move.Rotation, some, 59 * time.Minute, 0},
		{"some have gone for an hour", move.Rotation, some, time.Hour, 1},
		{"a consolidation, which is planned anew", move.Consolidation, some, 0, 1},
		{"none has gone", move.Rotation, map[string]scaledownstatus.PodEvictionResult{"a": stays}, 0, 1},
		{"one has been evicted and stays", move.Rotation, map[string]scaledownstatus.PodEvictionResult{"a": {TimedOut: true}}, 0, 1},
		{"the instance stays", move.Rotation, nil, 0, 1},
		{"the node to repair ends none", move.Repair, unended, 0, 0},
		{"the node to repair ends none, and others are evicted after them", move.Repair,
			map[string]scaledownstatus.PodEvictionResult{"a": {TimedOut: true}, "b": {Err: errors.New("not attempted")}}, 0, 0},
		{"the node to repair has ended none for an hour", move.Repair, unended, time.Hour, 1},
		{"a budget keeps the node to repair", move.Repair, map[string]scaledownstatus.PodEvictionResult{"a": stays}, 0, 1},
	} {
		clock := clocktesting.NewFakePassiveClock(start)
		m := NewMoves(Moves{Clock: clock, Metrics: move.NewMetrics(prometheus.NewRegistry()),
			Writer: move.NewWriter(t.Context(), fake.NewClientset(), func(*corev1.Node) bool { return false })})
		drain := func() {
			m.states["a"], m.draining["a"] = move.State{Reason: tt.reason, Step: move.Placing, Since: start.Add(-time.Hour), Began: start}, tt.reason
			m.removed("a", scaledownstatus.NodeDeleteResult{ResultType: scaledownstatus.NodeDeleteErrorFailedToEvictPods, PodEvictionResults: tt.pods})
		}
		if drain(); tt.after > 0 {
			clock.SetTime(start.Add(tt.after))
			drain()
		}
		s := m.states["a"]
		assert.Truef(t, s.Failures == tt.failed && s.Step == move.Waiting && s.Retry.After(start), "%s: %+v", tt.name, s)
	}
}
