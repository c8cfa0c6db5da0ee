package process

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqclient"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
)

// The core itself waits for the caches of buffers for ever. A leader that does so keeps its lease, and is alive by its probe.
func TestStartWithBuffersEnds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer server.Close()
	late := errors.New("it takes too long")
	for _, tt := range []struct {
		name, want string
		reads      func(informers.SharedInformerFactory)
	}{
		{"a cache of the core", "batch/v1.Job", func(f informers.SharedInformerFactory) { f.Batch().V1().Jobs().Informer() }},
		{"a cache of buffers", "CapacityBuffers", func(informers.SharedInformerFactory) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, client := &Process{kube: &rest.Config{Host: server.URL}}, fake.NewClientset()
			p.core.CapacitybufferPodInjectionEnabled = true
			client.PrependReactor("list", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
			factory := informers.NewSharedInformerFactory(client, 0)
			tt.reads(factory)
			factory.Start(t.Context().Done())
			ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, late)
			defer cancel()
			_, err := p.newFeatures(ctx, t.Context(), client, factory)
			assert.ErrorIs(t, err, late)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

// Else each loop of the shadow would launch a node for a pod that the leader leaves out.
func TestAShadowLeavesPodsOfRequestsToTheLeader(t *testing.T) {
	p := &Process{kube: &rest.Config{}}
	p.core.ProvisioningRequestEnabled = true
	p.withoutWrites()
	f, err := p.newFeatures(t.Context(), t.Context(), nil, nil)
	require.NoError(t, err)
	pods := []*corev1.Pod{{}, {ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{provreqv1.ProvisioningRequestPodAnnotationKey: "job"}}}}
	require.NotNil(t, f.requests.filter, "the filter")
	left, err := f.requests.filter.Process(&cacontext.AutoscalingContext{AutoscalingKubeClients: cacontext.AutoscalingKubeClients{Recorder: record.NewFakeRecorder(1)}}, pods)
	require.NoError(t, err)
	assert.Len(t, left, 1, "pods for the shadow")
}

// The answer that a request is due begins its next pause. The core's injector asks in each loop, and its class in the same one.
func TestRequestThatFoundNoRoomIsTriedAgainInABatch(t *testing.T) {
	request := provreqclient.ProvisioningRequestWrapperForTesting("default", "job")
	request.Spec.ProvisioningClassName = provreqv1.ProvisioningClassCheckCapacity
	request.Status.Conditions = []metav1.Condition{{Type: provreqv1.Provisioned, Status: metav1.ConditionFalse,
		LastTransitionTime: metav1.NewTime(time.Now().Add(-90 * time.Second))}}
	core := config.AutoscalingOptions{CheckCapacityBatchProcessing: true, CheckCapacityProvisioningRequestMaxBatchSize: 10,
		CheckCapacityProvisioningRequestBatchTimebox: time.Minute, ProvisioningRequestInitialBackoffTime: time.Minute,
		ProvisioningRequestMaxBackoffTime: time.Hour, ProvisioningRequestMaxBackoffCacheSize: 10}
	r := newRequests(core, provreqclient.NewFakeProvisioningRequestClient(t.Context(), t, request))
	ctx := &cacontext.AutoscalingContext{AutoscalingOptions: core, ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t)}
	r.orchestrator.Initialize(ctx, &caprocessors.AutoscalingProcessors{}, nil, nil, taints.TaintConfig{}, nil)
	pods, err := r.injector.Process(ctx, nil)
	require.NoError(t, err)
	require.Len(t, pods, 1, "pods of a request that is due")
	result, failed := r.orchestrator.ScaleUp(pods, nil, nil, nil, false)
	assert.Truef(t, failed == nil && result.Result == corestatus.ScaleUpNoOptionsAvailable, "result %v, error %v, want a search in vain",
		result.Result, failed)
}
