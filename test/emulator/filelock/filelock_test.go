package filelock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneHolderAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	waited := 0
	if _, err := Lock(ctx, path, func() { waited++ }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock while another holds it = %v, want a deadline error", err)
	}
	if waited == 0 {
		t.Error("Lock said nothing while it waited")
	}
	unlock()
	unlock, err = Lock(t.Context(), path, nil)
	if err != nil {
		t.Fatalf("Lock after its release = %v", err)
	}
	unlock()
}
