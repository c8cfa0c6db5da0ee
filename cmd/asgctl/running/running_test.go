package running

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

// The path from the API server to the pod may be blocked, which says nothing of the autoscaler.
func TestPodThatTheAPIServerDoesNotReach(t *testing.T) {
	for name, refuse := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"503": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "dial tcp: i/o timeout", http.StatusServiceUnavailable)
		},
		"504": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusGatewayTimeout) },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/api/v1/namespaces/kube-system/pods/a:8085/proxy/status.json":
					refuse(w, r)
				case "/api/v1/namespaces/kube-system/pods":
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"namespace": "kube-system", "name": "a"}, "status": {"phase": "Running"}}]}`))
				default:
					http.NotFound(w, r)
				}
			}))
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := Read(ctx, Options{Kubeconfig: loopback.Kubeconfig(t, server.URL)})
			const want = "the API server does not reach port 8085 of pod kube-system/a: a security group of the nodes, a NetworkPolicy or a loopback --address or --asg-status-address may keep it out: " +
				"kubectl --namespace kube-system port-forward pod/a 8085, and give --url http://127.0.0.1:8085 ("
			assert.ErrorContains(t, err, want)
		})
	}
}

// A plugin beside an unmodified core is a sidecar, and a webhook may put a container first.
func TestPortIsTheAutoscalers(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	at := func(name string, port int32, args ...string) corev1.Container {
		return corev1.Container{Name: name, Args: args, Ports: []corev1.ContainerPort{{ContainerPort: port}}}
	}
	plugin := at("plugin", 8086, "--asg-plugin-address=127.0.0.1:8087")
	plugin.RestartPolicy = &always
	for _, tt := range []struct {
		name string
		spec corev1.PodSpec
		want int
	}{
		{"plugin as a sidecar", corev1.PodSpec{InitContainers: []corev1.Container{plugin}, Containers: []corev1.Container{at("core", 8085, "--cloud-provider=externalgrpc")}}, 8086},
		{"proxy in front", corev1.PodSpec{Containers: []corev1.Container{at("istio-proxy", 15090), at("cluster-autoscaler", 8085)}}, 8085},
		{"another name", corev1.PodSpec{Containers: []corev1.Container{at("scaler", 9000)}}, 9000},
		{"page of its own", corev1.PodSpec{Containers: []corev1.Container{at("cluster-autoscaler", 8085, "--address=:8085", "--asg-status-address=127.0.0.1:8086")}}, 8086},
		{"another address", corev1.PodSpec{Containers: []corev1.Container{{Name: "cluster-autoscaler", Args: []string{"--address=:9090"}}}}, 9090},
		{"address of the environment", corev1.PodSpec{Containers: []corev1.Container{at("cluster-autoscaler", 9090, "--address=$(ADDRESS)")}}, 9090},
		{"port of the proxy alone", corev1.PodSpec{Containers: []corev1.Container{{Name: "cluster-autoscaler"}, at("istio-proxy", 15090)}}, 8085},
		{"no port", corev1.PodSpec{Containers: []corev1.Container{{Name: "cluster-autoscaler"}}}, 8085},
	} {
		assert.Equal(t, tt.want, port(&corev1.Pod{Spec: tt.spec}), tt.name)
	}
}

// The limiter of the client makes no words of its own out of a call that was cut off.
func TestSilentAPIServerIsNamed(t *testing.T) {
	url := loopback.Silent(t)
	kubeconfig := loopback.Kubeconfig(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := Read(ctx, Options{Kubeconfig: kubeconfig})
	assert.ErrorContains(t, err, `read lease cluster-autoscaler: Get "`+url)
}

func TestReportOfURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status.json" || r.Header.Get("Sec-Fetch-Site") != "none" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"version": "v1", "process": {"cluster": "prod"}}`))
	}))
	defer server.Close()
	for _, suffix := range []string{"", "/", "/status.json", "/status", "/status/"} {
		a, err := Open(Options{URL: server.URL + suffix})
		require.NoError(t, err)
		report, err := a.Report(t.Context())
		assert.Truef(t, err == nil && report.Process.Cluster == "prod", "%q: report %+v, error %v", suffix, report, err)
	}
	a, err := Open(Options{URL: server.URL + "/elsewhere"})
	require.NoError(t, err)
	_, err = a.Report(t.Context())
	assert.Truef(t, err != nil && strings.HasSuffix(err.Error(), "/elsewhere/status.json answered 404 Not Found"), "error %v", err)
}
