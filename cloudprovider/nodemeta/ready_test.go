package nodemeta

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNodeIsReadyByItsCondition(t *testing.T) {
	then := metav1.NewTime(time.Unix(1000, 0))
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, LastTransitionTime: then}
	}
	for name, tt := range map[string]struct {
		conditions    []corev1.NodeCondition
		ready, silent bool
	}{
		"none yet":           {nil, false, true},
		"another condition":  {[]corev1.NodeCondition{condition(corev1.NodeDiskPressure, corev1.ConditionTrue)}, false, true},
		"not ready":          {[]corev1.NodeCondition{condition(corev1.NodeReady, corev1.ConditionFalse)}, false, false},
		"kubelet is silent":  {[]corev1.NodeCondition{condition(corev1.NodeReady, corev1.ConditionUnknown)}, false, true},
		"ready and pressure": {[]corev1.NodeCondition{condition(corev1.NodeDiskPressure, corev1.ConditionTrue), condition(corev1.NodeReady, corev1.ConditionTrue)}, true, false},
	} {
		node := &corev1.Node{Status: corev1.NodeStatus{Conditions: tt.conditions}}
		assert.Truef(t, Ready(node) == tt.ready && ReadySince(node).Equal(then.Time) == tt.ready && ReadySince(node).IsZero() != tt.ready,
			"%s: ready %t since %s, want %t", name, Ready(node), ReadySince(node), tt.ready)
		assert.Equal(t, tt.silent, Silent(node), name)
	}
}

// Before its first time sync the clock of a node may be behind.
func TestNoPodBeganBeforeItWasCreated(t *testing.T) {
	created := time.Unix(10000, 0)
	for _, after := range []time.Duration{-time.Hour, time.Minute} {
		at, meta := metav1.NewTime(created.Add(after)), metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(created)}
		want := created.Add(max(0, after))
		meta.Annotations = map[string]string{string(DoNotDisrupt): "30m"}
		pod := &corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{NodeName: "a"}, Status: corev1.PodStatus{StartTime: &at}}
		_, until, err := LeftAlone(pod, created)
		assert.Truef(t, err == nil && until.Equal(want.Add(30*time.Minute)),
			"a pod that began %s after its creation is left alone until %s, error %v", after, until, err)
	}
}
