package main

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnlyARequestToStopEndsAKeptSetup(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	defer listener.Close()
	ctx, askers := untilAsked(context.Background(), listener)

	probe, err := net.Dial("unix", listener.Addr().String())
	require.NoError(t, err)
	probe.Close()
	select {
	case <-ctx.Done():
		t.Fatal("a connection that asks for nothing ended the set-up")
	case <-time.After(50 * time.Millisecond):
	}

	asker, err := net.Dial("unix", listener.Addr().String())
	require.NoError(t, err)
	defer asker.Close()
	if _, err := io.WriteString(asker, stopRequest); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		t.Fatal("a request to stop did not end the set-up")
	}
	assert.Equal(t, 1, len(askers()), "connections that wait for the end")
}
