package show

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestUnlistedPod(t *testing.T) {
	for _, tt := range []struct {
		spec     corev1.PodSpec
		left     int // pods for which the report had no room
		message  string
		unserved int
	}{
		{corev1.PodSpec{NodeName: "ip-1"}, 500, "it has a node: ip-1", 0},
		{corev1.PodSpec{SchedulingGates: []corev1.PodSchedulingGate{{Name: "quota"}}}, 0, "scheduling gate quota holds it back", 1},
		{corev1.PodSpec{}, 0, "the autoscaler does not count the pod among those that wait for a node", 1},
		{corev1.PodSpec{}, 500, "no such pod is in the report, but 500 more pending pods had no room in it, and one of them may be meant", 1},
	} {
		answer := PodsOf(&decision.Report{PodsLeft: tt.left}, Running, "", nil)
		answer.AddUnlisted(&corev1.Pod{Spec: tt.spec})
		assert.Regexp(t, "^"+tt.message, answer.Text())
		assert.Equal(t, tt.unserved, answer.Unserved(), tt.message)
	}
}
