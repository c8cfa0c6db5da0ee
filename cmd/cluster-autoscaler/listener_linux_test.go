package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The process gets credentials and logs as much as it can. It listens on --address alone, serves no debugging endpoint that is not
// asked for, and keeps the credentials out of its log.
func TestOnlyListenerIsAddress(t *testing.T) {
	t.Parallel()
	cluster := httptest.NewTLSServer(http.NotFoundHandler()) // client-go sends no token without TLS
	t.Cleanup(cluster.Close)
	secrets := []string{"wJalrXUtnFEMIsecretkey", "FwoGZXIvYXdzsessiontoken", "eyJhbGciOiJrubernetestoken"}
	binary := leading(t.Context(), t, cluster.URL, awsclients.Serve(t, fakeaws.Config{}).URL(), "--address=127.0.0.1:0", "--v=10", "--max-failing-time=1m")
	kubeconfig := fmt.Sprintf("{clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}], users: [{name: u, user: {token: %s}}], "+
		"contexts: [{name: c, context: {cluster: c, user: u}}], current-context: c}", cluster.URL, secrets[2])
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(kubeconfig), 0o600))
	binary.Args = append(binary.Args, "--kubeconfig="+path)
	binary.Env = append(binary.Env, "AWS_SECRET_ACCESS_KEY="+secrets[0], "AWS_SESSION_TOKEN="+secrets[1])
	logPath := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(logPath)
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	started(t, binary, log)
	logged := func() []byte {
		text, err := os.ReadFile(logPath)
		require.NoError(t, err)
		return text
	}
	// Both services have answered once the log names an API that is missing and a reading of the groups.
	for deadline := time.Now().Add(time.Minute); !bytes.Contains(logged(), []byte("Refreshed Auto Scaling groups")) ||
		!bytes.Contains(logged(), []byte("resource.k8s.io")); time.Sleep(50 * time.Millisecond) {
		require.Falsef(t, time.Now().After(deadline), "the process got nowhere:\n%s", logged())
	}
	addresses := loopback.Listeners(t, binary.Process.Pid)
	require.Len(t, addresses, 1, "listeners, want the one of --address")
	for path, want := range map[string]int{"/metrics": http.StatusOK, "/snapshotz": http.StatusNotFound, "/debug/pprof/": http.StatusNotFound} {
		assert.Equalf(t, want, status(t, addresses[0], path), "%s answers", path)
	}
	assert.Truef(t, bytes.Contains(logged(), []byte("Bearer <masked>")),
		"the log shows no request with the token: does this test look in the right place?\n%s", logged())
	for _, secret := range secrets {
		assert.Falsef(t, bytes.Contains(logged(), []byte(secret)), "the log contains the credential %s", secret)
	}
}

// The status page and its JSON are on --address, on an address of their own, or nowhere.
func TestStatusPageIsWhereTheFlagsSay(t *testing.T) {
	t.Parallel()
	cluster := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(cluster.Close)
	aws := awsclients.Serve(t, fakeaws.Config{})
	for _, tt := range []struct {
		name  string
		flags []string
		want  []string // for each listener: does it serve the metrics, and does it serve the page
	}{
		{"by default", nil, []string{"metrics and page"}},
		{"off", []string{"--asg-status-page=off", "--asg-status-address=127.0.0.1:0"}, []string{"metrics"}},
		{"own address", []string{"--asg-status-address=127.0.0.1:0"}, []string{"metrics", "page"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			binary := leading(t.Context(), t, cluster.URL, aws.URL(), append(tt.flags, "--address=127.0.0.1:0", "--max-failing-time=1m")...)
			started(t, binary, nil)
			var addresses []string
			for deadline := time.Now().Add(time.Minute); len(addresses) < len(tt.want); time.Sleep(50 * time.Millisecond) {
				require.Falsef(t, time.Now().After(deadline), "listeners = %v, want %d", addresses, len(tt.want))
				addresses = loopback.Listeners(t, binary.Process.Pid)
			}
			var got []string
			for _, address := range addresses {
				var served []string
				for _, path := range []string{"/metrics", "/status", "/status.json", "/status/app.js"} {
					if status(t, address, path) == http.StatusOK {
						served = append(served, path)
					}
				}
				got = append(got, strings.NewReplacer("/metrics", "metrics", " /status /status.json /status/app.js", " and page",
					"/status /status.json /status/app.js", "page").Replace(strings.Join(served, " ")))
			}
			slices.Sort(got)
			assert.Truef(t, slices.Equal(got, tt.want), "the listeners serve %q, want %q", got, tt.want)
		})
	}
}

// status asks a listener at 127.0.0.1, whose address is as the kernel writes it on a little-endian machine.
func status(t *testing.T, address, path string) int {
	t.Helper()
	var port int
	_, err := fmt.Sscanf(address, "0100007F:%x", &port)
	require.NoError(t, err)
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	require.NoError(t, err)
	_ = response.Body.Close()
	return response.StatusCode
}
