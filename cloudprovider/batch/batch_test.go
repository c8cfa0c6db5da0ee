package batch_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/batch"
)

func wanted(n int) int { return n }

func newSums() *batch.Batcher[string, int, int] {
	return batch.New[string, int, int](clock.RealClock{}, time.Second)
}

func TestJoinMakesOneCallPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSums()
		var callers sync.WaitGroup
		for key, want := range map[string]int{"a": 3, "b": 1} {
			for range want {
				callers.Go(func() {
					got, err := b.Join(key, func(n *int) error { *n++; return nil }, wanted)
					if got != want || err != nil {
						t.Errorf("%s: Join = %d, %v, want %d", key, got, err, want)
					}
				})
			}
		}
		callers.Wait()
	})
}

func TestJoinGoesOnAfterBadFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSums()
		refused := errors.New("refused")
		if _, err := b.Join("a", func(*int) error { return refused }, wanted); err != refused {
			t.Errorf("error = %v, want the refusal", err)
		}
		for want := range 2 { // each in a batch of its own
			got, err := b.Join("a", func(n *int) error { *n += want; return nil }, wanted)
			if got != want || err != nil {
				t.Errorf("Join = %d, %v, want %d", got, err, want)
			}
		}
	})
}
