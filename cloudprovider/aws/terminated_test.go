package aws_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDetachedInstanceIsNotTerminated(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 3, 5, nil))
	nodes := w.Nodes("a")
	reclaimed, detached, standby := nodes[0], nodes[1], nodes[2]
	id := func(n *corev1.Node) string { id, _ := nodemeta.Instance(n.Spec.ProviderID); return id }
	for _, deed := range []fakeaws.Deed{
		{Kind: fakeaws.Detach, Group: "a", Instances: []string{id(detached)}},
		{Kind: fakeaws.Standby, Group: "a", Instances: []string{id(standby)}},
	} {
		require.NoError(t, w.AWS.Do(deed))
	}
	require.NoError(t, w.AWS.Reclaim(id(reclaimed)))
	w.waitWhile("the reclaimed instance is not known to be gone", func() bool {
		w.Reread()
		has, err := w.HasInstance(reclaimed)
		return has || err != nil
	})
	has, err := w.HasInstance(detached)
	assert.True(t, has, "HasInstance of a detached instance")
	assert.Equal(t, cloudprovider.ErrNotImplemented, err, "it is not ours to judge")
	assert.True(t, w.has(standby), "HasInstance of an instance in standby")
	w.waitWhile("an instance in standby has a node group, although its size does not count it", func() bool {
		w.Reread()
		return w.owner(standby) != ""
	})
}

// The core asks for the group of a node several times in a loop, and does not expect that it has none.
func TestNodeInStandbyHasItsGroupUntilTheLoopEnds(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.NextLoop()
	node := w.Nodes("a")[0]
	require.NoError(t, w.AWS.Do(fakeaws.Deed{Kind: fakeaws.Standby, Group: "a", Instances: []string{nodemeta.InstanceOf(node)}}))
	require.Eventually(t, func() bool { return w.Cache.Refresh(t.Context()) == nil && w.InStandby(node) }, 10*time.Second, 10*time.Millisecond,
		"a reading shows the standby, in the same loop")
	assert.Equal(t, "a", w.owner(node), "group in the loop")
	w.NextLoop()
	assert.Empty(t, w.owner(node), "group in the next loop")
}

func TestDeniedLookUpLeavesInstancesToKubernetes(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.AWS.Deny("DescribeInstances")
	n := w.Nodes("a")[0]
	id, _ := nodemeta.Instance(n.Spec.ProviderID)
	require.NoError(t, w.AWS.Do(fakeaws.Deed{Kind: fakeaws.Detach, Group: "a", Instances: []string{id}}))
	w.waitWhile("EC2 has not been asked", func() bool {
		w.Reread()
		return w.AWS.Calls()["DescribeInstances"] == 0
	})
	has, err := w.HasInstance(n)
	assert.Truef(t, has && err == cloudprovider.ErrNotImplemented, "HasInstance = %t, %v, want that it is not known", has, err)
}

func TestInstanceMissingAfterWriteIsLookedUp(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 3, 5, nil))
	reclaimed := w.Nodes("a")[0]
	id, _ := nodemeta.Instance(reclaimed.Spec.ProviderID)
	require.NoError(t, w.AWS.Reclaim(id))
	w.waitWhile("AWS still lists the reclaimed instance", func() bool {
		state, _ := w.AWS.Group("a")
		return slices.ContainsFunc(state.Instances, func(i fakeaws.InstanceState) bool { return i.ID == id })
	})
	require.NoError(t, w.Grow("a", 1)) // reads the group, and the loop goes on by that reading
	w.NextLoop()
	w.waitWhile("the reclaimed instance is not known to be gone", func() bool { has, err := w.HasInstance(reclaimed); return has || err != nil })
}

func TestPresentInstanceIsNotLookedUp(t *testing.T) {
	w := world{awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 2, 5, nil), nil)}
	w.waitWhile("AWS lists fewer than two", func() bool { state, _ := w.AWS.Group("a"); return len(state.Instances) < 2 })
	w.Reread()
	w.setTag("a", "team", "dsp")
	w.Reread()
	w.LookUpTerminated(t.Context())
	assert.Zero(t, w.AWS.Calls()["DescribeInstances"], "calls about instances of a group that lost none")
}

// A group loses its tag while the core drains one of its nodes. The instance stays, and after a success the core would leave its taint on the
// node for ever.
func TestNodeOfDroppedGroupIsNotReportedGone(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	node, group := w.Nodes("a")[0], w.NodeGroup("a")
	require.NoError(t, w.AWS.SetTags("a", map[string]*string{awsworld.EnabledTag: nil}))
	w.Reread()
	assert.Error(t, group.DeleteNodes([]*corev1.Node{node}), "the deletion is reported as done, though nobody has terminated the instance")
	w.desires("a", 2) // which is somebody else's
}

// An instance has registered again under another name. Its pods run on the new node, and the core removes the old one.
func TestInstanceStaysUnderItsLiveNode(t *testing.T) {
	for name, status := range map[string]corev1.ConditionStatus{"Ready": corev1.ConditionTrue, "not Ready while it restarts": corev1.ConditionFalse} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
			id := w.Nodes("a")[0].Spec.ProviderID
			stale, live := awsworld.M5Large("old", id, nil), awsworld.M5Large("new", id, nil)
			stale.Status.Conditions[0].Status, live.Status.Conditions[0].Status = corev1.ConditionUnknown, status
			stale.CreationTimestamp, live.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Hour)), metav1.NewTime(time.Now().Add(-time.Minute))
			stale, live = tainted(stale, time.Now()), tainted(live, time.Now())
			w.Cluster.Put(t, stale, live)
			w.NextLoop()
			assert.True(t, w.Superseded(stale) && !w.Superseded(live), "the old node alone is superseded")
			assert.ErrorContains(t, w.NodeGroup("a").DeleteNodes([]*corev1.Node{stale}),
				`"new"`, "error of removing the stale node, want one that names the live node")
			w.desires("a", 1)
			assert.NoError(t, w.NodeGroup("a").DeleteNodes([]*corev1.Node{live}), "the live node cannot be removed")
		})
	}
}
