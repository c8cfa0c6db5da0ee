package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// The API server serves nothing. A leader that waited for ever would keep the lease, and its health check would find nothing wrong.
func TestLeaderThatIsNotReadyInTimeEnds(t *testing.T) {
	cluster := httptest.NewServer(http.NotFoundHandler())
	defer cluster.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("{clusters: [{name: c, cluster: {server: %q}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}", cluster.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer away.Close()
	there, err := fakeaws.Start(t.Context(), fakeaws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = there.Close() }()
	for _, tt := range []struct{ name, aws, want string }{
		{"no reading of the groups", away.URL, "first reading of the Auto Scaling groups"},
		{"no caches", there.URL(), "fill the caches of "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a leader that does not end is killed
			defer cancel()
			binary := exec.CommandContext(ctx, os.Args[0], "--kubeconfig="+kubeconfig, "--leader-elect=false", "--address=127.0.0.1:0",
				"--max-failing-time=5s", "--aws-region=us-west-2", "--nodes=0:1:workers")
			binary.Env = append(os.Environ(), asBinary+"=1", "AWS_ENDPOINT_URL="+tt.aws, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
				"AWS_MAX_ATTEMPTS=1")
			output, err := binary.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitCannotRun {
				t.Errorf("%v, want exit code %d", err, exitCannotRun)
			}
			_, last, _ := strings.Cut(string(output), "not ready 5s after the election: ")
			if !strings.Contains(last, tt.want) {
				t.Errorf("want an end for want of %s:\n%s", tt.name, output)
			}
			if !strings.Contains(string(output), "resource.k8s.io/v1/deviceclasses") {
				t.Errorf("want the log to name the API of resource claims:\n%s", output)
			}
		})
	}
}
