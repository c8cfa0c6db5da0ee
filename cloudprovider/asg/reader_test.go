package asg_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// AWS shows a launch's new desired capacity some time before its instances.
func TestReadingBeforeListingCountsLaunchOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.Unlisted = ms(400) }, divided("a", 0, 1, 20)).with(synchronous).started()
		done := make(chan error, 1)
		go func() { done <- w.cache.Increase(t.Context(), "a", 3) }()
		w.waitWhile("AWS has not launched", func() bool { return w.desired("a") < 4 })
		w.refresh()
		g := w.group("a")
		require.Equal(t, [2]int{4, 3}, [2]int{g.DesiredCapacity, g.Missing()}, "desired and missing amid the launch")
		require.NoError(t, <-done)
		for range 2 {
			g := w.group("a")
			assert.Equal(t, [3]int{4, 0, 4}, [3]int{g.DesiredCapacity, g.Missing(), g.TargetInstances()}, "desired, missing and target")
			w.refresh()
		}
		w.aws.Deny(launchCall)
		w.increasesTo(1, 5) // after one more
	})
}

// A reading amid a launch shows another writer's raise. It is theirs, and the next launch counts whole.
func TestForeignRaiseAmidLaunchIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 20)).with(synchronous).started()
	w.calls.launching = func(*autoscaling.LaunchInstancesInput) {
		w.setDesired(6)
		w.refresh()
	}
	w.increase(1)
	w.calls.launching = nil
	w.refresh()
	w.agreed(7)
	w.increase(1)
	w.agreed(8)
}

// A reading of before our launch shows an instance on its way out. It is newer than all readings before, and older than the launch.
func TestOldReadingWithDepartureKeepsLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10)).with(synchronous).started()
	old := w.past()
	old.Instances[0].LifecycleState = types.LifecycleStateTerminating
	w.increase(2)
	w.calls.old = old
	w.refresh()
	assert.Equal(t, 5, w.group("a").DesiredCapacity, "desired capacity by an old reading")
}

// A reading begins between a launch and the termination of its instance, and ends after both. It shows the raised desired capacity alone.
func TestReadingBegunBeforeTerminationIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10)).with(synchronous).started()
	before := w.ids("a")
	w.increase(1)
	begun, release, read := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	waits := true
	w.calls.edit = func(g *types.AutoScalingGroup) {
		g.Instances = slices.DeleteFunc(g.Instances, func(i types.Instance) bool { return !slices.Contains(before, aws.ToString(i.InstanceId)) })
		if waits {
			waits = false
			close(begun)
			<-release
		}
	}
	go func() { read <- w.cache.Refresh(t.Context()) }()
	<-begun
	launched := slices.DeleteFunc(w.ids("a"), func(id string) bool { return slices.Contains(before, id) })
	require.Len(t, launched, 1, "launched instances")
	w.must(w.cache.Terminate(t.Context(), "a", launched))
	close(release)
	require.NoError(t, <-read)
	assert.Equal(t, 3, w.group("a").DesiredCapacity, "desired capacity by an old reading")
}

// AWS promises no order of the instances.
func TestInstancesInAnotherOrderHaveNotMoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 9)).started()
	w.eventuallyInService("a", 3)
	w.refresh()
	w.wakes()
	w.calls.edit = func(g *types.AutoScalingGroup) { slices.Reverse(g.Instances) }
	w.refresh()
	assert.False(t, w.wakes(), "the core is woken by instances in another order")
}

func TestOwnSecondFailureIsNoReplay(t *testing.T) {
	t.Parallel()
	now := clockAt(150 * time.Second)
	w := newWorld(t, scalingGroup("a", 0, 1, 9)).with(at(now)).started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	for _, tt := range []struct {
		at    time.Duration
		calls int
	}{{150 * time.Second, 2}, {7 * time.Minute, 1}} { // the first failure may be a previous leader's
		now.SetTime(edge().Add(tt.at))
		w.aws.ResetCalls()
		w.failsToIncrease("a", 1)
		assert.Equalf(t, tt.calls, w.aws.Calls()[launchCall], "times AWS was asked %s after the edge", tt.at)
	}
}

func TestUnknownLaunchCallIsTriedAgainLater(t *testing.T) {
	t.Parallel()
	now := clockAt(time.Minute)
	w := newWorld(t, scalingGroup("a", 0, 0, 10), scalingGroup("b", 0, 0, 10)).with(at(now)).started()
	w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "InvalidAction", Times: 1})
	for _, name := range []string{"a", "b"} {
		w.must(w.cache.Increase(t.Context(), name, 1))
	}
	require.Equal(t, 1, w.aws.Calls()[launchCall], "times AWS was asked to launch, want once")
	now.Step(16 * time.Minute)
	for _, name := range []string{"a", "b"} {
		w.must(w.cache.Increase(t.Context(), name, 1))
	}
	assert.Equal(t, 3, w.aws.Calls()[launchCall], "times AWS was asked to launch in all")
}

// AWS sends these codes with the status 500 or more.
func TestLaunchRefusedByTheCodeOfAFaultRaisesDesiredCapacity(t *testing.T) {
	for _, code := range []string{"InternalFailure", "InternalError", "ServiceUnavailable", "ServerException", "Unavailable"} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 0, 9)).with(synchronous).started()
			w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: code, Status: 400})
			w.increasesTo(1, 1)
			w.increasesTo(1, 2)
			assert.Equal(t, 1, w.aws.Calls()[launchCall], "times AWS was asked to launch, want once")
		})
	}
}

// AWS may ask the caller of LaunchInstances for more than it documents. The shipped policy allows what is documented.
func TestLaunchWithoutUndocumentedPermissionRaisesDesiredCapacity(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../manifests/iam/policy-aws.json")
	require.NoError(t, err)
	policy := strings.ReplaceAll(string(shipped), "CLUSTER_NAME", "c")
	for _, action := range []string{"ec2:RunInstances", "iam:PassRole"} {
		t.Run(action, func(t *testing.T) {
			now := clockAt(time.Minute)
			g := scalingGroup("a", 0, 0, 10)
			g.Tags["k8s.io/cluster-autoscaler/c"] = "owned"
			w := newWorldOf(t, fakeaws.Config{Delays: quick, LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large")}, Policies: []string{policy},
				LaunchNeeds: []string{action}, AutoScalingGroups: []fakeaws.AutoScalingGroup{g}}, discovered).with(at(now)).started()
			for range 2 {
				w.increase(1)
			}
			calls := w.aws.Calls()
			if denied := w.aws.Denials(); calls[launchCall] != 1 || calls[desiredCall] != 2 || w.desired("a") != 2 ||
				!slices.Contains(denied, fakeaws.Denial{Action: action, Resource: "*"}) {
				t.Errorf("%d launches, %d raises, desired capacity %d, denials %v, want one launch, two raises to 2", calls[launchCall], calls[desiredCall], w.desired("a"), denied)
			}
			w.must(w.aws.SetPolicies(policy, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "`+action+`", "Resource": "*"}]}`))
			now.Step(16 * time.Minute)
			w.increasesTo(1, 3)
			assert.Equal(t, 2, w.aws.Calls()[launchCall], "launches once it is allowed")
		})
	}
}
