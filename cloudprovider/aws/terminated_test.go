package aws_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/providerid"
	"github.com/asg-autoscaler/asg-autoscaler/test/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

func TestDetachedInstanceIsNotTerminated(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 3, 5, nil))
	nodes := w.Nodes("a")
	reclaimed, detached, standby := nodes[0], nodes[1], nodes[2]
	id := func(n *corev1.Node) string { id, _ := providerid.Instance(n.Spec.ProviderID); return id }
	for _, deed := range []fakeaws.Deed{
		{Kind: fakeaws.Detach, Group: "a", Instances: []string{id(detached)}},
		{Kind: fakeaws.Standby, Group: "a", Instances: []string{id(standby)}},
	} {
		if err := w.AWS.Do(deed); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.AWS.Reclaim(id(reclaimed)); err != nil {
		t.Fatal(err)
	}
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
	id, _ := providerid.Instance(n.Spec.ProviderID)
	if err := w.AWS.Do(fakeaws.Deed{Kind: fakeaws.Detach, Group: "a", Instances: []string{id}}); err != nil {
		t.Fatal(err)
	}
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
	id, _ := providerid.Instance(reclaimed.Spec.ProviderID)
	if err := w.AWS.Reclaim(id); err != nil {
		t.Fatal(err)
	}
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
