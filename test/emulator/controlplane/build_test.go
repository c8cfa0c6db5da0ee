package controlplane

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWaitForAnotherBuildIsReported(t *testing.T) {
	var progress strings.Builder
	b := &builder{target: filepath.Join(t.TempDir(), "key"), progress: &progress}
	unlock, err := b.lock(t.Context())
	require.NoError(t, err)
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.lock(ctx)
	assert.Error(t, err, "lock() while another holds it succeeded")
	got, want := progress.String(), "waiting for another process"
	assert.Containsf(t, got, want, "progress = %q, want %q in it", got, want)
}

func TestIncompleteCacheIsNotUsed(t *testing.T) {
	dir := t.TempDir()
	for i, p := range programs {
		_, ok := binariesIn(dir)
		assert.Falsef(t, ok, "binariesIn() found everything with %d of %d programs", i, len(programs))
		require.NoError(t, os.WriteFile(filepath.Join(dir, p.name), nil, 0o700))
	}
	found, ok := binariesIn(dir)
	assert.True(t, ok, "binariesIn() missed a program")
	got, want := found.KWOK, filepath.Join(dir, "kwok")
	assert.Equal(t, want, got, "KWOK")
}

func TestUnusedVersionsLeaveTheCache(t *testing.T) {
	cache := t.TempDir()
	b := &builder{target: filepath.Join(cache, "current"), progress: io.Discard}
	now := time.Now()
	for name, age := range map[string]time.Duration{
		"current": 48 * time.Hour, "recent": time.Hour, "old": 48 * time.Hour, "partial-1": 48 * time.Hour,
	} {
		path := filepath.Join(cache, name)
		require.NoError(t, os.Mkdir(path, 0o700))
		require.NoError(t, os.Chtimes(path, now.Add(-age), now.Add(-age)))
	}
	b.removeUnused(now.Add(-24 * time.Hour))
	var left []string
	entries, err := os.ReadDir(cache)
	require.NoError(t, err)
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	assert.Empty(t, cmp.Diff([]string{"current", "recent"}, left), "the cache differs (-want +got)")
}

func TestProgramsCarryTheirReleasedVersions(t *testing.T) {
	flags := linkerFlags(map[string]string{kubernetesModule: "v1.35.0", kwokModule: "v0.8.0"})
	for _, want := range []string{"version.gitVersion=v1.35.0", "version.gitMajor=1", "version.gitMinor=35", "consts.Version=v0.8.0"} {
		assert.Containsf(t, flags, want, "linkerFlags() = %q, want %q in it", flags, want)
	}
}

func TestOnlyPackagesCountAsCompiled(t *testing.T) {
	for line, want := range map[string]bool{
		"k8s.io/kubernetes/pkg/api/v1/pod": true,
		"errors":                           true,
		"# k8s.io/kubernetes/pkg/broken":   false,
		"a/b.go:1:2: undefined: x":         false,
		"":                                 false,
	} {
		assert.Equalf(t, want, isImportPath(line), "isImportPath(%q)", line)
	}
}
