package podlist

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// handler has a list of draining nodes, and keeps what was decided last.
type handler struct {
	draining []string
	decided  map[string]bool
}

func (d *handler) NodesBeingDrained() []string                { return d.draining }
func (d *handler) ReplacementsDecided(placed map[string]bool) { d.decided = placed }

func node(name string, cordoned bool) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: cordoned}}
}

func pod(name, node string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{NodeName: node}}
	for _, c := range change {
		c(p)
	}
	return p
}

func named(p *corev1.Pod) { p.UID = types.UID(p.Name) }

// registered are the nodes of the API server.
func registered(t *testing.T, nodes ...*corev1.Node) kubernetes.ListerRegistry {
	cached := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	for _, n := range nodes {
		require.NoError(t, cached.Add(n))
	}
	return kubernetes.NewListerRegistry(kubernetes.NewAllNodeLister(corelisters.NewNodeLister(cached)), nil, nil, nil, nil, nil, nil, nil, nil)
}

func TestPodsOfDrainingNodesArePending(t *testing.T) {
	snapshot := testsnapshot.NewTestSnapshotOrDie(t)
	leaving := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }
	ofDaemonSet := func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "agents", Controller: ptr.To(true)}}
	}
	err := snapshot.SetClusterState([]*corev1.Node{node("draining", true), node("not-seen-cordoned", false), node("other", true)},
		[]*corev1.Pod{pod("a", "draining", named), pod("b", "draining", named), pod("on-its-way", "draining", leaving),
			pod("agent", "draining", ofDaemonSet), pod("c", "not-seen-cordoned"), pod("d", "other")}, nil, nil)
	require.NoError(t, err)
	d := &handler{draining: []string{"draining", "gone", "not-seen-cordoned", "starting"}}
	pods := &Draining{Drains: d}
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: snapshot}
	ctx.ListerRegistry = registered(t, node("starting", true))
	got, err := pods.Process(ctx, []*corev1.Pod{pod("pending", "")})
	require.NoError(t, err)
	var names []string
	for _, p := range got {
		names = append(names, p.Name)
		assert.Equalf(t, "", p.Spec.NodeName, "pod %s is still bound", p.Name)
	}
	assert.Empty(t, cmp.Diff([]string{"pending", "a", "b"}, names))
	assert.Empty(t, d.decided, "decided on before the scale-up")
	pods.ScaledUp(ctx)
	pods.ScaledUp(ctx)
	assert.Empty(t, cmp.Diff(map[string]bool{"draining": false, "gone": true}, d.decided))
}

func TestPlacesCountOnceTheirNodesRun(t *testing.T) {
	upcoming := node("upcoming", false)
	upcoming.Annotations = map[string]string{coreannotations.NodeUpcomingAnnotation: "true"}
	for _, tt := range []struct {
		name string
		on   []string // the places of both pods
		want bool
	}{
		{name: "nowhere"},
		{name: "one on a node that runs", on: []string{"ready"}},
		{name: "one on a node under way", on: []string{"ready", "upcoming"}},
		{name: "both on a node that runs", on: []string{"ready", "ready"}, want: true},
		{name: "one on another node that is being drained", on: []string{"ready", "second"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			snapshot := testsnapshot.NewTestSnapshotOrDie(t)
			nodes := []*corev1.Node{node("draining", true), node("second", true), node("ready", false), upcoming}
			require.NoError(t, snapshot.SetClusterState(nodes, []*corev1.Pod{pod("a", "draining", named), pod("b", "draining", named)}, nil, nil))
			d := &handler{draining: []string{"draining", "second"}}
			pods, ctx := &Draining{Drains: d}, &cacontext.AutoscalingContext{ClusterSnapshot: snapshot}
			got, err := pods.Process(ctx, nil)
			require.NoError(t, err)
			for at, on := range tt.on {
				require.NoError(t, snapshot.ForceAddPod(got[at], on))
			}
			pods.ScaledUp(ctx)
			assert.Empty(t, cmp.Diff(map[string]bool{"draining": tt.want, "second": true}, d.decided))
		})
	}
}
