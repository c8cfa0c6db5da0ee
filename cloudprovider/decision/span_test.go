package decision

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSpanLeavesOutZeroes(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", 2 * time.Hour: "2h", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 500 * time.Millisecond: "500ms"} {
		assert.Equalf(t, want, Span(d), "%v", d)
	}
}
