package testcluster

import (
	"os"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/controlplane"
)

// Start starts a control plane that ends with the test. Its progress goes to standard error.
func Start(t *testing.T, options controlplane.Options) *controlplane.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	options.Progress = os.Stderr
	cluster, err := controlplane.Start(t.Context(), options)
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
