package aws_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
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
	w.Eventually(func() string {
		if err := w.Cache.Refresh(t.Context()); err != nil {
			return err.Error()
		}
		w.NextLoop()
		if has, err := w.HasInstance(reclaimed); has || err != nil {
			return "the reclaimed instance is not known to be gone"
		}
		return ""
	})
	if has, err := w.HasInstance(detached); !has || err != cloudprovider.ErrNotImplemented {
		t.Errorf("HasInstance of a detached instance = %t, %v, want that it is not ours to judge", has, err)
	}
	if has, err := w.HasInstance(standby); !has || err != nil {
		t.Errorf("HasInstance of an instance in standby = %t, %v, want that it is there", has, err)
	}
}

func TestDeniedLookUpLeavesInstancesToKubernetes(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.AWS.Deny("DescribeInstances")
	n := w.Nodes("a")[0]
	id, _ := nodemeta.Instance(n.Spec.ProviderID)
	require.NoError(t, w.AWS.Do(fakeaws.Deed{Kind: fakeaws.Detach, Group: "a", Instances: []string{id}}))
	w.Eventually(func() string {
		if err := w.Cache.Refresh(t.Context()); err != nil {
			return err.Error()
		}
		w.NextLoop()
		if w.AWS.Calls()["DescribeInstances"] == 0 {
			return "EC2 has not been asked"
		}
		return ""
	})
	if has, err := w.HasInstance(n); !has || err != cloudprovider.ErrNotImplemented {
		t.Errorf("HasInstance = %t, %v, want that it is not known", has, err)
	}
}

func TestInstanceMissingAfterWriteIsLookedUp(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 3, 5, nil))
	reclaimed := w.Nodes("a")[0]
	id, _ := nodemeta.Instance(reclaimed.Spec.ProviderID)
	require.NoError(t, w.AWS.Reclaim(id))
	w.Eventually(func() string {
		state, _ := w.AWS.Group("a")
		if slices.ContainsFunc(state.Instances, func(i fakeaws.InstanceState) bool { return i.ID == id }) {
			return "AWS still lists the reclaimed instance"
		}
		return ""
	})
	if err := w.Grow("a", 1); err != nil { // reads the group, and the loop goes on by that reading
		t.Fatal(err)
	}
	w.NextLoop()
	w.Eventually(func() string {
		if has, err := w.HasInstance(reclaimed); has || err != nil {
			return "the reclaimed instance is not known to be gone"
		}
		return ""
	})
}

func TestPresentInstanceIsNotLookedUp(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	w.setTag("a", "team", "dsp")
	w.Reread()
	w.LookUpTerminated(t.Context())
	if n := w.AWS.Calls()["DescribeInstances"]; n > 0 {
		t.Errorf("%d calls about instances of a group that lost none", n)
	}
}

// A group loses its tag while the core drains one of its nodes. The instance stays, and after a success the core would leave its taint on the
// node for ever.
func TestNodeOfDroppedGroupIsNotReportedGone(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	node, group := w.Nodes("a")[0], w.NodeGroup("a")
	require.NoError(t, w.AWS.SetTags("a", map[string]*string{awsworld.EnabledTag: nil}))
	w.Reread()
	if err := group.DeleteNodes([]*corev1.Node{node}); err == nil {
		t.Error("the deletion is reported as done, though nobody has terminated the instance")
	}
	if state, _ := w.AWS.Group("a"); state.Desired != 2 {
		t.Errorf("desired capacity of a group of somebody else is %d, want 2", state.Desired)
	}
}

// An instance has registered again under another name. Its pods run on the new node, and the core removes the old one.
func TestInstanceStaysUnderItsReadyNode(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	id := w.Nodes("a")[0].Spec.ProviderID
	stale, live := awsworld.M5Large("old", id, nil), awsworld.M5Large("new", id, nil)
	stale.Status.Conditions[0].Status = corev1.ConditionUnknown
	w.register(stale, live)
	w.NextLoop()
	if err := w.NodeGroup("a").DeleteNodes([]*corev1.Node{stale}); err == nil || !strings.Contains(err.Error(), `"new"`) {
		t.Errorf("error of removing the stale node: %v, want one that names the Ready node", err)
	}
	if state, _ := w.AWS.Group("a"); state.Desired != 1 {
		t.Errorf("desired capacity is %d, want 1", state.Desired)
	}
	assert.NoError(t, w.NodeGroup("a").DeleteNodes([]*corev1.Node{live}), "the live node cannot be removed")
}
