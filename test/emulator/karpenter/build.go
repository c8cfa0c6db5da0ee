package karpenter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
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
	dir, err := controlplane.DownloadModule(ctx, nested(), module)
	return []string{filepath.Join(dir, "pkg", "apis", "crds"), filepath.Join(dir, "kwok", "apis", "crds")}, err
}

// nested is the folder of the nested module that pins Karpenter.
func nested() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "binaries")
}

// ask runs the go command in the nested module, and returns its answer.
func ask(ctx context.Context, args ...string) (string, error) {
	cmd := controlplane.GoCommand(ctx, nested(), args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s for Karpenter: %w\n%s", args[0], err, complaints.String())
	}
	return strings.TrimSpace(string(out)), nil
}
