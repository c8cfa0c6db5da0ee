package filelock

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneHolderAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	waited := 0
	_, err = Lock(ctx, path, func() { waited++ })
	assert.ErrorIs(t, err, context.DeadlineExceeded, "Lock while another holds it, want a deadline error")
	assert.True(t, waited != 0, "Lock said nothing while it waited")
	unlock()
	unlock, err = Lock(t.Context(), path, nil)
	require.NoError(t, err, "Lock after its release")
	unlock()
}
