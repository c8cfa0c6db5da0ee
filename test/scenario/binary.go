package scenario

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/filelock"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/stock"
)

// autoscalerPackage is the program under test. go build finds it from any directory of this module.
const autoscalerPackage = "github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler"

// tags are the build tags of the Makefile.
const tags = stock.ExternalGRPC + ",grpcnotrace"

// BuildAutoscaler compiles the autoscaler into dir and returns its path. It builds with the race detector when the caller has
// it, so that a test run compiles the core once and races of the whole program come to light. It states the Makefile's build tags
// itself, because without it the core links every cloud, and the program is not the one that is released. All tests of a tree share what the first of them has linked, below bin, unless they have further flags for the go command.
func BuildAutoscaler(ctx context.Context, dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, "cluster-autoscaler")
	if len(flags) > 0 {
		return path, buildInto(ctx, path, flags...)
	}
	linked, err := linkedPath(ctx)
	if err != nil {
		return "", err
	}
	unlock, err := filelock.Lock(ctx, linked+".lock", nil)
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := buildInto(ctx, linked); err != nil {
		return "", err
	}
	// The go command replaces the file and never writes into it, so the name in dir keeps this build.
	if os.Link(linked, path) == nil {
		return path, nil
	}
	content, err := os.ReadFile(linked) // another file system
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content, 0o755)
}

func buildInto(ctx context.Context, path string, flags ...string) error {
	args := append([]string{"build", "-tags=" + tags, "-ldflags=-w", "-o", path}, flags...)
	if raceDetector {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, autoscalerPackage)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", autoscalerPackage, err)
	}
	return nil
}

// linkedPath names the shared binary, which `make clean` removes.
func linkedPath(ctx context.Context) (string, error) {
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("ask the go command for its module: %w", err)
	}
	dir := filepath.Join(filepath.Dir(strings.TrimSpace(string(module))), "bin", "tests")
	if raceDetector {
		dir += "-race"
	}
	return filepath.Join(dir, "cluster-autoscaler"), os.MkdirAll(dir, 0o755)
}

// LookAtSources stats every file the autoscaler is built from, below the module's root. go test remembers which files a test
// looked at and runs it again when one has changed, but does not see what BuildAutoscaler reads.
func LookAtSources(root string) error {
	for _, path := range []string{"go.mod", "go.sum", "cloudprovider", "cmd", "expander", "pricing"} {
		err := filepath.WalkDir(filepath.Join(root, path), func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			_, err = os.Stat(path)
			return err
		})
		if err != nil {
			return fmt.Errorf("look at the autoscaler's sources: %w", err)
		}
	}
	return nil
}
