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
	for _, tt := range []struct {
		name  string
		until time.Duration // the call can act
		never bool          // or it never can
		want  []int         // the callers' results
		calls [][]int
	}{
		{name: "the third caller comes after the first call", want: []int{1, 1, 2}, calls: [][]int{{0, 1}, {2}}},
		{name: "the call cannot act yet", until: 500 * time.Millisecond, want: []int{1, 1, 1}, calls: [][]int{{0, 1, 2}}},
		{name: "the calls cannot act", never: true, want: []int{1, 1, 2}, calls: [][]int{nil, nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var calls [][]int
				b := awsclient.Batcher[string, int, int]{Clock: clock.RealClock{}, Call: func(_ context.Context, _ string, take func() []int) int {
					time.Sleep(tt.until)
					var taken []int
					if !tt.never {
						taken = slices.Sorted(slices.Values(take()))
					}
					mu.Lock()
					defer mu.Unlock()
					calls = append(calls, taken)
					return len(calls)
				}}
				var callers sync.WaitGroup
				for at, want := range tt.want {
					callers.Go(func() {
						time.Sleep(time.Duration(at) * 600 * time.Millisecond)
						assert.Equalf(t, want, b.Join(t.Context(), "a", time.Second, at), "Join of caller %d", at)
					})
				}
				callers.Wait()
				assert.Empty(t, cmp.Diff(tt.calls, calls))
			})
		})
	}
}
