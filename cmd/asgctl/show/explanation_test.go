package show

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestReplicaSetsAndCronJobsAreKnownByTheirPods(t *testing.T) {
	const long = "a-deployment-whose-name-is-as-long-as-such-names-can-be"
	for _, tt := range []struct {
		owner     string
		pod, from string // the pod's name and its owner in the report
		want      bool
	}{
		{"ReplicaSet/web-5f", "web-5f-abcde", "Deployment/web", true},
		{"ReplicaSet/web-5f", "web-6c-abcde", "Deployment/web", false},
		{"ReplicaSet/web-5f", "web-5f-6c-abcde", "Deployment/web-5f", false},
		{"ReplicaSet/web", "web-5f-abcde", "Deployment/web", false},
		{"ReplicaSet/bare", "bare-abcde", "ReplicaSet/bare", true},
		{"ReplicaSet/" + long + "-5d8f6", long + "-5dabcde", "Deployment/" + long, true},
		{"CronJob/nightly", "nightly-29384756-abcde", "Job/nightly-29384756", true},
		{"CronJob/nightly", "nightly-2-abcde", "Job/nightly-2", false},
		{"CronJob/nightly", "nightly-eu-29384756-abcde", "Job/nightly-eu-29384756", false},
		{"rollout/web", "web-5f-abcde", "Rollout/web", true},
	} {
		assert.Equalf(t, tt.want, OwnedBy(tt.owner, &decision.Pod{Name: tt.pod, Owner: tt.from}), "%s has %s of %s", tt.owner, tt.pod, tt.from)
	}
}

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
