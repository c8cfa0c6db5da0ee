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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	fakerequests "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/client/clientset/versioned/fake"
	provreqlisters "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/client/listers/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/conditions"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqclient"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqwrapper"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
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

func TestConditionsOfRequestsCountOnceWritten(t *testing.T) {
	request, refusing := &provreqv1.ProvisioningRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "training"}}, fakerequests.NewClientset()
	refusing.PrependReactor("update", "provisioningrequests", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	require.NoError(t, indexer.Add(request))
	client := provreqclient.NewProvisioningRequestClient(refusing, provreqlisters.NewProvisioningRequestLister(copies{indexer}), nil)
	one := func() []*provreqwrapper.ProvisioningRequest {
		request, err := client.ProvisioningRequest("default", "training")
		require.NoError(t, err)
		return []*provreqwrapper.ProvisioningRequest{request}
	}
	all := func() []*provreqwrapper.ProvisioningRequest {
		list, err := client.ProvisioningRequests()
		require.NoError(t, err)
		return list
	}
	for _, read := range []func() []*provreqwrapper.ProvisioningRequest{one, all} {
		asked := read()[0]
		conditions.AddOrUpdateCondition(asked, provreqv1.Provisioned, metav1.ConditionTrue, "", "", metav1.Now())
		_, err := client.UpdateProvisioningRequest(asked.ProvisioningRequest)
		require.Error(t, err)
		assert.Empty(t, read()[0].Status.Conditions, "after a write that failed")
	}
}
