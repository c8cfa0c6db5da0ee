package informers

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// server is an API server that answers to every path with 200, but for those given.
func server(t *testing.T, statuses map[string]int) *kubernetes.Clientset {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if status := statuses[r.URL.Path]; status != 0 {
			w.WriteHeader(status)
		}
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(s.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: s.URL})
	require.NoError(t, err)
	return client
}

func TestFeaturesWithoutTheirAPIAreSwitchedOff(t *testing.T) {
	const resource, scaling = "/apis/resource.k8s.io/v1/", "/apis/autoscaling.x-k8s.io/"
	all := config.AutoscalingOptions{DynamicResourceAllocationEnabled: true, CapacityQuotasEnabled: true, ProvisioningRequestEnabled: true,
		CapacitybufferControllerEnabled: true, CapacitybufferPodInjectionEnabled: true}
	devicesOff := func(o *config.AutoscalingOptions) { o.DynamicResourceAllocationEnabled = false }
	requestsOff := func(o *config.AutoscalingOptions) { o.ProvisioningRequestEnabled = false }
	buffersOff := func(o *config.AutoscalingOptions) {
		o.CapacitybufferControllerEnabled, o.CapacitybufferPodInjectionEnabled = false, false
	}
	for _, tt := range []struct {
		name, path string
		status     int
		off        []func(*config.AutoscalingOptions)
	}{
		{name: "all served"},
		{"one kind not served", resource + "resourceslices", http.StatusNotFound, []func(*config.AutoscalingOptions){devicesOff}},
		{"one kind not permitted", resource + "deviceclasses", http.StatusForbidden, []func(*config.AutoscalingOptions){devicesOff}},
		{"an API server in trouble", resource + "deviceclasses", http.StatusInternalServerError, nil},
		{"quotas", scaling + "v1alpha1/capacityquotas", http.StatusNotFound,
			[]func(*config.AutoscalingOptions){func(o *config.AutoscalingOptions) { o.CapacityQuotasEnabled = false }}},
		{"provisioning requests", scaling + "v1/provisioningrequests", http.StatusNotFound, []func(*config.AutoscalingOptions){requestsOff}},
		{"capacity buffers", scaling + "v1beta1/capacitybuffers", http.StatusForbidden, []func(*config.AutoscalingOptions){buffersOff}},
		{"quotas of namespaces, which buffers respect", "/api/v1/resourcequotas", http.StatusForbidden, []func(*config.AutoscalingOptions){buffersOff}},
		{"workloads of buffers", "/apis/apps/v1/deployments", http.StatusForbidden, []func(*config.AutoscalingOptions){buffersOff}},
		{"pod templates", "/api/v1/podtemplates", http.StatusForbidden, []func(*config.AutoscalingOptions){buffersOff, requestsOff}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, want := all, all
			for _, off := range tt.off {
				off(&want)
			}
			SwitchOff(t.Context(), server(t, map[string]int{tt.path: tt.status}).Discovery().RESTClient(), &got)
			assert.Equal(t, want, got)
		})
	}
}

func TestAttachmentsAreNotAwaitedWithoutPermission(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := server(t, map[string]int{attachmentsPath: http.StatusForbidden})
	factory := informers.NewSharedInformerFactory(client, 0)
	DoWithoutAttachments(ctx, client.Discovery().RESTClient(), factory)
	attachments := factory.Storage().V1().VolumeAttachments().Lister()
	factory.Start(ctx.Done())
	assert.NoError(t, Await(ctx, factory, time.Minute, func(kinds string) { t.Errorf("still waits for %s", kinds); cancel() }))
	found, err := attachments.List(labels.Everything())
	assert.Truef(t, err == nil && len(found) == 0, "attachments %v, %v", found, err)
	cancel()
	factory.Shutdown()
}

func TestCachesThatDoNotFillAreNamed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := server(t, map[string]int{"/api/v1/nodes": http.StatusForbidden, "/apis/storage.k8s.io/v1/csinodes": http.StatusForbidden})
	factory := informers.NewSharedInformerFactory(client, 0)
	factory.Core().V1().Nodes().Informer()
	factory.Storage().V1().CSINodes().Informer()
	factory.Start(ctx.Done())
	const want = "core/v1.Node, storage/v1.CSINode"
	err := Await(ctx, factory, time.Millisecond, func(kinds string) {
		assert.Equal(t, want, kinds, "missing")
		cancel()
	})
	assert.Truef(t, errors.Is(err, context.Canceled) && strings.Contains(err.Error(), want),
		"Await = %v, want an error that names %s", err, want)
}
