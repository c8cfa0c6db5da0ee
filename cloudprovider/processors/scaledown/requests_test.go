package scaledown

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coretest "k8s.io/autoscaler/cluster-autoscaler/core/test"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroups/asyncnodegroups"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// counting counts how often somebody lists the nodes.
type counting struct {
	kubernetes.NodeLister
	lists int
}

func (c *counting) List() ([]*corev1.Node, error) {
	c.lists++
	return c.NodeLister.List()
}

// A node is removed. The others of its group wait for that. Itself and the nodes of other groups do not, and a loop looks at all nodes once.
func TestNodesOnTheWayAreLookedForOnce(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 0, 6, 9), awsworld.Group("b", "m5.large", 0, 2, 5, nil))
	var nodes []*corev1.Node
	for _, id := range w.IDs() {
		nodes = append(nodes, w.Nodes(id)...)
	}
	nodes[0].Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint, Effect: corev1.TaintEffectNoSchedule}}
	lister := &counting{NodeLister: kubernetes.NewTestNodeLister(nodes)}
	state := clusterstate.NewClusterStateRegistry(w.Provider, clusterstate.ClusterStateRegistryConfig{}, nil, coretest.NewBackoff(), nil,
		asyncnodegroups.NewDefaultAsyncNodeGroupStateChecker())
	ctx := &cacontext.AutoscalingContext{ClusterStateRegistry: state, AutoscalingKubeClients: cacontext.AutoscalingKubeClients{
		ListerRegistry: kubernetes.NewListerRegistry(lister, lister, nil, nil, nil, nil, nil, nil, nil)}}
	r := &Requests{Provider: w.Provider, Removals: &Removals{rollback: newRollback(clock.RealClock{})}, asked: nodes}
	starting := r.starting(ctx)
	require.Len(t, nodes, 8)
	for at, n := range nodes {
		assert.Equalf(t, at >= 1 && at < 6, starting(n), "node %d waits for another one", at)
	}
	assert.Equal(t, 1, lister.lists, "looks at all nodes, want one for all groups")
	for id, want := range map[string]bool{"a": true, "a/" + awsworld.ZoneA: true, "a/" + awsworld.ZoneB: false} {
		g := w.View().Group(id)
		if id == "a" {
			g = w.View().Snapshot().Group(id)
		}
		its := func(name, zone string) bool { return name == "a" && (g.Zone == "" || zone == g.Zone) }
		assert.Equalf(t, want, len(onTheWay(ctx, w.Provider, time.Now(), its)["a"]) > 0, "a node of %s is on its way", id)
	}
}

func TestNodesGoByTheirUrgency(t *testing.T) {
	named := func(name string) *corev1.Node { return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	requested := named("requested")
	requested.Annotations = map[string]string{string(nodemeta.RemovalRequested): "true"}
	asked := []*corev1.Node{requested, named("rotation"), named("rotation-later"), named("ends"), named("schedule"), named("consolidation"), named("repair")}
	r := &Requests{Moves: &Moves{states: map[string]move.State{"rotation": {Reason: move.Rotation}, "rotation-later": {Reason: move.Rotation},
		"ends": {Reason: move.Rotation, Why: move.Why{Ends: true}}, "schedule": {Reason: move.Schedule}, "consolidation": {Reason: move.Consolidation},
		"repair": {Reason: move.Repair}}}}
	nodes := slices.Clone(asked)
	slices.Reverse(nodes)
	slices.SortFunc(nodes, r.order(asked))
	var got []string
	for _, n := range nodes {
		got = append(got, n.Name)
	}
	assert.Equal(t, []string{"ends", "repair", "requested", "schedule", "rotation", "rotation-later", "consolidation"}, got)
}
