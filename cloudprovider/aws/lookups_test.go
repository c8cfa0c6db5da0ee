package aws

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"k8s.io/utils/clock"
)

func TestFailedLookUpIsLeftAloneWhateverWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wake, calls := make(chan struct{}, 1), 0
		answer := error(&smithy.GenericAPIError{Code: "UnauthorizedOperation"})
		go lookUps(ctx, clock.RealClock{}, wake, 0, func(context.Context) error { calls++; return answer })
		want := func(after time.Duration, n int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if calls != n {
				t.Errorf("%d calls, want %d", calls, n)
			}
		}
		for range 20 {
			select {
			case wake <- struct{}{}:
			default:
			}
			want(time.Second, 1)
		}
		want(11*time.Second, 2)
		answer = nil
		want(time.Minute, 4) // once more for the wake that waits
		want(time.Hour, 4)
		wake <- struct{}{}
		want(0, 5)
	})
}
