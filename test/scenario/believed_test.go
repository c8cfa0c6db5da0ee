package scenario

import (
	"testing"
	"time"
)

func TestFailureIsBelieved(t *testing.T) {
	edge := time.Unix(0, 0).Add(1001 * retryWindow)
	for offset, want := range map[time.Duration]time.Duration{
		-61 * time.Second: 0, -59 * time.Second: 69 * time.Second, 9 * time.Second: time.Second, 10 * time.Second: 0,
	} {
		if got := untilBelieved(edge.Add(offset), time.Minute); got != want {
			t.Errorf("%v from the edge: wait %v, want %v", offset, got, want)
		}
	}
}
