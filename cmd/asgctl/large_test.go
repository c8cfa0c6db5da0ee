package main

import (
	"io"
	"os/exec"
	"syscall"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeoffer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// BenchmarkRefresh makes a price file of an offer of 1 GiB that comes through a pipe, and reports the peak memory of the
// process. Time and CPU include the writer of the offer, which is the slower of the two:
//
//	go test -run '^$' -bench Refresh -benchtime 1x ./cmd/asgctl
func BenchmarkRefresh(b *testing.B) {
	const types = 1<<30/fakeoffer.LargeTypeBytes + 10 // such that it is 1 GiB
	var bytes int64
	var used *syscall.Rusage
	for b.Loop() {
		bytes, used = refresh(b, fakeoffer.Offer{Products: fakeoffer.Large(types)}.WriteJSON)
	}
	assert.Truef(b, bytes >= 1<<30, "an offer of %d bytes, want 1 GiB", bytes)
	if used.Maxrss > 150<<10 { // KiB
		b.Errorf("the process had %d KiB of memory, want below 150 MiB", used.Maxrss)
	}
	b.SetBytes(bytes)
	b.ReportMetric(float64(used.Maxrss)/1024, "peak-RSS-MiB")
	b.ReportMetric(float64(used.Utime.Nano()+used.Stime.Nano())/1e9, "CPU-s")
}

// refresh runs asgctl prices refresh on write's output, and returns the size of that output and the resources used.
func refresh(b *testing.B, write func(io.Writer) error) (int64, *syscall.Rusage) {
	b.Helper()
	cmd := exec.Command("asgctl", "prices", "refresh", "--from", "-", "--region", "us-east-1", "--to", b.TempDir())
	stdin, err := cmd.StdinPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	counted := &counter{w: stdin}
	require.NoError(b, write(counted))
	require.NoError(b, stdin.Close())
	require.NoError(b, cmd.Wait())
	return counted.bytes, cmd.ProcessState.SysUsage().(*syscall.Rusage)
}

type counter struct {
	w     io.Writer
	bytes int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.bytes += int64(n)
	return n, err
}
