package aws_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// everyNode are the nodes of all instances that the group has in AWS.
func (w world) everyNode(name string) (nodes []*corev1.Node) {
	state, _ := w.AWS.Group(name)
	for _, i := range state.Instances {
		nodes = append(nodes, awsworld.Node(i.ID, nodemeta.ProviderID(i.Zone, i.ID)))
	}
	return nodes
}

// asViews and asOne are the node groups of a group that is divided, and of one that is not.
var asViews, asOne = []string{"a/" + awsworld.ZoneA, "a/" + awsworld.ZoneB, "a/" + awsworld.ZoneC}, []string{"a"}

func TestChangedFormLeavesNoNodeWithoutNodeGroup(t *testing.T) {
	half, no, yes := 50, "false", "true"
	template := fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"}
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 5, 9))
	require.NoError(t, w.Grow("a/"+awsworld.ZoneC, 2))
	w.NextLoop()
	members := w.everyNode("a")

	// Others ask all the time.
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		for ctx.Err() == nil {
			for _, n := range members {
				ng, err := w.NodeGroupForNode(n)
				if err != nil || ng == nil {
					t.Errorf("the node %s is in no node group: %v", n.Name, err)
					return
				}
				there, err := w.HasInstance(n)
				assert.Truef(t, there && err == nil, "the node %s is gone: %v", n.Name, err)
				_, _ = ng.TargetSize()
				_, _ = ng.Nodes()
				_, _ = ng.TemplateNodeInfo()
			}
		}
	})
	defer func() { stop(); asking.Wait() }()

	var before []cloudprovider.NodeGroup
	for at, step := range []struct {
		name   string
		change func() error
		want   []string
	}{
		{"AZRebalance resumed", func() error { return w.AWS.Resume("a", "AZRebalance") }, asOne},
		{"suspended again", func() error { return w.AWS.Suspend("a", "AZRebalance") }, asViews},
		{"a policy that mixes", func() error {
			return w.AWS.EditGroup("a", fakeaws.GroupEdit{MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{LaunchTemplate: template,
				Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: &half}}})
		}, asOne},
		{"one that does not", func() error {
			return w.AWS.EditGroup("a", fakeaws.GroupEdit{MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{LaunchTemplate: template}})
		}, asViews},
		{"kept out by its tag", func() error { return w.AWS.SetTags("a", map[string]*string{asg.TagZonal: &no}) }, asOne},
		{"asked for by its tag", func() error { return w.AWS.SetTags("a", map[string]*string{asg.TagZonal: &yes}) }, asViews},
		{"a launch template again", func() error { return w.AWS.EditGroup("a", fakeaws.GroupEdit{LaunchTemplate: &template}) }, asViews},
		{"another group of a view's name", func() error { return w.AWS.AddGroup(awsworld.Group("a/"+awsworld.ZoneB, "m5.large", 0, 1, 5, nil)) }, []string{"a", "a/" + awsworld.ZoneB}},
		{"which is gone", func() error { return w.AWS.DeleteGroup("a/" + awsworld.ZoneB) }, asViews},
		{"two zones left", func() error {
			return w.AWS.EditGroup("a", fakeaws.GroupEdit{Zones: []string{awsworld.ZoneA, awsworld.ZoneB}})
		}, asViews},
		{"one zone left", func() error { return w.AWS.EditGroup("a", fakeaws.GroupEdit{Zones: []string{awsworld.ZoneA}}) }, asOne},
		{"and another", func() error {
			return w.AWS.EditGroup("a", fakeaws.GroupEdit{Zones: []string{awsworld.ZoneA, "cn-northwest-1d"}})
		}, []string{"a/" + awsworld.ZoneA, "a/cn-northwest-1d", "a/" + awsworld.ZoneB, "a/" + awsworld.ZoneC}},
	} {
		require.NoError(t, step.change())
		w.Eventually(func() string {
			w.Reread()
			return cmp.Diff(step.want, w.IDs())
		})
		targets, shown := 0, map[string]string{}
		for _, ng := range w.NodeGroups() {
			if w.GroupName(ng.Id()) != "a" {
				continue
			}
			targets += w.Target(ng.Id())
			for _, n := range w.Nodes(ng.Id()) {
				shown[n.Spec.ProviderID] = ng.Id()
			}
		}
		assert.Truef(t, targets == 7 && len(shown) == 7, "%s: targets of %d and %d nodes, want 7", step.name, targets, len(shown))
		for _, n := range members {
			if got := w.owner(n); got == "" || got != shown[n.Spec.ProviderID] || !slices.Contains(w.IDs(), got) {
				t.Errorf("%s: the node %s is in %q, and shown in %q", step.name, n.Name, got, shown[n.Spec.ProviderID])
			}
		}
		// A node group that the core kept from the loop before answers as deleted.
		for _, old := range before {
			if slices.Contains(w.IDs(), old.Id()) {
				continue
			}
			size, err := old.TargetSize()
			instances, nodesErr := old.Nodes()
			assert.Truef(t, size == 0 && err == nil && old.MinSize() == 0 && old.MaxSize() == 0 && len(instances) == 0 && nodesErr == nil,
				"%s: %s of the loop before has %d nodes of at most %d", step.name, old.Id(), size, old.MaxSize())
			_, err = old.TemplateNodeInfo()
			assert.Truef(t, err == cloudprovider.ErrNotImplemented, "%s: %s of the loop before has a template (%v)", step.name, old.Id(), err)
		}
		before = w.NodeGroups()
		if got, _ := w.AWS.Group("a"); len(got.Instances) != 7 || got.Desired != 7 {
			t.Fatalf("step %d, %s: AWS has %d instances of %d desired", at, step.name, len(got.Instances), got.Desired)
		}
	}
}

func TestGroupNamedLikeZoneGroupIsItself(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 3, 9))
	for round := range 2 {
		require.NoError(t, w.AWS.AddGroup(awsworld.Group("a/"+awsworld.ZoneB, "m5.large", 0, 1, 5, nil)))
		w.Eventually(func() string {
			w.Reread()
			return cmp.Diff([]string{"a", "a/" + awsworld.ZoneB}, w.IDs())
		})
		for _, name := range []string{"a", "a/" + awsworld.ZoneB} {
			for _, n := range w.everyNode(name) {
				assert.Equalf(t, name, w.owner(n), "round %d: a node is in", round)
			}
		}
		assert.NoErrorf(t, w.Grow("a/"+awsworld.ZoneB, 1), "round %d", round)
		w.desires("a/"+awsworld.ZoneB, 2)
		require.NoError(t, w.AWS.DeleteGroup("a/"+awsworld.ZoneB))
		w.Eventually(func() string {
			w.Reread()
			return cmp.Diff(asViews, w.IDs())
		})
		for _, n := range w.everyNode("a") {
			assert.Truef(t, w.owner(n) != "", "round %d: a node of a is in no node group once the other group is gone", round)
		}
	}
}

func TestGroupNamedLikeZoneGroupKeepsItsInstances(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 3, 9))
	require.NoError(t, w.AWS.AddGroup(awsworld.Group("a/"+awsworld.ZoneB, "m5.large", 0, 1, 5, nil)))
	assert.Empty(t, w.owner(w.young("a/"+awsworld.ZoneB)), "the node group of its node, of which this loop knows nothing")
}

func TestNodeGroupOfOldFormStillDeletesNodes(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 6, 9), awsworld.Group("b", "m5.large", 0, 1, 5, nil))
	view, ofView := w.NodeGroup("a/"+awsworld.ZoneB), w.Nodes("a/"+awsworld.ZoneB)
	require.NoError(t, w.AWS.Resume("a", "AZRebalance"))
	w.Reread()
	whole, all := w.NodeGroup("a"), w.Nodes("a")
	assert.NoError(t, view.DeleteNodes(ofView[:1]), "a view of a group that is one now")
	assert.Error(t, view.DeleteNodes(w.Nodes("b")), "a view deleted the node of another group")
	require.NoError(t, w.AWS.Suspend("a", "AZRebalance"))
	w.Reread()
	var ofA *corev1.Node
	for _, n := range all {
		if w.owner(n) == "a/"+awsworld.ZoneA {
			ofA = n
		}
	}
	ofC := w.Nodes("a/" + awsworld.ZoneC)[0]
	for _, n := range []*corev1.Node{ofA, ofC} {
		w.Cluster.Put(t, tainted(n, time.Now().Add(time.Second))) // in whole seconds it would seem to be older
	}
	assert.NoError(t, whole.DeleteNodes([]*corev1.Node{ofA}), "a group that is views now")
	assert.NoError(t, w.NodeGroup("a/"+awsworld.ZoneC).ForceDeleteNodes([]*corev1.Node{ofC}), "by force")
	assert.Empty(t, cmp.Diff(map[string]int{awsworld.ZoneA: 1, awsworld.ZoneB: 1, awsworld.ZoneC: 1}, w.PerZone("a")), "instances by zone (-want +got)")
	state, _ := w.AWS.Group("a")
	for _, i := range state.Instances {
		gone := i.ID == ofView[0].Spec.ProviderID[len("aws:///"+awsworld.ZoneB+"/"):] || strings.HasSuffix(ofA.Spec.ProviderID, i.ID)
		assert.Truef(t, !gone || strings.HasPrefix(i.State, "Terminat"), "%s was deleted, and is %s", i.ID, i.State)
	}
	got := w.Target("a/"+awsworld.ZoneA) + w.Target("a/"+awsworld.ZoneB) + w.Target("a/"+awsworld.ZoneC)
	assert.Truef(t, got == 3 && state.Desired == 3, "targets of %d, %d desired, want 3", got, state.Desired)
}

func TestDeniedZoneGroupIsOneGroupNextLoop(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 3, 9))
	w.AWS.Deny("LaunchInstances")
	assert.ErrorIs(t, w.Grow("a/"+awsworld.ZoneB, 2), asg.ErrNotZonal, "error, want ErrNotZonal")
	assert.Empty(t, cmp.Diff(asViews, w.IDs()), "node groups within the same loop (-want +got)")
	w.desires("a", 3) // as before
	select {
	case <-w.Changed():
	default:
		t.Error("the next loop does not begin at once")
	}
	w.NextLoop()
	require.Empty(t, cmp.Diff(asOne, w.IDs()), "node groups in the next loop (-want +got)")
	assert.Empty(t, cmp.Diff([]string{"running", "running", "running", failedIncrease, failedIncrease}, w.states("a")),
		"instances in that loop (-want +got)")
	assert.NoError(t, w.Grow("a", 2), "as one group")
	w.NextLoop()
	w.desires("a", 5)
	assert.Equal(t, 5, w.Target("a"), "target size")
	w.wantEvent("autoscaling:LaunchInstances")
	assert.Regexp(t, "AccessDenied|not authorized", w.Events.All()[0])
	w.wantProblems(map[string]float64{"a zonal-not-possible": 1})
}

func TestARestartInEitherFormShowsTheSameNodes(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 4, 9))
	require.NoError(t, w.Grow("a/"+awsworld.ZoneC, 2))
	forms := map[asg.ZonalGroups][]string{asg.ZonalOff: asOne, asg.ZonalTagged: asViews, asg.ZonalAll: asViews}
	for _, mode := range []asg.ZonalGroups{asg.ZonalOff, asg.ZonalTagged, asg.ZonalOff, asg.ZonalAll} {
		next := w.restartedWith(func(o *asg.Options, _ *aws.Options) { o.LaunchMode, o.ZonalGroups = asg.LaunchAuto, mode })
		assert.Emptyf(t, cmp.Diff(forms[mode], next.IDs()), "%s (-want +got)", mode)
		targets, shown := 0, 0
		for _, id := range next.IDs() {
			targets, shown = targets+next.Target(id), shown+len(next.Nodes(id))
		}
		assert.Truef(t, targets == 6 && shown == 6, "%s: targets of %d and %d nodes, want 6", mode, targets, shown)
		for _, n := range w.everyNode("a") {
			assert.Truef(t, next.owner(n) != "", "%s: the node %s is in no node group", mode, n.Name)
		}
	}
}
