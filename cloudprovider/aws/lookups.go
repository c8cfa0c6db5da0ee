package aws

import (
	"context"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// lookUps calls lookUp whenever wake receives, and each time that every has passed if that is not 0, until ctx ends. After a failure
// AWS is left alone for a while, whatever wakes, and is then asked again.
func lookUps(ctx context.Context, c clock.Clock, wake <-chan struct{}, every time.Duration, lookUp func(context.Context) error) {
	for failed := 0; ; {
		waking, pause := wake, every
		err := lookUp(ctx)
		if failed++; err == nil {
			failed = 0
		} else {
			waking, pause = nil, awsclient.RetryAfter(err, failed)
		}
		var again <-chan time.Time
		if pause > 0 {
			again = c.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-waking:
		case <-again:
		}
	}
}
