package scaledown

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	clocktesting "k8s.io/utils/clock/testing"
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
			pod.CreationTimestamp = metav1.NewTime(start.Add(-comesFirstFor))
		}, true, false},
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
		m := NewMoves(Moves{Clock: clocktesting.NewFakePassiveClock(start)})
		m.hopeless = map[types.UID]bool{"hopeless": true}
		ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{
			ExpendablePodsPriorityCutoff: -10, ProvisioningRequestEnabled: tt.requests}}
		assert.Equalf(t, tt.want, m.comeFirst(ctx, []*corev1.Pod{pod}), "%s comes first", tt.name)
	}
}
