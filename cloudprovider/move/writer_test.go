package move_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
)

// The last state of a node wins, whatever other writers do meanwhile, and none takes annotation and taint off.
func TestWriterWritesTheLastState(t *testing.T) {
	client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "b", Annotations: map[string]string{move.Annotation: "{}"}},
		Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: move.Taint, Effect: corev1.TaintEffectNoSchedule}}}})
	var conflicts atomic.Int32
	client.PrependReactor("update", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts.Add(1) <= 2 {
			return true, nil, errors.NewConflict(schema.GroupResource{Resource: "nodes"}, "a", nil)
		}
		return false, nil, nil
	})
	w := move.NewWriter(t.Context(), client, interruption.RebootAsked)
	w.Write("gone", &move.State{})
	w.Write("a", &move.State{})
	last := move.State{Reason: move.Rotation, Closed: true}
	w.Write("a", &last)
	w.Write("b", nil)
	node := func(name string) *corev1.Node {
		n, err := client.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
		require.NoError(t, err)
		return n
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a, b := node("a"), node("b")
		_, annotated := b.Annotations[move.Annotation]
		if a.Annotations[move.Annotation] == last.Text() && len(a.Spec.Taints) == 1 && !annotated && len(b.Spec.Taints) == 0 {
			return
		}
		require.Falsef(t, time.Now().After(end), "a has %v %v, b has %v %v", a.Annotations, a.Spec.Taints, b.Annotations, b.Spec.Taints)
	}
}

// A node that is drained next takes no new pod. One that is to go for its price gets new pods last until then, unless it waits.
func TestWriterTaintsByTheState(t *testing.T) {
	closed := move.State{Reason: move.Consolidation, Step: move.Placing, Closed: true}
	for _, tt := range []struct {
		state move.State
		want  corev1.TaintEffect
	}{
		{state: move.State{Reason: move.Consolidation, Step: move.Placing}, want: corev1.TaintEffectPreferNoSchedule},
		{state: move.State{Reason: move.Rotation, Step: move.Placing}},
		{state: closed, want: corev1.TaintEffectNoSchedule},
		{state: closed.Failed(time.Now())},
	} {
		client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"},
			Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: move.Taint, Effect: corev1.TaintEffectPreferNoSchedule}}}})
		move.NewWriter(t.Context(), client, interruption.RebootAsked).Write("a", &tt.state)
		require.Eventuallyf(t, func() bool {
			n, err := client.CoreV1().Nodes().Get(t.Context(), "a", metav1.GetOptions{})
			require.NoError(t, err)
			var got corev1.TaintEffect
			for _, taint := range n.Spec.Taints {
				got += taint.Effect
			}
			return n.Annotations[move.Annotation] == tt.state.Text() && got == tt.want
		}, 10*time.Second, 10*time.Millisecond, "want the taint %q with %+v", tt.want, tt.state)
	}
}

// EC2 has been asked to reboot the instance since the caller saw the node.
func TestWriterLeavesAReboot(t *testing.T) {
	client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "asked", Annotations: map[string]string{
		"asg-autoscaler.github.io/interruption": `{"kind":"reboot","terminating":"2026-11-20T12:00:00Z"}`}}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "drained", Annotations: map[string]string{
			"asg-autoscaler.github.io/interruption": `{"kind":"reboot"}`}}})
	w := move.NewWriter(t.Context(), client, interruption.RebootAsked)
	for _, name := range []string{"asked", "drained"} {
		w.Write(name, &move.State{Step: move.Waiting})
	}
	written := func(name string) bool {
		n, err := client.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
		require.NoError(t, err)
		return n.Annotations[move.Annotation] != ""
	}
	require.Eventually(t, func() bool { return written("drained") }, 10*time.Second, 10*time.Millisecond)
	require.Never(t, func() bool { return written("asked") }, 200*time.Millisecond, 20*time.Millisecond)
}
