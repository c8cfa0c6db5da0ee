package lookup

import (
	"context"
	"errors"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// background makes one kind of look-up.
type background struct {
	clock   clock.Clock
	wake    chan struct{}
	lookUp  func(context.Context) error
	asks    bool          // false where there is nobody to ask
	every   time.Duration // how often to look up without a request, 0 for never
	failure string        // log line for a look-up that failed
	remedy  string
}

func newBackground(c clock.Clock, lookUp func(context.Context) error, asks bool, failure, remedy string) background {
	return background{clock: c, wake: make(chan struct{}, 1), lookUp: lookUp, asks: asks, failure: failure, remedy: remedy}
}

// request asks for a look-up. It never blocks.
func (b *background) request() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Once makes the look-up that is wanted, and logs a failure. It does not go with Run.
func (b *background) Once(ctx context.Context) {
	if !b.asks {
		return
	}
	if err := b.lookUp(ctx); err != nil && !errors.Is(err, errNotAsked) {
		klog.FromContext(ctx).Info(b.failure, "err", awsclient.Brief(err), "remedy", b.remedy)
	}
}

// errNotAsked is the error of a look-up that had nothing to ask AWS.
var errNotAsked = errors.New("nothing to look up")

// Run looks up at once and then at every request, until ctx ends. After a failure it leaves AWS alone for a while, whatever the
// requests, and then tries again. It logs a failure when the reason is news. It returns at once where there is nobody to ask.
func (b *background) Run(ctx context.Context) {
	reported := ""
	for failed := 0; b.asks; {
		waking, pause := b.wake, b.every
		err := b.lookUp(ctx)
		switch failed++; {
		case err == nil:
			failed, reported = 0, ""
		case errors.Is(err, errNotAsked): // AWS may still refuse
			failed = 0
		default:
			waking, pause = nil, awsclient.RetryAfter(err, failed)
			if reason := awsclient.Reason(err); reason != reported && ctx.Err() == nil {
				reported = reason
				klog.FromContext(ctx).Info(b.failure, "err", awsclient.Brief(err), "remedy", b.remedy)
			}
		}
		var again <-chan time.Time
		if pause > 0 {
			again = b.clock.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-waking:
		case <-again:
		}
	}
}
