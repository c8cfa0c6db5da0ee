package show

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
		{"ReplicaSet/web-5f", "web-5f-abcde", "Rollout/web", true},
		{"ReplicaSet/web-5f", "web-6c-abcde", "Deployment/web", false},
		{"ReplicaSet/web-5f", "web-5f-6c-abcde", "Deployment/web-5f", false},
		{"ReplicaSet/web", "web-5f-abcde", "Deployment/web", false},
		{"ReplicaSet/bare", "bare-abcde", "ReplicaSet/bare", true},
		{"ReplicaSet/" + long + "-5d8f6", long + "-5dabcde", "Deployment/" + long, true},
		{"CronJob/nightly", "nightly-29384756-abcde", "Job/nightly-29384756", true},
		{"CronJob/nightly", "nightly-2-abcde", "Job/nightly-2", false},
		{"CronJob/nightly", "nightly-eu-29384756-abcde", "Job/nightly-eu-29384756", false},
		{"rollout/web", "web-5f-abcde", "Rollout/web", true},
		{"strimzipodsets/kafka", "kafka-0", "StrimziPodSet/kafka", true},
		{Owner("rc", "web"), "web-abcde", "ReplicationController/web", true},
	} {
		assert.Equalf(t, tt.want, OwnedBy(tt.owner, &decision.Pod{Name: tt.pod, Owner: tt.from}), "%s has %s of %s", tt.owner, tt.pod, tt.from)
	}
}

func TestUnlistedPod(t *testing.T) {
	began := time.Date(2026, 11, 28, 12, 0, 0, 5e8, time.UTC) // the last loop
	at := func(age time.Duration) metav1.ObjectMeta {
		return metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(began.Add(-age).Truncate(time.Second))}
	}
	judged := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message}}}
	}
	unschedulable := judged(corev1.PodReasonUnschedulable, "")
	for _, tt := range []struct {
		corev1.Pod
		left     int // pods for which the report had no room
		message  string
		unserved int
	}{
		{corev1.Pod{Spec: corev1.PodSpec{NodeName: "ip-1"}}, 500, "it has a node: ip-1", 0},
		{corev1.Pod{Spec: corev1.PodSpec{SchedulingGates: []corev1.PodSchedulingGate{{Name: "quota"}}}}, 0, "scheduling gate quota holds it back", 1},
		{corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed}}, 0, "it has ended or is being deleted", 1},
		{corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{Time: began}}}, 0, "it has ended or is being deleted", 1},
		{corev1.Pod{ObjectMeta: at(0)}, 500, "it is newer than the last loop, which began at 12:00:00 UTC: ask again", 1},
		{corev1.Pod{ObjectMeta: at(time.Second), Status: unschedulable}, 0, "the autoscaler does not count the pod among those that wait for a node", 1},
		{corev1.Pod{ObjectMeta: at(time.Second)}, 500, `its scheduler "default-scheduler" has not looked at it yet\n\n(?s:.*) get lease kube-scheduler -o yaml\n$`, 1},
		{corev1.Pod{Spec: corev1.PodSpec{SchedulerName: "volcano"}, Status: judged(corev1.PodReasonSchedulingGated, "gates")}, 0,
			`its scheduler "volcano" has not looked at it yet\n\n(?s:.*)  if that lasts, see whether a scheduler of that name runs\n$`, 1},
		{corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-0"}, Status: judged(corev1.PodReasonSchedulerError, `running PreBind plugin "VolumeBinding": binding volumes`)}, 0,
			`its scheduler "default-scheduler" has not placed it \(SchedulerError\): running PreBind plugin "VolumeBinding": binding volumes\n\n(?s:.*)  kubectl -n shop get events --field-selector reason=FailedScheduling\n$`, 1},
		{corev1.Pod{Status: unschedulable}, 500, "no such pod is in the report, but 500 more pending pods had no room in it, and one of them may be meant", 1},
	} {
		answer := PodsOf(&decision.Report{PodsLeft: tt.left, Loop: decision.Loop{Started: began}}, Running, "", nil)
		answer.Pods = append(answer.Pods, answer.Unlisted(&tt.Pod))
		assert.Regexp(t, "^"+tt.message, answer.Text())
		assert.Equal(t, tt.unserved, answer.Unserved(), tt.message)
	}
}
