package scenario

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// autoscalerPackage is the program under test. go build finds it from any directory of this module.
const autoscalerPackage = "github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler"

// BuildAutoscaler compiles the autoscaler into dir and returns its path. It builds with the race detector when the caller has
// it, so that a test run compiles the core once and races of the whole program come to light. GOFLAGS carries the build tag, as
// everywhere.
func BuildAutoscaler(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "cluster-autoscaler")
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, autoscalerPackage)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", autoscalerPackage, err)
	}
	return path, nil
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
