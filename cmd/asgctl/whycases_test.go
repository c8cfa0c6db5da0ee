package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/whycases"
)

// TestFirstLineOffline asks a process of asgctl about each case that files can hold. It must say what the running autoscaler says.
func TestFirstLineOffline(t *testing.T) {
	cases, err := whycases.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if !c.Recorded() {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			want, state := c.Want()
			if kind, _ := c.Asked(); kind == "node" {
				want += " (" + state + ")"
			}
			stdout, stderr := explainOffline(t, c)
			if line, _, _ := strings.Cut(stdout, "\n"); whycases.WithoutClock(line) != want {
				t.Errorf("%s\ngot  %q\nwant %q\n%s", c.About, line, want, stderr)
			}
		})
	}
}

// explainOffline runs asgctl over the files of the case, and returns its output.
func explainOffline(t *testing.T, c *whycases.Case) (stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	args := append(c.Explain(), "--from", dir)
	for _, file := range []struct{ flag, name string }{
		{"--nodes", whycases.NodesFile}, {"--pods", whycases.PodsFile}, {"--pods", whycases.ObjectsFile},
	} {
		if c.Files[file.name] != nil {
			args = append(args, file.flag, filepath.Join(dir, file.name))
		}
	}
	args = append(args, "--", "--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled")
	cmd := exec.CommandContext(t.Context(), "asgctl", append(args, c.Flags()...)...)
	cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "KUBECONFIG=none")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), log.String()
}
