package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// maxSkew is where a wrong clock begins to matter: half the time for which a leader keeps a lease is less. AWS refuses requests that are
// five minutes wrong.
const maxSkew = 30 * time.Second

func checkClock(_ context.Context, in *installation, c *Check) (looked bool) {
	for _, clock := range []struct {
		of    string
		ahead fact[time.Duration]
		from  string
	}{
		{"AWS's", in.awsAhead, "the date of the answer to DescribeAutoScalingGroups"},
		{"the API server's", in.serverAhead, "the date of the answer to GET /version"},
	} {
		if clock.ahead.missing(c) {
			continue
		}
		looked = true
		skew, side := clock.ahead.value.Round(time.Second), "behind"
		if skew < 0 {
			skew, side = -skew, "ahead of"
		}
		if skew > maxSkew {
			c.find("clock of this machine", fmt.Sprintf("it is %s %s %s: AWS refuses requests that are 5m wrong, and delays and leases are counted wrongly", decision.Span(skew), side, clock.of),
				clock.from, "timedatectl timesync-status")
		}
	}
	return looked
}
