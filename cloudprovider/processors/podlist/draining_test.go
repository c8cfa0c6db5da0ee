package podlist

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	placing "github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// handler has a list of draining nodes, and keeps what was decided last.
type handler struct {
	draining []string
	decided  map[string]bool
}

func (d *handler) NodesBeingDrained() []string                { return d.draining }
func (d *handler) ReplacementsDecided(placed map[string]bool) { d.decided = placed }

func node(name string, cordoned bool) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: cordoned},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("10")}}}
}

func pod(name, node string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{NodeName: node}}
	for _, c := range change {
		c(p)
	}
	return p
}

func bare(p *corev1.Pod) { p.UID = types.UID(p.Name) }

func named(p *corev1.Pod) {
	bare(p)
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", Controller: ptr.To(true)}}
}

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
	volcano := func(p *corev1.Pod) { p.Spec.SchedulerName = "volcano" }
	ofDaemonSet := func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "agents", Controller: ptr.To(true)}}
	}
	reopened := node("reopened", false)
	reopened.Spec.Taints = []corev1.Taint{{Key: interruption.Taint, Effect: corev1.TaintEffectNoSchedule}}
	err := snapshot.SetClusterState([]*corev1.Node{node("draining", true), node("not-seen-cordoned", false), node("other", true),
		node("lone", true), node("left-out", true), reopened},
		[]*corev1.Pod{pod("a", "draining", named), pod("b", "draining", named), pod("on-its-way", "draining", leaving),
			pod("agent", "draining", ofDaemonSet), pod("bare", "draining", bare), pod("c", "not-seen-cordoned"), pod("d", "other"),
			pod("bare", "lone", bare), pod("e", "reopened", named),
			pod("f", "left-out", named, volcano)}, nil, nil)
	require.NoError(t, err)
	d := &handler{draining: []string{"draining", "gone", "left-out", "lone", "not-seen-cordoned", "reopened", "starting"}}
	pods := &Draining{Drains: d, Allowed: Allowed{"": true}}
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: snapshot}
	ctx.ListerRegistry = registered(t, node("starting", true))
	got, err := pods.Process(ctx, []*corev1.Pod{pod("pending", "")})
	require.NoError(t, err)
	var names []string
	for _, p := range got {
		names = append(names, p.Name)
		assert.Equalf(t, "", p.Spec.NodeName, "pod %s is still bound", p.Name)
	}
	assert.Empty(t, cmp.Diff([]string{"pending", "a", "b", "e"}, names))
	assert.Empty(t, d.decided, "decided on before the scale-up")
	pods.ScaledUp(ctx)
	pods.ScaledUp(ctx)
	assert.Empty(t, cmp.Diff(map[string]bool{"draining": false, "gone": true, "left-out": true, "lone": true, "reopened": false}, d.decided))
}

// AWS lets a drain last for hours where a group has a lifecycle hook.
func TestDrainThatABudgetHoldsUpHoldsMovesForAWhile(t *testing.T) {
	for began, want := range map[time.Duration]bool{time.Minute: true, move.PodHoldsFor + time.Minute: false} {
		draining := node("draining", true)
		draining.Annotations = map[string]string{
			interruption.Taint: fmt.Sprintf(`{"kind": "lifecycle-terminate", "began": %q}`, time.Now().Add(-began).UTC().Format(time.RFC3339))}
		snapshot := testsnapshot.NewTestSnapshotOrDie(t)
		require.NoError(t, snapshot.SetClusterState([]*corev1.Node{draining}, []*corev1.Pod{pod("a", "draining", named)}, nil, nil))
		pods := &Draining{Drains: &handler{draining: []string{"draining"}},
			Moves: func(_ *cacontext.AutoscalingContext, _, hurry []*corev1.Pod) []*corev1.Pod {
				assert.Equalf(t, want, len(hurry) > 0, "pods of a drain that began %s ago come before moves", began)
				return nil
			}}
		_, err := pods.Process(&cacontext.AutoscalingContext{ClusterSnapshot: snapshot}, nil)
		require.NoError(t, err)
	}
}

func TestPlacesCountOnceTheirNodesRun(t *testing.T) {
	upcoming := node("upcoming", false)
	upcoming.Annotations = map[string]string{coreannotations.NodeUpcomingAnnotation: "true"}
	for _, tt := range []struct {
		name string
		on   []string // the places of both pods
		want bool

		claims []corev1.PodResourceClaim
		needed []string // nodes that are to take pods with claims
	}{
		{name: "nowhere"},
		{name: "one on a node that runs", on: []string{"ready"}},
		{name: "one on a node under way", on: []string{"ready", "upcoming"}},
		{name: "both on a node that runs", on: []string{"ready", "ready"}, want: true},
		{name: "with claims", on: []string{"ready", "upcoming"}, claims: []corev1.PodResourceClaim{{Name: "gpu"}},
			needed: []string{"ready", "upcoming"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tolerant := func(p *corev1.Pod) {
				p.Spec.Tolerations, p.Spec.ResourceClaims = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, tt.claims
			}
			snapshot := placing.New(config.AutoscalingOptions{PredicateParallelism: 1}, framework.NewTestFrameworkHandleOrDie(t))
			nodes := []*corev1.Node{node("draining", true), node("second", true), node("ready", false), upcoming}
			require.NoError(t, snapshot.SetClusterState(nodes, []*corev1.Pod{pod("a", "draining", named, tolerant), pod("b", "draining", named, tolerant)}, nil, nil))
			d := &handler{draining: []string{"draining", "second"}}
			pods, ctx := &Draining{Drains: d}, &cacontext.AutoscalingContext{ClusterSnapshot: snapshot}
			got, err := pods.Process(ctx, nil)
			require.NoError(t, err)
			for _, drained := range d.draining {
				assert.Errorf(t, snapshot.CheckPredicates(got[0], drained), "node %s takes a pod, although it is being drained", drained)
			}
			for at, on := range tt.on {
				require.NoError(t, snapshot.ForceAddPod(got[at], on))
			}
			assert.Equal(t, tt.needed, slices.Sorted(maps.Keys(pods.ScaledUp(ctx))), "nodes that are to take pods with claims")
			assert.Empty(t, cmp.Diff(map[string]bool{"draining": tt.want, "second": true}, d.decided))
		})
	}
}

// A pod runs in each zone. The one of zone a is to leave its node, and one more node has room.
func TestPlaceIsLookedForAsIfThePodHadLeft(t *testing.T) {
	alike := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	spread := func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{TopologyKey: corev1.LabelTopologyZone, MaxSkew: 1,
			WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: alike}}
	}
	apart := func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: corev1.LabelTopologyZone, LabelSelector: alike}}}}
	}
	in := func(zone string, n *corev1.Node) *corev1.Node {
		n.Labels = map[string]string{corev1.LabelTopologyZone: zone}
		return n
	}
	for _, tt := range []struct {
		name, room string
		change     func(*corev1.Pod)
		want       map[string]string
	}{
		{name: "spread, and its zone has room", room: "a", change: spread, want: map[string]string{"web-a": "room"}},
		{name: "spread, and another zone has room", room: "b", change: spread, want: map[string]string{}},
		{name: "apart, and its zone has room", room: "a", change: apart, want: map[string]string{"web-a": "room"}},
		{name: "apart, and another zone has room", room: "b", change: apart, want: map[string]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nodes, running := []*corev1.Node{in(tt.room, node("room", false))}, []*corev1.Pod{}
			for _, zone := range []string{"a", "b", "c"} {
				nodes = append(nodes, in(zone, node("on-"+zone, zone == "a")))
				nodes[len(nodes)-1].Status.Allocatable[corev1.ResourcePods] = resource.MustParse("1")
				running = append(running, pod("web-"+zone, "on-"+zone, named, tt.change, func(p *corev1.Pod) { p.Labels = alike.MatchLabels }))
			}
			snapshot := testsnapshot.NewTestSnapshotOrDie(t)
			require.NoError(t, snapshot.SetClusterState(nodes, running, nil, nil))
			before := podsOn(t, snapshot)
			d := &handler{draining: []string{"on-a"}}
			pods, ctx := &Draining{Drains: d}, &cacontext.AutoscalingContext{ClusterSnapshot: snapshot}
			got, err := pods.Process(ctx, nil)
			require.NoError(t, err)
			placed, err := placing.Place(snapshot, got, placing.Nodes{Anywhere: func(*corev1.Pod) bool { return true }})
			require.NoError(t, err)
			places := map[string]string{}
			for pod, on := range placed {
				places[pod.Name] = on
			}
			assert.Empty(t, cmp.Diff(tt.want, places))
			pods.ScaledUp(ctx)
			assert.Empty(t, cmp.Diff(map[string]bool{"on-a": len(tt.want) > 0}, d.decided))
			for pod, on := range tt.want { // no removal of the node may take the place
				before[on] = append(before[on], pod)
			}
			assert.Empty(t, cmp.Diff(before, podsOn(t, snapshot)), "pods of the nodes (-want +got)")
		})
	}
}
