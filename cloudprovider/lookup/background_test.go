package lookup

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"k8s.io/utils/clock"
)

func TestFailedLookUpPausesDespiteRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := newBackground(clock.RealClock{}, "", "")
		var calls atomic.Int32
		var allowed atomic.Bool
		go b.run(ctx, func(context.Context) error {
			calls.Add(1)
			if allowed.Load() {
				return nil
			}
			return &smithy.GenericAPIError{Code: "UnauthorizedOperation"}
		})
		want := func(after time.Duration, n int32) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := calls.Load(); got != n {
				t.Errorf("%d calls, want %d", got, n)
			}
		}
		for range 20 {
			b.request()
			want(time.Second, 1)
		}
		want(11*time.Second, 2)
		allowed.Store(true)
		want(time.Minute, 4) // once more for the wake that waits
		want(time.Hour, 4)
		b.request()
		want(0, 5)
	})
}
