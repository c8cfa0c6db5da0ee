package scenario

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTimelineKeepsTheOrderOfObservation(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	timeline := &Timeline{}
	var heard []Kind
	timeline.Listen(func(m Moment) { heard = append(heard, m.Kind) })
	for i, kind := range []Kind{PodPending, DesiredRaised, NodeReady, NodeReady, PodRunning} {
		timeline.Add(Moment{At: start.Add(time.Duration(i) * time.Second), Kind: kind})
	}
	assert.Empty(t, cmp.Diff([]Kind{PodPending, DesiredRaised, NodeReady, NodeReady, PodRunning}, heard), "listeners heard (-want +got)")

	later := timeline.Since(start.Add(time.Second))
	require.Equal(t, 4, len(later), "moments since the first second")
	assert.Equal(t, 2, Count(later, NodeReady), "nodes Ready")
	if m, ok := First(later, NodeReady); !ok || m.At.Sub(start) != 2*time.Second {
		t.Errorf("first node Ready = %v %t, want after 2 s", m, ok)
	}
	if m, ok := Last(later, NodeReady); !ok || m.At.Sub(start) != 3*time.Second {
		t.Errorf("last node Ready = %v %t, want after 3 s", m, ok)
	}
	if m, ok := First(later, PodPending); ok {
		t.Errorf("found %v, which was before", m)
	}
}
