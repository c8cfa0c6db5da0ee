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
	"runtime"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/filelock"
)

// mainPackage is the stock autoscaler, in the version of the core that this module requires.
const mainPackage = "k8s.io/autoscaler/cluster-autoscaler"

// Tags of the core's providers.
const (
	AWS          = "aws"
	ExternalGRPC = "externalgrpc" // the provider is a plugin
)

// Build returns the path of the stock autoscaler with the provider of the tag. It compiles it first if the user's cache lacks it for this go.mod. Processes
// that build at the same time wait for the first. A test that runs with the race detector has its packages compiled for it
// already, so it builds stock faster with the detector, too.
func Build(ctx context.Context, progress io.Writer, tag string, race bool) (string, error) {
	flags := []string{"-tags=" + tag, "-ldflags=-s -w"}
	if race {
		flags = append(flags, "-race")
	}
	key, err := key(flags)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w: set XDG_CACHE_HOME", err)
	}
	dir := filepath.Join(cache, "asg-autoscaler", "stock")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "cluster-autoscaler-"+key)
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

// goCommand leaves out the flags of our own build, whose tag picks another provider.
func goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false -gcflags=all=-dwarf=false", "GOOS=", "GOARCH=")
	return cmd
}

// key identifies the inputs of a build: this module's versions of all modules, the Go release and the flags.
func key(flags []string) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, flags)
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "..", "..", name))
		if err != nil {
			return "", err
		}
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

func complaint(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr)
	}
	return ""
}
