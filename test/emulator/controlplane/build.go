package controlplane

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// progressInterval is how often Build prints its progress.
const progressInterval = 5 * time.Second

// Build returns the programs. It compiles them first when the cache does not hold this version of them. They are kept in
// asg-autoscaler/controlplane/<key> below the user's cache directory ($XDG_CACHE_HOME), where the key covers the pinned modules and the Go
// release. Processes that build at the same time wait for the first. A line goes to progress every five seconds while it works.
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
	for _, p := range programs {
		if err := os.Rename(filepath.Join(partial, p.built), filepath.Join(partial, p.name)); err != nil {
			return err
		}
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

// compile builds all programs into dir with one go build. The flags that affect the compiler are the product's, so that
// packages both need come from the Go build cache.
func (b *builder) compile(ctx context.Context, dir string) error {
	started := time.Now()
	b.report("loading its modules", started)
	stale, err := b.stalePackages(ctx, started)
	if err != nil {
		return err
	}
	versions, err := b.module.versions(ctx)
	if err != nil {
		return err
	}
	var compiled atomic.Int64
	status := func() string {
		if n := compiled.Load(); n < int64(stale) {
			return fmt.Sprintf("compiled %d of %d packages", n, stale)
		}
		return "linking"
	}
	args := []string{"build", "-v", "-ldflags=" + linkerFlags(versions), "-o", dir + string(filepath.Separator)}
	cmd := b.module.goCommand(ctx, append(args, importPaths()...)...)
	_, err = b.run(cmd, started, status, func(line string) bool {
		if isImportPath(line) {
			compiled.Add(1)
			return false
		}
		return !strings.HasPrefix(line, "go: downloading ")
	})
	if err != nil {
		return err
	}
	b.report("done", started)
	return nil
}

// stalePackages returns how many packages must be compiled. It downloads missing modules.
func (b *builder) stalePackages(ctx context.Context, started time.Time) (int, error) {
	var downloaded atomic.Int64
	status := func() string { return fmt.Sprintf("loading its modules, %d downloaded", downloaded.Load()) }
	args := []string{"list", "-deps", "-f={{if .Stale}}{{.ImportPath}}{{end}}"}
	cmd := b.module.goCommand(ctx, append(args, importPaths()...)...)
	out, err := b.run(cmd, started, status, func(line string) bool {
		if strings.HasPrefix(line, "go: downloading ") {
			downloaded.Add(1)
			return false
		}
		return true
	})
	return len(strings.Fields(out)), err
}

// run runs a go command and prints its status every progressInterval. Each line of its standard error for which keep returns
// true becomes part of the error. It returns the standard output.
func (b *builder) run(cmd *exec.Cmd, started time.Time, status func() string, keep func(line string) bool) (string, error) {
	var out strings.Builder
	cmd.Stdout = &out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	finished := make(chan struct{})
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-finished:
				return
			case <-ticker.C:
				b.report(status(), started)
			}
		}
	}()
	var complaints []string
	for scanner := bufio.NewScanner(pipe); scanner.Scan(); {
		if line := scanner.Text(); keep(line) {
			complaints = append(complaints, line)
		}
	}
	_, _ = io.Copy(io.Discard, pipe) // after a line too long for the scanner
	err = cmd.Wait()
	close(finished)
	<-reported
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", cmd.Args[1], err, strings.Join(complaints, "\n"))
	}
	return out.String(), nil
}

func (b *builder) report(status string, started time.Time) {
	fmt.Fprintf(b.progress, "Building the control plane: %s (%.0f s)\n", status, time.Since(started).Seconds())
}

// isImportPath reports whether a line of go build -v names a package and is no complaint.
func isImportPath(line string) bool { return line != "" && !strings.ContainsAny(line, " :#\t") }

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
