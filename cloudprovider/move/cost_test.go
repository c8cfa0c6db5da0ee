package move

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestCostOfMovingPods(t *testing.T) {
	with := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}}, Spec: corev1.PodSpec{NodeName: "n"}}
		change(p)
		return p
	}
	deletion := func(cost string) *corev1.Pod {
		return with(func(p *corev1.Pod) { p.Annotations[corev1.PodDeletionCost] = cost })
	}
	priority := func(value int32) *corev1.Pod { return with(func(p *corev1.Pod) { p.Spec.Priority = &value }) }
	plain := with(func(*corev1.Pod) {})
	for name, tt := range map[string]struct {
		pods []*corev1.Pod
		want float64
	}{
		"none":                  {},
		"plain":                 {[]*corev1.Pod{plain, plain}, 2},
		"deletion cost":         {[]*corev1.Pod{deletion("67108864")}, 1.5},
		"low deletion cost":     {[]*corev1.Pod{deletion("-2147483648")}, -10},
		"invalid deletion cost": {[]*corev1.Pod{deletion("high"), deletion("2147483648"), deletion("")}, 3},
		"priority":              {[]*corev1.Pod{priority(1 << 24), priority(-1 << 24)}, 2},
		"system-critical":       {[]*corev1.Pod{priority(2_000_000_000)}, 10},
		"least priority":        {[]*corev1.Pod{priority(-1 << 31)}, -10},
		"exact in any order":    {[]*corev1.Pod{deletion("1"), plain, deletion("-1"), priority(3), priority(-3)}, 5},
		"of a DaemonSet": {[]*corev1.Pod{plain, with(func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Controller: ptr.To(true)}}
		})}, 1},
		"treated as a DaemonSet's": {[]*corev1.Pod{with(func(p *corev1.Pod) { p.Annotations["cluster-autoscaler.kubernetes.io/daemonset-pod"] = "true" })}, 0},
		"static":                   {[]*corev1.Pod{with(func(p *corev1.Pod) { p.Annotations[corev1.MirrorPodAnnotationKey] = "" })}, 0},
		"of a capacity buffer":     {[]*corev1.Pod{with(func(p *corev1.Pod) { p.Spec.NodeName = "" })}, 0},
		"completed":                {[]*corev1.Pod{with(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), with(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })}, 0},
		"leaving":                  {[]*corev1.Pod{with(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} })}, 0},
	} {
		assert.Equalf(t, tt.want, Cost(tt.pods), "%s", name)
	}
}
