package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRunPrintsTheEndpointAndServesIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--config", "../../testdata/s0.yaml"}, out, io.Discard)
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	endpoint, ok := strings.CutPrefix(strings.TrimSpace(line), "AWS_ENDPOINT_URL=")
	if !ok {
		t.Fatalf("first line %q", line)
	}
	resp, err := http.Get(endpoint + "/_fakeaws/state")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), "g4dn-spot") {
		t.Errorf("state %s", body)
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRunNamesMissingArguments(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "--config FILE is needed"},
		{[]string{"--config", "no-such-file"}, "no-such-file"},
		{[]string{"--config", "../../testdata/s0.yaml", "--cluster", "b"}, "write it as NAME=KUBECONFIG"},
		{[]string{"--config", "../../testdata/s0.yaml", "--cluster", "b=no-such-kubeconfig"}, "no-such-kubeconfig"},
		{[]string{"--config", "../../testdata/s0.yaml", "--listen", "0.0.0.0:0"}, "not a loopback address"},
	} {
		if err := run(t.Context(), tt.args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want %q", tt.args, err, tt.want)
		}
	}
}
