package controlplane

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const thisPackage = "github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"

// module is the nested module that pins the programs.
type module struct{ dir string }

// findModule returns the nested module beside this package's source: where it was compiled from, or, for a binary built with
// -trimpath, where the go command finds it from the working directory.
func findModule(ctx context.Context) (module, error) {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		m := module{dir: filepath.Join(filepath.Dir(file), "binaries")}
		if _, err := os.Stat(filepath.Join(m.dir, "go.mod")); err == nil {
			return m, nil
		}
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-f={{.Dir}}", thisPackage).Output()
	if err != nil {
		return module{}, fmt.Errorf("find the source of %s: %w: run this inside the repository, with the go command in PATH",
			thisPackage, err)
	}
	return module{dir: filepath.Join(strings.TrimSpace(string(out)), "binaries")}, nil
}

// goCommand returns a go command that works on the module.
func (m module) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	return GoCommand(ctx, m.dir, args...)
}

// GoCommand returns a go command that works on a nested module in dir. It leaves out the user's flags and workspaces, which would make
// different programs, and would compile packages again that `make build` has left in the cache: it has the same flags. None is -trimpath,
// with which a package counts as another one where another version of its module was replaced.
func GoCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false -gcflags=all=-dwarf=false", "CGO_ENABLED=0", "GOWORK=off", "GOOS=", "GOARCH=")
	return cmd
}

// DownloadModule returns the folder of a module that the nested module in dir pins. It downloads the module first where the go command's cache
// lacks it.
func DownloadModule(ctx context.Context, dir, module string) (string, error) {
	cmd := GoCommand(ctx, dir, "mod", "download", "-json", module)
	answer, err := cmd.Output()
	var downloaded struct{ Dir, Error string }
	if parseErr := json.Unmarshal(answer, &downloaded); parseErr != nil || err != nil {
		return "", fmt.Errorf("download module %s: %w: %s", module, cmp.Or(err, parseErr), downloaded.Error)
	}
	return downloaded.Dir, nil
}

// goMod is the part of "go mod edit -json" with the versions.
type goMod struct {
	Go      string
	Require []struct{ Path, Version string }
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

// versions returns the version of every module that go.mod names, by module path, replacements applied. It needs no network.
func (m module) versions(ctx context.Context) (map[string]string, error) {
	out, err := m.goCommand(ctx, "mod", "edit", "-json").Output()
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", filepath.Join(m.dir, "go.mod"), err)
	}
	var parsed goMod
	if err := json.Unmarshal(out, &parsed); err != nil {
		return nil, fmt.Errorf("parse %q: %w", filepath.Join(m.dir, "go.mod"), err)
	}
	versions := map[string]string{}
	for _, r := range parsed.Require {
		versions[r.Path] = r.Version
	}
	for _, r := range parsed.Replace {
		if _, required := versions[r.Old.Path]; required {
			versions[r.Old.Path] = r.New.Version
		}
	}
	return versions, nil
}
