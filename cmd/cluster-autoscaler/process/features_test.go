package process

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
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
