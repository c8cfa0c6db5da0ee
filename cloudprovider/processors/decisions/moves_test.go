package decisions_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// outdated is a reason for nodes with the label outdated. It is a rotation, or a repair.
type outdated struct {
	repair bool
	why    move.Why // but for its cause. Nodes with the label ends end in any case.
}

func (o outdated) Name() string {
	if o.repair {
		return move.Repair
	}
	return move.Rotation
}

func (outdated) Judged(move.Node) bool { return true }

func (o outdated) Due(n move.Node, _ time.Time) (move.Why, bool) {
	_, due := n.Labels["outdated"]
	o.why.Cause, o.why.Ends = "launch template version 1, and new instances get 2", o.why.Ends || n.Labels["ends"] != ""
	return o.why, due
}

// newRotationWorld has a group of three nodes with a Ready pod each. The node small-0 is outdated.
func newRotationWorld(t *testing.T, cpu string, changes ...func(pod *corev1.Pod)) (*world, []*corev1.Node) {
	t.Helper()
	return newRotationWorldOf(t, options(), cpu, changes...)
}

func newRotationWorldOf(t *testing.T, o config.AutoscalingOptions, cpu string, changes ...func(pod *corev1.Pod)) (*world, []*corev1.Node) {
	t.Helper()
	o.ScaleDownDelayAfterFailure = 3 * time.Minute
	if o.ScaleDownDelayAfterAdd == 0 {
		o.ScaleDownDelayAfterAdd = 100 * time.Hour
	}
	m := &move.Machine{Reasons: []move.Reason{outdated{}}, Budgets: parseBudgets(t, "100%"), Proof: 5 * time.Minute}
	w := newMovingWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 3, 5, nil)), o, m)
	nodes := w.ready("small")
	metav1.SetMetaDataLabel(&nodes[0].ObjectMeta, "outdated", "true")
	for i, n := range nodes {
		w.join(n)
		pod := running(fmt.Sprint("pod-", i), fmt.Sprint("set-", i), cpu, n.Name)
		for _, change := range changes {
			change(pod)
		}
		w.put(pod)
	}
	return w, nodes
}

// join has nodes in the API server and in the cache.
func (w *world) join(nodes ...*corev1.Node) {
	w.T.Helper()
	for _, n := range nodes {
		w.put(n)
		require.NoError(w.T, w.client.Tracker().Add(n.DeepCopy()))
	}
}

// untilMove runs loops until the move of small-0 is as wanted, and returns the node.
func (w *world) untilMove(want func(decision.Node) bool) (n decision.Node) {
	w.T.Helper()
	w.Eventually(func() string {
		if n = w.node(w.loop(), "small-0"); n.Move == nil || !want(n) {
			return fmt.Sprintf("node %+v, move %+v", n, n.Move)
		}
		return ""
	})
	return n
}

// goes reports whether the core drains the node, or has done so: a drain may take less than a loop.
func goes(n decision.Node) bool {
	return n.State == decision.NodeDraining || n.State == decision.NodeLeaving
}

// untilDesired runs loops until AWS has the size.
func (w *world) untilDesired(size int) {
	w.T.Helper()
	w.Eventually(func() string {
		w.loop()
		return cmp.Diff(size, w.desired())
	})
}

// gone waits until AWS has the size and has answered.
func (w *world) gone(size int) {
	w.T.Helper()
	w.Eventually(func() string {
		return cmp.Diff([2]int{size, size}, [2]int{w.desired(), w.Cache.Snapshot().Group("small").DesiredCapacity})
	})
}

// A finalizer, or the sickness of the node, holds it. The core would wait for it for ten minutes.
func TestDrainWaitsForNoPodThatShouldHaveEndedLongAgo(t *testing.T) {
	o := options()
	o.NodeDeleteDelayAfterTaint = 100 * time.Millisecond // the cache shows the taint then
	w, _ := newRotationWorldOf(t, o, "500m")
	stuck := running("stuck", "stuck", "100m", "small-0")
	stuck.DeletionTimestamp, stuck.Finalizers = ptr.To(metav1.NewTime(time.Now().Add(-time.Hour))), []string{"example.com/held"}
	w.put(stuck)
	w.untilMove(goes)
	w.gone(2)
	assert.Equal(t, "pod-0", w.evicted(), "evicted, want the other pod of the node")
}

// A removal on request begins the delay, see TestScaleDownPausesAfterARequest.
func TestScaleDownGoesOnBesideMoves(t *testing.T) {
	o := options()
	o.ScaleDownDelayAfterAdd, o.ScaleDownDelayAfterDelete = time.Nanosecond, 30*time.Minute
	w, _ := newRotationWorldOf(t, o, "500m")
	w.untilMove(goes)
	w.gone(2)
	assert.Equal(t, "pod-0", w.evicted(), "evicted, want the pod of the node")
	if list := entries(w.record.Report(), decision.ScaleDown); len(list) != 1 ||
		!strings.HasPrefix(list[0].Reason.Message, "replaced (rotation: launch template version 1, and new instances get 2)") {
		t.Errorf("recorded %+v", list)
	}
	unneeded := 0
	for _, n := range w.loop().Nodes {
		if n.Reason.Code == decision.CodeUnneededDelay {
			unneeded++
		}
		assert.NotContainsf(t, n.Reason.Message, "no node goes for a while", "node %s", n.Name)
	}
	assert.NotZero(t, unneeded, "nodes that are not needed")
}

// The pods fit nowhere else, so a node comes first. The process ends meanwhile, and the next one knows of it.
func TestOutdatedNodeIsReplacedFirst(t *testing.T) {
	w, _ := newRotationWorld(t, "1500m")
	n := w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
	w.loopTimes(3)
	require.Truef(t, w.desired() == 4 && w.evicted() == "",
		"%d nodes are desired, evicted %q, want one more and no eviction", w.desired(), w.evicted())
	want := "it is to be replaced (rotation: launch template version 1, and new instances get 2), but "
	assert.Truef(t, strings.HasPrefix(n.Reason.Message, want), "reason %q, want it to begin with %q", n.Reason.Message, want)
	s, _ := move.StateOf(w.stored("small-0"))
	assert.Truef(t, s.Step == move.Placing && s.Replacement == "small" && s.Launches == 1, "the node says %+v", s)
	w.join(w.ready("small")[3])
	w.untilMove(goes)
	w.gone(3)
	assert.Equal(t, "pod-0", w.evicted(), "evicted, want the pod of the node")
}

// The pods have places, and without the node the cluster would have too few cores. Another one comes first, and nobody is warned.
func TestNodeIsReplacedFirstThatTheClusterNeedsForItsCores(t *testing.T) {
	o := options()
	o.MinCoresTotal = 6 // each node has 2
	w, _ := newRotationWorldOf(t, o, "500m")
	w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
	w.loopTimes(3)
	require.Truef(t, w.desired() == 4 && w.evicted() == "" && len(w.events.Events) == 0,
		"%d nodes are desired, evicted %q, %d events, want one more, no eviction and no event", w.desired(), w.evicted(), len(w.events.Events))
	w.join(w.ready("small")[3])
	w.untilMove(goes)
	w.gone(3)
}

// AWS takes a node whose pod fits nowhere else. The pod may have a claim, of which the snapshot shows only one place.
func TestDrainedPodsHaveAPlaceOnceTheirNewNodeIsReady(t *testing.T) {
	t.Run("without claims", func(t *testing.T) {
		w, leaves := drainedHavePlace(t)
		assert.Greater(t, w.node(w.loop(), leaves).Utilization, 0.5, "the node counts as empty when the core plans removals")
	})
	t.Run("with a claim", func(t *testing.T) {
		w, _ := drainedHavePlace(t, func(pod *corev1.Pod) {
			pod.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: ptr.To("gpu")}}
			pod.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "gpu"}} // which needs no device in the end
		})
		n := w.node(w.loop(), "small-3")
		assert.Truef(t, n.State == decision.NodeNeeded && n.Reason.Message == "pods of nodes that leave are to have its room", "the new node %+v", n)
	})
}

func drainedHavePlace(t *testing.T, change ...func(*corev1.Pod)) (w *world, node string) {
	w, nodes := newRotationWorld(t, "1500m", change...)
	leaves := nodes[0].DeepCopy()
	delete(leaves.Labels, "outdated")
	leaves.Spec.Unschedulable = true
	w.update(leaves)
	w.drains.nodes = []string{leaves.Name}
	w.untilDesired(4)
	for range 3 {
		w.once()
		require.Empty(t, cmp.Diff(map[string]bool{leaves.Name: false}, w.drains.placed), "while the new node starts")
	}
	w.join(w.ready("small")[3])
	w.Eventually(func() string {
		w.once()
		return cmp.Diff(map[string]bool{leaves.Name: true}, w.drains.placed)
	})
	assert.Equal(t, 4, w.desired(), "desired")
	assert.NotEqual(t, decision.NodeUnneeded, w.node(w.loop(), "small-3").State, "the new node")
	return w, leaves.Name
}

// Something keeps the node. An event says so once, also over further tries. The move makes room for others after a while. That is no failure,
// and nothing is launched for it.
func TestOutdatedNodeThatStaysSaysWhyOnce(t *testing.T) {
	failed := move.State{Reason: move.Rotation, Step: move.Waiting, Failures: 3}
	for _, tt := range []struct {
		name      string
		pod, node map[string]string // annotations
		failures  int
		rollout   bool
		want      string
	}{
		{name: "a rollout that is stuck", rollout: true, want: `"default/set-0" has a pod that is not Ready, or is being rolled out`},
		{name: "a pod", pod: map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
			want: `pod "default/pod-0" has the annotation`},
		{name: "its annotation", node: map[string]string{"cluster-autoscaler.kubernetes.io/scale-down-disabled": "true"},
			want: "its annotation cluster-autoscaler.kubernetes.io/scale-down-disabled keeps it"},
		{name: "left alone", node: map[string]string{"karpenter.sh/do-not-disrupt": "true"}, want: move.LeftAlone},
		{name: "failures", node: map[string]string{move.Annotation: failed.Text()}, failures: 3,
			want: `3 moves of group "small" have failed, so the others wait: asgctl moves resume small`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, nodes := newRotationWorld(t, "500m", func(pod *corev1.Pod) { pod.Annotations = tt.pod })
			w.change(nodes[0], func(n *corev1.Node) { n.Annotations = tt.node })
			if tt.rollout {
				w.put(rolledOut(nodes[1].Name, true))
			}
			w.Eventually(func() string {
				w.clock.Step(30 * time.Second)
				w.loop()
				return cmp.Diff(1, len(w.events.Events))
			})
			const begins = "Warning DisruptionBlocked it is to be replaced (rotation: launch template version 1, and new instances get 2), but "
			event, want := <-w.events.Events, begins+tt.want
			assert.Truef(t, strings.HasPrefix(event, want), "event %q, want it to begin with %q", event, want)
			for range 30 {
				w.clock.Step(30 * time.Second)
				w.loop()
			}
			assert.Empty(t, w.events.Events, "further events")
			m := w.node(w.loop(), "small-0").Move
			assert.Truef(t, w.desired() == 3 && w.evicted() == "" && m.Failures == tt.failures, "%d are desired, evicted %q, move %+v",
				w.desired(), w.evicted(), m)
		})
	}
}

// A loop that ends early looks at no node that is to be replaced.
func TestHoldOfAnEarlierLoopIsOver(t *testing.T) {
	o := options()
	o.OkTotalUnreadyCount = 0
	w, nodes := newRotationWorldOf(t, o, "1500m")
	healthy := func(status corev1.ConditionStatus) {
		for _, n := range nodes[1:] {
			w.change(n, func(n *corev1.Node) {
				n.CreationTimestamp, n.Status.Conditions[0].Status = metav1.NewTime(w.at.Add(-time.Hour)), status
			})
		}
	}
	gauges := func() (held, underWay float64) {
		held, _ = metric(t, w.moves, "asg_autoscaler_moves_held", "")
		underWay, _ = metric(t, w.moves, "asg_autoscaler_moves_under_way", "")
		return held, underWay
	}
	w.change(nodes[0], func(n *corev1.Node) { nodemeta.DoNotDisrupt.Set(n, "true") })
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldAlone) })
	held, _ := gauges()
	assert.EqualValues(t, 1, held, "nodes held")
	healthy(corev1.ConditionFalse)
	w.clock.Step(3 * time.Minute)
	m := w.node(w.loop(), "small-0").Move
	held, _ = gauges()
	assert.Truef(t, m == nil && held == 0 && len(w.events.Events) == 0, "move %+v, %g nodes held, %d events", m, held, len(w.events.Events))
	healthy(corev1.ConditionTrue)
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldAlone) })
	assert.Len(t, w.events.Events, 1, "events, once a loop looks again, of a hold that has lasted")

	w.update(nodes[0])
	w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
	healthy(corev1.ConditionFalse)
	m = w.node(w.loop(), "small-0").Move
	_, underWay := gauges()
	assert.Truef(t, strings.HasPrefix(m.Waits, "no node goes: too many nodes of the cluster are not ready") && m.Hold == "" && underWay == 1,
		"move %+v, %g under way", m, underWay)
}

// The reason of a move is gone. A try that had failed before has been counted.
func TestMoveThatIsCalledOffCountsOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state move.State
		want  float64
	}{
		{"placing", move.State{Step: move.Placing}, 1},
		{"waiting after a try that something held", move.State{Step: move.Waiting}, 1},
		{"waiting after a failure", move.State{Step: move.Waiting, Failures: 1}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, nodes := newRotationWorld(t, "500m")
			n := nodes[0].DeepCopy()
			delete(n.Labels, "outdated")
			tt.state.Reason, tt.state.Began = move.Rotation, w.clock.Now()
			n.Annotations = map[string]string{move.Annotation: tt.state.Text()}
			w.update(n)
			w.Eventually(func() string {
				w.clock.Step(30 * time.Second)
				w.loop()
				return cmp.Diff("", w.stored(n.Name).Annotations[move.Annotation])
			})
			count, _ := metric(t, w.moves, "asg_autoscaler_moves_total", "")
			assert.Equal(t, tt.want, count, "outcomes")
		})
	}
}

// The last leader drained the node when it ended, or nobody has led since the move began.
func TestMoveOfLongAgoGoesOnUnderANewLeader(t *testing.T) {
	w, nodes := newRotationWorld(t, "500m")
	n, began := nodes[0].DeepCopy(), w.clock.Now().Add(-21*time.Minute)
	s := move.State{Reason: move.Rotation, Step: move.Placing, Since: began, Began: began, Replacement: "small", Launches: 1}
	n.Annotations = map[string]string{move.Annotation: s.Text()}
	w.update(n)
	moved := w.untilMove(func(n decision.Node) bool { return goes(n) || !n.Move.Retry.IsZero() })
	assert.Truef(t, goes(moved) && moved.Move.Failures == 0, "node %+v, move %+v, want it drained", moved, moved.Move)
}

// The pod would go back to the node that it is to leave.
func TestPodThatToleratesAllIsReplacedFirst(t *testing.T) {
	w, _ := newRotationWorld(t, "1500m", func(pod *corev1.Pod) {
		pod.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	})
	w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
	assert.Truef(t, w.desired() == 4 && w.evicted() == "",
		"%d nodes are desired, evicted %q, want one more and no eviction", w.desired(), w.evicted())
}

// rolledOut is a pod of set-0 on a node, with a template of its own while the Deployment is rolled out.
func rolledOut(node string, now bool) *corev1.Pod {
	pod := running("fresh", "set-0", "100m", node)
	if now {
		pod.Labels["pod-template-hash"], pod.OwnerReferences[0].Name = "def", "set-0-def"
	}
	return pod
}

// A window closes after the launch, or a rollout begins. The node is not drained, and that is no failure. It goes once nothing holds it. A try that
// was held to its end goes on after an hour, because the next one may launch another node.
func TestHeldMoveIsNoFailure(t *testing.T) {
	for _, tt := range []struct {
		hold move.Hold
		most time.Duration // after which other moves have their turn
		next time.Duration // until the next try
		set  func(w *world, held bool)
	}{
		{move.HeldWindow, 3 * time.Minute, 5 * time.Minute, func(w *world, held bool) {
			var texts []string
			if held {
				texts = []string{"deny 0 0 * * * 24h"}
			}
			var err error
			w.machine.Windows, err = move.ParseWindows(texts)
			require.NoError(w.T, err)
		}},
		{move.HeldRollout, 20 * time.Minute, time.Hour, func(w *world, held bool) {
			w.put(rolledOut("small-1", held))
		}},
		{move.HeldRollout, 20 * time.Minute, time.Hour, func(w *world, held bool) { // on a node of another autoscaler
			n := w.ready("small")[1].DeepCopy()
			n.Name, n.UID, n.Spec.ProviderID, n.Spec.Unschedulable = "beside", "beside", "aws:///eu-central-1a/i-0be51de0000000000", true
			w.put(n, rolledOut(n.Name, held))
		}},
	} {
		t.Run(string(tt.hold), func(t *testing.T) {
			w, _ := newRotationWorld(t, "1500m")
			w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
			tt.set(w, true)
			w.join(w.ready("small")[3])
			held := func(n decision.Node) bool { return n.Move.Hold == string(tt.hold) }
			w.untilMove(held)
			w.clock.Step(tt.most - 2*time.Minute)
			for range 3 {
				n := w.node(w.loop(), "small-0")
				assert.Truef(t, held(n) && n.Move.Retry.IsZero() && n.State != decision.NodeDraining, "node %+v, move %+v, want it to go on",
					n, n.Move)
			}
			w.clock.Step(2 * time.Minute)
			n := w.untilMove(func(n decision.Node) bool { return !n.Move.Retry.IsZero() })
			assert.Truef(t, n.Move.Failures == 0 && w.evicted() == "", "move %+v, evicted %q", n.Move, w.evicted())
			assert.InDelta(t, tt.next.Minutes(), n.Move.Retry.Sub(w.clock.Now()).Minutes(), 1)
			tt.set(w, false)
			w.clock.Step(tt.next + 5*time.Minute)
			w.untilMove(goes)
			w.gone(3)
		})
	}
}

// A controller that makes no pods, as for a quota, loses no more by a move until it has them.
func TestPodsThatNobodyMakesHoldMove(t *testing.T) {
	replicas := func(kind string, n int32) runtime.Object {
		of := metav1.ObjectMeta{Namespace: "default", Name: "set-0-abc"}
		switch kind {
		case "StatefulSet":
			return &appsv1.StatefulSet{ObjectMeta: of, Spec: appsv1.StatefulSetSpec{Replicas: &n}}
		case "ReplicationController":
			return &corev1.ReplicationController{ObjectMeta: of, Spec: corev1.ReplicationControllerSpec{Replicas: &n}}
		}
		return &appsv1.ReplicaSet{ObjectMeta: of, Spec: appsv1.ReplicaSetSpec{Replicas: &n}}
	}
	for _, kind := range []string{"ReplicaSet", "StatefulSet", "ReplicationController"} {
		t.Run(kind, func(t *testing.T) {
			w, _ := newRotationWorld(t, "1500m", func(pod *corev1.Pod) { pod.OwnerReferences[0].Kind = kind })
			w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
			w.put(replicas(kind, 2))
			w.join(w.ready("small")[3])
			n := w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRollout) || goes(n) })
			assert.Contains(t, n.Move.Waits, "has fewer pods than it is to have")
			w.put(replicas(kind, 1))
			w.untilMove(goes)
			w.gone(3)
		})
	}
}

// No new node comes for the pods, so the move makes room for others, and nothing ends. That is no failure: failures stop the moves of the
// group.
func TestMoveThatCannotGoMakesRoom(t *testing.T) {
	const full = "its group is at its minimum size, and cannot launch another node now"
	room := func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRoom) && n.Move.Replacement == "" }
	for _, tt := range []struct {
		name, cpu string // of each pod
		most      int    // of nodes in the cluster
		cores     int64  // of the cluster at least
		limits    [2]int // of the group
		before    func(w *world)
		held      func(decision.Node) bool
		waits     string
		pause     time.Duration
		desired   int
		idle      string // a group that launches nothing
	}{
		{name: "no group can launch", cpu: "1500m", limits: [2]int{0, 3}, held: room, pause: 21 * time.Minute, desired: 3},
		// The core does not try to scale up a full cluster. The pod that waits holds no move, and the move knows that no node comes.
		{name: "a full cluster", cpu: "1500m", most: 3, held: room, pause: 3 * time.Minute, desired: 3, before: func(w *world) {
			late := waiting("late", "set-late", "1500m")
			late.CreationTimestamp = metav1.NewTime(w.clock.Now())
			w.put(late)
		}},
		{name: "AWS has no capacity in any group", cpu: "1500m", held: room, pause: 21 * time.Minute, desired: 3, before: func(w *world) {
			for _, zone := range []string{"b", "c"} { // which are other pools
				require.NoError(w.T, w.AWS.AddGroup(awsworld.Zoned(awsworld.Group("in-"+zone, "m5.large", 0, 0, 5, nil), zone)))
			}
			w.AWS.AddShortage(fakeaws.Shortage{})
			w.Reread()
			w.untilMove(func(n decision.Node) bool { return n.Move.Replacement != "" })
		}},
		// A node of another group would not help: the old one could not go, and the new one would not be needed.
		{name: "AWS has none for a group at its minimum", cpu: "1500m", limits: [2]int{3, 5}, desired: 3, idle: "zonal", before: func(w *world) {
			require.NoError(w.T, w.AWS.AddGroup(awsworld.Zoned(awsworld.Group("zonal", "m5.large", 0, 0, 5, nil), "b")))
			w.AWS.AddShortage(fakeaws.Shortage{Group: "small"})
			w.Reread()
			_ = w.Grow("small", 1) // AWS has none
		}},
		{name: "a paused group at its minimum", cpu: "500m", limits: [2]int{3, 5}, held: room, desired: 3, before: func(w *world) {
			require.NoError(w.T, w.AWS.SetTags("small", map[string]*string{group.TagPaused: ptr.To("scale-up")}))
			w.Reread()
		}, waits: full + ": it is paused by its tag " + group.TagPaused},
		{name: "a zone at a spend cap", cpu: "500m", limits: [2]int{3, 5}, held: room, waits: full, desired: 3, before: func(w *world) {
			require.NoError(w.T, w.AWS.Suspend("small", "AZRebalance"))
			require.NoError(w.T, w.AWS.EditGroup("small", fakeaws.GroupEdit{Zones: awsworld.Zoned(awsworld.Group("", "", 0, 0, 0, nil), "ab").Zones,
				Tags: map[string]*string{asg.TagZonal: ptr.To("true"), group.TagSpendCap: ptr.To("0.01")}}))
			w.Reread()
		}},
		{name: "a group of fixed size", cpu: "500m", limits: [2]int{3, 3}, held: room, desired: 3,
			waits: full + ": to mend it, give it a maximum size above its minimum"},
		{name: "a full cluster, and a group at its minimum", cpu: "500m", most: 3, limits: [2]int{3, 5}, held: room, pause: 3 * time.Minute, desired: 3,
			waits: full + ": the cluster has all nodes that --max-nodes-total allows"},
		{name: "a full cluster that needs its cores", cpu: "500m", most: 3, cores: 6, pause: 3 * time.Minute, desired: 3,
			held: func(n decision.Node) bool { return n.Reason.Code == decision.CodeMinQuota }},
		// The core, whose time does not pass, takes it for a node that may come.
		{name: "a node seems to come without end", cpu: "1500m", pause: 36 * time.Minute, desired: 4, held: func(n decision.Node) bool {
			return n.Move.Replacement == "small" && n.Move.Hold == string(move.HeldStarting)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			o.MaxNodesTotal, o.MinCoresTotal = tt.most, tt.cores
			w, _ := newRotationWorldOf(t, o, tt.cpu)
			if tt.limits[1] > 0 {
				require.NoError(t, w.AWS.SetLimits("small", tt.limits[0], tt.limits[1]))
				w.Reread()
			}
			if tt.before != nil {
				tt.before(w)
			}
			if tt.held != nil {
				n := w.untilMove(tt.held)
				assert.Truef(t, tt.waits == "" || n.Move.Waits == tt.waits, "move %+v, want it to wait for %q", n.Move, tt.waits)
			}
			w.clock.Step(tt.pause)
			n := w.untilMove(func(n decision.Node) bool { return !n.Move.Retry.IsZero() })
			assert.Truef(t, n.Move.Failures == 0 && w.evicted() == "" && w.desired() == tt.desired,
				"move %+v, evicted %q, %d are desired", n.Move, w.evicted(), w.desired())
			assert.Truef(t, tt.idle == "" || w.Target(tt.idle) == 0, "group %q launches", tt.idle)
		})
	}
}

// A node is about to leave the full cluster, as after each move of a group at its minimum.
func TestMoveOfAGroupAtItsMinimumWaitsForRoomInTheCluster(t *testing.T) {
	o := options()
	o.MaxNodesTotal = 4
	w, nodes := newRotationWorldOf(t, o, "500m")
	other := nodes[0].DeepCopy()
	other.Name, other.UID, other.Labels, other.Spec.ProviderID = "other", "other", nil, "aws:///zone/i-0123456789abcdef0"
	other.Spec.Unschedulable = true
	w.join(other)
	require.NoError(t, w.AWS.SetLimits("small", 3, 5))
	w.Reread()
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRoom) })
	w.clock.Step(time.Minute)
	n := w.node(w.loop(), "small-0")
	assert.Truef(t, n.Move != nil && n.Move.Retry.IsZero() && w.desired() == 3, "move %+v, want it to wait", n.Move)
	require.NoError(t, w.factory.Core().V1().Nodes().Informer().GetIndexer().Delete(other))
	w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
	assert.Equal(t, 4, w.desired(), "desired")
}

// As with user data that names another cluster. Three of these stop the moves of the group to the launch template version.
func TestNewNodeThatNeverComesIsAFailure(t *testing.T) {
	for _, provision := range []time.Duration{15 * time.Minute, 30 * time.Minute} {
		o := options()
		o.NodeGroupDefaults.MaxNodeProvisionTime = provision
		w, _ := newRotationWorldOf(t, o, "1500m")
		pass := func(d time.Duration) {
			w.at = w.at.Add(d)
			w.clock.Step(d)
		}
		starting := func(n decision.Node) bool { return n.Move.Hold == string(move.HeldStarting) }
		w.untilMove(starting)
		pass(provision - 2*time.Minute)
		assert.Truef(t, starting(w.node(w.loop(), "small-0")), "the move waits for its node for %v", provision)
		pass(3 * time.Minute)
		n := w.untilMove(func(n decision.Node) bool { return !n.Move.Retry.IsZero() })
		assert.Equalf(t, 1, n.Move.Failures, "failures of the move after %v", provision)
	}
}

func TestNewNodeThatComesLateIsUsed(t *testing.T) {
	o := options()
	o.NodeGroupDefaults.MaxNodeProvisionTime = 30 * time.Minute
	w, _ := newRotationWorldOf(t, o, "1500m")
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldStarting) })
	for range 25 {
		w.at = w.at.Add(time.Minute)
		w.clock.Step(time.Minute)
		w.loop()
	}
	w.join(w.ready("small")[3])
	w.untilMove(goes)
}

// AWS refuses each launch, and that says nothing about a pool. The core would ask again after seconds, and remove no node for long after each
// time.
func TestRefusedLaunchOfAMoveIsAskedForLater(t *testing.T) {
	for _, tt := range []struct {
		name, cpu string
		least     int // of the group
	}{
		{name: "for its pods", cpu: "1500m"},
		{name: "for a group at its minimum", cpu: "500m", least: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := newRotationWorld(t, tt.cpu)
			require.NoError(t, w.AWS.SetLimits("small", tt.least, 5))
			w.Reread()
			fault := w.AWS.Inject(fakeaws.Fault{Action: "LaunchInstances", Code: "ScalingActivityInProgress"})
			asked := func() int { return w.AWS.Calls()["LaunchInstances"] }
			n := w.untilMove(func(decision.Node) bool { return asked() > 0 })
			for range 15 { // the core's own pause is five seconds, and its loops are one second apart
				time.Sleep(20 * time.Millisecond) // until the state of the move is written
				n = w.node(w.loop(), "small-0")
			}
			require.NotNil(t, n.Move)
			assert.Truef(t, asked() == 1 && n.Move.Replacement == "", "%d launches, move %+v", asked(), n.Move)
			w.AWS.ClearFaults(fault)
			n = w.untilMove(func(n decision.Node) bool {
				w.clock.Step(30 * time.Second)
				w.at = w.at.Add(30 * time.Second)
				return n.Move.Replacement == "small"
			})
			assert.Truef(t, w.desired() == 4 && n.Move.Failures == 0, "%d are desired, move %+v", w.desired(), n.Move)
		})
	}
}

// Somebody pauses the group after the drain of a node has begun, so its instance stays.
func TestPauseThatKeepsADrainedNodeIsNoFailure(t *testing.T) {
	o := options()
	o.NodeDeleteDelayAfterTaint = 5 * time.Second
	w, _ := newRotationWorldOf(t, o, "500m")
	w.untilMove(func(n decision.Node) bool { return n.State == decision.NodeDraining })
	require.NoError(t, w.AWS.SetTags("small", map[string]*string{group.TagPaused: ptr.To("scale-down")}))
	w.Reread()
	n := w.untilMove(func(n decision.Node) bool { return !n.Move.Retry.IsZero() })
	assert.Truef(t, n.Move.Failures == 0 && w.evicted() == "pod-0" && w.desired() == 3,
		"move %+v, evicted %q, %d are desired", n.Move, w.evicted(), w.desired())
}

// Three would stop the moves of the group until somebody resumes them, long after AWS's trouble.
func TestTerminationThatAWSFailsIsNoFailureOfAMove(t *testing.T) {
	for code, failures := range map[string]int{"ExpiredToken": 0, "ValidationError": 1} { // the pods go in vain, so the next try is not soon
		w, _ := newRotationWorldOf(t, options(), "500m")
		w.AWS.Inject(fakeaws.Fault{Action: "TerminateInstanceInAutoScalingGroup", Code: code})
		n := w.untilMove(func(n decision.Node) bool { return !n.Move.Retry.IsZero() })
		soon := n.Move.Retry.Sub(w.clock.Now()) < 30*time.Minute
		assert.Truef(t, n.Move.Failures == failures && soon == (failures > 0) && w.evicted() == "pod-0" && w.desired() == 3,
			"%s: move %+v, evicted %q, %d are desired", code, n.Move, w.evicted(), w.desired())
	}
}

// A node was launched for it, so that would be a failure.
func TestMoveThatWaitsUntilAWSTerminatesAgainIsNotPostponed(t *testing.T) {
	w, nodes := newRotationWorldOf(t, options(), "500m")
	w.AWS.Inject(fakeaws.Fault{Action: "TerminateInstanceInAutoScalingGroup", Code: "ExpiredToken"})
	w.untilMove(func(n decision.Node) bool { return !n.Move.Retry.IsZero() })
	n, began := nodes[1].DeepCopy(), w.clock.Now()
	s := move.State{Reason: move.Rotation, Step: move.Placing, Since: began, Began: began, Replacement: "small", Launches: 1}
	n.Labels, n.Annotations = map[string]string{"outdated": "true"}, map[string]string{move.Annotation: s.Text()}
	w.update(n)
	w.loopTimes(5)
	w.clock.Step(2*time.Minute + 10*time.Second)
	kept := w.node(w.loop(), "small-1")
	assert.Truef(t, kept.Move != nil && kept.Move.Retry.IsZero() && w.evicted() == "pod-0", "node %+v, move %+v, evicted %q", kept, kept.Move, w.evicted())
}

// The pod tolerates every taint, and its node has the most room once it is drained. The core looks at the pods once.
func TestPodThatComesToADrainedNodeIsNotLost(t *testing.T) {
	for name, tt := range map[string]struct {
		budget, ready bool
		left          int32 // disruptions that the budget allows once the first pod is evicted
		stays         bool
	}{
		"a budget protects it":               {budget: true, ready: true, stays: true},
		"it has no budget, as in scale-down": {ready: true},
		"it is not Ready":                    {budget: true},
		"its budget lets it go":              {budget: true, ready: true, left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.NodeDeleteDelayAfterTaint = 100 * time.Millisecond
			w, _ := newRotationWorldOf(t, o, "500m")
			budget := func(allowed int32) {
				if tt.budget {
					w.put(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "budget"},
						Spec:   policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{}},
						Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: allowed}})
				}
			}
			budget(1)
			w.client.PrependReactor("create", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
				late := running("late", "set-0", "500m", "small-0")
				late.Status.Conditions[0].LastTransitionTime = metav1.NewTime(time.Now().Add(-time.Minute)) // by its kubelet
				if !tt.ready {
					late.Status.Conditions[0].Status = corev1.ConditionFalse
				}
				w.put(late)
				budget(tt.left)
				return true, nil, nil
			})
			if !tt.stays {
				w.untilMove(goes)
				w.gone(2)
				return
			}
			w.untilMove(func(n decision.Node) bool { // the loop that sees the failure may come after the look at the nodes
				return n.Move.Failures == 1 && strings.Contains(n.Reason.Message+n.Reason.Remedy, `pod default/late came while it was drained`)
			})
			assert.Truef(t, w.evicted() == "pod-0" && w.desired() == 3, "evicted %q, %d are desired", w.evicted(), w.desired())
		})
	}
}

// The group is at its minimum, and launches no more in the zone of its nodes.
func TestNodeInAZoneThatItsGroupHasLeftIsReplacedInAnother(t *testing.T) {
	w, _ := newRotationWorld(t, "500m")
	require.NoError(t, w.AWS.SetLimits("small", 3, 5))
	require.NoError(t, w.AWS.Suspend("small", "AZRebalance"))
	require.NoError(t, w.AWS.EditGroup("small", fakeaws.GroupEdit{Zones: awsworld.Zoned(awsworld.Group("", "", 0, 0, 0, nil), "bc").Zones,
		Tags: map[string]*string{asg.TagZonal: ptr.To("true")}}))
	w.Reread()
	n := w.untilMove(func(n decision.Node) bool { return n.Move.Replacement != "" })
	assert.Truef(t, n.Move.Replacement != "small" && n.Move.Replacement != "small/"+awsworld.ZoneA && w.desired() == 4,
		"the move %+v, want a node of another zone, and %d are desired", n.Move, w.desired())
}

// Somebody deletes the group while its node moves. Its instances stay for a while, in a group that the core does not know any more.
func TestMoveEndsWithItsGroup(t *testing.T) {
	w, _ := newRotationWorld(t, "1500m")
	require.NoError(t, w.AWS.SetLimits("small", 0, 3))
	w.Reread()
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRoom) })
	require.NoError(t, w.AWS.DeleteGroup("small"))
	w.Reread()
	w.loopTimes(3)
	assert.Equal(t, "", w.evicted(), "evicted")
}

// Somebody takes the group from the autoscaler while a node is closed. New pods may come to the node again, also if the API server refuses the
// first write.
func TestMoveLeavesNothingOnANodeOfNobody(t *testing.T) {
	w, _ := newRotationWorld(t, "500m", asksForRestart)
	marked := func() (taint, annotation bool) {
		n := w.stored("small-0")
		_, annotation = move.StateOf(n)
		return taints.HasTaint(n, move.Taint), annotation
	}
	w.untilMove(func(decision.Node) bool { taint, _ := marked(); return taint })
	require.NoError(t, w.AWS.SetTags("small", map[string]*string{awsworld.EnabledTag: nil}))
	var refused atomic.Bool
	w.client.PrependReactor("update", "nodes", func(a clienttesting.Action) (bool, runtime.Object, error) {
		_, annotated := move.StateOf(a.(clienttesting.UpdateAction).GetObject().(*corev1.Node))
		return !annotated && refused.CompareAndSwap(false, true), nil, errors.New("the API server is unwell")
	})
	w.Reread()
	w.Eventually(func() string {
		w.loop()
		taint, annotation := marked()
		return cmp.Diff([2]bool{}, [2]bool{taint, annotation})
	})
}

// A move waits for an instance that starts in its group, and says so, but not for ever for one that never becomes a node.
func TestMoveWaitsForNodesThatStart(t *testing.T) {
	w, _ := newRotationWorld(t, "500m")
	require.NoError(t, w.AWS.SetLimits("small", 4, 6))
	w.Reread()
	n := w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldStarting) })
	want := "it is to be replaced (rotation: launch template version 1, and new instances get 2), but another node of its group"
	assert.Truef(t, strings.HasPrefix(n.Reason.Message, want), "reason %q, want it to begin with %q", n.Reason.Message, want)
	w.at = w.at.Add(16 * time.Minute)
	w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
	assert.Equal(t, 5, w.desired(), "desired, want one for the minimum")
}

// changed is outdated after a change of the group.
var changed = outdated{why: move.Why{Target: "2"}}

// The core hides a new node that is not Ready for it.
func TestNewNodeThatIsNotReadyHoldsTheNextMove(t *testing.T) {
	notReady := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionFalse}
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(time.Now().Add(-9 * time.Minute))}
	for _, tt := range []struct {
		name   string
		reason move.Reason
		ready  corev1.NodeCondition
		taint  string
		pod    bool
		want   move.Hold
	}{
		{name: "its change is not proven", reason: changed, ready: notReady, want: move.HeldFirst},
		{name: "its start-up taint is there", reason: changed, ready: ready, taint: taints.StartupTaintPrefix + "cni", want: move.HeldFirst},
		{name: "its pod is not Ready", reason: outdated{}, ready: notReady, pod: true, want: move.HeldRollout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &move.Machine{Reasons: []move.Reason{tt.reason}, Budgets: parseBudgets(t, "100%"), Proof: 5 * time.Minute}
			w := newMovingWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 2, 5, nil)), options(), m)
			nodes := w.ready("small")
			metav1.SetMetaDataLabel(&nodes[0].ObjectMeta, "outdated", "true")
			nodes[1].CreationTimestamp = metav1.NewTime(time.Now().Add(-10 * time.Minute))
			nodes[1].Status.Conditions = []corev1.NodeCondition{tt.ready}
			if tt.taint != "" {
				nodes[1].Spec.Taints = []corev1.Taint{{Key: tt.taint, Effect: corev1.TaintEffectNoSchedule}}
			}
			w.join(nodes...)
			w.put(running("pod-0", "set", "100m", nodes[0].Name))
			if tt.pod {
				starts := running("pod-1", "set", "100m", nodes[1].Name)
				starts.Status.Conditions[0].Status, starts.Status.Conditions[0].LastTransitionTime = corev1.ConditionFalse, metav1.Now()
				w.put(starts)
			}
			w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(tt.want) })
			assert.Equal(t, "", w.evicted(), "evicted")
		})
	}
}

// Nobody makes the pod of a capacity buffer Ready.
func TestRoomForPodsOnAProvenNodeHoldsNoMove(t *testing.T) {
	w := movesAlone(t, 2, changed)
	nodes := w.ready("small")
	metav1.SetMetaDataLabel(&nodes[0].ObjectMeta, "outdated", "true")
	metav1.SetMetaDataLabel(&nodes[1].ObjectMeta, "new", "true")
	nodes[1].CreationTimestamp = metav1.NewTime(time.Now().Add(-10 * time.Minute))
	nodes[1].Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(time.Now().Add(-9 * time.Minute))}}
	w.join(nodes...)
	w.put(running("pod-0", "set", "100m", nodes[0].Name))
	room := waiting("room", "buffer", "100m")
	room.CreationTimestamp, room.Spec.NodeSelector = metav1.Time{}, map[string]string{"new": "true"}
	w.fakes = injected{room}
	w.untilMove(goes)
}

// ending is outdated for nodes that AWS is about to end.
var ending = outdated{why: move.Why{Ends: true}}

// The other node does not start in time, before or after their own new node is there.
func TestRepairsAndNodesThatAWSEndsWaitForNoOtherNodes(t *testing.T) {
	for name, reason := range map[string]move.Reason{"repair": outdated{repair: true}, "AWS ends it": ending} {
		for _, replaced := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, replaced %t", name, replaced), func(t *testing.T) {
				cpu, size := "500m", 3
				if replaced {
					cpu, size = "1500m", 4
				}
				w, _ := newRotationWorld(t, cpu)
				w.machine.Reasons = []move.Reason{reason}
				var fresh []*corev1.Node
				if replaced {
					w.untilMove(func(n decision.Node) bool {
						return n.Move.Replacement == "small" && n.Move.Hold == string(move.HeldStarting)
					})
					fresh = w.ready("small")[3:]
					require.Len(t, fresh, 1, "want one node for the pod")
				}
				require.NoError(t, w.AWS.SetDesired("small", size+1))
				w.Reread()
				w.join(fresh...)
				w.untilMove(goes)
				w.gone(size)
			})
		}
	}
}

// A pod may run on this node alone, so the node that comes for the other pod helps nobody. No second one comes, and the group's moves go on.
func TestMoveOfAPodThatStaysLaunchesOnce(t *testing.T) {
	w, _ := newRotationWorld(t, "1500m")
	local := running("local", "local", "100m", "small-0")
	local.Spec.NodeSelector = map[string]string{"outdated": "true"}
	w.put(local)
	w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
	w.join(w.ready("small")[3])
	n := w.untilMove(func(n decision.Node) bool { return !n.Move.Retry.IsZero() })
	assert.Truef(t, n.Move.Failures == 0 && n.Move.Retry.Sub(w.clock.Now()) > 59*time.Minute,
		"move %+v, want no failure, and the next try in an hour", n.Move)
	w.clock.Step(30 * time.Minute)
	w.loopTimes(3)
	assert.Truef(t, w.desired() == 4 && w.evicted() == "", "%d are desired, evicted %q", w.desired(), w.evicted())
}

// kube-scheduler is down, or does not get to the pod. The core's list of pending pods lacks it.
func TestMoveWaitsForAPodThatKubeSchedulerHasNotJudged(t *testing.T) {
	w, _ := newRotationWorld(t, "500m")
	pod := waiting("new", "set-0", "500m")
	pod.Status.Conditions = nil
	w.put(pod)
	w.untilMove(func(n decision.Node) bool {
		require.Falsef(t, goes(n), "node %+v", n)
		return n.Move.Hold == string(move.HeldRollout)
	})
}

// An admission policy refuses each write of one node. The other node of the group gets its place in the budget.
func TestNodeThatCannotBeWrittenHoldsNoOther(t *testing.T) {
	w, nodes := newRotationWorld(t, "500m")
	w.change(nodes[1], func(n *corev1.Node) { metav1.SetMetaDataLabel(&n.ObjectMeta, "outdated", "true") })
	w.refuse("small-0")
	w.Eventually(func() string {
		w.clock.Step(10 * time.Second)
		w.loop()
		return cmp.Diff("pod-1", w.evicted())
	})
	w.gone(2)
	w.Eventually(func() string {
		w.clock.Step(10 * time.Second)
		w.loop()
		return cmp.Diff(1, len(w.events.Events))
	})
	assert.Contains(t, <-w.events.Events, move.LeftAlone)
	for range 60 {
		w.clock.Step(30 * time.Second)
		w.loop()
	}
	assert.Empty(t, w.events.Events, "further events")
}

// An admission policy refuses to let the first of two nodes be tainted. The core takes the taint of the other off again.
func TestNodeThatCannotBeTaintedHoldsNoOther(t *testing.T) {
	for _, atOnce := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d are drained at once", atOnce), func(t *testing.T) {
			o := options()
			o.MaxDrainParallelism = atOnce
			w, nodes := newRotationWorldOf(t, o, "500m")
			for at, n := range nodes[:2] {
				moves := move.State{Reason: move.Rotation, Step: move.Placing, Since: w.clock.Now().Add(time.Duration(at-60) * time.Minute), Began: w.clock.Now()}
				w.change(n, func(n *corev1.Node) {
					metav1.SetMetaDataLabel(&n.ObjectMeta, "outdated", "true")
					metav1.SetMetaDataAnnotation(&n.ObjectMeta, move.Annotation, moves.Text())
				})
			}
			w.refuse("small-0")
			w.Eventually(func() string {
				w.removals.by += 10 * time.Second
				w.loop()
				return cmp.Diff("pod-1", w.evicted())
			})
			w.gone(2)
		})
	}
}

// Pods of a node that AWS takes in a moment come first. A change in some days holds nothing.
func TestMoveWaitsForPodsThatAWSInterrupts(t *testing.T) {
	for _, kind := range []event.Kind{event.SpotInterruption, event.ScheduledChange} {
		t.Run(string(kind), func(t *testing.T) {
			w, nodes := newRotationWorld(t, "500m")
			w.update(taken(nodes[1].DeepCopy(), kind))
			w.drains.nodes = []string{"small-1"}
			n := w.untilMove(func(n decision.Node) bool {
				return n.Move.Hold == string(move.HeldPending) || goes(n)
			})
			assert.Equal(t, kind == event.SpotInterruption, n.Move.Hold == string(move.HeldPending), "held")
		})
	}
}

// In a busy cluster some pod waits for its node at any time. A pod without a plan holds the move.
func TestMoveWaitsForNoPodWhoseNodeComes(t *testing.T) {
	o := options()
	o.NodeGroupDefaults.MaxNodeProvisionTime = 100 * time.Hour // the core would give the nodes up
	w, _ := newRotationWorldOf(t, o, "500m")
	require.NoError(t, w.AWS.AddGroup(awsworld.Group("busy", "m5.large", 0, 0, 9, nil)))
	w.Reread()
	fits := waiting("fits", "fits", "100m")
	w.put(fits)
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldPending) })
	require.NoError(t, w.factory.Core().V1().Pods().Informer().GetIndexer().Delete(fits))
	jobs := 0
	job := func() { jobs++; w.put(waiting(fmt.Sprint("job-", jobs), "job", "1500m")) }
	job()
	w.untilMove(func(n decision.Node) bool {
		if jobs < 9 {
			job()
		}
		return goes(n)
	})
	assert.Positive(t, w.size("busy"))
}

// expendable is a pending pod of a low priority, for which the core launches no node. It stays young for long.
func (w *world) expendable() *corev1.Pod {
	pod := waiting("expendable", "batch", "1500m")
	pod.Spec.Priority, pod.CreationTimestamp = ptr.To[int32](-100), metav1.NewTime(w.clock.Now().Add(24*time.Hour))
	return pod
}

// The new pod of a restarted Deployment waits for a node, and it waits first. Another restart would end it.
func TestRestartedPodMayWaitForANode(t *testing.T) {
	w, _ := newRotationWorld(t, "500m", asksForRestart)
	restarted := func() bool {
		s, _ := move.StateOf(w.stored("small-0"))
		return !s.Restarted.IsZero()
	}
	w.untilMove(func(decision.Node) bool { return restarted() })
	pod := waiting("new", "set-0", "1500m")
	asksForRestart(pod)
	w.put(pod)
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldPending) })
	w.clock.Step(3 * time.Minute)
	for range 3 {
		n := w.node(w.loop(), "small-0")
		assert.Equalf(t, string(move.HeldPending), n.Move.Hold, "move %+v, want it to go on", n.Move)
	}
	w.clock.Step(8 * time.Minute)
	n := w.untilMove(func(n decision.Node) bool { return !n.Move.Retry.IsZero() })
	assert.Equalf(t, 1, n.Move.Failures, "failures, move %+v", n.Move)
}

// Two nodes may be drained at once. The core by itself would take both of one group before it takes one of the other.
func TestNodesThatAWSEndsAreDrainedBeforeOthersOfTheirGroups(t *testing.T) {
	o := options()
	o.MaxDrainParallelism, o.ScaleDownDelayAfterAdd = 2, 100*time.Hour
	o.NodeDeleteDelayAfterTaint = time.Hour // the drains outlast the test
	on := onAWS(t, awsworld.Group("a", "m5.large", 0, 2, 5, nil), awsworld.Group("b", "m5.large", 0, 2, 5, nil), awsworld.Group("free", "m5.large", 0, 2, 5, nil))
	w := newMovingWorld(t, on, o, &move.Machine{Reasons: []move.Reason{outdated{}}, Budgets: parseBudgets(t, "100%")})
	moves := move.State{Reason: move.Rotation, Step: move.Placing, Since: w.clock.Now(), Began: w.clock.Now()}
	for i, n := range append(w.ready("a"), w.ready("b")...) {
		metav1.SetMetaDataLabel(&n.ObjectMeta, "outdated", "true")
		metav1.SetMetaDataAnnotation(&n.ObjectMeta, move.Annotation, moves.Text())
		if n.Name == "a-0" || n.Name == "b-0" {
			metav1.SetMetaDataLabel(&n.ObjectMeta, "ends", "true")
		}
		w.join(n)
		pod := running(fmt.Sprint("pod-", i), fmt.Sprint("set-", i), "500m", n.Name)
		pod.Spec.NodeSelector = map[string]string{"free": "true"}
		w.put(pod)
	}
	for _, n := range w.ready("free") {
		metav1.SetMetaDataLabel(&n.ObjectMeta, "free", "true")
		w.join(n)
	}
	var drained []string
	w.Eventually(func() string {
		w.loop()
		list, err := w.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for i := range list.Items {
			if taints.HasToBeDeletedTaint(&list.Items[i]) {
				drained = append(drained, list.Items[i].Name)
			}
		}
		if len(drained) == 0 {
			return "no node is drained"
		}
		return ""
	})
	assert.ElementsMatch(t, []string{"a-0", "b-0"}, drained)
}

// Its new pod is not Ready, and the other pods of the node would end with it.
func TestNodeThatAWSEndsWaitsForNoRestart(t *testing.T) {
	w, _ := newRotationWorld(t, "500m", asksForRestart)
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRestart) && w.restarts() == 1 })
	w.machine.Reasons = []move.Reason{ending}
	w.untilMove(goes)
}

// asksForRestart has the pod's Deployment restarted to move it.
func asksForRestart(pod *corev1.Pod) {
	pod.Annotations = map[string]string{move.RestartToMove: "true"}
}

// restarts counts the restarts of Deployments.
func (w *world) restarts() (count int) {
	for _, a := range w.client.Actions() {
		if a.Matches("patch", "deployments") {
			count++
		}
	}
	return count
}

// The budget lets no pod go, and the group is at its maximum. A restart would bring the pod back to its node, again and again. Once the
// group may grow, a node comes first, and no other one for the old pod once the new one is there.
func TestDeploymentIsRestartedOnceItsPodHasAnotherPlace(t *testing.T) {
	w, _ := newRotationWorld(t, "1500m", asksForRestart)
	w.put(noneMayGo())
	require.NoError(t, w.AWS.SetLimits("small", 0, 3))
	w.Reread()
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRoom) })
	w.clock.Step(3 * time.Minute)
	n := w.untilMove(func(n decision.Node) bool { return !n.Move.Retry.IsZero() })
	assert.Truef(t, n.Move.Failures == 0 && w.restarts() == 0, "move %+v after %d restarts", n.Move, w.restarts())
	require.NoError(t, w.AWS.SetLimits("small", 0, 5))
	w.Reread()
	w.clock.Step(6 * time.Minute)
	w.untilMove(func(n decision.Node) bool { return n.Move.Replacement == "small" })
	assert.Equal(t, 0, w.restarts(), "restarts before the new node is there")
	w.join(w.ready("small")[3])
	w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRestart) && w.restarts() == 1 })
	w.put(running("pod-new", "set-0", "1500m", "small-3"))
	w.loopTimes(3)
	assert.Truef(t, w.restarts() == 1 && w.desired() == 4, "%d restarts, and %d are desired, want 1 and 4", w.restarts(), w.desired())
}

// AWS is about to lower the group by two, and the nodes are to go whose pods cost least. One pod waits for an instance that does not join. The other one
// gets a node of another group, and its own node does not wait for that instance.
func TestNodesGoAheadOfAScheduledAction(t *testing.T) {
	for name, drained := range map[string]event.Kind{"none is drained": "", "the dear one is drained for a planned change": event.ScheduledChange} {
		t.Run(name, func(t *testing.T) {
			on := awsworld.NewAWS(t, func(c *fakeaws.Config) {
				c.Delays.Synchronous = fakeaws.Duration(20 * time.Millisecond)
				c.Deeds = []fakeaws.Deed{{Kind: fakeaws.ScheduledAction, Group: "small", After: fakeaws.Duration(10 * time.Minute), Max: ptr.To(2)}}
			}, awsworld.Group("small", "m5.large", 0, 4, 5, map[string]string{move.TagBudget: "100%"}), awsworld.Group("other", "m5.large", 0, 0, 5, nil))
			shrink := &move.Shrink{Keeps: func(*corev1.Node) bool { return false }}
			w := newMovingWorld(t, on, options(), &move.Machine{Reasons: []move.Reason{shrink}, Budgets: parseBudgets(t, "100%")}, func(o *asg.Options) {
				o.Actions = o.AutoScaling.(asg.ActionsAPI)
			})
			for i, n := range w.ready("small")[:3] {
				if i == 1 && drained != "" {
					taken(n, drained)
				}
				w.join(n)
				pod := running(fmt.Sprint("pod-", i), fmt.Sprint("set-", i), "1500m", n.Name)
				if i == 1 {
					pod.Annotations = map[string]string{corev1.PodDeletionCost: "1000"}
				}
				w.put(pod)
			}
			w.untilMove(func(n decision.Node) bool {
				return strings.HasPrefix(n.Reason.Message, "it is to be replaced (schedule: the scheduled action ") && strings.Contains(n.Reason.Message, ` lowers group "small" to 2 at `)
			})
			w.Eventually(func() string {
				w.loop()
				return cmp.Diff(1, w.Target("other"))
			})
			require.Truef(t, w.desired() == 4 && w.evicted() == "",
				"%d nodes are desired, evicted %q, want no eviction before the other node comes", w.desired(), w.evicted())
			w.join(w.ready("other")[0])
			w.Eventually(func() string {
				if r := w.loop(); !goes(w.node(r, "small-0")) && !goes(w.node(r, "small-2")) {
					return fmt.Sprintf("nodes %+v", r.Nodes)
				}
				return ""
			})
			w.gone(3)
			for range 3 {
				n := w.node(w.loop(), "small-1")
				assert.Nilf(t, n.Move, "node %s moves, too", n.Name)
			}
			assert.Truef(t, w.desired() == 3 && w.Target("other") == 1, "%d and %d are desired, want 3 and 1", w.desired(), w.Target("other"))
		})
	}
}

// taken is the node, which is drained for an event of AWS.
func taken(n *corev1.Node, kind event.Kind) *corev1.Node {
	n.Spec.Unschedulable = true
	n.Spec.Taints = []corev1.Taint{{Key: interruption.Taint, Value: string(kind), Effect: corev1.TaintEffectNoSchedule}}
	return n
}

// newRepairWorld has a group of six nodes that are repaired by the rules.
func newRepairWorld(t *testing.T, texts ...string) (w *world, nodes []*corev1.Node) {
	t.Helper()
	rules, err := move.ParseRepairRules(texts)
	require.NoError(t, err)
	repair, o := &move.NodeRepair{Rules: rules, Types: instancetypes.Embedded, Every: time.Hour}, options()
	o.ScaleDownUnreadyEnabled = true
	w = newMovingWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 6, 9, nil)), o,
		&move.Machine{Reasons: []move.Reason{repair}, Budgets: parseBudgets(t, "100%"), Proof: 5 * time.Minute})
	nodes = w.ready("small")
	w.loop() // the first look
	w.clock.Step(2 * time.Minute)
	return w, nodes
}

// newDoubledWorld has a group of six nodes, and a former node of the instance of small-0 that has been silent for half an hour.
func newDoubledWorld(t *testing.T) (w *world, nodes []*corev1.Node) {
	t.Helper()
	w, nodes = newRepairWorld(t)
	former := nodes[0].DeepCopy()
	former.Name, former.UID = "former", "former"
	silence(former)
	w.join(former)
	return w, nodes
}

// silence has the node's kubelet silent for half an hour.
func silence(n *corev1.Node) {
	n.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Hour))
	n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown,
		LastTransitionTime: metav1.NewTime(time.Now().Add(-31 * time.Minute))}}
}

// With it, too many nodes of the group would be unhealthy. Its own repair would end the instance of the other node.
func TestSupersededNodeStopsNoRepair(t *testing.T) {
	w, nodes := newDoubledWorld(t)
	silence(nodes[2])
	w.join(nodes...)
	w.untilDesired(5)
	w.gone(5)
	for range 3 {
		w.clock.Step(20 * time.Minute)
		w.loop()
	}
	stop := nodes[0].DeepCopy()
	stop.CreationTimestamp = metav1.NewTime(w.stored("former").CreationTimestamp.Add(time.Minute))
	stop.Status.Conditions[0].Status, stop.Status.Conditions[0].LastTransitionTime = corev1.ConditionFalse, metav1.NewTime(w.clock.Now())
	w.put(stop) // its containerd restarts, say
	for range 3 {
		w.clock.Step(10 * time.Second)
		w.loop()
	}
	former := w.stored("former")
	assert.Truef(t, len(former.Annotations) == 0 && len(former.Spec.Taints) == 1, "annotations %v and taints %v", former.Annotations, former.Spec.Taints)
	assert.Equal(t, [3]bool{true, true, false}, [3]bool{w.desired() == 5, w.IsMember(nodes[0]), w.IsMember(nodes[2])},
		"five are desired, the instance of two nodes is there, and that of the sick node")
}

// The node is empty and not Ready for longer than the core leaves such a node. It is removed once its reboot has not helped.
func TestNodeThatIsRebootedStays(t *testing.T) {
	w, nodes := newRepairWorld(t, "Ready=Reboot")
	for i, n := range nodes {
		if n.Status.NodeInfo.BootID = "1"; i != 2 {
			w.put(running(fmt.Sprint("pod-", i), fmt.Sprint("set-", i), "1500m", n.Name))
		}
	}
	silence(nodes[2])
	w.join(nodes...)
	state := func() move.State {
		n := w.stored(nodes[2].Name)
		s, _ := move.StateOf(n)
		if shown, _ := move.StateOf(nodes[2]); shown.Step != s.Step { // the watch
			nodes[2] = n
			w.put(n)
		}
		return s
	}
	w.Eventually(func() string {
		w.loop()
		return cmp.Diff(move.Rebooting, state().Step)
	})
	assert.Equal(t, "1", state().Boot)
	for range 28 {
		w.clock.Step(time.Minute)
		w.at = w.at.Add(time.Minute)
		n := w.node(w.loop(), nodes[2].Name)
		require.NotEqual(t, decision.NodeDraining, n.State, n.Reason.Message)
		require.Equal(t, []any{move.Rebooting, 6}, []any{state().Step, w.desired()})
	}
	w.clock.Step(2 * time.Minute)
	w.Eventually(func() string {
		w.loop()
		state()
		return cmp.Diff(5, w.desired())
	})
	assert.Eventually(t, func() bool { return !w.IsMember(nodes[2]) }, 10*time.Second, 10*time.Millisecond)
}

// The node is drained for its reboot when something changes.
func TestRebootIsTakenBack(t *testing.T) {
	key := func(key string) func(*corev1.Node, *world) {
		return func(n *corev1.Node, _ *world) { metav1.SetMetaDataAnnotation(&n.ObjectMeta, key, "true") }
	}
	forbid := func(_ *corev1.Node, w *world) {
		require.NoError(w.T, w.AWS.SetTags("small", map[string]*string{move.TagBudget: ptr.To("0")}))
		w.Reread()
	}
	for _, tt := range []struct {
		name   string
		change func(n *corev1.Node, w *world)
		want   move.Step // in the end, "" if the node is no longer to be replaced
		asked  bool      // EC2 has been asked
	}{
		{name: "nothing changes", change: func(*corev1.Node, *world) {}, want: move.Rebooting},
		{name: "its node works", change: func(n *corev1.Node, _ *world) { n.Status.Conditions[0].Status = corev1.ConditionTrue }},
		{name: "its node works, and EC2 has been asked", asked: true, want: move.Rebooting,
			change: func(n *corev1.Node, _ *world) { n.Status.Conditions[0].Status = corev1.ConditionTrue }},
		{name: "its node is left alone", change: key("karpenter.sh/do-not-disrupt"), want: move.Waiting},
		{name: "its node is left alone, and EC2 has been asked", asked: true, change: key("karpenter.sh/do-not-disrupt"), want: move.Rebooting},
		{name: "a person keeps it", change: key("cluster-autoscaler.kubernetes.io/scale-down-disabled"), want: move.Waiting},
		{name: "AWS plans a change of it", want: move.Waiting, change: func(n *corev1.Node, _ *world) {
			taken(n, event.ScheduledChange).Annotations[interruption.Taint] = `{"kind":"scheduled-change"}`
		}},
		{name: "its group is paused", want: move.Waiting, change: func(_ *corev1.Node, w *world) {
			require.NoError(w.T, w.AWS.SetTags("small", map[string]*string{group.TagPaused: ptr.To("scale-down")}))
			w.Reread()
		}},
		{name: "its group lets no node move", want: move.Waiting, change: forbid},
		{name: "its group lets no node move, and EC2 has been asked", asked: true, want: move.Rebooting, change: forbid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, nodes := newRepairWorld(t, "Ready=Reboot")
			for i, n := range nodes {
				n.Status.NodeInfo.BootID = "1"
				w.put(running(fmt.Sprint("pod-", i), fmt.Sprint("set-", i), "1500m", n.Name))
			}
			silence(nodes[2])
			w.join(nodes...)
			step := func() move.Step { s, _ := move.StateOf(w.stored(nodes[2].Name)); return s.Step }
			w.Eventually(func() string {
				w.loop()
				return cmp.Diff(move.Rebooting, step())
			})
			n := taken(w.stored(nodes[2].Name), event.Reboot)
			n.Annotations[interruption.Taint] = `{"kind":"reboot"}`
			if tt.asked {
				n.Annotations[interruption.Taint] = `{"kind":"reboot","terminating":"2026-11-26T12:00:00Z"}`
			}
			tt.change(n, w)
			_, err := w.client.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{})
			require.NoError(t, err)
			w.put(n)
			for range 3 {
				w.loop()
				w.clock.Step(time.Minute)
				w.at = w.at.Add(time.Minute)
			}
			w.Eventually(func() string {
				w.loop()
				return cmp.Diff(tt.want, step())
			})
			assert.Equal(t, 6, w.desired())
			s, _ := move.StateOf(w.stored(nodes[2].Name))
			assert.Equal(t, tt.want == move.Rebooting, s.Boot != "", "a reboot that was taken back is still to come")
		})
	}
}

// With it, the node that is on its way would be missed, and each loop would ask for another one.
func TestSupersededNodeIsNoNodeMore(t *testing.T) {
	w, nodes := newDoubledWorld(t)
	w.join(nodes...)
	for i, n := range nodes {
		w.put(running(fmt.Sprint("pod-", i), fmt.Sprint("set-", i), "1500m", n.Name))
	}
	w.put(waiting("late", "set-late", "1500m"))
	w.untilDesired(7)
	var r *decision.Report
	for range 3 {
		w.Reread()
		r = w.loop()
	}
	assert.Equal(t, 7, w.desired(), "desired, want one more for one pod")
	g := w.group(r, "small")
	assert.Equal(t, [2]int{6, 1}, [2]int{g.Ready, g.Starting}, "nodes that are ready, and that start")
	assert.Equal(t, "its instance has registered again, as another node", w.node(r, "former").Reason.Message)
}
