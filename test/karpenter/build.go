package karpenter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/test/controlplane"
)

const (
	module  = "sigs.k8s.io/karpenter"
	program = module + "/kwok"
)

// Build returns the path of the pinned Karpenter, and its version. It builds the program first where the go command's cache lacks it.
func Build(ctx context.Context, progress io.Writer) (path, version string, err error) {
	if version, err = ask(ctx, "list", "-m", "-f={{.Version}}", module); err != nil {
		return "", "", err
	}
	fmt.Fprintf(progress, "Building Karpenter %s (once, minutes)\n", version)
	path, err = ask(ctx, "tool", "-n", program)
	return path, version, err
}

// definitions are the folders with Karpenter's own kinds. It downloads the module first where the go command's cache lacks it.
func definitions(ctx context.Context) ([]string, error) {
	answer, err := ask(ctx, "mod", "download", "-json", module)
	if err != nil {
		return nil, err
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal([]byte(answer), &downloaded); err != nil {
		return nil, err
	}
	return []string{filepath.Join(downloaded.Dir, "pkg", "apis", "crds"), filepath.Join(downloaded.Dir, "kwok", "apis", "crds")}, nil
}

// ask runs the go command in the nested module, and returns its answer.
func ask(ctx context.Context, args ...string) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	cmd := controlplane.GoCommand(ctx, filepath.Join(filepath.Dir(file), "binaries"), args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s for Karpenter: %w\n%s", args[0], err, complaints.String())
	}
	return strings.TrimSpace(string(out)), nil
}
