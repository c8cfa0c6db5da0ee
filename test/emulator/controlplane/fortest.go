package controlplane

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// StartFor starts a cluster that ends with the test, and skips a test under -short, because a start takes seconds. Its progress goes to
// standard error.
func StartFor(t *testing.T, options Options) *Cluster {
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	options.Progress = os.Stderr
	cluster, err := Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	return cluster
}
