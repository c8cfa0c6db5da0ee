package informers

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// answers is an API server in this process, for the time of a bubble. It answers with the status of each question.
type answers func(path string) int

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a(r.URL.Path))
	_, _ = w.WriteString("{}")
	return w.Result(), nil
}

func (a answers) client(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://api", Transport: a})
	require.NoError(t, err)
	return client
}

// server is an API server that answers to every path with 200, but for those given.
func server(t *testing.T, statuses map[string]int) *kubernetes.Clientset {
	t.Helper()
	return answers(func(path string) int { return cmp.Or(statuses[path], http.StatusOK) }).client(t)
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
			synctest.Test(t, func(t *testing.T) {
				got, want := all, all
				for _, off := range tt.off {
					off(&want)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				off, _ := SwitchOff(ctx, server(t, map[string]int{tt.path: tt.status}).Discovery().RESTClient(), &got)
				assert.Equal(t, want, got)
				assert.Len(t, off, len(tt.off), "features that the process names")
			})
		})
	}
}

// An API server that starts refuses everything until it has read the roles.
func TestFeatureStaysOnAfterTwoRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		statuses := []int{http.StatusForbidden, http.StatusForbidden}
		client := answers(func(string) int {
			if len(statuses) == 0 {
				return http.StatusOK
			}
			defer func() { statuses = statuses[1:] }()
			return statuses[0]
		}).client(t)
		got := config.AutoscalingOptions{CapacityQuotasEnabled: true}
		off, _ := SwitchOff(t.Context(), client.Discovery().RESTClient(), &got)
		assert.Empty(t, off)
		assert.True(t, got.CapacityQuotasEnabled)
	})
}

// The definition of a kind may come after the autoscaler, and so may a control plane that serves it.
func TestProcessEndsWhenAFeatureThatIsOffIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const claims, requests = "/apis/resource.k8s.io/v1/resourceclaims", "/apis/autoscaling.x-k8s.io/v1/provisioningrequests"
		var ofClaims atomic.Int64
		ofClaims.Store(http.StatusNotFound)
		client := answers(func(path string) int {
			switch path {
			case claims:
				return int(ofClaims.Load())
			case requests:
				return http.StatusNotFound
			}
			return http.StatusOK
		}).client(t).Discovery().RESTClient()
		got := config.AutoscalingOptions{DynamicResourceAllocationEnabled: true, ProvisioningRequestEnabled: true}
		off, served := SwitchOff(t.Context(), client, &got)
		require.Len(t, off, 2)
		assert.Equal(t, "--enable-dynamic-resource-allocation is switched off: resource.k8s.io/v1/resourceclaims is not served", off[0])
		var ended error
		go func() { ended = served(t.Context()) }()
		for _, status := range []int{http.StatusNotFound, http.StatusForbidden, http.StatusServiceUnavailable} {
			ofClaims.Store(int64(status))
			time.Sleep(againInterval + time.Second)
			synctest.Wait()
			require.NoError(t, ended)
		}
		ofClaims.Store(http.StatusOK)
		time.Sleep(againInterval)
		synctest.Wait()
		assert.ErrorContains(t, ended, off[0])
	})
}

// A leader may be elected while the API server is in trouble.
func TestAttachmentsAreNotAwaitedWithoutPermission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var asked atomic.Int64
		client := answers(func(string) int {
			if asked.Add(1) <= 3 {
				return http.StatusInternalServerError
			}
			return http.StatusForbidden
		}).client(t)
		factory := informers.NewSharedInformerFactory(client, 0)
		DoWithoutAttachments(ctx, client.Discovery().RESTClient(), factory)
		attachments := factory.Storage().V1().VolumeAttachments().Lister()
		factory.Start(ctx.Done())
		assert.NoError(t, Await(ctx, factory, time.Minute, func(kinds string) { t.Errorf("still waits for %s", kinds); cancel() }))
		found, err := attachments.List(labels.Everything())
		assert.Truef(t, err == nil && len(found) == 0, "attachments %v, %v", found, err)
		cancel()
		factory.Shutdown()
	})
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
