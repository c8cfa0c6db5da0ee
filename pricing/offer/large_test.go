package offer

import (
	"io"
	"runtime"
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
	probe := &peak{Reader: stream(types)}
	got, err := Read(probe, Options{Region: "us-east-1", OS: Linux})
	require.NoError(t, err)
	assert.Equal(t, types/32, got.List.Len(), "prices")
	assert.Truef(t, probe.n >= 24<<20, "an offer of %d bytes, want one far above the ceiling of memory", probe.n)
	grown := int64(probe.heap) - int64(before.HeapAlloc)
	assert.Truef(t, grown <= ceiling, "the heap grew by %d bytes at %d bytes of offer, want no more than %d", grown, probe.n, ceiling)
}

// peak measures the heap after a garbage collection every 8 MB.
type peak struct {
	io.Reader
	n, since int
	heap     uint64
}

func (p *peak) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.n += n
	if p.since += n; p.since > 8<<20 {
		p.since = 0
		var now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&now)
		p.heap = max(p.heap, now.HeapAlloc)
	}
	return n, err
}
