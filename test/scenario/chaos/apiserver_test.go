package chaos

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// frontOf is a front before an API server that answers every request alike, and a client that goes through it.
func frontOf(t *testing.T) (*apiFront, *http.Client, string) {
	front, url, _ := countedFront(t)
	return front, &http.Client{}, url
}

// countedFront counts the requests that reach the API server.
func countedFront(t *testing.T) (front *apiFront, url string, passed *atomic.Int64) {
	passed = &atomic.Int64{}
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed.Add(1)
		if r.URL.Query().Get("watch") != "" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte(`{"major":"1","minor":"35"}`))
	}))
	t.Cleanup(behind.Close)
	front, url = frontBefore(t, behind.URL)
	passed.Store(0)
	return front, url, passed
}

// frontBefore is a front before the API server, and its own URL.
func frontBefore(t *testing.T, server string) (*apiFront, string) {
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "c"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, path))
	front, err := newAPIFront(path, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { _ = front.Close() })
	front.begin(1, nil)
	through, err := clientcmd.BuildConfigFromFlags("", front.kubeconfig)
	require.NoError(t, err)
	_, err = kubernetes.NewForConfigOrDie(through).Discovery().ServerVersion()
	require.NoError(t, err)
	return front, through.Host
}

// A write that broke off would leave Kubernetes in a state that it repairs only after minutes.
func TestWriteOutlivesItsCaller(t *testing.T) {
	killed, kill := context.WithCancel(t.Context())
	broke := make(chan error, 1)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			_, _ = w.Write([]byte(`{"major":"1","minor":"35"}`))
			return
		}
		kill()
		select {
		case <-r.Context().Done():
		case <-time.After(200 * time.Millisecond): // the front would have noticed
		}
		broke <- r.Context().Err()
	}))
	defer behind.Close()
	_, url := frontBefore(t, behind.URL)
	request, err := http.NewRequestWithContext(killed, http.MethodPost, url+"/api/v1/namespaces/default/pods/a/eviction", nil)
	require.NoError(t, err)
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Error("the caller that was killed got an answer")
	}
	assert.NoError(t, <-broke, "the write broke off")
}

func TestAPIFaultsHitOnlyTheirPaths(t *testing.T) {
	front, client, url := frontOf(t)
	front.inject("a", APIFault{Path: "/eviction", Status: http.StatusTooManyRequests})
	status := func(path string) int {
		response, err := client.Get(url + path)
		require.NoError(t, err)
		response.Body.Close()
		return response.StatusCode
	}
	assert.Equal(t, http.StatusTooManyRequests, status("/pods/a/eviction"), "eviction answered, want 429")
	assert.Equal(t, http.StatusOK, status("/pods"), "pods answered, want 200")
	front.clear("a")
	if got := status("/pods/a/eviction"); got != http.StatusOK || front.hits() != 1 || !front.troubled(time.Minute) {
		t.Errorf("after the fault: eviction answered %d, %d hits, troubled %t", got, front.hits(), front.troubled(time.Minute))
	}
}

func TestHangEndsWithItsFault(t *testing.T) {
	front, client, url := frontOf(t)
	front.inject("a", APIFault{Hang: true})
	answered := make(chan error)
	go func() {
		request, _ := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, url+"/pods", nil)
		_, err := client.Do(request)
		answered <- err
	}()
	require.Eventually(t, func() bool { return front.hits() > 0 }, time.Minute, time.Millisecond)
	front.clear("a")
	assert.Error(t, <-answered, "a request that hung was answered")
}

func TestCutBreaksWatchesOnly(t *testing.T) {
	front, client, url := frontOf(t)
	response, err := client.Get(url + "/pods?watch=true")
	require.NoError(t, err)
	defer response.Body.Close()
	front.inject("a", APIFault{Cut: true})
	_, err = response.Body.Read(make([]byte, 1))
	assert.Error(t, err, "the watch goes on")
	again, err := client.Get(url + "/pods")
	require.NoError(t, err)
	again.Body.Close()
}

// The API server carries a write out whose answer the caller does not get.
func TestLostAnswersLeaveTheirWritesDone(t *testing.T) {
	for _, tt := range []struct {
		name         string
		fault        APIFault
		method, path string
		spoilt       bool
	}{
		{"a cut connection", APIFault{Writes: nodeWrites, Late: true, Broken: true}, http.MethodPut, "/api/v1/nodes/a", true},
		{"a time-out of a proxy", APIFault{Writes: nodeWrites, Late: true, Status: http.StatusGatewayTimeout}, http.MethodPatch, "/api/v1/nodes/a", true},
		{"a pod's status", APIFault{Writes: podWrites, Late: true, Broken: true}, http.MethodPatch, "/api/v1/namespaces/default/pods/a/status", true},
		{"either kind", APIFault{Writes: eitherWrites, Late: true, Broken: true}, http.MethodPost, "/api/v1/namespaces/default/pods/a/eviction", true},
		{"another kind", APIFault{Writes: podWrites, Late: true, Broken: true}, http.MethodPut, "/api/v1/nodes/a", false},
		{"a reading", APIFault{Writes: nodeWrites, Late: true, Broken: true}, http.MethodGet, "/api/v1/nodes/a", false},
		{"a lease", APIFault{Writes: eitherWrites, Late: true, Broken: true}, http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/a", false},
		{"an event", APIFault{Writes: eitherWrites, Late: true, Broken: true}, http.MethodPost, "/api/v1/namespaces/default/events", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			front, url, passed := countedFront(t)
			front.inject("a", tt.fault)
			request, err := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, strings.NewReader("{}"))
			require.NoError(t, err)
			response, err := http.DefaultClient.Do(request)
			if err == nil {
				response.Body.Close()
			}
			assert.Equal(t, tt.spoilt, err != nil || response.StatusCode != http.StatusOK, "spoilt")
			assert.EqualValues(t, 1, passed.Load(), "requests that the API server got")
		})
	}
}

func TestLeaderIsKilledAtTheNthWrite(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("after the write %t", late), func(t *testing.T) {
			front, url, passed := countedFront(t)
			var killed, carriedOut atomic.Int64
			front.injectKill("a", APIFault{Writes: nodeWrites, Kill: 2, Late: late}, func() { killed.Add(1); carriedOut.Store(passed.Load()) })
			answered := 0
			for range 3 {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/api/v1/nodes/a", strings.NewReader("{}"))
				require.NoError(t, err)
				if response, err := http.DefaultClient.Do(request); err == nil {
					response.Body.Close()
					answered++
				}
			}
			want := int64(1)
			if late {
				want = 2
			}
			assert.Truef(t, killed.Load() == 1 && answered == 2 && carriedOut.Load() == want,
				"%d killed, %d of 3 writes answered, %d writes at the kill; want 1, 2 and %d", killed.Load(), answered, carriedOut.Load(), want)
		})
	}
}
