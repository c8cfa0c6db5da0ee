package lifecycle

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
)

func TestStepsRunInOrderWithinTheirLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		began := time.Now()
		takes := func(name string, d, limit time.Duration) Step {
			return Step{Name: name, Limit: limit, Do: func(context.Context) {
				mu.Lock()
				order = append(order, name+" at "+time.Since(began).String())
				mu.Unlock()
				time.Sleep(d)
			}}
		}
		err := End(t.Context(),
			takes("quick", 100*time.Millisecond, time.Second),
			takes("stuck", time.Hour, 2*time.Second),
			takes("last", 0, time.Second),
		)
		assert.ErrorIs(t, err, ErrUnfinished, "a step was given up")
		mu.Lock()
		defer mu.Unlock()
		assert.Empty(t, cmp.Diff([]string{"quick at 0s", "stuck at 100ms", "last at 2.1s"}, order), "steps (-want +got)")
		assert.Equal(t, 2100*time.Millisecond, time.Since(began), "took, want 2.1s")
		time.Sleep(2 * time.Hour) // let the stuck step go
	})
}

func TestStepKnowsItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left time.Duration
		err := End(t.Context(), Step{Name: "part", Limit: 3 * time.Second, Do: func(ctx context.Context) {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
		}})
		assert.NoError(t, err, "the step has ended")
		assert.Equal(t, 3*time.Second, left, "what the step has left, want 3s")
	})
}
