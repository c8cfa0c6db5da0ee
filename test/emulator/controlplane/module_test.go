package controlplane

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVersionsAreShared keeps a cold build from compiling Kubernetes twice: the Go build cache serves both modules only where
// they use the same version.
func TestVersionsAreShared(t *testing.T) {
	nested, err := findModule(t.Context())
	require.NoError(t, err)
	product := module{dir: filepath.Join(nested.dir, "..", "..", "..", "..")}
	want, err := product.versions(t.Context())
	require.NoError(t, err)
	got, err := nested.versions(t.Context())
	require.NoError(t, err)
	shared := 0
	for _, path := range slices.Sorted(maps.Keys(got)) {
		if want[path] == "" {
			continue
		}
		shared++
		if got[path] != want[path] {
			t.Errorf("%s is %s here and %s in the product; run in %s:\n\tgo mod edit -replace %s=%s@%s && go mod tidy",
				path, got[path], want[path], nested.dir, path, path, want[path])
		}
	}
	assert.Truef(t, shared >= 100, "the modules share %d modules, want at least 100: is %s the product's module?", shared, product.dir)
}
