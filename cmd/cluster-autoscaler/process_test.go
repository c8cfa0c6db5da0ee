package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leading is the autoscaler as a process of its own, between an API server and AWS, by their URLs.
func leading(ctx context.Context, t *testing.T, cluster, aws string, flags ...string) *exec.Cmd {
	t.Helper()
	binary := exec.CommandContext(ctx, os.Args[0], append([]string{"--kubeconfig=" + loopback.Kubeconfig(t, cluster), "--leader-elect=false",
		"--max-failing-time=5s", "--asg-region=us-west-2", "--nodes=0:1:workers"}, flags...)...)
	binary.Env = append(os.Environ(), asBinary+"=1", "AWS_ENDPOINT_URL="+aws, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_MAX_ATTEMPTS=1")
	return binary
}

// started starts the binary with a log, and kills it in the end.
func started(t *testing.T, binary *exec.Cmd, log io.Writer) {
	t.Helper()
	binary.Stdout, binary.Stderr = log, log
	require.NoError(t, binary.Start())
	t.Cleanup(func() {
		_ = binary.Process.Kill()
		_ = binary.Wait()
	})
}

// The API server serves nothing. A leader that waited for ever would keep the lease, and its health check would find nothing wrong.
func TestLeaderThatIsNotReadyInTimeEnds(t *testing.T) {
	t.Parallel()
	cluster := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(cluster.Close)
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(away.Close)
	for _, tt := range []struct{ name, aws, want string }{
		{"no reading of the groups", away.URL, "first reading of the Auto Scaling groups"},
		{"no caches", awsclients.Serve(t, fakeaws.Config{}).URL(), "fill the caches of "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a leader that does not end is killed
			defer cancel()
			output, err := leading(ctx, t, cluster.URL, tt.aws, "--address=127.0.0.1:0").CombinedOutput()
			var exit *exec.ExitError
			assert.Truef(t, errors.As(err, &exit) && exit.ExitCode() == command.ExitCannotRun, "%v, want exit code %d", err, command.ExitCannotRun)
			_, last, _ := strings.Cut(string(output), "not ready 5s after the election: ")
			assert.Truef(t, strings.Contains(last, tt.want), "want an end for want of %s:\n%s", tt.name, output)
			assert.Containsf(t, string(output), "resource.k8s.io/v1/deviceclasses", "want the log to name the API of resource claims:\n%s", output)
		})
	}
}

// Nobody else knows why a leader has not begun, and it must not send whoever asks to another replica.
func TestLeaderWithoutAReadingSaysWhy(t *testing.T) {
	t.Parallel()
	cluster := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(cluster.Close)
	aws := awsclients.Serve(t, fakeaws.Config{})
	aws.Inject(fakeaws.Fault{Code: "AccessDenied"})
	for name, flags := range map[string][]string{"core": nil, "plugin": {"--asg-plugin-address=127.0.0.1:0"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, err := loopback.FreeAddress()
			require.NoError(t, err)
			var log bytes.Buffer
			started(t, leading(t.Context(), t, cluster.URL, aws.URL(), append(flags, "--address="+address, "--max-failing-time=1m")...), &log)
			const want = "Nothing is known of the groups yet: AWS denies"
			var page, report string
			for deadline := time.Now().Add(30 * time.Second); !strings.Contains(page, want) && time.Now().Before(deadline); {
				time.Sleep(50 * time.Millisecond)
				page, report = fetched("http://"+address+"/status"), fetched("http://"+address+"/status.json")
			}
			assert.Contains(t, page, want)
			assert.Contains(t, report, `"leader":true`)
		})
	}
}

// fetched is the text of an address, "" where nobody answers.
func fetched(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return string(text)
}

// Loops need no call to AWS. So the core's own health check finds nothing wrong with a leader whose reading is old.
func TestHealthCheckFailsOnAnOldReading(t *testing.T) {
	t.Parallel()
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch query := r.URL.Query(); {
		case query.Get("sendInitialEvents") != "": // an old server: the client lists instead
			w.WriteHeader(http.StatusUnprocessableEntity)
		case query.Get("watch") != "":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte("{}")) // an empty list, for one
	}))
	t.Cleanup(cluster.Close)
	aws := awsclients.Serve(t, fakeaws.Config{})
	address, err := loopback.FreeAddress() // the leader's
	require.NoError(t, err)
	var log bytes.Buffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log.String())
		}
	})
	started(t, leading(t.Context(), t, cluster.URL, aws.URL(), "--address="+address, "--asg-refresh-interval=1s"), &log)
	eventually := func(what string, so func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(50 * time.Millisecond) {
			require.Falsef(t, time.Now().After(deadline), "never so: %s", what)
		}
	}
	answers := func(path string, status int, text string) bool {
		response, err := http.Get("http://" + address + path)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return err == nil && response.StatusCode == status && strings.Contains(string(body), text)
	}
	eventually("AWS is read", func() bool { return aws.Calls()["DescribeAutoScalingGroups"] > 0 })
	eventually("ready", func() bool { return answers("/readyz", http.StatusOK, "") })
	assert.True(t, answers("/health-check", http.StatusOK, ""), "the health check fails while AWS answers")
	aws.Inject(fakeaws.Fault{Code: "ServiceUnavailable"})
	time.Sleep(7 * time.Second) // longer than --max-failing-time
	assert.False(t, answers("/health-check", http.StatusInternalServerError, "last reading of the"), "the health check fails for a fault of AWS")
	aws.ClearFaults()
	aws.Inject(fakeaws.Fault{Code: "AccessDenied"})
	eventually("the health check names the reading", func() bool {
		return answers("/health-check", http.StatusInternalServerError, "last reading of the Auto Scaling groups")
	})
}
