package stock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/filelock"
)

// mainPackage is the stock autoscaler, in the version of the core that this module requires.
const mainPackage = "k8s.io/autoscaler/cluster-autoscaler"

// Tags of the core's providers.
const (
	AWS          = "aws"
	ExternalGRPC = "externalgrpc" // the provider is a plugin
)

// Build returns the path of the stock autoscaler with the provider of the tag. It compiles it first if the user's cache lacks this version. Processes
// that build at the same time wait for the first. A test that runs with the race detector has its packages compiled for it
// already, so it builds stock faster with the detector, too.
func Build(ctx context.Context, progress io.Writer, tag string, race bool) (string, error) {
	modules, err := modules(ctx, tag)
	if err != nil {
		return "", err
	}
	flags := []string{"-tags=" + tag, "-ldflags=-s -w"}
	if race {
		flags = append(flags, "-race")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w: set XDG_CACHE_HOME", err)
	}
	dir := filepath.Join(cache, "asg-autoscaler", "stock")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "cluster-autoscaler-"+key(slices.Concat(modules, flags)))
	unlock, err := filelock.Lock(ctx, path+".lock", nil)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintln(progress, "Building the stock autoscaler (once, minutes)")
	// It takes its final name when it is complete.
	build := goCommand(ctx, slices.Concat([]string{"build"}, flags, []string{"-o=" + path + ".partial", mainPackage})...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the stock autoscaler: %w\n%s", err, out)
	}
	return path, os.Rename(path+".partial", path)
}

// modules are the Go release and all modules that the stock autoscaler is built from, sorted. It fails if go.mod or go.sum lacks one.
func modules(ctx context.Context, tag string) ([]string, error) {
	list := goCommand(ctx, "list", "-tags="+tag, "-deps", "-f={{with .Module}}{{.Path}} {{.Version}} {{with .Replace}}{{.Path}} {{.Version}}{{end}}{{end}}", mainPackage)
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the modules of the stock autoscaler: %w\n%s", err, complaint(err))
	}
	release, err := goCommand(ctx, "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return nil, fmt.Errorf("ask the go command for its version: %w", err)
	}
	modules := append(strings.Split(string(out), "\n"), strings.Fields(string(release))...)
	slices.Sort(modules)
	return slices.Compact(modules), nil
}

// goCommand leaves out the flags of our own build, whose tag picks another provider.
func goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false -gcflags=all=-dwarf=false", "GOOS=", "GOARCH=")
	return cmd
}

func complaint(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr)
	}
	return ""
}

// key identifies the inputs of a build.
func key(inputs []string) string {
	sum := sha256.Sum256([]byte(strings.Join(inputs, "\n")))
	return hex.EncodeToString(sum[:8])
}
