package aws

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"
)

func TestGatherGoesOnAfterBadFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGather(clock.RealClock{}, time.Second, func(_ string, wanted int) int { return wanted })
		refused := errors.New("refused")
		if _, err := g.join("a", func(*int) error { return refused }); err != refused {
			t.Errorf("error = %v, want the refusal", err)
		}
		for want := range 2 { // each in a gathering of its own
			got, err := g.join("a", func(n *int) error { *n += want; return nil })
			if got != want || err != nil {
				t.Errorf("join = %d, %v, want %d", got, err, want)
			}
		}
	})
}
