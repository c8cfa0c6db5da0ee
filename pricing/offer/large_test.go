package offer

import (
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeoffer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stream is a large offer that is written as it is read, so that it is nowhere as a whole. Whoever calls it reads it to its end.
func stream(types int) io.Reader {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(fakeoffer.Offer{Products: fakeoffer.Large(types)}.WriteJSON(w)) }()
	return r
}

func TestMemoryDoesNotGrowWithTheOffer(t *testing.T) {
	const types, ceiling = 192, 8 << 20 // heap bytes, the writer's of the test included
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	in := &counted{Reader: stream(types)}
	probe := &peak{Reader: in}
	got, err := Read(probe, Options{Region: "us-east-1", OS: Linux})
	require.NoError(t, err)
	assert.Equal(t, types/32, got.List.Len(), "prices")
	assert.Truef(t, in.n >= 24<<20, "an offer of %d bytes, want one far above the ceiling of memory", in.n)
	grown := int64(probe.heap.Load()) - int64(before.HeapAlloc)
	assert.Truef(t, grown <= ceiling, "the heap grew by %d bytes at %d bytes of offer, want no more than %d", grown, in.n, ceiling)
}

type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// peak measures the heap after a garbage collection every 8 MB.
type peak struct {
	io.Reader
	since int
	heap  atomic.Uint64
}

func (p *peak) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if p.since += n; p.since > 8<<20 {
		p.since = 0
		var now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&now)
		p.heap.Store(max(p.heap.Load(), now.HeapAlloc))
	}
	return n, err
}
