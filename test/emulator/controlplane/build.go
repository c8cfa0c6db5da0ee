package controlplane

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Build returns the programs. It compiles them first when the cache does not hold this version of them. They are kept in
// asg-autoscaler/controlplane/<key> below the user's cache directory ($XDG_CACHE_HOME), where the key covers the pinned modules and the Go
// release. Processes that build at the same time wait for the first. A line goes to progress for each program.
//
// Compiling needs the go command, the source of this package, and, unless they are on this machine already, the modules from
// the module proxy.
func Build(ctx context.Context, progress io.Writer) (Binaries, error) {
	if progress == nil {
		progress = io.Discard
	}
	b, err := newBuilder(ctx, progress)
	if err != nil {
		return Binaries{}, fmt.Errorf("build control plane: %w", err)
	}
	if found, ok := binariesIn(b.target); ok {
		b.markUsed()
		return found, nil
	}
	if err := b.buildOnce(ctx); err != nil {
		return Binaries{}, fmt.Errorf("build control plane: %w", err)
	}
	found, ok := binariesIn(b.target)
	if !ok {
		return Binaries{}, fmt.Errorf("directory %q is incomplete: remove it and build again", b.target)
	}
	return found, nil
}

// builder compiles the programs of one set of versions.
type builder struct {
	module   module
	target   string // directory for the finished programs, complete whenever it exists
	progress io.Writer
}

func newBuilder(ctx context.Context, progress io.Writer) (*builder, error) {
	module, err := findModule(ctx)
	if err != nil {
		return nil, err
	}
	key, err := cacheKey(ctx, module)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find cache directory: %w: set XDG_CACHE_HOME", err)
	}
	target := filepath.Join(cache, "asg-autoscaler", "controlplane", key)
	return &builder{module: module, target: target, progress: progress}, nil
}

// buildOnce builds, unless another process does, or did while this one waited for the lock.
func (b *builder) buildOnce(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(b.target), 0o755); err != nil {
		return err
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if _, ok := binariesIn(b.target); ok {
		return nil
	}
	// A directory takes its final name when it is complete, so an interrupted build leaves nothing that looks whole.
	partial, err := os.MkdirTemp(filepath.Dir(b.target), "partial-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(partial)
	if err := b.compile(ctx, partial); err != nil {
		return err
	}
	if err := os.RemoveAll(b.target); err != nil {
		return err
	}
	if err := os.Rename(partial, b.target); err != nil {
		return err
	}
	b.removeUnused(time.Now().Add(-keepUnused))
	return nil
}

// compile builds the programs into dir, and says which is next. The flags that affect the compiler are the product's, so that
// packages both need come from the Go build cache.
func (b *builder) compile(ctx context.Context, dir string) error {
	versions, err := b.module.versions(ctx)
	if err != nil {
		return err
	}
	for n, p := range programs {
		b.report(fmt.Sprintf("%s, %d of %d", p.name, n+1, len(programs)))
		cmd := b.module.goCommand(ctx, "build", "-ldflags="+linkerFlags(versions), "-o="+filepath.Join(dir, p.name), p.importPath)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", p.name, err, out)
		}
	}
	return nil
}

func (b *builder) report(status string) {
	fmt.Fprintln(b.progress, "Building the control plane (once, minutes):", status)
}

// linkerFlags give the programs the versions they would have as released. They do not affect compiling.
func linkerFlags(versions map[string]string) string {
	kubernetes := versions[kubernetesModule]
	major, minor, _ := strings.Cut(strings.TrimPrefix(kubernetes, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const version = "k8s.io/component-base/version."
	return strings.Join([]string{
		"-s -w",
		"-X " + version + "gitVersion=" + kubernetes,
		"-X " + version + "gitMajor=" + major,
		"-X " + version + "gitMinor=" + minor,
		"-X sigs.k8s.io/kwok/pkg/consts.Version=" + versions[kwokModule],
	}, " ")
}
