package interruption_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario/permissions"
)

// policed puts the world's one instance, which runs pod a, under the shipped policies without an action, if it is not "".
func (w *world) policed(without string) {
	t := w.t
	t.Helper()
	owner := "owned"
	require.NoError(t, w.aws.SetTags("spot", map[string]*string{"k8s.io/cluster-autoscaler/c": &owner}))
	w.run(w.inService()[0], "a")
	policies, err := permissions.Shipped(permissions.Place{Region: w.aws.Region(), Account: fakeaws.DefaultAccount, Cluster: "c"}, true)
	if err == nil && without != "" {
		policies, err = permissions.Without(policies, without)
	}
	require.NoError(t, err)
	policies = append(policies, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}`) // another name of the queue
	require.NoError(t, w.aws.SetPolicies(policies...))
}

// denied fails the test unless the action is all that the policies denied.
func (w *world) denied(action string) {
	denials := w.aws.Denials()
	assert.Truef(w.t, len(denials) != 0 && !slices.ContainsFunc(denials, func(d fakeaws.Denial) bool { return d.Action != action }),
		"denied %+v, want %s alone", denials, action)
}

func (w *world) evictions(pod string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.evicted[pod]
}

// The instance is drained all the same. Then it waits until the hook's time is over.
func TestDeniedCompletionLeavesTheHookItsTime(t *testing.T) {
	const action = "autoscaling:CompleteLifecycleAction"
	inBubble(hooked(scalingGroup(0, 1, 5)), func(t *testing.T, w *world) {
		w.policed(action)
		w.running()
		require.NoError(t, w.aws.SetDesired("spot", 0))
		w.wait("a denied completion", func() bool { return len(w.aws.Denials()) > 0 })
		w.denied(action)
		g, _ := w.aws.Group("spot")
		assert.Equal(t, [2]int{1, 1}, [2]int{w.evictions("a"), len(g.Instances)}, "evictions, and instances that wait")
	})(t)
}

// within gives the hook of the group another timeout.
func within(timeout time.Duration, g fakeaws.AutoScalingGroup) fakeaws.AutoScalingGroup {
	g.LifecycleHooks[0].HeartbeatTimeout = fakeaws.Duration(timeout)
	return g
}

func TestDeniedHeartbeatsEndADrainEarly(t *testing.T) {
	const action = "autoscaling:RecordLifecycleActionHeartbeat"
	inBubble(within(time.Minute, hooked(scalingGroup(0, 1, 5))), func(t *testing.T, w *world) {
		w.policed(action)
		w.refused.Store(true)
		w.running()
		require.NoError(t, w.aws.SetDesired("spot", 0))
		w.within(2*time.Minute, "the instance gone", func() bool { g, _ := w.aws.Group("spot"); return len(g.Instances) == 0 })
		w.denied(action)
		assert.Equal(t, 0, w.evictions("a"), "evictions")
	})(t)
}

func TestHeartbeatsGiveADrainItsTime(t *testing.T) {
	inBubble(within(time.Minute, hooked(scalingGroup(0, 1, 5))), func(t *testing.T, w *world) {
		w.policed("")
		w.refused.Store(true)
		w.running()
		require.NoError(t, w.aws.SetDesired("spot", 0))
		time.Sleep(5 * time.Minute)
		g, _ := w.aws.Group("spot")
		require.Len(t, g.Instances, 1, "instances that are drained")
		w.refused.Store(false)
		w.wait("the instance gone", func() bool { g, _ := w.aws.Group("spot"); return len(g.Instances) == 0 })
		assert.Equal(t, 1, w.evictions("a"), "evictions")
		assert.Empty(t, w.aws.Denials(), "denied")
	})(t)
}

func (w *world) allEvicted() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.evicted)
}
