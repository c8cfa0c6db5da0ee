package chaos

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// frontOf is a front before an API server that answers every request alike, and a client that goes through it.
func frontOf(t *testing.T) (*apiFront, *http.Client, string) {
	t.Helper()
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte(`{"major":"1","minor":"35"}`))
	}))
	t.Cleanup(behind.Close)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: behind.URL}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "c"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	front, err := newAPIFront(path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Close() })
	front.begin(1)
	through, err := clientcmd.BuildConfigFromFlags("", front.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kubernetes.NewForConfigOrDie(through).Discovery().ServerVersion(); err != nil {
		t.Fatal(err)
	}
	return front, &http.Client{}, through.Host
}

func TestAPIFaultsHitOnlyTheirPaths(t *testing.T) {
	front, client, url := frontOf(t)
	front.inject("a", APIFault{Path: "/eviction", Status: http.StatusTooManyRequests})
	status := func(path string) int {
		response, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if got := status("/pods/a/eviction"); got != http.StatusTooManyRequests {
		t.Errorf("eviction answered %d, want 429", got)
	}
	if got := status("/pods"); got != http.StatusOK {
		t.Errorf("pods answered %d, want 200", got)
	}
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
	for front.hits() == 0 {
		time.Sleep(time.Millisecond)
	}
	front.clear("a")
	if err := <-answered; err == nil {
		t.Error("a request that hung was answered")
	}
}

func TestCutBreaksWatchesOnly(t *testing.T) {
	front, client, url := frontOf(t)
	response, err := client.Get(url + "/pods?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	front.inject("a", APIFault{Cut: true})
	if _, err := response.Body.Read(make([]byte, 1)); err == nil {
		t.Error("the watch goes on")
	}
	again, err := client.Get(url + "/pods")
	if err != nil {
		t.Fatal(err)
	}
	again.Body.Close()
}
