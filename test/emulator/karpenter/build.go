package karpenter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
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

// Change replaces a text of one of Karpenter's files.
type Change struct{ File, Old, New string }

// BuildChanged builds the pinned Karpenter into dir from a copy of its source with changes.
func BuildChanged(ctx context.Context, dir string, progress io.Writer, changes ...Change) (path string, err error) {
	source, err := controlplane.DownloadModule(ctx, nested(), module)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(progress, "Building Karpenter with changes (once, minutes)")
	own, mod := filepath.Join(dir, "karpenter-source"), filepath.Join(dir, "karpenter.mod")
	if err := os.RemoveAll(own); err != nil {
		return "", err
	}
	defer os.RemoveAll(own)
	if err := os.CopyFS(own, os.DirFS(source)); err != nil {
		return "", err
	}
	for _, c := range changes {
		text, err := os.ReadFile(filepath.Join(own, c.File))
		if err != nil {
			return "", err
		}
		if strings.Count(string(text), c.Old) != 1 {
			return "", fmt.Errorf("file %s of Karpenter has not %q once", c.File, c.Old)
		}
		if err := os.WriteFile(filepath.Join(own, c.File), []byte(strings.Replace(string(text), c.Old, c.New, 1)), 0o600); err != nil {
			return "", err
		}
	}
	for _, ending := range []string{"mod", "sum"} {
		text, err := os.ReadFile(filepath.Join(nested(), "go."+ending))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, "karpenter."+ending), text, 0o600); err != nil {
			return "", err
		}
	}
	if _, err := ask(ctx, "mod", "edit", "-replace="+module+"="+own, mod); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "karpenter")
	_, err = ask(ctx, "build", "-modfile="+mod, "-o", path, program)
	return path, err
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
