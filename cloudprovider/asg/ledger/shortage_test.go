package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// AWS lists the failure of one instance type while our launch finds another, and the reading shows the desired capacity before the instances. The core
// would ask for overdue instances a second time.
func TestInstancesOfAnUnansweredLaunchAreNotOverdue(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := ledger.New()
	read := func(desired int) {
		now = now.Add(time.Second)
		l.Read(&group.Group{Name: "a", MaxSize: 20, Zones: []string{"a"}, DesiredCapacity: desired, ReadAt: now})
	}
	look := func() int {
		failure := cooldown.Failure{At: now, Class: awsmessage.NoCapacity}
		l.NoteFailures([]cooldown.FailedLaunch{{Failure: failure, Ended: now}}, 0, true)
		return l.Group().Overdue
	}
	read(0)
	l.BeginLaunch()
	read(2)
	assert.Equal(t, 0, look(), "overdue, and AWS has not answered the launch")
	read(2)
	assert.Equal(t, 0, l.Group().Overdue, "overdue in the next reading")
	l.EndLaunch()
	read(2)
	assert.Equal(t, 2, l.Group().Overdue, "overdue once the launch has ended without instances")
}

// AWS repeats a launch by itself. A request that is taken back meanwhile costs the pods a pause of the group.
func TestPassingFailureOfOurRequestCountsOnceAWSHasRepeatedIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		class awsmessage.Class
		began time.Duration // after the raise
		want  bool
	}{
		{"passing", awsmessage.Transient, 2 * time.Second, false},
		{"throttled", awsmessage.Throttle, 2 * time.Second, false},
		{"passing, of a later try", awsmessage.Transient, ledger.BeginsWithin + time.Second, true},
		{"lasting", awsmessage.Configuration, 2 * time.Second, true},
		{"lasting, before the raise", awsmessage.Configuration, -2 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			l := ledger.New()
			g := &group.Group{Name: "a", MaxSize: 20, Zones: []string{"a"}, ReadAt: now}
			l.Read(g)
			plan, err := l.PlanRaise(g, 2)
			require.NoError(t, err)
			l.Attempt(plan.Desired, 0, now)
			l.Raised(plan, true, now, now, now)
			failure := cooldown.Failure{At: now.Add(tt.began), Class: tt.class}
			ours, _ := l.NoteFailures([]cooldown.FailedLaunch{{Failure: failure, Ended: failure.At}}, 0, true)
			assert.Equal(t, tt.want, len(ours) > 0 && l.Group().Failure != nil, "the failure of the request counts")
		})
	}
}
