package controlplane

import (
	"os"
	"testing"
)

// StartFor starts a cluster that ends with the test, and skips a test under -short, because a start takes seconds. Its progress goes to
// standard error.
func StartFor(t *testing.T, options Options) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	options.Progress = os.Stderr
	cluster, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cluster
}
