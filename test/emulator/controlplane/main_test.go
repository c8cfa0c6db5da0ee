package controlplane

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
)

// TestMain stops the cluster that tests share, and lets the test binary play the process that dies in TestNothingOutlivesAKilledProcess.
func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		playVictim()
	}
	code := m.Run()
	if c := sharedCluster.cluster; c != nil {
		if err := c.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop shared cluster:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// sharedCluster is started by the first test that asks for it.
var sharedCluster struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

// shared returns the cluster for tests that neither stop it nor mind other tests' objects in it. It builds its programs first
// if needed, which takes minutes.
func shared(t *testing.T) *Cluster {
	needsCluster(t)
	sharedCluster.once.Do(func() {
		sharedCluster.cluster, sharedCluster.err = Start(context.Background(), Options{Progress: os.Stderr})
	})
	require.NoError(t, sharedCluster.err)
	return sharedCluster.cluster
}

// own starts a cluster for one test, which may stop it.
func own(t *testing.T, opts Options) *Cluster {
	needsCluster(t)
	opts.Progress = os.Stderr
	c, err := Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Stop(), "Stop()") })
	return c
}

func needsCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane")
	}
}

// eventually waits until check returns no error, and fails the test with its last error after 20 seconds.
func eventually(t *testing.T, check func(context.Context) error) {
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true,
		func(ctx context.Context) (bool, error) {
			last = check(ctx)
			return last == nil, nil
		})
	require.NoErrorf(t, err, "%v", last)
}
