package decisions_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/util/retry"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newRequestWorld has a group of three nodes in use, in a cluster that scaled up a moment ago, so that the core itself removes no node. The
// nodes small-0 and small-1 have a pod each that the core may move.
func newRequestWorld(t *testing.T, least int, cpu string) (*world, []*corev1.Node) {
	t.Helper()
	o := options()
	o.ScaleDownDelayAfterAdd, o.ScaleDownDelayAfterFailure = 100*time.Hour, 3*time.Minute
	return newRequestWorldOf(t, o, least, cpu)
}

func newRequestWorldOf(t *testing.T, o config.AutoscalingOptions, least int, cpu string) (*world, []*corev1.Node) {
	t.Helper()
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", least, 3, 5, nil)), o)
	nodes := w.ready("small")
	w.join(nodes...) // the core taints them in the API server
	for _, pod := range []*corev1.Pod{running("a", "a", cpu, "small-0"), running("b", "b", cpu, "small-1"), running("c", "c", "100m", "small-2")} {
		w.put(pod, &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: pod.OwnerReferences[0].Name}})
	}
	return w, nodes
}

// update changes a node in the API server, and waits until the cache has it.
func (w *world) update(node *corev1.Node) {
	w.T.Helper()
	require.NoError(w.T, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		stored, err := w.client.CoreV1().Nodes().Get(w.T.Context(), node.Name, metav1.GetOptions{})
		if err == nil {
			node = node.DeepCopy()
			node.ResourceVersion = stored.ResourceVersion
			_, err = w.client.CoreV1().Nodes().Update(w.T.Context(), node, metav1.UpdateOptions{})
		}
		return err
	}))
	w.Eventually(func() string {
		cached, err := w.factory.Core().V1().Nodes().Lister().Get(node.Name)
		if err != nil || !maps.Equal(cached.Annotations, node.Annotations) || !maps.Equal(cached.Labels, node.Labels) ||
			cached.Spec.Unschedulable != node.Spec.Unschedulable || !slices.Equal(cached.Status.Conditions, node.Status.Conditions) {
			return "the cache does not have the change"
		}
		return ""
	})
}

// change is update for a copy of the node with a change.
func (w *world) change(node *corev1.Node, change func(*corev1.Node)) {
	w.T.Helper()
	node = node.DeepCopy()
	change(node)
	w.update(node)
}

// request asks for the removal of a node.
func (w *world) request(node *corev1.Node) {
	w.T.Helper()
	w.change(node, func(n *corev1.Node) { nodemeta.RemovalRequested.Mark(n) })
}

// desired is the desired capacity of the group small.
func (w *world) desired() int { return w.size("small") }

// size is the desired capacity of a group at AWS.
func (w *world) size(group string) int {
	state, _ := w.AWS.Group(group)
	return state.Desired
}

// evicted are the pods that were evicted.
func (w *world) evicted() string {
	var names []string
	for _, a := range w.client.Actions() {
		if a.GetSubresource() == "eviction" {
			names = append(names, a.(clienttesting.CreateAction).GetObject().(metav1.Object).GetName())
		}
	}
	return strings.Join(names, " ")
}

// removed waits until the instance of one node of three is gone, with a decrement of the desired capacity.
func (w *world) removed() {
	w.T.Helper()
	w.Eventually(func() string { return cmp.Diff(2, len(w.View().Group("small").Instances)) })
	got := w.desired()
	assert.Truef(w.T, got == 2, "%d are desired, want 2", got)
	list := entries(w.record.Report(), decision.ScaleDown)
	assert.Truef(w.T, len(list) == 1 && strings.HasPrefix(list[0].Reason.Message, "somebody asked for its removal"), "recorded %+v", list)
}

// A dry run moves nothing, and may ask for the removal of a node that moves.
func TestDryRunRemovesANodeThatMoves(t *testing.T) {
	w, nodes := newRequestWorld(t, 0, "1200m")
	moves := move.State{Reason: move.Rotation, Step: move.Placing}
	w.change(nodes[0], func(n *corev1.Node) { metav1.SetMetaDataAnnotation(&n.ObjectMeta, move.Annotation, moves.Text()) })
	w.asked.Also = nodes[0].Name
	w.loop()
	w.gone(2)
}

func TestRequestIsTakenBack(t *testing.T) {
	w, nodes := newRequestWorld(t, 0, "1800m")
	w.put(running("full", "c", "1700m", "small-2"))
	w.request(nodes[0])
	n := w.node(w.loop(), "small-0")
	require.Truef(t, n.Requested && n.Reason.Code == decision.CodeNoPlace, "node %+v, want it to stay while its pod fits nowhere", n)
	w.update(nodes[0])
	n = w.node(w.loop(), "small-0")
	assert.Truef(t, !n.Requested && n.Reason.Code == decision.CodeNeeded && w.evicted() == "", "node %+v, want it to be as before", n)
}

func TestRequestedNodeThatStaysSaysWhyOnce(t *testing.T) {
	const asked = "somebody asks for its removal, but "
	for _, tt := range []struct {
		name    string
		least   int
		cpu     string
		change  func(w *world, node *corev1.Node)
		core    func(*config.AutoscalingOptions)
		code    decision.Code
		pod     string
		message string
	}{
		{name: "a pod without a controller", cpu: "500m", code: decision.CodePod, pod: "default/lone", change: func(w *world, _ *corev1.Node) {
			w.put(bare("lone", "small-0"))
		}, message: `pod "default/lone" has no controller that would start it elsewhere`},
		{name: "a budget", cpu: "500m", code: decision.CodePod, pod: "default/a", change: func(w *world, _ *corev1.Node) {
			w.put(noneMayGo())
		}, message: `the disruption budget "none-may-go" of pod "default/a" allows no eviction`},
		{name: "the minimum", least: 3, cpu: "500m", code: decision.CodeMinSize, message: `group "small"`},
		{name: "an annotation", cpu: "500m", code: decision.CodeAnnotation, change: func(_ *world, node *corev1.Node) {
			node.Annotations["cluster-autoscaler.kubernetes.io/scale-down-disabled"] = "true"
		}, message: "its annotation cluster-autoscaler.kubernetes.io/scale-down-disabled keeps it"},
		{name: "a flag", cpu: "500m", code: decision.CodeScaleDownOff, core: func(o *config.AutoscalingOptions) { o.MaxDrainParallelism = 0 },
			message: "--max-drain-parallelism below 1 keeps it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			o.ScaleDownDelayAfterAdd = 100 * time.Hour
			if tt.core != nil {
				tt.core(&o)
			}
			w, nodes := newRequestWorldOf(t, o, tt.least, tt.cpu)
			node := nodes[0].DeepCopy()
			nodemeta.RemovalRequested.Mark(node)
			if tt.change != nil {
				tt.change(w, node)
			}
			w.update(node)
			for range 3 {
				n := w.node(w.loop(), "small-0")
				require.Truef(t, n.Reason.Code == tt.code && n.Pod == tt.pod && n.Requested && strings.HasPrefix(n.Reason.Message, asked+tt.message),
					"node %+v, want %s, pod %q and %q", n, tt.code, tt.pod, asked+tt.message)
			}
			require.Equal(t, 1, len(w.events.Events), "events, want one")
			got := <-w.events.Events
			assert.Truef(t, strings.HasPrefix(got, "Warning ScaleDownRequestBlocked "+asked+tt.message), "event %q", got)
			if got := w.desired(); got != 3 || w.evicted() != "" {
				t.Errorf("%d are desired, want 3; evicted %q", got, w.evicted())
			}
		})
	}
}

// The core stops at the first pod that blocks, which is another one in each loop. Events without end would have the filter of the node's events
// drop others.
func TestRequestedNodeNamesEachPodThatBlocksOnce(t *testing.T) {
	w, nodes := newRequestWorld(t, 0, "500m")
	w.put(bare("lone", "small-0"), bare("only", "small-0"))
	w.request(nodes[0])
	// Two neighbours in the cache's map change places in one walk of eight only.
	named := map[string]bool{}
	for i := 0; i < 500 && len(named) < 2; i++ {
		named[w.node(w.loop(), "small-0").Pod] = true
	}
	w.loopTimes(10)
	assert.Equal(t, map[string]bool{"default/lone": true, "default/only": true}, named)
	assert.Len(t, w.events.Events, 2)
}

// The pods that have come back would be evicted again and again.
func TestRequestedNodeWaitsAfterAFailedRemoval(t *testing.T) {
	w, nodes := newRequestWorld(t, 0, "1200m")
	w.AWS.Inject(fakeaws.Fault{Action: "TerminateInstanceInAutoScalingGroup", Code: "AccessDenied"})
	w.request(nodes[0])
	w.Eventually(func() string {
		n := w.node(w.loop(), "small-0")
		if n.State != decision.NodeBlocked || !n.Requested || !strings.Contains(n.Reason.Remedy, "autoscaling:TerminateInstanceInAutoScalingGroup") {
			return fmt.Sprintf("node %+v", n)
		}
		return ""
	})
	w.loopTimes(3)
	got := w.evicted()
	assert.Truef(t, got == "a" && w.desired() == 3, "tried to evict %q, and %d are desired; want one try of a, and 3", got, w.desired())
	var last string // the loop in which AWS answers may end before the group is paused, and says that the removal failed
	for len(w.events.Events) > 0 {
		last = <-w.events.Events
	}
	assert.Contains(t, last, `somebody asks for its removal, but scale-down of group "small" is paused, because AWS denied the termination`)
}

// Each try may wait for the API server, and pods wait for the loop.
func TestRequestedNodeWaitsAfterARefusedTaint(t *testing.T) {
	w, nodes := newRequestWorld(t, 0, "1200m")
	w.request(nodes[0])
	tries := 0
	w.client.PrependReactor("update", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		tries++
		return true, nil, errors.New("a webhook denies it")
	})
	w.loopTimes(3)
	assert.Equal(t, 1, tries, "tries to taint the node")
}

// Each of them is tried alone, and later each time.
func TestNodesThatCannotBeTaintedKeepNoOther(t *testing.T) {
	o := options()
	o.ScaleDownDelayAfterAdd = 100 * time.Hour
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 4, 5, nil)), o)
	nodes := w.ready("small")
	w.join(nodes...)
	for at, name := range []string{"a", "b", "c"} {
		w.put(running(name, name, "500m", nodes[at].Name), &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
		w.request(nodes[at])
	}
	w.refuse(nodes[0].Name)
	w.refuse(nodes[1].Name)
	w.Eventually(func() string {
		w.removals.by += 20 * time.Second
		w.loop()
		return cmp.Diff("c", w.evicted())
	})
}

// refuse has the API server refuse each update of a node.
func (w *world) refuse(node string) {
	w.client.PrependReactor("update", "nodes", func(a clienttesting.Action) (bool, runtime.Object, error) {
		return a.(clienttesting.UpdateAction).GetObject().(metav1.Object).GetName() == node, nil, errors.New("a policy denied the request")
	})
}

// Its pod would be spread worse elsewhere, so the node waits for the next try to save its price. Somebody asks for its removal, and may have that.
func TestRequestedNodeGoesWhichAConsolidationWouldKeep(t *testing.T) {
	w := newDearWorld(t, 0, 2, "500m")
	w.changePods(func(pod *corev1.Pod) { spreadOver(pod, corev1.LabelHostname, corev1.ScheduleAnyway) })
	n, now := w.cached("small-0"), w.clock.Now()
	waits := move.State{Reason: move.Consolidation, Step: move.Waiting, Since: now, Began: now, Retry: now.Add(time.Hour)}
	metav1.SetMetaDataAnnotation(&n.ObjectMeta, move.Annotation, waits.Text())
	nodemeta.RemovalRequested.Mark(n)
	w.update(n)
	w.Eventually(func() string {
		w.loop()
		return cmp.Diff("small-pod-0", w.evicted())
	})
	w.gone(1)
}

// The pods of both nodes fit nowhere else. One after the other goes, each after a new node is ready.
func TestRequestedNodesAreReplacedFirst(t *testing.T) {
	for _, least := range []int{0, 3} {
		w, nodes := newRequestWorld(t, least, "1800m")
		w.put(running("full", "c", "1700m", "small-2"))
		for _, n := range nodes[:2] {
			w.change(n, replacedFirst)
		}
		for range 3 {
			w.loop()
			require.Truef(t, w.desired() == 4 && w.evicted() == "",
				"minimum %d: %d nodes are desired, evicted %q, want one more and no eviction", least, w.desired(), w.evicted())
		}
		n := w.node(w.loop(), "small-0")
		want := "somebody asks for its removal, but another node of its group starts or is drained first"
		assert.Equalf(t, want, n.Reason.Message, "minimum %d: node %+v, want it to wait", least, n)
		w.join(w.ready("small")[3])
		w.loop()
		w.gone(3)
		got := w.evicted()
		assert.Truef(t, got == "a" || got == "b", "minimum %d: evicted %q, want the pod of one node", least, got)
	}
}

// The core itself would remove the new node, which is empty while a pod keeps the old one, and small-2.
func TestScaleDownPausesAfterARequest(t *testing.T) {
	for _, tt := range []struct {
		name     string
		cpu      string
		how      string
		delay    func(*config.AutoscalingOptions) *time.Duration
		desired  int
		removals int
	}{
		{name: "added", cpu: "1800m", how: nodemeta.ReplaceFirst, desired: 4,
			delay: func(o *config.AutoscalingOptions) *time.Duration { return &o.ScaleDownDelayAfterAdd }},
		{name: "deleted", cpu: "500m", how: "true", desired: 2, removals: 1,
			delay: func(o *config.AutoscalingOptions) *time.Duration { return &o.ScaleDownDelayAfterDelete }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			o.NodeGroupDefaults.ScaleDownUnneededTime = time.Nanosecond
			*tt.delay(&o) = 30 * time.Minute // since the start of the core its last change is an hour ago
			w, nodes := newRequestWorldOf(t, o, 0, tt.cpu)
			if tt.desired > 3 {
				w.put(running("full", "c", "1700m", "small-2"))
			}
			w.change(nodes[0], func(n *corev1.Node) { nodemeta.RemovalRequested.Set(n, tt.how) })
			w.loop()
			if tt.desired > 3 {
				w.put(noneMayGo())
				w.join(w.ready("small")[3])
			}
			w.gone(tt.desired)
			var r *decision.Report
			for range 3 {
				r = w.loop()
			}
			assert.Len(t, entries(r, decision.ScaleDown), tt.removals, "removals")
			paused := slices.DeleteFunc(r.Nodes, func(n decision.Node) bool { return n.Reason.Code != decision.CodeScaleDownOff })
			assert.NotEmpty(t, paused, "nodes that are not needed and stay for the delay")
		})
	}
}

// AWS answers readings. The pods of one node after the other would be evicted in vain, and then those of the first one again.
func TestGroupWhoseTerminationsFailIsDrainedOnce(t *testing.T) {
	o := options()
	o.NodeGroupDefaults.ScaleDownUnneededTime, o.ScaleDownDelayAfterFailure = time.Nanosecond, 3*time.Minute
	w := newWorld(t, onAWS(t, awsworld.Group("other", "m5.large", 0, 1, 5, nil), awsworld.Group("small", "m5.large", 0, 3, 5, nil)), o)
	w.AWS.Inject(fakeaws.Fault{Group: "small", Action: "TerminateInstanceInAutoScalingGroup", Code: "ExpiredToken"})
	w.join(w.ready("other")...)
	w.join(w.ready("small")...)
	for name, node := range map[string]string{"busy": "other-0", "a": "small-0", "b": "small-1", "c": "small-2"} {
		cpu := "500m"
		if name == "busy" {
			cpu = "1800m"
		}
		w.put(running(name, name, cpu, node), &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
	}
	message := func(r *decision.Report, has string) bool {
		return slices.ContainsFunc(r.Nodes, func(n decision.Node) bool { return n.Group == "small" && strings.Contains(n.Reason.Message, has) })
	}
	w.Eventually(func() string {
		if !message(w.loop(), "its last removal failed") {
			return "no removal has failed"
		}
		return ""
	})
	first := w.evicted()
	w.loopTimes(5)
	const says = "no node of its group is drained for a while after AWS failed to terminate one (--scale-down-delay-after-failure=3m)"
	assert.Truef(t, message(w.loop(), says), "no other node says %q", says)
	w.end("busy") // so that the other group's node is empty
	w.Eventually(func() string { w.loop(); return cmp.Diff(0, w.size("other")) })
	assert.Truef(t, len(first) == 1 && w.evicted() == first && w.desired() == 3, "evicted %q, then %q, and %d are desired", first, w.evicted(), w.desired())
}

func TestGroupInBackoffGetsNoReplacement(t *testing.T) {
	w, nodes := newRequestWorld(t, 0, "1800m")
	w.put(running("full", "c", "1700m", "small-2"))
	w.loop()
	w.backoff.Backoff(w.NodeGroup("small"), nil, cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "InvalidLaunchTemplate"}, w.at)
	w.change(nodes[0], replacedFirst)
	w.loopTimes(3)
	assert.Equal(t, 3, w.desired(), "desired while the core leaves the group alone")
	w.backoff.RemoveBackoff(w.NodeGroup("small"), nil)
	w.loop()
	assert.Equal(t, 4, w.desired(), "desired afterwards")
}

// The pod has a place, and without the node the cluster would have too few cores.
func TestRequestedNodeIsReplacedFirstThatTheClusterNeedsForItsCores(t *testing.T) {
	o := options()
	o.ScaleDownDelayAfterAdd, o.MinCoresTotal = 100*time.Hour, 6 // each node has 2
	w, nodes := newRequestWorldOf(t, o, 0, "500m")
	w.change(nodes[0], replacedFirst)
	w.untilDesired(4)
	n := w.node(w.loop(), "small-0")
	assert.Equalf(t, "somebody asks for its removal, but another node of its group starts or is drained first", n.Reason.Message, "node %+v", n)
	w.join(w.ready("small")[3])
	w.loop()
	w.gone(3)
	assert.Equal(t, "a", w.evicted(), "evicted, want the pod of the node")
}

func TestNodeOfAFullGroupIsNotReplaced(t *testing.T) {
	for least, minimum := range map[int]string{
		3: `group "small" has its minimum size of 3`, 0: "without it the cluster would have less than its minimum of cores, memory or GPUs"} {
		o := options()
		o.ScaleDownDelayAfterAdd, o.MinCoresTotal = 100*time.Hour, 6 // each node has 2
		w, nodes := newRequestWorldOf(t, o, least, "500m")
		require.NoError(t, w.AWS.SetLimits("small", least, 3))
		w.Reread()
		w.change(nodes[0], replacedFirst)
		w.loop()
		n := w.node(w.loop(), "small-0")
		if want := minimum + `, and no replacement can come: group "small" has its maximum size of 3`; w.desired() != 3 || !strings.HasSuffix(n.Reason.Message, want) ||
			!strings.Contains(n.Reason.Remedy, "--max-size 4") {
			t.Errorf("%d are desired, node %+v, want the limits", w.desired(), n)
		}
	}
}

// The new node would come in vain: the old one is never drained.
func TestNodeThatIsNeverDrainedIsNotReplaced(t *testing.T) {
	for name, least := range map[string]int{"its pod fits nowhere": 0, "its group is at its minimum": 3} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.ScaleDownDelayAfterAdd, o.MaxDrainParallelism = 100*time.Hour, 0
			w, nodes := newRequestWorldOf(t, o, least, "1800m")
			w.put(running("full", "c", "1700m", "small-2"))
			if least > 0 {
				w.end("b")
			}
			w.change(nodes[0], replacedFirst)
			w.loopTimes(2)
			got := w.node(w.loop(), "small-0").Reason
			assert.Equal(t, 3, w.desired(), "desired")
			assert.Equal(t, "somebody asks for its removal, but --max-drain-parallelism below 1 keeps it", got.Message)
			assert.Equal(t, "raise --max-drain-parallelism", got.Remedy)
			if least > 0 { // an empty node needs no drain
				w.change(nodes[1], replacedFirst)
				w.untilDesired(4)
			}
		})
	}
}

func TestReplacementWaitsForRoomInTheCluster(t *testing.T) {
	o := options()
	o.MaxNodesTotal = 3
	w, nodes := newRequestWorldOf(t, o, 3, "1800m")
	w.change(nodes[0], replacedFirst)
	w.loop()
	got := w.node(w.loop(), "small-0").Reason
	assert.Equal(t, 3, w.desired(), "desired")
	assert.Contains(t, got.Message, "minimum size of 3, and no replacement can come: the cluster has its maximum of 3 nodes (--max-nodes-total=3)")
	assert.Equal(t, "raise --max-nodes-total=3", got.Remedy)
}

// Two nodes have a pod each that fits beside one other, not two. One goes, and the other waits for the drain and then has no place.
func TestRequestedNodesShareNoFreeRoom(t *testing.T) {
	w, nodes := newRequestWorld(t, 0, "1200m")
	w.request(nodes[0])
	w.request(nodes[1])
	w.loopTimes(3)
	w.removed()
	got := w.evicted()
	assert.Truef(t, got == "a" || got == "b", "evicted %q, want one pod", got)
}

// A pod of the budget is on each of two nodes. The one is asked to go, and the other is not needed.
func TestRequestUsesABudgetUpOnlyIfItsNodeGoes(t *testing.T) {
	for name, least := range map[string]int{"it goes": 0, "it stays for the minimum": 1} {
		t.Run(name, func(t *testing.T) {
			on := onAWS(t, awsworld.Group("asked", "m5.large", least, 1, 1, nil), awsworld.Group("small", "m5.large", 0, 2, 2, nil))
			w := newWorld(t, on, options())
			node := w.ready("asked")[0]
			nodemeta.RemovalRequested.Mark(node)
			w.join(node)
			w.join(w.ready("small")...)
			pods := []*corev1.Pod{running("asked", "asked", "1500m", "asked-0"), running("web-0", "web", "100m", "asked-0"),
				running("web-1", "web", "200m", "small-0"), running("busy", "busy", "1100m", "small-1")}
			for _, pod := range pods {
				pod.Labels = map[string]string{"set": pod.OwnerReferences[0].Name}
				w.put(pod, &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: pod.OwnerReferences[0].Name}})
			}
			w.put(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
				Spec:   policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: pods[1].Labels}},
				Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 1}})
			n := w.node(w.loop(), "small-0")
			if least == 0 {
				assert.Truef(t, n.State == decision.NodeBlocked && n.Pod == "default/web-1" && strings.HasPrefix(n.Reason.Message, "another node goes first"),
					"node %+v, want it to wait for the budget", n)
				return
			}
			assert.Equalf(t, decision.NodeUnneeded, n.State, "node %+v", n)
			w.at = w.at.Add(11 * time.Minute)
			w.Eventually(func() string {
				w.loop()
				return cmp.Diff("web-1", w.evicted()) // on the node that is not needed
			})
		})
	}
}

// look is a rule of a drain that only looks at the nodes of pods.
type look func(node string)

func (look) Name() string { return "look" }

func (l look) Drainable(_ *drainability.DrainContext, _ *corev1.Pod, node *framework.NodeInfo) drainability.Status {
	l(node.Node().Name)
	return drainability.NewUndefinedStatus()
}

// The pods fit nowhere else. A loop looks at eleven nodes, and no further one stands first for ever. The empty nodes go at once.
func TestManyRequestedNodesTakeTurns(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 30, 30, nil)), options())
	for i, n := range w.ready("small") {
		nodemeta.RemovalRequested.Mark(n)
		metav1.SetMetaDataLabel(&n.ObjectMeta, "name", n.Name)
		w.join(n)
		if i >= 2 {
			pod := running(fmt.Sprint("pod-", i), "set", "100m", n.Name)
			pod.Spec.NodeSelector = map[string]string{"name": n.Name}
			w.put(pod)
		}
	}
	looked, all := map[string]bool{}, map[string]bool{}
	w.asked.Rules = append(rules.Rules{look(func(node string) { looked[node] = true })}, w.asked.Rules...)
	var r *decision.Report
	for range 3 {
		r = w.loop()
		assert.Len(t, looked, 11, "nodes that a loop looked at")
		maps.Copy(all, looked)
		clear(looked)
	}
	assert.Len(t, all, 28, "nodes that three loops looked at")
	for _, n := range r.Nodes {
		empty := n.Name == "small-0" || n.Name == "small-1"
		assert.Truef(t, empty || n.Requested && n.Reason.Code == decision.CodeNoPlace, "node %+v, want it to stay for its pod", n)
	}
	w.gone(28)
}
