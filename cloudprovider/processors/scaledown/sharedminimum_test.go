package scaledown

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// deleting are the nodes that the core is deleting.
type deleting struct {
	scaledown.ActuationStatus
	empty, drained []string
}

func (d deleting) DeletionsInProgress() (empty, drained []string) { return d.empty, d.drained }

// noneOf is a ScaleDownSetProcessor that keeps some nodes.
type noneOf struct{ names []string }

func (n noneOf) FilterUnremovableNodes(_ *cacontext.AutoscalingContext, _ *nodes.ScaleDownContext,
	candidates []simulator.NodeToBeRemoved) (removable []simulator.NodeToBeRemoved, stay []simulator.UnremovableNode) {
	for _, c := range candidates {
		if slices.Contains(n.names, c.Node.Name) {
			stay = append(stay, simulator.UnremovableNode{Node: c.Node, Reason: simulator.UnexpectedError})
		} else {
			removable = append(removable, c)
		}
	}
	return removable, stay
}

func (noneOf) CleanUp() {}

// listing is a context with the nodes of the store.
func listing(store cache.Indexer) *cacontext.AutoscalingContext {
	lister := kubernetes.NewAllNodeLister(corelisters.NewNodeLister(store))
	return &cacontext.AutoscalingContext{AutoscalingKubeClients: cacontext.AutoscalingKubeClients{
		ListerRegistry: kubernetes.NewListerRegistry(lister, lister, nil, nil, nil, nil, nil, nil, nil)}}
}

func TestMinimumHoldsOverAllZoneGroups(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 4, 6, 9), awsworld.Divided("other", "m5.large", 0, 3, 9), awsworld.Group("b", "m5.large", 1, 2, 5, nil))
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	ctx := listing(store)
	of := map[string][]*corev1.Node{}
	for _, id := range w.IDs() {
		of[id] = w.Nodes(id)
		for _, n := range of[id] {
			require.NoError(t, store.Add(n))
		}
	}
	removals := func(core noneOf) *Removals {
		return NewRemovals(Options{Core: core, Provider: w.Provider, Clock: clock.RealClock{}})
	}
	a := slices.Concat(of["a/"+awsworld.ZoneA], of["a/"+awsworld.ZoneB], of["a/"+awsworld.ZoneC]) // two a zone
	other := slices.Concat(of["other/"+awsworld.ZoneA], of["other/"+awsworld.ZoneB], of["other/"+awsworld.ZoneC])
	vanished := awsworld.Node("vanished", "aws:///"+awsworld.ZoneA+"/i-0fffffffffffffff0")
	for _, tt := range []struct {
		name     string
		status   deleting
		keeps    []string
		removed  []*corev1.Node
		stay     []*corev1.Node // for the minimum
		stayElse []*corev1.Node
		drained  event.Kind // the last node of a, for an event of AWS
	}{
		{name: "one a zone", removed: []*corev1.Node{a[0], a[2]}, stay: []*corev1.Node{a[4]}},
		{name: "two of a zone", removed: a[:2], stay: a[2:]},
		{name: "of several groups", removed: slices.Concat(a[:2], other), stay: a[4:]},
		{name: "one is being deleted", status: deleting{empty: []string{a[5].Name}}, removed: []*corev1.Node{a[0]}, stay: []*corev1.Node{a[2]}},
		{name: "one is being drained", status: deleting{drained: []string{a[5].Name}}, removed: []*corev1.Node{a[0]}, stay: []*corev1.Node{a[2]}},
		{name: "two are being deleted", status: deleting{empty: []string{a[5].Name}, drained: []string{a[3].Name}}, stay: []*corev1.Node{a[0], a[2]}},
		{name: "nodes of others are being deleted", status: deleting{empty: []string{other[0].Name, of["b"][0].Name, "unheard of"}},
			removed: []*corev1.Node{a[0], a[2]}, stay: []*corev1.Node{a[4]}},
		{name: "nodes of no group", removed: []*corev1.Node{vanished, a[0], a[2]}, stay: []*corev1.Node{a[4]}},
		{name: "the next processor keeps one", keeps: []string{a[2].Name}, removed: []*corev1.Node{a[0]}, stay: []*corev1.Node{a[4]}, stayElse: []*corev1.Node{a[2]}},
		{name: "AWS takes one", drained: event.SpotInterruption, removed: []*corev1.Node{a[0]}, stay: []*corev1.Node{a[2]}},
		{name: "the core removes one that AWS takes", drained: event.SpotInterruption, status: deleting{empty: []string{a[5].Name}},
			removed: []*corev1.Node{a[0]}, stay: []*corev1.Node{a[2]}},
		{name: "AWS plans to reboot one", drained: event.ScheduledChange, removed: []*corev1.Node{a[0], a[2]}, stay: []*corev1.Node{a[4]}},
		{name: "nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a[5].Spec.Taints = nil
			if tt.drained != "" {
				a[5].Spec.Taints = []corev1.Taint{{Key: interruption.Taint, Value: string(tt.drained), Effect: corev1.TaintEffectNoSchedule}}
			}
			var candidates []simulator.NodeToBeRemoved
			for _, n := range slices.Concat(tt.removed, tt.stayElse, tt.stay) {
				candidates = append(candidates, simulator.NodeToBeRemoved{Node: n})
			}
			removable, unremovable := removals(noneOf{tt.keeps}).FilterUnremovableNodes(ctx, &nodes.ScaleDownContext{ActuationStatus: tt.status}, candidates)
			var removed, stay, stayElse []*corev1.Node
			for _, r := range removable {
				removed = append(removed, r.Node)
			}
			for _, u := range unremovable {
				if u.Reason == simulator.NodeGroupMinSizeReached {
					stay = append(stay, u.Node)
				} else {
					stayElse = append(stayElse, u.Node)
				}
			}
			assert.Equal(t, [][]*corev1.Node{tt.removed, tt.stay, tt.stayElse}, [][]*corev1.Node{removed, stay, stayElse}, "removed, kept for the minimum and else")
		})
	}
	// A deletion that AWS has accepted has lowered the target already, and does not count twice.
	require.NoError(t, w.NodeGroup("a/"+awsworld.ZoneA).DeleteNodes(a[:1]))
	removable, _ := removals(noneOf{}).FilterUnremovableNodes(ctx, &nodes.ScaleDownContext{ActuationStatus: deleting{empty: []string{a[0].Name}}},
		[]simulator.NodeToBeRemoved{{Node: a[2]}, {Node: a[4]}})
	assert.Len(t, removable, 1, "with one gone of two that may go, more may be removed, want one")
}

// AWS may refuse to launch, and then refuses to end a node of the minimum, which is drained by then.
func TestNodesThatAWSMayNotLaunchLetNoOtherNodeGo(t *testing.T) {
	w := awsworld.NewDivided(t, func(c *fakeaws.Config) { c.Delays.Synchronous = fakeaws.Duration(time.Minute) }, awsworld.Divided("a", "m5.large", 2, 2, 9))
	require.NoError(t, w.NodeGroup("a/"+awsworld.ZoneC).IncreaseSize(1))
	node := w.Nodes("a/" + awsworld.ZoneB)[0]
	r := NewRemovals(Options{Core: noneOf{}, Provider: w.Provider, Clock: clock.RealClock{}})
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		goes        bool
	}{
		{name: "not needed"},
		{name: "asked to go", annotations: map[string]string{string(nodemeta.RemovalRequested): "true"}},
		{name: "of a consolidation", annotations: map[string]string{move.Annotation: move.State{Reason: move.Consolidation, Step: move.Placing}.Text()}},
		{name: "moved and asked to go", annotations: map[string]string{string(nodemeta.RemovalRequested): "true",
			move.Annotation: move.State{Reason: move.Rotation, Step: move.Placing}.Text()}},
		{name: "replaced first", annotations: map[string]string{string(nodemeta.RemovalRequested): nodemeta.ReplaceFirst}, goes: true},
		{name: "moved", annotations: map[string]string{move.Annotation: move.State{Reason: move.Rotation, Step: move.Placing}.Text()}, goes: true},
	} {
		node.Annotations = tt.annotations
		goes, stay := r.FilterUnremovableNodes(listing(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)), &nodes.ScaleDownContext{ActuationStatus: deleting{}}, []simulator.NodeToBeRemoved{{Node: node}})
		assert.Truef(t, len(goes)+len(stay) == 1 && (len(goes) == 1) == tt.goes, "a node that is %s goes: %v", tt.name, len(goes) == 1)
	}
}

func TestZoneGroupMayShrinkToSharedMinimum(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 4, 6, 9))
	for _, id := range w.IDs() {
		assert.Equalf(t, 0, w.NodeGroup(id).MinSize(), "%s may shrink to, want to none: two of six may go, wherever they are", id)
	}
	require.NoError(t, w.NodeGroup("a/"+awsworld.ZoneB).DeleteNodes(w.Nodes("a/"+awsworld.ZoneB)))
	for id, want := range map[string]int{"a/" + awsworld.ZoneA: 2, "a/" + awsworld.ZoneB: 0, "a/" + awsworld.ZoneC: 2} {
		assert.Equalf(t, want, w.NodeGroup(id).MinSize(), "%s may shrink right after to", id)
	}
	assert.Error(t, w.NodeGroup("a/"+awsworld.ZoneC).DeleteNodes(w.Nodes("a/" + awsworld.ZoneC)[:1]),
		"a node was deleted that the minimum of the group asks for")
	state, _ := w.AWS.Group("a")
	assert.Equal(t, 4, state.Desired, "desired, want the minimum of 4")
}

// AWS has an outage: their pods would be evicted in vain. An empty node shows when it is over.
func TestNodesStayForAWhileAfterAWSFailedToTerminateOneOfTheirGroup(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	w := awsworld.NewAWS(t, nil, awsworld.Divided("a", "m5.large", 0, 6, 9), awsworld.Group("b", "m5.large", 0, 2, 5, nil)).RestartedWith(
		func(o *asg.Options, a *aws.Options) { o.LaunchMode, o.Clock, a.Clock = asg.LaunchAuto, now, now })
	w.AWS.Inject(fakeaws.Fault{Group: "a", Action: "TerminateInstanceInAutoScalingGroup", Code: "ExpiredToken"})
	ctx := listing(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil))
	ctx.ScaleDownDelayAfterFailure = 3 * time.Minute
	r := NewRemovals(Options{Core: noneOf{}, Provider: w.Provider, Clock: now})
	a, b, other := w.Nodes("a/"+awsworld.ZoneA), w.Nodes("b")[0], w.Nodes("a/"+awsworld.ZoneB)
	goes := func() (names []string) {
		pods := []*corev1.Pod{{}}
		removable, _ := r.FilterUnremovableNodes(ctx, &nodes.ScaleDownContext{ActuationStatus: deleting{}}, []simulator.NodeToBeRemoved{
			{Node: a[1], PodsToReschedule: pods}, {Node: b, PodsToReschedule: pods}, {Node: other[0], PodsToReschedule: pods}, {Node: other[1]}})
		for _, n := range removable {
			names = append(names, n.Node.Name)
		}
		return names
	}
	require.Len(t, goes(), 4)
	require.Error(t, w.NodeGroup("a/"+awsworld.ZoneA).DeleteNodes(a[:1]))
	assert.ElementsMatch(t, []string{b.Name, other[1].Name}, goes(), "go after the failure")
	now.Step(3 * time.Minute)
	assert.Len(t, goes(), 4, "go 3 minutes later")
}

// The core has planned its removals without the request: two nodes would count on the same free room.
func TestNoOtherNodeGoesInTheLoopOfARequest(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 0, 3, 9))
	ctx := listing(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil))
	r := NewRemovals(Options{Core: noneOf{}, Provider: w.Provider, Clock: clock.RealClock{}})
	candidates := []simulator.NodeToBeRemoved{{Node: w.Nodes("a/" + awsworld.ZoneA)[0]}}
	goes, _ := r.FilterUnremovableNodes(ctx, &nodes.ScaleDownContext{ActuationStatus: deleting{}}, candidates)
	require.Len(t, goes, 1, "without a request the node stays")
	r.begun = []*scaledownstatus.ScaleDownNode{{Node: w.Nodes("a/" + awsworld.ZoneB)[0]}}
	goes, stay := r.FilterUnremovableNodes(nil, nil, candidates)
	assert.Equalf(t, 0, len(goes)+len(stay), "beside a request %d nodes go, and %d are refused", len(goes), len(stay))
}

// The core has its candidates in no order, and drains the first ones.
func TestNodesWhosePodsCostLeastGoFirst(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("a", "m5.large", 1, 5, 9, nil))
	members := w.Nodes("a")
	dear, cheap, empty, mid, risky := members[0], members[1], members[2], members[3], members[4]
	candidates := []simulator.NodeToBeRemoved{
		{Node: dear, PodsToReschedule: []*corev1.Pod{urgent("a", dear.Name, 1_000_000_000)}},
		{Node: risky, PodsToReschedule: []*corev1.Pod{web("d", risky.Name)}, IsRisky: true},
		{Node: mid, PodsToReschedule: []*corev1.Pod{web("b", mid.Name)}},
		{Node: empty},
		{Node: cheap, PodsToReschedule: []*corev1.Pod{web("c", cheap.Name, corev1.PodDeletionCost, "-2000000000")}},
	}
	ctx, r := listing(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)), NewRemovals(Options{Core: noneOf{}, Provider: w.Provider, Clock: clock.RealClock{}})
	removable, stay := r.FilterUnremovableNodes(ctx, &nodes.ScaleDownContext{ActuationStatus: deleting{}}, candidates)
	var names []string
	for _, n := range removable {
		names = append(names, n.Node.Name)
	}
	assert.Equal(t, []string{empty.Name, cheap.Name, mid.Name, dear.Name}, names, "nodes that go")
	require.Len(t, stay, 1)
	assert.Equal(t, risky.Name, stay[0].Node.Name, "the node that the minimum keeps")
	r.order = func(a, b *corev1.Node) int { return slices.Index(members, b) - slices.Index(members, a) } // while Requests plans
	_, stay = r.FilterUnremovableNodes(ctx, &nodes.ScaleDownContext{ActuationStatus: deleting{}}, candidates)
	assert.Equal(t, members[0].Name, stay[0].Node.Name, "the node that the minimum keeps for the last request")
}
