package controlplane

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/filelock"
)

// keepUnused is how long the cache keeps unused programs, such as an older version. They take 430 MB.
const keepUnused = 14 * 24 * time.Hour

// cacheKey identifies the inputs of the programs: every file of the nested module, and the Go release.
func cacheKey(ctx context.Context, m module) (string, error) {
	release, err := m.goCommand(ctx, "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return "", fmt.Errorf("ask the go command for its version: %w", err)
	}
	hash := sha256.New()
	hash.Write(release)
	for _, file := range []string{"go.mod", "go.sum", filepath.Join("kwok", "main.go"), filepath.Join("kwok", "leases.go")} {
		content, err := os.ReadFile(filepath.Join(m.dir, file))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n", file, len(content))
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// lock waits for the right to build and returns its release.
func (b *builder) lock(ctx context.Context) (unlock func(), err error) {
	waiting := sync.OnceFunc(func() { b.report("waiting for the process that builds it") })
	return filelock.Lock(ctx, b.target+".lock", waiting)
}

// markUsed records that the programs are in use, for removeUnused. If that fails they are built again some day, which is no
// reason to fail now.
func (b *builder) markUsed() {
	now := time.Now()
	_ = os.Chtimes(b.target, now, now)
}

// removeUnused removes other versions of the programs, and remains of broken builds, that were last used before the given time.
// It ignores failures.
func (b *builder) removeUnused(before time.Time) {
	entries, err := os.ReadDir(filepath.Dir(b.target))
	if err != nil {
		return
	}
	for _, entry := range entries {
		path := filepath.Join(filepath.Dir(b.target), entry.Name())
		if info, err := entry.Info(); err != nil || path == b.target || !entry.IsDir() || info.ModTime().After(before) {
			continue
		}
		_ = os.RemoveAll(path)
		_ = os.Remove(path + ".lock")
	}
}
