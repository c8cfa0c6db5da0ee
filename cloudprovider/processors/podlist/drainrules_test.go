package podlist

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coredrain "k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	podutil "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
)

// Package drain may not import the core, so it states the core's rules itself. Both must agree.
func TestDrainMovesPodsTheCoreMoves(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	owned := func(version, kind string, controls bool) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: "owner", Controller: ptr.To(controls)}}
		}
	}
	annotated := func(key, value string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{key: value} }
	}
	terminating := func(ago time.Duration, grace *int64) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Spec.TerminationGracePeriodSeconds = &metav1.Time{Time: now.Add(-ago)}, grace
		}
	}
	in := func(phase corev1.PodPhase) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.Phase, p.Spec.RestartPolicy = phase, corev1.RestartPolicyNever }
	}
	for name, change := range map[string]func(*corev1.Pod){
		"without owner":                     func(*corev1.Pod) {},
		"of a ReplicaSet":                   owned("apps/v1", "ReplicaSet", true),
		"of a DaemonSet":                    owned("apps/v1", "DaemonSet", true),
		"of another kind of DaemonSet":      owned("apps.kruise.io/v1alpha1", "DaemonSet", true),
		"owned but not controlled":          owned("apps/v1", "DaemonSet", false),
		"annotated as a DaemonSet's":        annotated("cluster-autoscaler.kubernetes.io/daemonset-pod", "true"),
		"annotated as no DaemonSet's":       annotated("cluster-autoscaler.kubernetes.io/daemonset-pod", "false"),
		"mirror":                            annotated(corev1.MirrorPodAnnotationKey, "x"),
		"succeeded":                         in(corev1.PodSucceeded),
		"failed":                            in(corev1.PodFailed),
		"pending":                           in(corev1.PodPending),
		"just terminating":                  terminating(0, ptr.To[int64](10)),
		"terminating within its time":       terminating(39*time.Second, ptr.To[int64](10)),
		"terminating beyond its time":       terminating(41*time.Second, ptr.To[int64](10)),
		"terminating within the usual time": terminating(59*time.Second, nil),
		"terminating beyond the usual time": terminating(61*time.Second, nil),
	} {
		p := pod("pod", "node", change)
		want := !podutil.IsMirrorPod(p) && !podutil.IsDaemonSetPod(p) && !coredrain.IsPodTerminal(p) && !coredrain.IsPodLongTerminating(p, now)
		got := drain.Moves(p, now)
		assert.Truef(t, got == want, "pod %s: moved %v, the core would say %v", name, got, want)
	}
}
