package aws_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const terminateCall = "TerminateInstanceInAutoScalingGroup"

// deleteAtOnce deletes each node from a goroutine of its own, as the core does, and returns how many failed.
func (w world) deleteAtOnce(id string, nodes []*corev1.Node) (failed int) {
	errs := make([]error, len(nodes))
	var all sync.WaitGroup
	for at, n := range nodes {
		all.Go(func() { errs[at] = w.NodeGroup(id).DeleteNodes([]*corev1.Node{n}) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	return failed
}

func TestNodesDeletedWithinAMomentGoByFewCalls(t *testing.T) {
	for _, tt := range []struct{ nodes, calls int }{{30, 1}, {300, 3}} {
		w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, tt.nodes, tt.nodes, nil), awsworld.Group("b", "m5.large", 0, 1, 1, nil)).
			restartedWith(func(_ *asg.Options, o *aws.Options) { o.GatherDeletions = 2 * time.Second })
		assert.Zerof(t, w.deleteAtOnce("a", w.Nodes("a")), "of %d deletions failed", tt.nodes)
		assert.Equalf(t, tt.calls, w.AWS.Calls()[terminateCall], "calls for %d nodes", tt.nodes)
		w.desires("a", 0)
		assert.Equal(t, [2]int{0, 1}, [2]int{w.Target("a"), w.Target("b")}, "target sizes of the group and of another one")
	}
}

// AWS launches the replacement at its warning, and would end another node if the removal of this one lowered the desired capacity.
func TestRemovedNodeThatAWSReplacesLowersNoDesiredCapacity(t *testing.T) {
	g := awsworld.Group("a", "m5.large", 0, 3, 5, nil)
	g.CapacityRebalance = true
	w := newWorld(t, nil, g)
	nodes := w.Nodes("a")
	for i := range nodes {
		nodes[i].Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint, Value: "1", Effect: corev1.TaintEffectNoSchedule}}
	}
	warned := nodes[0].DeepCopy() // after the core took its copy
	warned.Spec.Taints = append(warned.Spec.Taints, corev1.Taint{Key: interruption.Taint, Value: string(event.SpotInterruption), Effect: corev1.TaintEffectNoSchedule})
	w.register(warned, nodes[1], nodes[2])
	require.NoError(t, w.NodeGroup("a").DeleteNodes(nodes[:2]))
	w.desires("a", 2)
	w.Eventually(func() string {
		state, _ := w.AWS.Group("a")
		for _, i := range state.Instances {
			if strings.HasSuffix(nodes[0].Spec.ProviderID, i.ID) {
				return "the warned instance is still there"
			}
		}
		return ""
	})
}

func TestFailedDeletionIsReportedToItsCallerAlone(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 3, 5, 5, nil))
	assert.Equal(t, 3, w.deleteAtOnce("a", w.Nodes("a")), "deletions failed, want the 3 that the minimum asks for")
	w.desires("a", 3)
}

func TestForcedDeletionsGoBelowTheMinimumByReplacement(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 2, 3, 5, nil))
	before := w.Nodes("a")
	require.NoError(t, w.NodeGroup("a").ForceDeleteNodes(before))
	w.Eventually(func() string {
		state, _ := w.AWS.Group("a")
		for _, i := range state.Instances {
			for _, n := range before {
				if strings.HasSuffix(n.Spec.ProviderID, i.ID) {
					return i.ID + " is still there"
				}
			}
		}
		if state.Desired != 2 || len(state.Instances) != 2 || w.Target("a") != 2 {
			return "the minimum of 2 is not there yet"
		}
		return ""
	})
}

// AWS takes longer for a reading than the core's loop waits for another write.
func TestForcedDeletionAtTheMinimumOfASlowAWS(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	w := world{awsworld.NewStill(t, awsworld.Group("a", "m5.large", 10, 10, 20, nil), func(o *asg.Options, _ *aws.Options) { o.Clock = now })}
	w.AWS.Inject(fakeaws.Fault{Service: "autoscaling", Latency: ms(150)})
	for at, n := range w.Nodes("a") {
		now.Step(5 * time.Second) // so that the group is read anew
		assert.NoErrorf(t, w.NodeGroup("a").ForceDeleteNodes(withoutNode(n)), "deletion %d", at)
	}
}

// The core goes on to no other group after an error, and asks again in each loop.
func TestForcedDeletionLeavesWhatTheMinimumWaitsFor(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.NoError(t, w.AWS.SetLimits("a", 3, 5))
	w.Reread()
	nodes := w.Nodes("a")
	require.Len(t, nodes, 3, "nodes, with two that never came")
	assert.NoError(t, w.NodeGroup("a").ForceDeleteNodes(nodes[1:]))
	w.desires("a", 3)
}

// The same, while the group is paused.
func TestForcedDeletionLeavesInstancesOfAPausedGroup(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, map[string]string{group.TagPaused: "scale-down"}))
	nodes := w.Nodes("a")
	require.ErrorContains(t, w.NodeGroup("a").ForceDeleteNodes(nodes), group.TagPaused, "deletion of a registered node")
	require.NoError(t, w.NodeGroup("a").ForceDeleteNodes(withoutNode(nodes...)))
	assert.Zero(t, w.AWS.Calls()[terminateCall], "calls to terminate")
}

// The same, of a group whose launch template is gone, so that nobody knows whose it is.
func TestForcedDeletionLeavesInstancesThatMayBeAnotherClusters(t *testing.T) {
	w := newAWS(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	require.NoError(t, w.AWS.DeleteLaunchTemplate("m5.large"))
	w = w.restartedWith(nil)
	require.NoError(t, w.NodeGroup("a").ForceDeleteNodes(withoutNode(w.Nodes("a")...)))
	assert.Zero(t, w.AWS.Calls()[terminateCall], "calls to terminate")
	w.desires("a", 1)
}

func TestAForcedDeletionThatAWSRefusesFails(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 1, 2, 5, nil))
	w.AWS.Inject(fakeaws.Fault{Action: terminateCall, Code: "AccessDenied"})
	assert.ErrorContains(t, w.NodeGroup("a").ForceDeleteNodes(w.Nodes("a")), "AccessDenied", "error, want the refusal")
}

func TestForcedDeletionLeavesWhatAWSRefused(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.AWS.Inject(fakeaws.Fault{Action: terminateCall, Code: "AccessDenied", Times: 1})
	assert.ErrorContains(t, w.NodeGroup("a").ForceDeleteNodes(w.Nodes("a")), "AccessDenied", "error, want the refusal")
	assert.Equal(t, 1, w.AWS.Calls()[terminateCall], "calls to terminate, want the one that was refused")
}

func TestForcedDeletionShowsInSameLoop(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 1, 1, 5, nil))
	require.NoError(t, w.NodeGroup("a").ForceDeleteNodes(w.Nodes("a")))
	assert.Equal(t, "deleting", w.states("a")[0], "the instance in the loop that deleted it")
}
