package podlist

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/provreq"
	provreqpods "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/pods"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqclient"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqwrapper"
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
