package awsclient_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

func TestCallersWithinTheWaitShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var calls [][]int
		b := awsclient.Batcher[string, int, int]{Clock: clock.RealClock{}, Call: func(_ context.Context, _ string, wanted []int) int {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, slices.Sorted(slices.Values(wanted)))
			return len(calls)
		}}
		var callers sync.WaitGroup
		for at, want := range []int{1, 1, 2} { // the third caller comes after the first call
			callers.Go(func() {
				time.Sleep(time.Duration(at) * 600 * time.Millisecond)
				assert.Equalf(t, want, b.Join(t.Context(), "a", time.Second, at), "Join of caller %d", at)
			})
		}
		callers.Wait()
		assert.Empty(t, cmp.Diff([][]int{{0, 1}, {2}}, calls))
	})
}
