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
	for _, tt := range []struct {
		name     string
		statuses map[string]int
		off      func(*config.AutoscalingOptions)
	}{
		{"all served", nil, func(*config.AutoscalingOptions) {}},
		{"one kind not served", map[string]int{resource + "resourceslices": http.StatusNotFound},
			func(o *config.AutoscalingOptions) { o.DynamicResourceAllocationEnabled = false }},
		{"one kind not permitted", map[string]int{resource + "deviceclasses": http.StatusForbidden},
			func(o *config.AutoscalingOptions) { o.DynamicResourceAllocationEnabled = false }},
		{"an API server in trouble", map[string]int{resource + "deviceclasses": http.StatusInternalServerError}, func(*config.AutoscalingOptions) {}},
		{"quotas", map[string]int{scaling + "v1alpha1/capacityquotas": http.StatusNotFound},
			func(o *config.AutoscalingOptions) { o.CapacityQuotasEnabled = false }},
		{"provisioning requests", map[string]int{scaling + "v1/provisioningrequests": http.StatusNotFound},
			func(o *config.AutoscalingOptions) { o.ProvisioningRequestEnabled = false }},
		{"capacity buffers", map[string]int{scaling + "v1beta1/capacitybuffers": http.StatusForbidden},
			func(o *config.AutoscalingOptions) {
				o.CapacitybufferControllerEnabled, o.CapacitybufferPodInjectionEnabled = false, false
			}},
		{"quotas of namespaces, which buffers respect", map[string]int{"/api/v1/resourcequotas": http.StatusForbidden},
			func(o *config.AutoscalingOptions) {
				o.CapacitybufferControllerEnabled, o.CapacitybufferPodInjectionEnabled = false, false
			}},
		{"workloads of buffers", map[string]int{"/apis/apps/v1/deployments": http.StatusForbidden},
			func(o *config.AutoscalingOptions) {
				o.CapacitybufferControllerEnabled, o.CapacitybufferPodInjectionEnabled = false, false
			}},
		{"pod templates", map[string]int{"/api/v1/podtemplates": http.StatusForbidden},
			func(o *config.AutoscalingOptions) {
				o.CapacitybufferControllerEnabled, o.CapacitybufferPodInjectionEnabled, o.ProvisioningRequestEnabled = false, false, false
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, want := all, all
			tt.off(&want)
			SwitchOff(t.Context(), server(t, tt.statuses).Discovery().RESTClient(), &got)
			for _, flag := range []struct {
				name      string
				got, want bool
			}{
				{"resource claims", got.DynamicResourceAllocationEnabled, want.DynamicResourceAllocationEnabled},
				{"quotas", got.CapacityQuotasEnabled, want.CapacityQuotasEnabled},
				{"provisioning requests", got.ProvisioningRequestEnabled, want.ProvisioningRequestEnabled},
				{"buffers", got.CapacitybufferControllerEnabled, want.CapacitybufferControllerEnabled},
				{"pods of buffers", got.CapacitybufferPodInjectionEnabled, want.CapacitybufferPodInjectionEnabled},
			} {
				assert.Truef(t, flag.got == flag.want, "%s: %t, want %t", flag.name, flag.got, flag.want)
			}
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
