package interruption_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestWarnedNodeIsDrainedAndTerminated(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		warned, other := w.inService()[0], w.inService()[1]
		w.run(warned, "a", "b", "c")
		w.run(other, "d")
		events := record.NewFakeRecorder(100)
		w.running(func(o *interruption.Options) { o.Events = events })
		require.NoError(t, w.aws.Interrupt(warned, 0))
		w.wait("the node is cordoned", func() bool { n := w.nodes()[warned]; return n == nil || n.Spec.Unschedulable })
		w.waitTerminated(warned)
		w.waitEmptyQueue()
		assert.Truef(t, w.desired() == 1 && w.terminations() == 1 && slices.Equal(w.inService(), []string{other}),
			"desired %d after %d terminations, in service %v", w.desired(), w.terminations(), w.inService())
		assert.Empty(t, cmp.Diff(map[string]int{"a": 1, "b": 1, "c": 1}, w.allEvicted()))
		assert.Equalf(t, 1, w.handled()["drained spot-interruption"], "%v", w.handled())
		for name, want := range map[string]int{"drain_duration_seconds": 1, "time_left_seconds": 1, "pods_evicted_total": 3, "pods_lost_total": 0} {
			assert.Equalf(t, want, w.count("asg_autoscaler_interruption_" + name)[""], "%s", name)
		}
		var texts []string
		for len(events.Events) > 0 {
			texts = append(texts, <-events.Events)
		}
		if all := strings.Join(texts, "\n"); strings.Count(all, "NodeInterrupted Evicted") != 3 || !strings.Contains(all, "Interruption Cordoned and drained, by ") {
			t.Errorf("events:\n%s", all)
		}
	})(t)
}

func TestNodeAnnotationsDescribeTheDrain(t *testing.T) {
	w, warned := parallelWorld(t, scalingGroup(0, 1, 5))
	w.run(warned, "a")
	w.refused.Store(true)
	w.running()
	began := time.Now().Truncate(time.Second)
	w.send(warning(warned, began))
	w.wait("annotated", func() bool { return w.nodes()[warned].Annotations[interruption.Taint] != "" })
	n := w.nodes()[warned]
	if !n.Spec.Unschedulable || n.Labels[corev1.LabelNodeExcludeBalancers] == "" ||
		!slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
			return t.Key == interruption.Taint && t.Effect == corev1.TaintEffectNoSchedule
		}) {
		t.Errorf("unschedulable %v, labels %v, taints %v", n.Spec.Unschedulable, n.Labels, n.Spec.Taints)
	}
	var got struct {
		Kind, Group, Reason string
		Began, Deadline     time.Time
		Terminating         *time.Time
		Cordoned, Excluded  bool
	}
	require.NoError(t, json.Unmarshal([]byte(n.Annotations[interruption.Taint]), &got))
	// The age of the event counts from when its message was received, so a busy machine adds what it took from there to here.
	late := got.Deadline.Sub(began.Add(2 * time.Minute))
	assert.Truef(t, late >= 0 && late <= time.Since(began), "deadline %v, want two minutes after %v", got.Deadline, began)
	if want := "EC2 takes the instance back (terminate), event event-of-" + warned; got.Kind != "spot-interruption" || got.Group != "spot" ||
		got.Reason != want || got.Terminating != nil || !got.Cordoned || !got.Excluded || got.Began.Before(began) {
		t.Errorf("got %+v, want the reason %q, and what is to be undone", got, want)
	}
}

// A node may take a minute and more to boot. An instance of a group at its maximum, or at another limit, may hold the place of the new
// node.
func TestTerminationWaitsUntilPodsRunElsewhere(t *testing.T) {
	for _, tt := range []struct {
		name       string
		most       int
		waits, end time.Duration // no termination before the one, and one before the other
		ready      bool          // the pod, after waits
		full       bool          // another limit
	}{
		{name: "a pod that runs on a node that booted slowly", most: 5, waits: 85 * time.Second, end: 88 * time.Second, ready: true},
		{name: "a pod that never runs", most: 5, waits: 100 * time.Second, end: 107 * time.Second},
		{name: "a pod that never runs, and a group at its maximum", most: 2, waits: 23 * time.Second, end: 30 * time.Second},
		{name: "a pod that never runs, and a full group", most: 5, full: true, waits: 23 * time.Second, end: 30 * time.Second},
	} {
		t.Run(tt.name, inBubble(scalingGroup(0, 2, tt.most), func(t *testing.T, w *world) {
			w.silent()
			warned, other := w.inService()[0], w.inService()[1]
			w.create("a", owned, func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = w.nodes()[warned].Name, corev1.PodRunning })
			w.create("b", owned) // the ReplicaSet's next
			w.running(func(o *interruption.Options) { o.Full = func(group string) bool { return tt.full && group == "spot" } })
			w.send(warning(warned, time.Now()))
			time.Sleep(tt.waits)
			assert.Equal(t, 0, w.terminations(), "the instance was terminated while its pod is pending")
			if tt.ready {
				pod, err := w.cluster.CoreV1().Pods("default").Get(t.Context(), "b", metav1.GetOptions{})
				require.NoError(t, err)
				pod.Spec.NodeName, pod.Status.Conditions = w.nodes()[other].Name, []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
				_, err = w.cluster.CoreV1().Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{})
				require.NoError(t, err)
			}
			time.Sleep(tt.end - tt.waits)
			w.waitTerminated(warned)
			assert.Equal(t, 1, w.terminations(), "terminations")
		}))
	}
}

// counting is an informer that counts the pods that lists of it return.
type counting struct {
	cache.SharedIndexInformer
	pods *atomic.Int32
}

func (c counting) GetIndexer() cache.Indexer {
	return countingIndexer{c.SharedIndexInformer.GetIndexer(), c.pods}
}

type countingIndexer struct {
	cache.Indexer
	pods *atomic.Int32
}

func (c countingIndexer) List() []any { return c.count(c.Indexer.List()) }

func (c countingIndexer) Index(name string, object any) ([]any, error) {
	list, err := c.Indexer.Index(name, object)
	return c.count(list), err
}

func (c countingIndexer) ByIndex(name, value string) ([]any, error) {
	list, err := c.Indexer.ByIndex(name, value)
	return c.count(list), err
}

func (c countingIndexer) count(list []any) []any {
	c.pods.Add(int32(len(list)))
	return list
}

// A hundred drains look every second, and a controller may have twenty thousand pods.
func TestReadyPodsOfAControllerAreNotLookedThrough(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		warned, other := w.inService()[0], w.nodes()[w.inService()[1]].Name
		w.create("a", owned, func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = w.nodes()[warned].Name, corev1.PodRunning })
		const crowd = 1000
		for n := range crowd {
			w.create(fmt.Sprint("ready-", n), owned, func(p *corev1.Pod) {
				p.Spec.NodeName, p.Status.Conditions = other, []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			})
		}
		var pods atomic.Int32
		w.running(func(o *interruption.Options) { o.Pods = counting{o.Pods, &pods} })
		w.send(warning(warned, time.Now()))
		w.waitTerminated(warned)
		n := pods.Load()
		assert.Truef(t, w.evictions("a") == 1 && n != 0 && n < crowd, "%d pods were looked at, evicted %v", n, w.allEvicted())
	})(t)
}

func TestIrrelevantMessagesChangeNothing(t *testing.T) {
	w, _ := parallelWorld(t, scalingGroup(0, 2, 5))
	ids := w.inService()
	w.run(ids[0], "a")
	w.running()
	state := `{"id":"s","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","detail":{"instance-id":%q,"state":%q}}`
	bodies := []string{
		"garbage", `{"detail-type":"EC2 Fleet Error","source":"aws.ec2"}`, `{"Event":"autoscaling:TEST_NOTIFICATION"}`,
		warning(ids[0], time.Now().Add(-time.Hour)),
		fmt.Sprintf(state, ids[0], "running"),
		`{"id":"r","detail-type":"EC2 Instance Rebalance Recommendation","source":"aws.ec2","detail":{"instance-id":"` + ids[0] + `"}}`,
		hookMessage(ids[0], time.Now().Add(-3*time.Minute)),
	}
	for _, body := range bodies {
		w.send(body)
	}
	w.waitEmptyQueue()
	want := map[string]int{"garbage unusable": 1, "unknown-type unusable": 1, "test-notification unusable": 1,
		"stale spot-interruption": 1, "counted rebalance-recommendation": 1, "stale lifecycle-terminate": 1}
	got := w.handled()
	maps.DeleteFunc(got, func(key string, _ int) bool { // the launches of the group's own instances
		return strings.HasPrefix(key, "counted launch-") || key == "counted state-change"
	})
	assert.Empty(t, cmp.Diff(want, got))
	for id, node := range w.nodes() {
		assert.Falsef(t, node.Spec.Unschedulable, "the node of %s was cordoned", id)
	}
	assert.Truef(t, w.desired() == 2 && w.terminations() == 0, "desired %d after %d terminations", w.desired(), w.terminations())
}

// hookMessage is the lifecycle action of an instance that waits to be terminated.
func hookMessage(instance string, at time.Time) string {
	return fmt.Sprintf(`{"id":"h","detail-type":"EC2 Instance-terminate Lifecycle Action","source":"aws.autoscaling","time":%q,"detail":{`+
		`"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","AutoScalingGroupName":"spot","LifecycleHookName":%q,"EC2InstanceId":%q}}`,
		at.UTC().Format(time.RFC3339), hookName, instance)
}

func TestDuplicateMessagesShareOneJob(t *testing.T) {
	inBubble(scalingGroup(0, 3, 5), func(t *testing.T, w *world) {
		warned := w.inService()[0]
		w.run(warned, "a", "b")
		for range 20 {
			w.send(warning(warned, time.Now()))
		}
		w.running()
		w.waitTerminated(warned)
		w.send(warning(warned, time.Now()))
		w.waitEmptyQueue()
		assert.Truef(t, w.desired() == 2 && w.terminations() == 1, "desired %d after %d terminations", w.desired(), w.terminations())
		assert.Empty(t, cmp.Diff(map[string]int{"a": 1, "b": 1}, w.allEvicted()))
	})(t)
}

func TestNextLeaderTakesUpTheDrain(t *testing.T) {
	t.Parallel()
	for _, withMessage := range []bool{true, false} {
		t.Run(fmt.Sprintf("with its message %v", withMessage), inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
			warned := w.inService()[0]
			w.run(warned, "a")
			w.refused.Store(true)
			stop := w.running()
			w.send(warning(warned, time.Now()))
			w.wait("cordoned", func() bool { return w.nodes()[warned].Spec.Unschedulable })
			stop()
			assert.Equalf(t, 1, w.handled()["left-to-next spot-interruption"], "%v", w.handled())
			q := w.aws.Queues()[0]
			assert.Truef(t, q.Visible != 0, "the message is not there for the next leader: %+v", q)
			w.refused.Store(false)
			groups := &pools{Cache: w.cache}
			w.running(func(o *interruption.Options) {
				o.Groups = groups
				if !withMessage {
					o.Queue = ""
				}
			})
			w.waitTerminated(warned)
			w.ended(1, 1, 1)
			assert.Equal(t, int32(1), groups.noted.Load(), "times the next leader notes the pool that EC2 takes back")
		}))
	}
}

// annotate leaves a node as a process does that dies during a drain. More are further fields of the annotation, each with its value.
func (w *world) annotate(instance, undo string, deadline time.Time, more ...string) {
	w.t.Helper()
	state := map[string]any{"kind": "spot-interruption", "deadline": deadline.UTC(), "cordoned": strings.Contains(undo, "cordon"), "excluded": strings.Contains(undo, "label")}
	for n := 0; n+1 < len(more); n += 2 {
		state[more[n]] = more[n+1]
	}
	text, err := json.Marshal(state)
	require.NoError(w.t, err)
	w.edit(instance, func(n *corev1.Node) {
		n.Spec.Unschedulable = true
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: interruption.Taint, Value: "spot-interruption", Effect: corev1.TaintEffectNoSchedule})
		n.Labels[corev1.LabelNodeExcludeBalancers] = "true"
		metav1.SetMetaDataAnnotation(&n.ObjectMeta, interruption.Taint, string(text))
	})
}

func TestInstancePastItsDeadlineKeepsItsPods(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		late := w.inService()[0]
		w.run(late, "a")
		w.refused.Store(true)
		w.annotate(late, "cordon,label", time.Now().Add(-time.Minute), "began", time.Now().Add(-3*time.Minute).UTC().Format(time.RFC3339))
		groups := &pools{Cache: w.cache}
		w.running(func(o *interruption.Options) { o.Groups = groups })
		time.Sleep(6 * time.Second)
		require.Equal(t, 0, w.terminations(), "terminated with a pod on it")
		require.Zero(t, groups.noted.Load(), "pools noted three minutes after the warning")
		w.refused.Store(false)
		w.waitTerminated(late)
		assert.Truef(t, w.evictions("a") == 1 && w.desired() == 1, "evicted %v, desired %d", w.allEvicted(), w.desired())
	})(t)
}

func TestNodeOfSparedInstanceIsUncordoned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, undo string
		bare       bool   // somebody has taken the annotation off
		spoilt     string // what somebody has made of the annotation
		removed    bool   // by the core
		cordoned   bool   // in the end
	}{
		{name: "cordoned by us", undo: "cordon,label"},
		{name: "cordoned before", undo: "label", cordoned: true},
		{name: "without the annotation", bare: true},
		{name: "with the annotation cut off", undo: "cordon,label", spoilt: `{"kind":"spot-in`},
		{name: "with a deadline that is no time", undo: "cordon,label",
			spoilt: `{"kind":"scheduled-change","deadline":"soon","cordoned":true,"excluded":true}`},
		{name: "with an empty object as annotation", undo: "cordon,label", spoilt: "{}"},
		{name: "removed by the core", undo: "cordon,label", removed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, spared := parallelWorld(t, scalingGroup(0, 1, 5))
			w.annotate(spared, tt.undo, time.Now().Add(-6*time.Minute))
			w.edit(spared, func(n *corev1.Node) {
				if tt.bare {
					delete(n.Annotations, interruption.Taint)
				}
				if tt.spoilt != "" {
					n.Annotations[interruption.Taint] = tt.spoilt
				}
				if tt.removed {
					n.Spec.Taints = append(n.Spec.Taints, byCore)
				}
			})
			events := record.NewFakeRecorder(100)
			w.handler(func(o *interruption.Options) { o.Events = events }).Reconcile(t.Context())
			n := w.nodes()[spared]
			_, excluded := n.Labels[corev1.LabelNodeExcludeBalancers]
			tainted := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == interruption.Taint })
			assert.Truef(t, n.Spec.Unschedulable == tt.cordoned && !excluded && !tainted && w.terminations() == 0,
				"unschedulable %v, excluded %v, tainted %v, %d terminations", n.Spec.Unschedulable, excluded, tainted, w.terminations())
			assert.Equal(t, tt.removed, len(events.Events) == 0, "no event says that the node is back in use")
			if !tt.removed {
				said := <-events.Events
				assert.Equalf(t, tt.cordoned, strings.Contains(said, "still cordoned by somebody else"), "the event %q names the cordon", said)
			}
		})
	}
}

// With cordonOnly that tool evicts nothing.
func TestNodeOfTerminationHandlerIsReplacedFirst(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
		w.edit(warned, func(n *corev1.Node) {
			n.Spec.Unschedulable = true
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "aws-node-termination-handler/spot-itn", Effect: corev1.TaintEffectNoSchedule})
		})
		w.refused.Store(true)
		h := w.handler()
		w.background(h.Run)
		w.send(warning(warned, time.Now()))
		w.within(5*time.Second, "its pods count as pending", func() bool { return len(h.NodesBeingDrained()) == 1 })
		w.refused.Store(false)
		w.waitTerminated(warned)
		w.waitEmptyQueue()
		w.ended(1, 1, 1)
	})(t)
}

func TestRecommendationsDrainOneNodeAtATime(t *testing.T) {
	inBubble(scalingGroup(0, 3, 5), func(t *testing.T, w *world) {
		ids := w.inService()
		for n, id := range ids[:2] {
			w.run(id, fmt.Sprint("pod-", n))
		}
		w.refused.Store(true)
		w.running(drainOnRebalance)
		for _, id := range ids[:2] {
			require.NoError(t, w.aws.Announce(id, fakeaws.Deed{Kind: fakeaws.RecommendRebalance}))
		}
		w.wait("one node cordoned", func() bool { return w.cordoned() > 0 })
		time.Sleep(time.Second)
		assert.Equal(t, 1, w.cordoned(), "nodes of the group cordoned at once")
		w.refused.Store(false)
		w.wait("one instance terminated", func() bool { return w.desired() == 2 })
	})(t)
}

func TestLifecycleActionCompletedAfterDrain(t *testing.T) {
	inBubble(hooked(scalingGroup(0, 2, 5)), func(t *testing.T, w *world) {
		for _, id := range w.inService() {
			w.run(id, id+"-a", id+"-b")
		}
		w.running()
		require.NoError(t, w.aws.SetDesired("spot", 1)) // Auto Scaling chooses one
		w.wait("one instance left", func() bool { g, _ := w.aws.Group("spot"); return len(g.Instances) == 1 })
		w.waitEmptyQueue()
		assert.Lenf(t, w.allEvicted(), 2, "evicted %v", w.allEvicted())
		assert.Truef(t, w.desired() == 1 && w.terminations() == 0 && w.aws.Calls()["CompleteLifecycleAction"] != 0,
			"desired %d after %d terminations, calls %v", w.desired(), w.terminations(), w.aws.Calls())
	})(t)
}

func TestSeveralClustersCanShareAQueue(t *testing.T) {
	theirs := scalingGroup(0, 1, 5)
	theirs.Name, theirs.Tags = "theirs", map[string]string{"other": "true"}
	inBubble(scalingGroup(0, 3, 5), func(t *testing.T, w *world) {
		other, _ := w.aws.Group("theirs")
		w.wait("their instance", func() bool { other, _ = w.aws.Group("theirs"); return len(other.Instances) == 1 })
		id := other.Instances[0].ID
		w.running()
		w.send(warning(id, time.Now()))
		w.wait("looked at several times", func() bool { return w.handled()["left-to-others spot-interruption"] >= 3 })
		q := w.aws.Queues()[0]
		assert.Truef(t, q.Deleted <= 0 || q.Visible+q.InFlight+q.Delayed != 0, "another cluster's message was deleted: %+v", q)
		ours := w.inService()[0]
		w.send(warning(ours, time.Now()))
		w.waitTerminated(ours)
		other, _ = w.aws.Group("theirs")
		assert.Truef(t, len(other.Instances) == 1 && other.Desired == 1, "%+v", other)
	}, theirs)(t)
}
