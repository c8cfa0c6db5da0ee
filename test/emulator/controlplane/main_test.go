package controlplane

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
)

// TestMain lets the test binary play the process that dies in TestNothingOutlivesAKilledProcess.
func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		playVictim()
	}
	os.Exit(m.Run())
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
