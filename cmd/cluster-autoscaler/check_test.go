package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
)

// asBinary in the environment has the test binary be the autoscaler.
const asBinary = "TEST_AS_CLUSTER_AUTOSCALER"

func TestMain(m *testing.M) {
	if os.Getenv(asBinary) != "" {
		os.Args[0] = "cluster-autoscaler"
		main()
	}
	os.Exit(m.Run())
}

// The kubeconfig does not exist. A process that gets as far as to look for the API server says so, and ends by another code.
func TestBadFlagIsRefusedBeforeElection(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for _, tt := range []struct {
		name, flag, want string
		code             int
	}{
		{"sound flags", "--v=0", "--kubeconfig", command.ExitCannotRun},
		{"flag of an earlier stock release", "--parallel-drain", `"A flag does nothing here" flag="--parallel-drain"`, command.ExitCannotRun},
		{"value of an earlier stock release", "--enable-dynamic-resource-allocation=false",
			`"A flag does nothing here" flag="--enable-dynamic-resource-allocation=false"`, command.ExitCannotRun},
		{"flag of a later stock release", "--salvo-scale-up=true", `"A flag does nothing here" flag="--salvo-scale-up"`, command.ExitCannotRun},
		{"word behind a flag that takes none", "--scale-down-enabled false", `"A word among the flags counts for nothing" word="false" remedy="write --flag=value"`, command.ExitCannotRun},
		{"threshold in percent", "--scale-down-utilization-threshold=50",
			`"A flag lets nodes go however full they are" flag="--scale-down-utilization-threshold" value=50`, command.ExitCannotRun},
		{"GPU threshold in percent", "--scale-down-gpu-utilization-threshold=50", `flag="--scale-down-gpu-utilization-threshold" value=50`, command.ExitCannotRun},
		{"flag that needs another", "--asg-rotate-age=720h", `"A flag does nothing here" flag="--asg-rotate-age" reason="it needs --asg-rotate"`, command.ExitCannotRun},
		{"no time to join", "--max-node-provision-time=0s", `"Each instance is terminated before it can join" flag="--max-node-provision-time"`, command.ExitCannotRun},
		{"cap with a decimal comma", "--asg-max-hourly-cost=team=ml:25,50", `--asg-max-hourly-cost: "team=ml:25,50" is neither`, command.ExitWrongUse},
		{"cloud provider", "--cloud-provider=gce", `--cloud-provider="gce": this autoscaler is for AWS Auto Scaling groups only; use --cloud-provider=aws`, command.ExitWrongUse},
		{"flag of ours", "--asg-refresh-interval=1ms", "--asg-refresh-interval", command.ExitWrongUse},
		{"nodes", "--nodes=workers", "--nodes=workers", command.ExitWrongUse},
		{"discovery", "--node-group-auto-discovery=label:x", "--node-group-auto-discovery=label:x", command.ExitWrongUse},
		{"unknown expander", "--expander=cheapest", `--expander=cheapest: expander "cheapest" is unknown`, command.ExitWrongUse},
		{"expander behind random", "--expander=random,price", "came after", command.ExitWrongUse},
		{"expander without its certificate", "--expander=grpc,random", "--expander=grpc,random needs the certificate of the server of grpc", command.ExitWrongUse},
		{"expander with another certificate", "--expander=priority,grpc --grpc-expander-cert=" + file("ca.crt", "none"),
			"ca.crt: credentials: failed to append certificates", command.ExitWrongUse},
		{"moves that can drain no node", "--asg-rotate --max-drain-parallelism=0", "--max-drain-parallelism=0", command.ExitWrongUse},
		{"moves that can remove no node", "--asg-repair --max-scale-down-parallelism=0", "--max-scale-down-parallelism=0", command.ExitWrongUse},
		{"moves that can remove no node", "--asg-repair --max-empty-bulk-delete=0", "--max-empty-bulk-delete=0", command.ExitWrongUse},
		{"a shadow of moves that can drain no node", "--shadow --asg-rotate --max-drain-parallelism=0", "--kubeconfig", command.ExitCannotRun},
		{"unknown estimator", "--estimator=oracle", "--estimator: unknown estimator: oracle", command.ExitWrongUse},
		{"limit that the core refuses", "--cores-total=many", "Failed to parse flags", 255},
		{"cloud configuration", "--cloud-config=" + file("cloud.conf", "[ServiceOverride"), "--cloud-config", command.ExitWrongUse},
		{"instance types", "--asg-instance-types-file=" + file("types.json", "{"), "--asg-instance-types-file", command.ExitWrongUse},
		{"no price file", "--asg-price-file=" + filepath.Join(dir, "none.csv"), "--asg-price-file", command.ExitWrongUse},
		{"bad price file", "--asg-price-file=" + file("prices.csv", "m5.large,one dollar"), "prices.csv", command.ExitWrongUse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			output, err := asProgram(t, append(strings.Fields(tt.flag), "--kubeconfig="+filepath.Join(dir, "no-kubeconfig"))...)
			var exit *exec.ExitError
			assert.Truef(t, errors.As(err, &exit) && exit.ExitCode() == tt.code && strings.Contains(output, tt.want),
				"%s: %v, want exit code %d with %q:\n%s", tt.flag, err, tt.code, tt.want, output)
		})
	}
}

// The lists of flags are those of the package options, whose test names their sources.
func TestProgramAcceptsEveryStockFlag(t *testing.T) {
	args := []string{"--version"}
	var names []string
	for _, list := range []string{"stock_flags.txt", "other_flags.txt"} {
		content, err := os.ReadFile(filepath.Join("options", "testdata", list))
		require.NoError(t, err)
		for line := range strings.Lines(string(content)) {
			var name, kind, value string
			_, err := fmt.Sscanf(line, "--%s %s %q", &name, &kind, &value)
			require.NoErrorf(t, err, "%s: %q", list, line)
			if kind == "traceLocation" {
				value = "main.go:1" // klog does not take its own default
			}
			names = append(names, name)
			args = append(args, "--"+name+"="+value, "--"+strings.ReplaceAll(name, "-", "_")+"="+value)
		}
	}
	out, err := asProgram(t, args...)
	assert.Truef(t, err == nil && strings.HasPrefix(out, "cluster-autoscaler "), "all flags with --version: %v\n%s", err, out)
	help, err := asProgram(t, "--help")
	assert.NoErrorf(t, err, "--help\n%s", help)
	for _, name := range names {
		assert.Truef(t, strings.Contains(help, " --"+name+" "), "--help lacks --%s", name)
	}
}

// asProgram runs the autoscaler and returns everything that it prints.
func asProgram(t *testing.T, args ...string) (string, error) {
	t.Helper()
	binary := exec.CommandContext(t.Context(), os.Args[0], args...)
	binary.Env = append(os.Environ(), asBinary+"=1")
	out, err := binary.CombinedOutput()
	return string(out), err
}
