package ledger_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
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
	l.EndLaunch() // in the group that had the name before
	l.BeginLaunch(2)
	read(2)
	assert.Equal(t, 0, look(), "overdue, and AWS has not answered the launch")
	read(2)
	assert.Equal(t, 0, l.Group().Overdue, "overdue in the next reading")
	l.EndLaunch()
	read(2)
	assert.Equal(t, 2, l.Group().Overdue, "overdue once the launch has ended without instances")
}

func TestNothingIsOnItsWayWhileLaunchIsSuspended(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := ledger.New()
	overdue := func(later time.Duration, desired int, processes ...string) int {
		now = now.Add(later)
		l.Read(&group.Group{Name: "a", MinSize: 1, MaxSize: 20, Zones: []string{"a"}, DesiredCapacity: desired, SuspendedProcesses: processes, ReadAt: now})
		return l.Group().Overdue
	}
	assert.Equal(t, 0, overdue(time.Second, 3, "AZRebalance"), "overdue of 3 while AWS launches")
	assert.Equal(t, 2, overdue(time.Second, 3, group.ProcessLaunch), "overdue of 3, of which one is the minimum's, while AWS launches nothing")
	assert.Equal(t, 0, overdue(6*time.Minute, 3), "overdue of 3 once AWS launches again")
	assert.Equal(t, 2, overdue(6*time.Minute, 3), "overdue of 3 that AWS has not launched for minutes")
}

// One of two heavy instances has died, and AWS has no capacity for as many light ones.
func TestMissingCapacityIsOverdueUnlessTheMinimumNeedsIt(t *testing.T) {
	for least, want := range map[int][3]int{0: {8, 1, 0}, 16: {8, 1, 1}, 20: {6, 3, 3}, 32: {0, 9, 9}} {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		l := ledger.New()
		l.Read(&group.Group{Name: "a", MinSize: least, MaxSize: 64, Zones: []string{"a"}, DesiredCapacity: 32, ReadAt: now,
			Instances: []group.Instance{{ID: "i-1", Zone: "a", Lifecycle: "InService", Weight: 16}},
			Source:    launchspec.Source{Overrides: []launchspec.Override{{InstanceType: "m5.large", Weight: 2}, {InstanceType: "m5.4xlarge", Weight: 16}}}})
		failure := cooldown.Failure{At: now, Class: awsmessage.NoCapacity}
		l.NoteFailures([]cooldown.FailedLaunch{{Failure: failure, Ended: now}}, 0, true)
		g := l.Group()
		assert.Equalf(t, want, [3]int{g.Overdue, g.TargetInstances(), g.MinInstances()}, "overdue, target and least instances with a minimum of %d units", least)
	}
}

// A reading shows a launch in the desired capacity before AWS answers that it failed. AWS takes the capacity back, or it is another writer's.
func TestLaunchThatFailsAfterAReadingHasShownIt(t *testing.T) {
	for _, come := range []int{0, 1} {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		l, instances := ledger.New(), []group.Instance{{ID: "i-1", Zone: "a", Lifecycle: "InService", Weight: 1}}
		read := func(desired int) *group.Group {
			now = now.Add(time.Second)
			l.Read(&group.Group{Name: "a", MaxSize: 20, Zones: []string{"a"}, DesiredCapacity: desired, Instances: slices.Clone(instances), ReadAt: now})
			return l.Group()
		}
		raise := func(n int) int {
			plan, err := l.PlanRaise(l.Group(), l.Group().Reached(), n)
			require.NoError(t, err)
			return plan.Desired
		}
		read(1)
		l.Book("", 2)
		l.NextIncrease()
		l.BeginLaunch(2)
		read(3)
		launched := []group.Instance{{ID: "i-2", Zone: "a", Lifecycle: "Pending", Weight: 1}}[:come]
		l.Launched(ledger.Key{}, launched, now)
		l.EndLaunch()
		instances = append(instances, launched...)
		left := 1 + come
		assert.Equal(t, left, l.Group().DesiredCapacity, "the desired capacity after the answer")
		assert.Equal(t, map[string]int{"": 2 - come}, l.EndIncrease(map[string]error{"": errors.New("no capacity")}), "instances that the core is told of")
		for _, stated := range []int{left, 3, left} { // each reading may be older than the one before
			g := read(stated)
			assert.Equal(t, stated, g.DesiredCapacity, "the desired capacity by the reading")
			assert.Equal(t, max(3, stated+1), raise(1), "a raise by one, which must not take the 3 from another writer")
			assert.Equal(t, 0, g.Withdrawable(), "instances to take back")
		}
		assert.Equal(t, left+2, raise(2), "a raise by two")
		now = now.Add(ledger.ReadingLag)
		assert.Equal(t, left, read(left).DesiredCapacity, "the desired capacity once no reading can be older")
		assert.Equal(t, left+1, raise(1), "a raise by one then")
	}
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
			plan, err := l.PlanRaise(g, g.Reached(), 2)
			require.NoError(t, err)
			l.Attempt(plan.Desired, 0, now)
			l.Raised(plan, true, now, now, now)
			failure := cooldown.Failure{At: now.Add(tt.began), Class: tt.class}
			ours, _ := l.NoteFailures([]cooldown.FailedLaunch{{Failure: failure, Ended: failure.At}}, 0, true)
			assert.Equal(t, tt.want, len(ours) > 0 && l.Group().Failure != nil, "the failure of the request counts")
		})
	}
}
