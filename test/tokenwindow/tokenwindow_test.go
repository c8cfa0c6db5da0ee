package tokenwindow

import (
	"testing"
	"time"
)

func TestStartKeepsAwayFromTokenEdges(t *testing.T) {
	edge := time.Unix(0, 0).Add(1000 * length)
	for offset, want := range map[time.Duration]time.Duration{
		-16 * time.Second: 0, -14 * time.Second: 24 * time.Second, 0: 10 * time.Second, 9 * time.Second: time.Second, 10 * time.Second: 0,
	} {
		if got := untilAwayFromEdge(edge.Add(offset), length, edgeBefore); got != want {
			t.Errorf("%v from the edge: wait %v, want %v", offset, got, want)
		}
	}
}

func TestFailureIsBelieved(t *testing.T) {
	edge := time.Unix(0, 0).Add(1001 * retryLength)
	for offset, want := range map[time.Duration]time.Duration{-61 * time.Second: 0, -59 * time.Second: 69 * time.Second, 9 * time.Second: time.Second, 10 * time.Second: 0} {
		if got := untilAwayFromEdge(edge.Add(offset), retryLength, time.Minute); got != want {
			t.Errorf("%v from the edge: wait %v, want %v", offset, got, want)
		}
	}
}
