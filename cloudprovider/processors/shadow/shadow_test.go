package shadow

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// world is a Shadow over an emulated AWS with the groups "a" of m5.large and "b" of g4dn.xlarge, which the leader raises.
type world struct {
	*awsworld.World
	*Shadow
	t     *testing.T
	clock *clocktesting.FakeClock
	last  *decision.Report // of the last loop, without searches
	known cache.Indexer    // the pods of the cluster
}

func newWorld(t *testing.T, desired int, more ...fakeaws.AutoScalingGroup) world {
	c := clocktesting.NewFakeClock(time.Now())
	more = append(more, awsworld.Group("a", "m5.large", 0, desired, 9, nil), awsworld.Group("b", "g4dn.xlarge", 0, 0, 9, nil))
	w := awsworld.NewAWS(t, nil, more...).RestartedWith(
		func(o *asg.Options, _ *aws.Options) {
			if desired == 0 { // the test reads, else readings in the background show the nodes
				o.Clock, o.RefreshInterval, o.MotionInterval = c, time.Hour, time.Hour
			}
		})
	if desired > 0 {
		w.Eventually(func() string {
			if got := len(w.Nodes("a")); got < desired {
				return fmt.Sprintf("%d instances", got)
			}
			return ""
		})
	}
	last := &decision.Report{}
	report := func() *decision.Report {
		return &decision.Report{Nodes: last.Nodes, Pods: last.Pods, Searches: []decision.Search{{Answers: []decision.Answer{{Group: "a", Verdict: decision.Chosen},
			{Group: "b", Verdict: decision.Rejected, Reason: decision.Reason{Code: decision.CodeTaint, Message: "a taint"}}}}}}
	}
	known := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	s := New(Options{Provider: w.Provider, Pods: corelisters.NewPodLister(known), Last: report, Refused: func() int { return 0 }, Clock: c})
	return world{w, s, t, c, last, known}
}

// pods are pods that have waited for a second.
func (w world) pods(from, to int) (list []*corev1.Pod) {
	for at := from; at < to; at++ {
		name := fmt.Sprintf("p%d", at)
		list = append(list, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(w.clock.Now().Add(-time.Second))}})
	}
	return list
}

// loop shows pods that need a node to the Shadow, and returns the names of those for which no node was decided.
func (w world) loop(pods []*corev1.Pod) (anew []string) {
	w.t.Helper()
	w.NextLoop()
	list, err := w.Process(nil, pods)
	require.NoError(w.t, err)
	for _, pod := range list {
		anew = append(anew, pod.Name)
	}
	return anew
}

// raise has the leader raise a group, and a reading show it at the clock's time.
func (w world) raise(group string, desired int) {
	w.t.Helper()
	require.NoError(w.t, w.AWS.SetDesired(group, desired))
	w.Reread()
}

func TestDecisionIsMadeOnceAndComparedWithTheLeaders(t *testing.T) {
	w := newWorld(t, 0)
	pods := w.pods(0, 3)
	require.Empty(t, cmp.Diff([]string{"p0", "p1", "p2"}, w.loop(pods)), "pods to decide for (-want +got)")
	require.NoError(t, w.NodeGroup("a").IncreaseSize(2))
	assert.Equal(t, 2, w.Target("a"), "the target size within a scale-up, want the 2 nodes that were decided")
	w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods[:2], pods[2:]})...)
	assert.Equal(t, 0, w.Target("a"), "the target size after the scale-up, want AWS's own 0")
	got := w.loop(pods)
	assert.Truef(t, got == nil, "the shadow decides again for %q", got)

	w.raise("b", 3)
	w.loop(nil)
	w.clock.Step(settle)
	w.loop(nil)
	report := w.Report()
	require.Truef(t, len(report.Comparisons) == 1 && len(report.Days) == 1 && report.Waiting == 0,
		"report = %+v, want one comparison of one day", report)
	c := report.Comparisons[0]
	assert.Empty(t, cmp.Diff("pods: 3, nodes: 2 in a (leader: 0), 0 in b (leader: 3)", c.What()), "comparison (-want +got)")
	assert.Truef(t, c.OtherGroups() && c.Both == 3 && c.PerHour.Shadow > 0 && c.PerHour.Leader > c.PerHour.Shadow,
		"comparison = %+v, want other groups, three pods and the higher price of GPUs", c)
	assert.Empty(t, cmp.Diff(map[string]decision.Reason{"b": {Code: decision.CodeTaint, Message: "a taint"}}, c.Causes), "causes (-want +got)")
}

// The leader's raise changes what the group's next node costs.
func TestTheSameNodeOfAMixedGroupCostsBothTheSame(t *testing.T) {
	mixed := awsworld.Group("mixed", "m5.large", 0, 0, 9, nil)
	mixed.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *mixed.LaunchTemplate, Overrides: []fakeaws.Override{{InstanceType: "m5.large"}},
		Distribution: fakeaws.Distribution{OnDemandBaseCapacity: 1, OnDemandPercentageAboveBaseCapacity: new(int)}}
	mixed.LaunchTemplate = nil
	w := newWorld(t, 0, mixed)
	pods := w.pods(0, 1)
	w.loop(pods)
	w.Asked(plan.Nodes("mixed", [][]*corev1.Pod{pods})...)
	w.raise("mixed", 1)
	w.loop(nil)
	w.clock.Step(settle)
	w.loop(nil)
	c := w.Report().Comparisons[0]
	assert.Truef(t, c.PerHour.Shadow > 0 && c.PerHour.Shadow == c.PerHour.Leader, "comparison %s at %+v an hour, want the same price", c.What(), c.PerHour)
}

// The nodes that were decided take the group's room in later loops, too.
func TestNoMoreNodesThanTheMaximumAreDecided(t *testing.T) {
	w := newWorld(t, 0)
	require.NoError(t, w.AWS.SetLimits("a", 0, 2))
	w.Reread()
	pods := w.pods(0, 4)
	w.loop(pods)
	w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods[:1], pods[1:2]})...)
	for range 2 {
		require.Empty(t, cmp.Diff([]string{"p2", "p3"}, w.loop(pods)), "pods to decide for (-want +got)")
		assert.Equal(t, 2, w.Target("a"), "the target size within a scale-up")
		w.NextLoop() // the core may leave the scale-up out
		assert.Equal(t, 0, w.Target("a"), "the target size at the beginning of a loop")
	}
	w.loop(pods)
	w.Asked()
	assert.Equal(t, 0, w.Target("a"), "the target size after a scale-up")
	w.loop(nil)
	w.clock.Step(settle)
	w.loop(nil)
	assert.Equal(t, "pods: 2, nodes: 2 in a (leader: 0)", w.Report().Comparisons[0].What(), "comparison")
}

// The new pod may have room on a node that was decided before, and may change how the others are packed.
func TestALaterPodHasAllDecidedAgain(t *testing.T) {
	w := newWorld(t, 0)
	pods := w.pods(0, 4)
	w.loop(pods[:3])
	w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods[:2], pods[2:3]})...)
	for range 2 { // the core leaves the first scale-up out, for --max-nodes-total
		require.Empty(t, cmp.Diff([]string{"p0", "p1", "p2", "p3"}, w.loop(pods)), "pods to decide for (-want +got)")
		assert.Equal(t, 0, w.Target("a"), "the target size before all is decided again")
	}
	w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods[2:], pods[:1]})...) // the second one no more
	assert.Empty(t, cmp.Diff([]string{"p1"}, w.loop(pods)), "pods to decide for (-want +got)")
	w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods[1:2]})...)
	w.loop(nil)
	w.clock.Step(settle)
	w.loop(nil)
	assert.Empty(t, cmp.Diff("pods: 4, nodes: 3 in a (leader: 0)", w.Report().Comparisons[0].What()), "comparison (-want +got)")
}

// While the leader's node starts, each loop has other pods in its room. Nothing is decided anew for the ones that are left.
func TestPodsOfANodeThatStartsWaitOn(t *testing.T) {
	w := newWorld(t, 0)
	pods := w.pods(0, 3)
	for _, pod := range pods {
		require.NoError(t, w.known.Add(pod))
	}
	w.loop(pods)
	w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods[:2], pods[2:]})...)
	w.raise("b", 1)
	for at := range pods {
		assert.Emptyf(t, w.loop(pods[at:at+1]), "pods to decide for in loop %d", at)
	}
	for _, pod := range pods {
		require.NoError(t, w.known.Delete(pod))
	}
	w.loop(nil)
	w.clock.Step(settle)
	w.loop(nil)
	c := w.Report().Comparisons
	require.Len(t, c, 1, "comparisons")
	assert.Equal(t, "pods: 3, nodes: 2 in a (leader: 0), 0 in b (leader: 1)", c[0].What(), "comparison")
}

func TestLaunchesAndPodsOfOneSideAreComparedToo(t *testing.T) {
	w := newWorld(t, 0)
	w.loop(nil)
	w.raise("a", 2)
	w.loop(nil)
	w.clock.Step(settle)
	w.loop(nil)
	pods := w.pods(0, 1)
	w.loop(pods)
	w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods})...)
	w.clock.Step(patience)
	w.loop(pods) // the leader never acts
	if got := w.loop(pods); got != nil {
		t.Errorf("the shadow decides again for %q", got)
	}
	var got []string
	for _, c := range w.Report().Comparisons {
		got = append(got, c.What())
	}
	assert.Empty(t, cmp.Diff([]string{"pods: 0, nodes: 0 in a (leader: 2)", "pods: 1, nodes: 1 in a (leader: 0)"}, got), "comparisons (-want +got)")
}

// The group grows again for a later pod while the node of the first one starts.
func TestFirstRaiseForAPodCounts(t *testing.T) {
	w := newWorld(t, 0)
	pods := w.pods(0, 1)
	w.loop(pods)
	w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods})...)
	w.clock.Step(20 * time.Second)
	w.Reread()
	w.loop(pods)
	w.clock.Step(10 * time.Second)
	w.raise("a", 1)
	w.loop(pods)
	w.clock.Step(time.Minute)
	pods = append(pods, w.pods(1, 2)...)
	w.loop(pods)
	w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods[:1], pods[1:]})...)
	w.raise("a", 2)
	w.loop(pods[1:])
	assert.Equal(t, 1, w.round.Both, "pods for which both acted")
	assert.InDelta(t, 20, w.round.Sooner, 0.001, "seconds sooner")
}

// A node of the leader gives room to a pod before the shadow has asked for one. The shadow would have asked later, or it knows why it would not.
func TestTheLeaderIsSooner(t *testing.T) {
	for state, want := range map[decision.PodState]string{
		decision.PodDelayed:  "pods: 1, nodes: 1 in b (leader: 1): 5.0 s later, as many nodes, at the same price",
		decision.PodHelpless: "pods: 0, nodes: 0 in b (leader: 1): 1 node fewer, about 0.0000 USD per hour cheaper, none in b: a taint",
	} {
		w := newWorld(t, 0)
		pods := w.pods(0, 1)
		require.NoError(t, w.known.Add(pods[0]))
		w.loop(pods)
		w.last.Pods = []decision.Pod{{UID: "p0", State: state}}
		w.clock.Step(10 * time.Second)
		w.raise("b", 1)
		w.clock.Step(5 * time.Second)
		w.loop(nil)
		w.last.Pods = nil
		require.NoError(t, w.known.Delete(pods[0]))
		w.loop(nil)
		w.clock.Step(settle)
		w.loop(nil)
		c := w.Report().Comparisons
		require.Lenf(t, c, 1, "comparisons with a pod that was %s", state)
		price := c[0].PerHour.Leader - c[0].PerHour.Shadow
		assert.Equalf(t, strings.Replace(want, "0.0000", fmt.Sprintf("%.4f", price), 1), c[0].What()+": "+c[0].Words("USD"), "a pod that was %s", state)
	}
}

// AWS has no capacity in the leader's first group.
func TestARaiseInVainCountsForNobody(t *testing.T) {
	w := newWorld(t, 0)
	require.NoError(t, w.AWS.Suspend("a", "Launch"))
	pods := w.pods(0, 1)
	w.loop(pods)
	w.Asked(plan.Nodes("b", [][]*corev1.Pod{pods})...)
	for _, raise := range []struct {
		group   string
		desired int
	}{{"a", 3}, {"a", 0}, {"b", 3}} {
		w.clock.Step(2 * time.Minute) // a reading of a lower capacity may be an old one before
		w.raise(raise.group, raise.desired)
		w.loop(pods)
	}
	w.loop(nil)
	w.clock.Step(settle)
	w.loop(nil)
	c := w.Report().Comparisons[0]
	assert.Equal(t, "pods: 1, nodes: 1 in b (leader: 3)", c.What(), "comparison")
	assert.NotContains(t, c.Causes, "a", "causes")
}

// Somebody protects three nodes beyond a lowered desired capacity, so AWS keeps them. The leader's raise to them brings none, and its next one does.
func TestARaiseToKeptNodesIsNone(t *testing.T) {
	w := newWorld(t, 0, awsworld.Group("c", "m5.large", 0, 3, 9, nil))
	require.NoError(t, w.AWS.Suspend("c", "Terminate"))
	for at, desired := range []int{1, 1, 3, 4} {
		w.clock.Step(2 * time.Minute) // a reading of a lower capacity may be an old one before
		if w.raise("c", desired); at == 0 {
			for _, n := range w.Nodes("c") {
				require.NoError(t, w.AWS.ProtectInstance(nodemeta.InstanceOf(n), true))
			}
		}
		w.loop(nil)
	}
	require.Equal(t, 4, w.Target("c"), "target size")
	w.clock.Step(settle)
	w.loop(nil)
	report := w.Report()
	require.Len(t, report.Comparisons, 1, "comparisons")
	assert.Equal(t, "pods: 0, nodes: 0 in c (leader: 1)", report.Comparisons[0].What(), "comparison")
}

// There is no moment at which no pod waits, and each one has its node after three minutes.
func TestABusyClusterIsComparedToo(t *testing.T) {
	w := newWorld(t, 0)
	require.NoError(t, w.AWS.SetLimits("a", 0, 60))
	var pods []*corev1.Pod
	for at := range 60 {
		w.clock.Step(time.Minute)
		w.raise("a", at)
		pods = append(pods[max(0, len(pods)-2):], w.pods(at, at+1)...)
		w.loop(pods)
		var nodes []plan.Node
		for i := range pods {
			nodes = append(nodes, plan.Nodes("a", [][]*corev1.Pod{pods[i : i+1]})...)
		}
		w.Asked(nodes...)
	}
	report, sum := w.Report(), decision.Comparison{}
	for _, d := range report.Days {
		sum.Add(d.Launches)
	}
	nodes := sum.Groups["a"]
	assert.Truef(t, len(report.Comparisons) >= 3 && sum.Pods >= 40 && sum.Pods-sum.Both <= 3 && nodes.Shadow-nodes.Leader <= 3,
		"after an hour there are %d comparisons with %d pods, %d for which both acted, and nodes of %+v", len(report.Comparisons), sum.Pods, sum.Both, nodes)
}

// nodes runs a loop after one that had the nodes of group a in these states.
func (w world) nodes(states ...decision.Node) {
	w.t.Helper()
	for at, n := range w.Nodes("a") {
		states[at].Name, states[at].Group, states[at].PerHour = n.Name, "a", 0.1
	}
	w.last.Nodes = states
	w.loop(nil)
}

// removes has the leader remove nodes of group a.
func (w world) removes(list ...int) {
	nodes := w.Nodes("a")
	for _, at := range list {
		going := nodes[at].DeepCopy()
		going.Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint}}
		w.NodeHandler().(cache.ResourceEventHandlerFuncs).UpdateFunc(nodes[at], going)
		w.NodeHandler().(cache.ResourceEventHandlerFuncs).UpdateFunc(going, going)
	}
}

// compared are the removals that were compared.
func (w world) compared() (list []string) {
	for _, r := range w.Report().Comparisons {
		list = append(list, fmt.Sprintf("%t %s: %s", r.PerHour.Shadow+r.PerHour.Leader > 0, slices.Collect(maps.Keys(r.Groups)), r.Words("USD")))
	}
	return list
}

func TestRemovalsAreCompared(t *testing.T) {
	w := newWorld(t, 6)
	loop := w.nodes
	needed := decision.Node{State: decision.NodeNeeded, Reason: decision.Reason{Code: decision.CodeNeeded, Message: "its pods fit on no other node"}}
	goes := decision.Node{State: decision.NodeUnneeded, Reason: decision.Reason{Code: decision.CodeUnneeded}}
	waits := decision.Node{State: decision.NodeUnneeded, Reason: decision.Reason{Code: decision.CodeUnneededDelay}, RemovalAt: w.clock.Now().Add(time.Minute)}
	paused := decision.Node{State: decision.NodeUnneeded, Reason: decision.Reason{Code: decision.CodeScaleDownOff}} // after the shadow's next launch
	stale := decision.Node{State: decision.NodeBlocked, Reason: decision.Reason{Code: decision.CodeStale}}
	loop(waits, waits, waits, needed, waits, waits)
	w.clock.Step(20 * time.Second)
	loop(goes, goes, waits, needed, goes, goes)
	w.clock.Step(10 * time.Second)
	loop(goes, goes, waits, needed, paused, stale)
	draining := decision.Node{State: decision.NodeDraining, Reason: decision.Reason{Code: decision.CodeUnneeded}}
	loop(draining, goes, waits, needed, paused, waits) // before the event
	w.removes(0, 2, 3, 4)
	loop(draining, needed, draining, draining, draining, needed)
	want := []string{
		"true [a]: both removed it, the shadow 10.0 s sooner",
		"true [a]: both removed it, the shadow 30.0 s later",
		"true [a]: the shadow would have kept it: its pods fit on no other node",
		"true [a]: both removed it, the shadow 10.0 s sooner",
		"true [a]: the leader kept it for 10.0 s, until it was needed again",
		"true [a]: the leader kept it for 10.0 s, until it was needed again",
	}
	assert.Empty(t, cmp.Diff(want, w.compared()), "removals (-want +got)")
	sum := w.Report().Days[0].Removals
	assert.Truef(t, sum.Both == 3 && math.Abs(sum.Mean()+10./3) < 1e-9, "sum of the day = %+v, want three, 3.3 s later", sum)
}

// The group may lose two nodes. In each loop, the core takes any two that are not needed.
func TestRemovalsDownToAMinimumAreCompared(t *testing.T) {
	w := newWorld(t, 4)
	goes := decision.Node{State: decision.NodeUnneeded, Reason: decision.Reason{Code: decision.CodeUnneeded}}
	stays := decision.Node{State: decision.NodeBlocked, Reason: decision.Reason{Code: decision.CodeMinSize, Message: "its group has its minimum"}}
	draining := decision.Node{State: decision.NodeDraining, Reason: decision.Reason{Code: decision.CodeUnneeded}}
	w.nodes(goes, goes, stays, stays)
	for range 3 {
		w.clock.Step(10 * time.Second)
		w.nodes(stays, goes, goes, stays)
		w.clock.Step(10 * time.Second)
		w.nodes(goes, stays, stays, goes)
	}
	w.removes(1, 3)
	w.nodes(stays, draining, stays, draining)
	w.removes(2)
	const both = "true [a]: both removed it, the shadow 60.0 s sooner"
	assert.Empty(t, cmp.Diff([]string{both, both, "true [a]: the shadow would have kept it: its group has its minimum"}, w.compared()), "removals (-want +got)")
}

// Two nodes are displaced at different times, and a third one is not needed any more. Then nobody goes in their place.
func TestMinimumThatRisesKeepsTheLeadersNodes(t *testing.T) {
	w := newWorld(t, 5)
	goes := decision.Node{State: decision.NodeUnneeded, Reason: decision.Reason{Code: decision.CodeUnneeded}}
	stays := decision.Node{State: decision.NodeBlocked, Reason: decision.Reason{Code: decision.CodeMinSize, Message: "its group has its minimum"}}
	w.nodes(goes, stays, stays, stays, stays)
	w.clock.Step(time.Hour)
	w.nodes(goes, goes, stays, stays, stays)
	w.clock.Step(time.Hour)
	w.nodes(stays, stays, goes, goes, goes)
	w.clock.Step(time.Minute)
	w.nodes(stays, stays, stays, stays, stays)
	assert.ElementsMatch(t, []string{"true [a]: the leader kept it for 7260.0 s, until it was needed again", "true [a]: the leader kept it for 3660.0 s, until it was needed again",
		"true [a]: the leader kept it for 60.0 s, until it was needed again"}, w.compared(), "removals")
}

// A long comparison began before midnight, and ends after a removal of the day after.
func TestDaysAreInOrder(t *testing.T) {
	s, midnight := &Shadow{}, time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	for _, from := range []time.Time{midnight, midnight.Add(-10 * time.Minute)} {
		d := s.add(decision.Comparison{From: from})
		assert.Equal(t, from.Format(time.DateOnly), d.Day, "day of a comparison")
	}
	last := s.report.Days[1].Day
	assert.Equal(t, "2026-11-02", last, "the last day")
}

func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t, 0)
	for range 2 * mostComparisons {
		pods := w.pods(0, 1)
		w.loop(pods)
		w.Asked(plan.Nodes("a", [][]*corev1.Pod{pods})...)
		w.loop(nil)
		w.clock.Step(24 * time.Hour)
		w.loop(nil)
	}
	report := w.Report()
	got := []int{len(report.Comparisons), len(report.Days), report.Waiting}
	assert.Truef(t, cmp.Equal(got, []int{mostComparisons, mostDays, 0}), "%v comparisons, days and waiting pods, want the bounds", got)
}

func TestNodeGroupsOfAShadowWriteNothing(t *testing.T) {
	w := newWorld(t, 1)
	node := w.Nodes("a")[0]
	ng := w.NodeGroup("a")
	assert.NoError(t, ng.IncreaseSize(2))
	assert.NoError(t, ng.DecreaseTargetSize(-1))
	assert.True(t, ng.DeleteNodes([]*corev1.Node{node}) != nil && ng.ForceDeleteNodes([]*corev1.Node{node}) != nil, "a shadow removed a node")
	var writes []string
	for _, c := range w.AWS.CallLog() {
		if !strings.HasPrefix(c.Action, "Describe") {
			writes = append(writes, c.Action)
		}
	}
	assert.Truef(t, writes == nil, "AWS was asked for %q", writes)
}
