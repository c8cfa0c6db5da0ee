package lookup

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"k8s.io/utils/clock"
)

func TestFailedLookUpPausesDespiteRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var calls atomic.Int32
		var allowed atomic.Bool
		lookUp := func(context.Context) error {
			calls.Add(1)
			if allowed.Load() {
				return nil
			}
			return &smithy.GenericAPIError{Code: "UnauthorizedOperation"}
		}
		b := newBackground(clock.RealClock{}, lookUp, true, "", "")
		go b.Run(ctx)
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

func TestLastingFailureIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log)))))
		denied := &smithy.GenericAPIError{Code: "UnauthorizedOperation"}
		answers := []error{denied, errNotAsked, denied, nil, denied}
		var asked atomic.Int32
		lookUp := func(context.Context) error {
			at := int(asked.Add(1))
			if at == len(answers) {
				cancel()
			}
			return answers[at-1]
		}
		b := newBackground(clock.RealClock{}, lookUp, true, "Could not look up", "")
		go b.Run(ctx)
		for synctest.Wait(); ctx.Err() == nil; synctest.Wait() {
			b.request()
			time.Sleep(time.Hour)
		}
		if n := strings.Count(log.String(), "Could not look up"); n != 1 {
			t.Errorf("%d lines, want one before AWS answered:\n%s", n, log.String())
		}
	})
}
