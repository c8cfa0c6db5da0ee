package nodegroups

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
)

type idGroup struct {
	cloudprovider.NodeGroup
	id string
}

func (g idGroup) Id() string { return g.id }

func TestPauseDependsOnCauseOfFailure(t *testing.T) {
	call := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "cloudProviderError"}
	capacity := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OutOfResourcesErrorClass, ErrorCode: "InsufficientInstanceCapacity"}
	passing := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "LaunchFailed",
		ErrorMessage: "Authentication Failure. Launching EC2 instance failed."}
	throttled := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "RequestLimitExceeded"}
	quota := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OutOfResourcesErrorClass, ErrorCode: "VcpuLimitExceeded"}
	key := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OutOfResourcesErrorClass, ErrorCode: "Client.InternalError"}
	unknown := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OutOfResourcesErrorClass, ErrorCode: "LaunchFailed"}
	// The core gives a failure that it is told of this class.
	told := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "LaunchFailed"}
	refused := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "cloudProviderError",
		ErrorMessage: "launch in auto scaling group \"a\": InsufficientInstanceCapacity (on-demand m5.large us-east-1a)"}
	ended := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OutOfResourcesErrorClass, ErrorCode: "Client.UserInitiatedShutdown"}
	timeout := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "timeout",
		ErrorMessage: "Scale-up timed out for node group must-run after 15m0s"}
	for _, tt := range []struct {
		name   string
		causes []cloudprovider.InstanceErrorInfo
		want   time.Duration // after the last
	}{
		{name: "a call that failed", causes: []cloudprovider.InstanceErrorInfo{call}, want: 5 * time.Second},
		{name: "three calls that failed", causes: []cloudprovider.InstanceErrorInfo{call, call, call}, want: 20 * time.Second},
		{name: "calls that go on failing", causes: []cloudprovider.InstanceErrorInfo{call, call, call, call, call, call, call, call}, want: time.Minute},
		{name: "a launch that failed for a moment", causes: []cloudprovider.InstanceErrorInfo{passing}, want: 5 * time.Second},
		{name: "launches that failed for a moment, one throttled", causes: []cloudprovider.InstanceErrorInfo{passing, throttled}, want: 10 * time.Second},
		{name: "no capacity", causes: []cloudprovider.InstanceErrorInfo{capacity}, want: 3 * time.Minute},
		{name: "no capacity again and again", causes: []cloudprovider.InstanceErrorInfo{capacity, capacity, capacity}, want: 3 * time.Minute},
		{name: "no quota again and again", causes: []cloudprovider.InstanceErrorInfo{quota, quota, quota}, want: 3 * time.Minute},
		{name: "a key that is disabled", causes: []cloudprovider.InstanceErrorInfo{key, key, key}, want: 3 * time.Minute},
		{name: "an unknown reason again and again", causes: []cloudprovider.InstanceErrorInfo{unknown, unknown}, want: 10 * time.Minute},
		{name: "an unknown reason that is reported to the core", causes: []cloudprovider.InstanceErrorInfo{told}, want: 5 * time.Minute},
		{name: "somebody ends the instances", causes: []cloudprovider.InstanceErrorInfo{ended, ended}, want: 10 * time.Minute},
		{name: "a call whose launch was refused", causes: []cloudprovider.InstanceErrorInfo{refused}, want: 5 * time.Second},
		{name: "nodes that do not come up again and again", causes: []cloudprovider.InstanceErrorInfo{timeout, timeout}, want: 10 * time.Minute},
		{name: "nodes that did not come up", causes: []cloudprovider.InstanceErrorInfo{timeout}, want: 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := NewPauses(5*time.Minute, 30*time.Minute, 3*time.Hour)
			g, now := idGroup{id: "a"}, time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
			var until time.Time
			for at, cause := range tt.causes {
				if at > 0 {
					now = until.Add(time.Millisecond) // tried again as soon as may be
				}
				until = b.Backoff(g, nil, cause, now)
			}
			assert.Equal(t, tt.want, until.Sub(now), "left alone for")
			assert.True(t, b.BackoffStatus(g, nil, now).IsBackedOff && !b.BackoffStatus(g, nil, until.Add(time.Second)).IsBackedOff,
				"the status does not agree")
			assert.False(t, b.BackoffStatus(idGroup{id: "b"}, nil, now).IsBackedOff, "another group is left alone as well")
			b.RemoveBackoff(g, nil)
			assert.False(t, b.BackoffStatus(g, nil, now).IsBackedOff, "left alone although its failures were forgotten")
		})
	}
}
