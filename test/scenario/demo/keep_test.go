package main

import (
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDownWaitsForTheEndOfAKeptSetup(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	asked, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	release, err := occupy(t.Context())
	require.NoError(t, err)
	_, err = occupy(t.Context())
	assert.EqualError(t, err, "a set-up is running already; stop it with: make down")
	ended := make(chan error, 1)
	go func() { ended <- down(t.Context()) }()
	<-asked.Done()
	select {
	case err := <-ended:
		t.Fatalf("down = %v before the set-up has ended", err)
	case <-time.After(300 * time.Millisecond):
	}
	release()
	assert.NoError(t, <-ended)
	assert.NoError(t, down(t.Context()), "where nothing runs")
}
