package interruption_test

import (
	"slices"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/permissions"
)

// quickHeart is a clock that shortens the pauses between heartbeats.
type quickHeart struct{ clock.RealClock }

func (c quickHeart) After(d time.Duration) <-chan time.Time {
	if d == interruption.HeartbeatEvery {
		d = 50 * time.Millisecond
	}
	return c.RealClock.After(d)
}

func withQuickHeart(o *interruption.Options) { o.Clock = quickHeart{} }

// newPolicedWorld is a world with one instance, which runs pod a, under the shipped policies without an action, if it is not "".
func newPolicedWorld(t *testing.T, g fakeaws.AutoScalingGroup, without string) *world {
	t.Helper()
	g.Tags["k8s.io/cluster-autoscaler/c"] = "owned"
	w := newWorld(t, g)
	w.run(w.inService()[0], "a")
	policies, err := permissions.Shipped(permissions.Place{Region: w.aws.Region(), Account: fakeaws.DefaultAccount, Cluster: "c"}, true)
	if err == nil && without != "" {
		policies, err = permissions.Without(policies, without)
	}
	if err != nil {
		t.Fatal(err)
	}
	policies = append(policies, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}`) // another name of the queue
	if err := w.aws.SetPolicies(policies...); err != nil {
		t.Fatal(err)
	}
	return w
}

// denied fails the test unless the action is all that the policies denied.
func (w *world) denied(action string) {
	w.t.Helper()
	denials := w.aws.Denials()
	if len(denials) == 0 || slices.ContainsFunc(denials, func(d fakeaws.Denial) bool { return d.Action != action }) {
		w.t.Errorf("denied %+v, want %s alone", denials, action)
	}
}

func (w *world) evictions(pod string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.evicted[pod]
}

// The instance is drained all the same. Then it waits until the hook's time is over.
func TestDeniedCompletionLeavesTheHookItsTime(t *testing.T) {
	t.Parallel()
	const action = "autoscaling:CompleteLifecycleAction"
	w := newPolicedWorld(t, hooked(group(0, 1, 5)), action)
	w.running()
	if err := w.aws.SetDesired("spot", 0); err != nil {
		t.Fatal(err)
	}
	w.wait("a denied completion", func() bool { return len(w.aws.Denials()) > 0 })
	w.denied(action)
	if g, _ := w.aws.Group("spot"); w.evictions("a") != 1 || len(g.Instances) != 1 {
		t.Errorf("%d evictions, instances %+v, want a drained instance that waits", w.evictions("a"), g.Instances)
	}
}

// hookSeconds is the time of a hook that ends before its instance is drained, unless heartbeats extend it.
const hookSeconds = 4

func briefly(g fakeaws.AutoScalingGroup) fakeaws.AutoScalingGroup {
	g = hooked(g)
	g.LifecycleHooks[0].HeartbeatTimeout = fakeaws.Duration(hookSeconds * time.Second)
	return g
}

func TestDeniedHeartbeatsEndADrainEarly(t *testing.T) {
	t.Parallel()
	const action = "autoscaling:RecordLifecycleActionHeartbeat"
	w := newPolicedWorld(t, briefly(group(0, 1, 5)), action)
	w.refused.Store(true)
	w.running(withQuickHeart)
	if err := w.aws.SetDesired("spot", 0); err != nil {
		t.Fatal(err)
	}
	w.wait("the instance gone", func() bool { g, _ := w.aws.Group("spot"); return len(g.Instances) == 0 })
	w.denied(action)
	if n := w.evictions("a"); n != 0 {
		t.Errorf("%d evictions, want none", n)
	}
}

func TestHeartbeatsGiveADrainItsTime(t *testing.T) {
	t.Parallel()
	w := newPolicedWorld(t, briefly(group(0, 1, 5)), "")
	w.refused.Store(true)
	w.running(withQuickHeart)
	began := time.Now()
	if err := w.aws.SetDesired("spot", 0); err != nil {
		t.Fatal(err)
	}
	w.wait("the hook's own time over", func() bool { return time.Since(began) > (hookSeconds+1)*time.Second })
	if g, _ := w.aws.Group("spot"); len(g.Instances) != 1 {
		t.Fatal("the instance is gone undrained")
	}
	w.refused.Store(false)
	w.wait("the instance gone", func() bool { g, _ := w.aws.Group("spot"); return len(g.Instances) == 0 })
	if denials := w.aws.Denials(); w.evictions("a") != 1 || len(denials) > 0 {
		t.Errorf("%d evictions, denied %+v, want a drained instance", w.evictions("a"), denials)
	}
}
