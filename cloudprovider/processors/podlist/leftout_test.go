package podlist

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/provreq"
	provreqpods "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/pods"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqclient"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqwrapper"
	"k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
)

// The core's filter lets no pod cause a scale-up that consumes a request, and so none that comes again after the request was deleted.
func TestPodsWhoseRequestHoldsNoRoomAreLikeOthers(t *testing.T) {
	now := time.Now()
	request := func(name string, conditions ...string) *provreqwrapper.ProvisioningRequest {
		r := provreqclient.ProvisioningRequestWrapperForTesting("default", name)
		for _, c := range conditions {
			r.Status.Conditions = append(r.Status.Conditions, metav1.Condition{Type: c, Status: metav1.ConditionTrue})
		}
		return r
	}
	unsure := request("unsure")
	unsure.Status.Conditions = []metav1.Condition{{Type: provreqv1.Failed, Status: metav1.ConditionFalse}}
	client := provreqclient.NewFakeProvisioningRequestClient(t.Context(), t, request("new"), unsure, request("booked", provreqv1.Provisioned),
		request("failed", provreqv1.Failed), request("over", provreqv1.Provisioned, provreqv1.BookingExpired))
	ctx := &cacontext.AutoscalingContext{AutoscalingKubeClients: cacontext.AutoscalingKubeClients{Recorder: record.NewFakeRecorder(10)}}
	for _, tt := range []struct {
		request string
		waits   bool // for a node
	}{{"gone", true}, {"late", false}, {"failed", true}, {"over", true}, {"new", false}, {"unsure", false}, {"booked", false}} {
		for _, key := range []string{provreqv1.ProvisioningRequestPodAnnotationKey, provreqpods.DeprecatedProvisioningRequestPodAnnotationKey} {
			consumer := pod("consumer", "", func(p *corev1.Pod) {
				p.Annotations = map[string]string{key: tt.request, "other": "stays"}
				if tt.request != "late" {
					p.CreationTimestamp = metav1.NewTime(now.Add(-time.Hour))
				} else {
					p.CreationTimestamp = metav1.NewTime(now.Add(-time.Minute))
				}
			})
			pending := []*corev1.Pod{consumer, pod("other", "")}
			got, err := Consumers{Client: client, Clock: clocktesting.NewFakePassiveClock(now)}.Process(ctx, pending)
			require.NoError(t, err)
			got, err = provreq.NewProvisioningRequestPodsFilter(provreq.NewDefautlEventManager()).Process(ctx, got)
			require.NoError(t, err)
			assert.Lenf(t, got, map[bool]int{true: 2, false: 1}[tt.waits], "pods with and beside one with %s=%s", key, tt.request)
			if tt.waits {
				assert.Equal(t, map[string]string{"other": "stays"}, got[0].Annotations)
			}
			assert.Equal(t, tt.request, RequestOf(consumer), "the informer's pod")
			assert.Same(t, consumer, pending[0], "the core's list")
		}
	}
}

// The core leaves out pods that are not older than the delay. The informer's pods stay as they are.
func TestPodsFromTheFutureAreHelpedUnlessTheyWait(t *testing.T) {
	now := time.Now()
	created := func(ago time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-ago)) }
	}
	waits := func(p *corev1.Pod) {
		p.Annotations = map[string]string{annotations.PodScaleUpDelayAnnotationKey: "30s"}
	}
	for _, tt := range []struct {
		name        string
		delay       time.Duration
		pod         *corev1.Pod
		age, before time.Duration
	}{
		{name: "from the future", pod: pod("p", "", created(-90*time.Second)), age: time.Minute, before: -90 * time.Second},
		{name: "new", pod: pod("p", "", created(time.Second)), age: time.Second, before: time.Second},
		{name: "from the future, with the flag", delay: 30 * time.Second, pod: pod("p", "", created(-time.Second)), age: -time.Second, before: -time.Second},
		{name: "from the future, with its own delay", pod: pod("p", "", created(-time.Second), waits), age: -time.Second, before: -time.Second},
	} {
		ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{NewPodScaleUpDelay: tt.delay}}
		got, err := Ahead{Clock: clocktesting.NewFakePassiveClock(now)}.Process(ctx, []*corev1.Pod{tt.pod})
		require.NoError(t, err)
		assert.Equal(t, tt.age, now.Sub(got[0].CreationTimestamp.Time), tt.name)
		assert.Equal(t, tt.before, now.Sub(tt.pod.CreationTimestamp.Time), "%s: the informer's pod", tt.name)
	}
}
