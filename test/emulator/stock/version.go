package stock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// apis is the core's module of API types. The core's go.mod finds it in a folder of its own, which its module does not hold.
const apis = mainPackage + "/apis"

// BuildVersion compiles the stock autoscaler with the plugin's provider into dir, in another version than this module requires, and returns its
// path. The version is "latest", or what else the go command takes. All other modules are the ones that this version requires. It needs the
// network.
func BuildVersion(ctx context.Context, progress io.Writer, dir, version string) (string, error) {
	out, err := goCommand(ctx, "mod", "download", "-json", mainPackage+"@"+version).Output()
	var core struct{ Dir, Version, Error string }
	if unread := json.Unmarshal(out, &core); err != nil || unread != nil {
		return "", fmt.Errorf("get version %q of the core: %w: %s%s", version, errors.Join(err, unread), core.Error, complaint(err))
	}
	fmt.Fprintf(progress, "Building the core %s (minutes)\n", core.Version)
	modfile := filepath.Join(dir, "go.mod")
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(core.Dir, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "core")
	for _, args := range [][]string{
		{"mod", "edit", "-dropreplace=" + apis, "-require=" + apis + "@" + core.Version, modfile},
		{"build", "-C", core.Dir, "-modfile=" + modfile, "-mod=mod", "-tags=" + ExternalGRPC, "-ldflags=-s -w", "-o=" + path, "."},
	} {
		if out, err := goCommand(ctx, args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("build the core %s: %w\n%s", core.Version, err, out)
		}
	}
	return path, nil
}
