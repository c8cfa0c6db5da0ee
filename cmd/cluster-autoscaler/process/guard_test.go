package process

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/autoscaler/cluster-autoscaler/core"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

var fine = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
	}
})

func TestPageAnswersUnderItsOwnNamesAlone(t *testing.T) {
	for _, tt := range []struct {
		host, path, site string // site is the browser's statement about the page behind the request
		namespace        string // kube-system if empty
		want             int
	}{
		{host: "127.0.0.1:8085", want: http.StatusOK},
		{host: "[::1]:8085", want: http.StatusOK},
		{host: "10.1.2.3", want: http.StatusOK},
		{host: "LOCALHOST:8001", want: http.StatusOK},
		{host: "page.localhost:8085", want: http.StatusOK},
		{host: "cluster-autoscaler-5d8f:8085", want: http.StatusOK},
		{host: "cluster-autoscaler.kube-system:8085", want: http.StatusOK},
		{host: "cluster-autoscaler.kube-system.svc:8085", want: http.StatusOK},
		{host: "cluster-autoscaler.kube-system.svc.cluster.local.", want: http.StatusOK},
		{host: "", want: http.StatusOK},                                                    // no browser leaves it out
		{host: "evil.tools:8085", namespace: "tools", want: http.StatusMisdirectedRequest}, // a public top-level domain
		{host: "evil.xn--a-b", namespace: "xn--a-b", want: http.StatusMisdirectedRequest},
		{host: "cluster-autoscaler.tools.svc:8085", namespace: "tools", want: http.StatusOK},
		{host: "rebound.example.com:8085", want: http.StatusMisdirectedRequest},
		{host: "127.0.0.1.example.com", want: http.StatusMisdirectedRequest},
		{host: "rebound.example.kube-system", want: http.StatusMisdirectedRequest},
		{host: "a.svc.example.com", want: http.StatusMisdirectedRequest},
		{host: "rebound.example.com", path: "/snapshotz", want: http.StatusMisdirectedRequest},
		{host: "rebound.example.com", site: "cross-site", want: http.StatusMisdirectedRequest},
		{host: "prometheus-target.example.com", path: "/metrics", want: http.StatusOK},
		{host: "api.example.com", site: "none", want: http.StatusOK}, // asgctl by the API server's proxy
		{host: "status.example.com", site: "same-origin", want: http.StatusOK},
	} {
		path := "/status.json"
		if tt.path != "" {
			path = tt.path
		}
		request, answer := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
		request.Host = tt.host
		if tt.site != "" {
			request.Header.Set("Sec-Fetch-Site", tt.site)
		}
		guarded(fine, cmp.Or(tt.namespace, "kube-system")).ServeHTTP(answer, request)
		assert.Equalf(t, tt.want, answer.Code, "%s of host %q with %q answers", path, tt.host, tt.site)
	}
}

// listening serves a handler with all limits, until the test ends.
func listening(t *testing.T, handler http.Handler) (address string) {
	t.Helper()
	address = must(loopback.FreeAddress())(t)
	stop, err := serve(t.Context(), "address", address, guarded(handler, ""), func(err error) { t.Error(err) })
	require.NoError(t, err)
	t.Cleanup(stop)
	return address
}

func TestRequestsAreBounded(t *testing.T) {
	address := listening(t, fine)
	for _, tt := range []struct {
		name         string
		header, body int // bytes
		want         int
	}{
		{name: "small", header: 100, body: 100, want: http.StatusOK},
		{name: "header", header: 100 << 10, want: http.StatusRequestHeaderFieldsTooLarge},
		{name: "body", body: 1 << 20, want: http.StatusRequestEntityTooLarge},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, strings.NewReader(strings.Repeat("b", tt.body)))
		require.NoError(t, err)
		request.Header.Set("X-Long", strings.Repeat("h", tt.header))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		_ = response.Body.Close()
		assert.Equalf(t, tt.want, response.StatusCode, "%s: status", tt.name)
	}
}

func TestPageOnItsOwnAddressIsNowhereElse(t *testing.T) {
	p := &Process{health: &health{}, snapshotter: debuggingsnapshot.NewDebuggingSnapshotter(false)}
	p.record = decision.New(decision.Process{}, clock.RealClock{})
	p.core.Address, p.options.AWS.StatusPage, p.options.AWS.StatusAddress = must(loopback.FreeAddress())(t), options.StatusPageOn, must(loopback.FreeAddress())(t)
	stop, err := p.listen(t.Context(), func(err error) { t.Error(err) })
	require.NoError(t, err)
	defer stop()
	for address, want := range map[string]int{p.core.Address: http.StatusNotFound, p.options.AWS.StatusAddress: http.StatusOK} {
		response, err := http.Get("http://" + address + "/status.json")
		require.NoError(t, err)
		_ = response.Body.Close()
		assert.Equalf(t, want, response.StatusCode, "/status.json on %s answers", address)
	}
}

func TestWithoutElectionWorkBeginsAtOnce(t *testing.T) {
	worked := false
	err := (&Process{}).elected(t.Context(), func(context.Context) error { // without an API server
		worked = true
		return nil
	})
	assert.Truef(t, err == nil && worked, "worked: %t, error %v, want the work done", worked, err)
}

// cleaned is a core that notes its clean-up.
type cleaned struct {
	core.Autoscaler
	up bool
}

func (c *cleaned) ExitCleanUp() { c.up = true }

func TestCoreCleansUpAfterItsLastLoopAlone(t *testing.T) {
	ended := make(chan struct{})
	c := &cleaned{}
	a := &assembly{autoscaler: c}
	cleanUp(a, ended)
	assert.False(t, c.up, "the core cleaned up beside its loop")
	close(ended)
	cleanUp(a, ended)
	assert.True(t, c.up, "the core did not clean up")
}

func TestLoopThatAStopDelayedDoesNotBegin(t *testing.T) {
	for waited, want := range map[time.Duration]bool{10 * time.Second: false, 70 * time.Second: false, 16 * time.Minute: true} {
		assert.Equalf(t, want, stopped(waited, 10*time.Second) != nil, "the process ends after a wait of %s", waited)
	}
}
