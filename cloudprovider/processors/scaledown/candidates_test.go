package scaledown

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corescaledown "k8s.io/autoscaler/cluster-autoscaler/core/scaledown"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates/emptycandidates"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates/previouscandidates"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// add adds the node with pods to the snapshot. A pod that only the core makes does not run there.
func add(t *testing.T, to clustersnapshot.ClusterSnapshot, n *corev1.Node, pods ...*corev1.Pod) {
	t.Helper()
	info := framework.NewNodeInfo(n, nil)
	for _, p := range pods {
		on := p.DeepCopy()
		if !podlist.IsFake(p) {
			on.Spec.NodeName = n.Name
		}
		info.AddPod(framework.NewPodInfo(on, nil))
	}
	require.NoError(t, to.AddNodeInfo(info))
}

// urgent is a pod of a priority.
func urgent(name, node string, priority int32) *corev1.Pod {
	p := web(name, node)
	p.Spec.Priority = &priority
	return p
}

func TestNodeWhosePodsCostLeastGoesFirst(t *testing.T) {
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 8, 9, nil), nil)
	nodes, cluster := w.Members("a", nil), testsnapshot.NewTestSnapshotOrDie(t)
	agent := web("agent", "")
	agent.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "agent", Controller: ptr.To(true)}}
	room := fake.WithFakePodAnnotation(web("room", ""))
	want := slices.Clone(nodes) // in this order
	for at, pods := range [][]*corev1.Pod{
		{agent, urgent("agent", "", 1_000_000), room}, // empty, whatever its pods
		{urgent("a", "", 1_000_000), web("b", "")},    // considered before
		{urgent("c", "", 1_000_000)},
		{urgent("d", "", -1_000_000)},
		{web("e", ""), agent, room},
		{web("f", "", corev1.PodDeletionCost, "1000")},
		{web("g", ""), web("h", "")},
	} {
		if at == 0 {
			pods[1].OwnerReferences = agent.OwnerReferences
		}
		add(t, cluster, want[at], pods...)
	}
	want[7].Name = "not in the snapshot"
	previous := previouscandidates.NewPreviousCandidates()
	previous.UpdateScaleDownCandidates([]*corescaledown.UnneededNode{{Node: want[1]}, {Node: want[2]}}, start)
	want[1], want[2] = want[2], want[1] // the cheaper one of both
	deletion := options.NodeDeleteOptions{}
	comparers := []scaledowncandidates.CandidatesComparer{
		emptycandidates.NewEmptySortingProcessor(emptycandidates.NewNodeInfoGetter(cluster), deletion, EmptyRules(rules.Default(deletion))),
		previous,
		&CheapestFirst{Cluster: cluster},
	}
	ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: cluster}
	sorted := func(comparers []scaledowncandidates.CandidatesComparer, nodes []*corev1.Node) (names []string) {
		t.Helper()
		got, err := scaledowncandidates.NewScaleDownCandidatesSortingProcessor(comparers).GetScaleDownCandidates(ctx, nodes)
		require.NoError(t, err)
		for _, n := range got {
			names = append(names, n.Name)
		}
		return names
	}
	var names []string
	for _, n := range want {
		names = append(names, n.Name)
	}
	mixed := []*corev1.Node{want[6], want[3], want[7], want[0], want[5], want[2], want[4], want[1]}
	for range 2 { // the second sort knows costs of the first
		if got := sorted(comparers, mixed); !slices.Equal(got, names) {
			t.Errorf("order\n%q, want\n%q", got, names)
		}
	}
	// The next loop has other pods.
	info, err := cluster.GetNodeInfo(want[6].Name)
	require.NoError(t, err)
	for _, p := range info.Pods() {
		p.Pod.DeletionTimestamp = &metav1.Time{Time: time.Now().Add(time.Hour)} // the core looks at the time
	}
	if got := sorted(comparers, mixed); got[3] != names[6] {
		t.Errorf("order %q, want %s fourth, whose pods leave", got, names[6])
	}
}

func TestOrderOfEqualCostsStays(t *testing.T) {
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 60, 99, nil), nil)
	nodes, cluster := w.Members("a", nil), testsnapshot.NewTestSnapshotOrDie(t)
	previous := previouscandidates.NewPreviousCandidates()
	var before []*corescaledown.UnneededNode
	for at, n := range nodes {
		pods := []*corev1.Pod{web("a", ""), urgent("b", "", 7), web("c", "", corev1.PodDeletionCost, "-3")}
		add(t, cluster, n, pods[at%3], pods[(at+1)%3], pods[(at+2)%3])
		if at%4 == 0 {
			before = append(before, &corescaledown.UnneededNode{Node: n})
		}
	}
	previous.UpdateScaleDownCandidates(before, start)
	ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: cluster}
	var orders [2][]*corev1.Node
	for at, comparers := range [][]scaledowncandidates.CandidatesComparer{{previous}, {previous, &CheapestFirst{Cluster: cluster}}} {
		var err error
		orders[at], err = scaledowncandidates.NewScaleDownCandidatesSortingProcessor(comparers).GetScaleDownCandidates(ctx, nodes)
		require.NoError(t, err)
	}
	assert.True(t, slices.Equal(orders[0], orders[1]), "equal costs change the order")
}
