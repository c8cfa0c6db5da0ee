package chart

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
)

// Helm returns the path of the pinned helm of a major version, "v3" or "v4". It builds the program first where the go command's cache
// lacks it. root is the repository's directory.
func Helm(ctx context.Context, root, version string) (string, error) {
	build := controlplane.GoCommand(ctx, filepath.Join(root, "test", "repo", "chart", "helm"), "tool", "-n", "helm.sh/helm/"+version+"/cmd/helm")
	var complaints bytes.Buffer
	build.Stderr = &complaints
	path, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("build helm %s: %w\n%s", version, err, complaints.String())
	}
	return strings.TrimSpace(string(path)), nil
}
