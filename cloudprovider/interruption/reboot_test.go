package interruption_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func (w *world) reboots() int { return w.aws.Calls()["RebootInstances"] }

// toReboot has a repair want the instance rebooted, since some time.
func (w *world) toReboot(instance string, since time.Duration) {
	w.edit(instance, func(n *corev1.Node) {
		s := move.State{Why: move.Why{Cause: "it is broken", Reboot: true}, Reason: move.Repair, Step: move.Rebooting, Boot: n.Status.NodeInfo.BootID,
			Since: time.Now().Add(-since), Began: time.Now().Add(-since)}
		metav1.SetMetaDataAnnotation(&n.ObjectMeta, move.Annotation, s.Text())
	})
}

// setReady is the kubelet, or the control plane while it is silent.
func (w *world) setReady(instance string, status corev1.ConditionStatus) {
	node := w.nodes()[instance]
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	_, err := w.cluster.CoreV1().Nodes().UpdateStatus(w.t.Context(), node, metav1.UpdateOptions{})
	require.NoError(w.t, err)
}

// back is whether the node takes pods, with nothing of the drain on it.
func (w *world) back(instance string) bool {
	n := w.nodes()[instance]
	return n.Annotations[interruption.Taint] == "" && len(n.Spec.Taints) == 0 && !n.Spec.Unschedulable && n.Labels[corev1.LabelNodeExcludeBalancers] == ""
}

// comesBack waits until the node has another boot ID, and makes it Ready.
func (w *world) comesBack(instance, boot string) {
	w.t.Helper()
	w.within(20*time.Minute, "another boot", func() bool { return w.nodes()[instance].Status.NodeInfo.BootID != boot })
	time.Sleep(time.Minute)
	assert.True(w.t, w.nodes()[instance].Spec.Unschedulable, "in use before it is Ready")
	w.setReady(instance, corev1.ConditionTrue)
	w.wait("back in use", func() bool { return w.back(instance) })
}

func TestRebootedNodeIsDrainedAndComesBack(t *testing.T) {
	for _, tt := range []struct {
		name                          string
		full, refused, silent, rejoin bool
		least, most                   time.Duration // until EC2 is called
		evicted                       int
	}{
		{name: "its pods have a place", most: time.Minute, evicted: 1},
		{name: "no other node has room", full: true, least: 7 * time.Minute, most: 9 * time.Minute, evicted: 1},
		{name: "its kubelet is silent", full: true, silent: true, most: time.Minute, evicted: 1},
		{name: "its kubelet is silent, and a budget holds its pod", refused: true, silent: true, least: time.Minute, most: 4 * time.Minute},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
			w.versioned()
			w.full.Store(tt.full)
			w.refused.Store(tt.refused)
			if tt.silent {
				w.setReady(id, corev1.ConditionUnknown)
			}
			boot, began := w.nodes()[id].Status.NodeInfo.BootID, time.Now()
			w.running()
			w.toReboot(id, 0)
			w.within(tt.most, "a reboot", func() bool { return w.reboots() == 1 })
			assert.GreaterOrEqual(t, time.Since(began), tt.least)
			w.comesBack(id, boot)
			time.Sleep(time.Hour)
			assert.Equal(t, []int{1, 0, 2, tt.evicted}, []int{w.reboots(), w.terminations(), w.desired(), w.evictions("a")}, "reboots, terminations, desired, evictions")
			assert.Contains(t, w.inService(), id)
			assert.True(t, w.back(id))
		}))
	}
}

func TestRebootIsGivenUp(t *testing.T) {
	for _, tt := range []struct {
		name    string
		before  func(w *world, id string)
		since   time.Duration // of the move
		reboots int
		after   time.Duration // the node is back in use by then
	}{
		{name: "a budget holds its pod", before: func(w *world, _ string) { w.refused.Store(true) }, after: 16 * time.Minute},
		{name: "EC2 throttles the call", before: func(w *world, _ string) {
			w.aws.Inject(fakeaws.Fault{Action: "RebootInstances", Code: "Throttling"})
		}, reboots: 3, after: time.Minute},
		{name: "EC2 throttles the call for a moment", before: func(w *world, _ string) {
			w.aws.Inject(fakeaws.Fault{Action: "RebootInstances", Code: "Throttling", Times: 2})
		}, reboots: 3, after: 31 * time.Minute},
		{name: "it does not come back", before: func(*world, string) {}, reboots: 1, after: 31 * time.Minute},
		{name: "too late to begin", before: func(*world, string) {}, since: 14 * time.Minute},
		{name: "a person keeps its node", before: func(w *world, id string) {
			w.edit(id, func(n *corev1.Node) { n.Annotations["cluster-autoscaler.kubernetes.io/scale-down-disabled"] = "true" })
		}},
		{name: "it has rebooted by itself", before: func(w *world, id string) {
			n := w.nodes()[id]
			n.Status.NodeInfo.BootID = "another"
			_, err := w.cluster.CoreV1().Nodes().UpdateStatus(w.t.Context(), n, metav1.UpdateOptions{})
			require.NoError(w.t, err)
		}},
		{name: "the core drains it", before: func(w *world, id string) {
			w.edit(id, func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{byCore} })
		}},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
			w.versioned()
			w.toReboot(id, tt.since)
			tt.before(w, id)
			w.running()
			time.Sleep(tt.after + 10*time.Second)
			w.wait("back in use", func() bool {
				return w.nodes()[id].Annotations[interruption.Taint] == "" && !w.nodes()[id].Spec.Unschedulable
			})
			time.Sleep(time.Hour)
			assert.Equal(t, []int{tt.reboots, 0, 2}, []int{w.reboots(), w.terminations(), w.desired()}, "reboots, terminations, desired")
			assert.Empty(t, w.nodes()[id].Annotations[interruption.Taint])
		}))
	}
}

// Its repair takes the reboot back, because it is left alone now, or works.
func TestNodeWhoseRebootIsTakenBackKeepsItsPods(t *testing.T) {
	for name, before := range map[string]func(w *world){
		"they wait for a place":  func(w *world) { w.full.Store(true) },
		"a budget holds its pod": func(w *world) { w.refused.Store(true) },
	} {
		t.Run(name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
			w.versioned()
			before(w)
			events := record.NewFakeRecorder(100)
			w.running(func(o *interruption.Options) { o.Events = events })
			w.toReboot(id, 0)
			w.wait("its cordon", func() bool { return w.cordoned() == 1 })
			time.Sleep(time.Minute)
			w.edit(id, func(n *corev1.Node) { delete(n.Annotations, move.Annotation) })
			w.within(10*time.Second, "back in use", func() bool { return w.back(id) })
			time.Sleep(time.Hour)
			assert.Equal(t, []int{0, 0, 0}, []int{w.reboots(), w.terminations(), w.evictions("a")}, "reboots, terminations, evictions")
			assert.Empty(t, w.nodes()[id].Annotations[move.Annotation])
			assert.Contains(t, textOf(events), "Put back into use: nobody wants its reboot any more")
		}))
	}
}

// The handler has not seen yet that its reboot has been taken back.
func TestRebootIsTakenBackWhileEC2IsToBeAsked(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
		w.versioned()
		var once sync.Once
		w.cluster.PrependReactor("update", "nodes", func(a clienttesting.Action) (bool, runtime.Object, error) {
			n := a.(clienttesting.UpdateAction).GetObject().(*corev1.Node)
			if strings.Contains(n.Annotations[interruption.Taint], "terminating") {
				once.Do(func() {
					nodes := corev1.SchemeGroupVersion.WithResource("nodes")
					stored, err := w.cluster.Tracker().Get(nodes, "", n.Name)
					require.NoError(t, err)
					fresh := stored.(*corev1.Node).DeepCopy()
					delete(fresh.Annotations, move.Annotation)
					fresh.ResourceVersion = "taken back"
					require.NoError(t, w.cluster.Tracker().Update(nodes, fresh, ""))
				})
			}
			return false, nil, nil
		})
		w.running()
		w.toReboot(id, 0)
		w.within(time.Minute, "cordoned", func() bool { return w.cordoned() == 1 })
		w.within(time.Minute, "back in use", func() bool { return w.back(id) })
		time.Sleep(time.Hour)
		assert.Equal(t, []int{0, 0}, []int{w.reboots(), w.terminations()}, "reboots, terminations")
	})(t)
}

// Its move has forgotten the boot before the reboot.
func TestNodeWhoseBootIsForgottenIsNotBackAtOnce(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
		w.versioned()
		w.annotate(id, "cordon,label", time.Now().Add(10*time.Minute), "kind", "reboot", "terminating", time.Now().UTC().Format(time.RFC3339))
		s := move.State{Reason: move.Repair, Step: move.Waiting, Since: time.Now(), Began: time.Now()}
		w.edit(id, func(n *corev1.Node) { metav1.SetMetaDataAnnotation(&n.ObjectMeta, move.Annotation, s.Text()) })
		w.running()
		time.Sleep(20 * time.Minute)
		assert.False(t, w.back(id), "back in use while its instance may reboot")
		w.within(15*time.Minute, "back in use", func() bool { return w.back(id) })
		assert.Zero(t, w.reboots())
	})(t)
}

func TestNextLeaderRebootsOnce(t *testing.T) {
	for name, dies := range map[string]func(w *world, id string) bool{
		"between drain and reboot": func(w *world, id string) bool { return w.nodes()[id].Labels[corev1.LabelNodeExcludeBalancers] != "" },
		"after the call":           func(w *world, _ string) bool { return w.reboots() == 1 },
	} {
		t.Run(name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
			w.versioned()
			boot := w.nodes()[id].Status.NodeInfo.BootID
			stop := w.running()
			w.toReboot(id, 0)
			w.wait("its last moment", func() bool { return dies(w, id) })
			stop()
			w.running()
			w.comesBack(id, boot)
			time.Sleep(time.Hour)
			assert.Equal(t, []int{1, 0, 2}, []int{w.reboots(), w.terminations(), w.desired()}, "reboots, terminations, desired")
			assert.True(t, w.back(id))
		}))
	}
}

// A budget holds its pod.
func TestRebootLeavesNoPodsToANodeThatWorks(t *testing.T) {
	for _, tt := range []struct {
		name          string
		begins, later corev1.ConditionStatus
		away          time.Duration
		reboots       int
	}{
		{name: "its kubelet comes back", begins: corev1.ConditionFalse, later: corev1.ConditionTrue},
		{name: "its kubelet falls silent", begins: corev1.ConditionTrue, later: corev1.ConditionUnknown, reboots: 1},
		{name: "the next leader comes late, and its kubelet is still silent", begins: corev1.ConditionUnknown, later: corev1.ConditionUnknown,
			away: 10 * time.Minute, reboots: 1},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
			w.versioned()
			w.refused.Store(true)
			w.setReady(id, tt.begins)
			stop := w.running()
			w.toReboot(id, 0)
			w.wait("cordoned", func() bool { return w.cordoned() == 1 })
			if tt.away > 0 {
				stop()
				time.Sleep(tt.away)
				w.running()
			}
			time.Sleep(2 * time.Second)
			w.setReady(id, tt.later)
			time.Sleep(16 * time.Minute)
			assert.Equal(t, []int{tt.reboots, 0, 0}, []int{w.reboots(), w.evictions("a"), w.terminations()}, "reboots, evictions, terminations")
			assert.Equal(t, tt.reboots == 0, w.back(id), "back in use")
		}))
	}
}

// The instance would boot under the pods that have come back to its node.
func TestLateLeaderPutsTheNodeBackWithoutAReboot(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
		w.versioned()
		w.full.Store(true)
		stop := w.running()
		w.toReboot(id, 0)
		w.wait("cordoned", func() bool { return w.cordoned() == 1 })
		stop()
		time.Sleep(40 * time.Minute)
		w.running()
		w.wait("back in use", func() bool { return w.back(id) })
		time.Sleep(time.Hour)
		assert.Equal(t, []int{0, 0, 0}, []int{w.reboots(), w.evictions("a"), w.terminations()}, "reboots, evictions, terminations")
	})(t)
}

// Nobody led while it booted.
func TestLateLeaderSeesThatTheInstanceHasRebooted(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
		w.versioned()
		boot := w.nodes()[id].Status.NodeInfo.BootID
		stop := w.running()
		w.toReboot(id, 0)
		w.wait("the call", func() bool { return w.reboots() == 1 })
		stop()
		w.within(20*time.Minute, "another boot", func() bool { return w.nodes()[id].Status.NodeInfo.BootID != boot })
		w.setReady(id, corev1.ConditionTrue)
		time.Sleep(time.Hour)
		events := record.NewFakeRecorder(100)
		w.running(func(o *interruption.Options) { o.Events = events })
		w.wait("back in use", func() bool { return w.back(id) })
		assert.Contains(t, textOf(events), "Put back into use: the instance has rebooted")
	})(t)
}

func TestRebootIsTriedAgainWhereItsMoveBeginsAnew(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
		w.versioned()
		w.refused.Store(true)
		w.running()
		w.toReboot(id, 0)
		w.within(16*time.Minute, "given up", func() bool { s, _ := move.StateOf(w.nodes()[id]); return s.Step == move.Rebooted })
		time.Sleep(12 * time.Minute)
		w.refused.Store(false)
		w.toReboot(id, 0) // its condition was gone, and is back
		w.within(time.Minute, "a reboot", func() bool { return w.reboots() == 1 })
	})(t)
}

// AWS announces to end the instance in two weeks, and its message may come to the next leader after reconcile.
func TestPlannedChangeOverrulesARebootForTheNextLeaderToo(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
		w.versioned()
		w.full.Store(true)
		stop := w.running()
		w.toReboot(id, 0)
		w.wait("cordoned", func() bool { return w.cordoned() == 1 })
		w.send(later("RETIREMENT", 14*24*time.Hour)(id))
		time.Sleep(3 * time.Hour)
		stop()
		w.running()
		time.Sleep(10 * time.Minute)
		w.waits()
		assert.Equal(t, []int{0, 0}, []int{w.reboots(), w.terminations()}, "reboots, terminations")
	})(t)
}

func TestWarningOverrulesAReboot(t *testing.T) {
	for name, when := range map[string]func(w *world, id string) bool{
		"its pods wait for a place": func(w *world, _ string) bool { return w.cordoned() == 1 },
		"it boots":                  func(w *world, _ string) bool { return w.reboots() == 1 },
	} {
		t.Run(name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
			w.versioned()
			w.full.Store(true)
			w.running()
			w.toReboot(id, 0)
			w.within(10*time.Minute, name, func() bool { return when(w, id) })
			w.send(warning(id, time.Now()))
			w.waitTerminated(id)
			w.waitEmptyQueue()
			assert.Equal(t, []int{1, 1, 1}, []int{w.evictions("a"), w.terminations(), w.desired()}, "evictions, terminations, desired")
		}))
	}
}

// staysCordonedUntilItsBoot has a node rebooted, by calls that EC2 may carry out without an answer.
func (w *world) staysCordonedUntilItsBoot(id string) {
	boot := w.nodes()[id].Status.NodeInfo.BootID
	w.toReboot(id, 0)
	w.wait("the call", func() bool { return w.reboots() > 0 })
	time.Sleep(time.Minute)
	assert.False(w.t, w.back(id), "it takes pods and may reboot under them")
	w.comesBack(id, boot)
}

func TestNodeStaysCordonedWhereEC2MayRebootItWithoutAnAnswer(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
		w.versioned()
		w.aws.Inject(fakeaws.Fault{Action: "RebootInstances", Code: "InternalError", Status: 500, Late: true})
		w.running()
		w.staysCordonedUntilItsBoot(id)
	})(t)
}

// The answer to a later try says nothing of the first.
func TestNodeStaysCordonedWhereATryWithoutAnAnswerIsFollowedByThrottling(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, id string) {
		w.versioned()
		w.aws.Inject(fakeaws.Fault{Action: "RebootInstances", Code: "InternalError", Status: 500, Late: true, Times: 1})
		w.aws.Inject(fakeaws.Fault{Action: "RebootInstances", Code: "RequestLimitExceeded", Status: 503})
		w.running(func(o *interruption.Options) {
			o.EC2 = ec2.New(o.EC2.Options(), func(e *ec2.Options) { e.RetryMaxAttempts = 3 }) // as outside of tests
		})
		w.staysCordonedUntilItsBoot(id)
	})(t)
}

// Budgets of moves say how many reboot at once.
func TestSecondNodeOfAGroupNeedNotWaitForTheBootOfTheFirst(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		w.versioned()
		w.running()
		for _, id := range w.inService() {
			w.toReboot(id, 0)
		}
		w.within(2*time.Minute, "both are rebooted", func() bool { return w.reboots() == 2 })
	})(t)
}

func TestDeniedRebootPutsTheNodeBack(t *testing.T) {
	const action = "ec2:RebootInstances"
	inBubble(scalingGroup(0, 1, 5), func(t *testing.T, w *world) {
		id := w.inService()[0]
		w.versioned()
		w.policed(action)
		events := record.NewFakeRecorder(100)
		w.running(func(o *interruption.Options) { o.Events = events })
		w.toReboot(id, 0)
		w.wait("denied", func() bool { return len(w.aws.Denials()) > 0 })
		w.denied(action)
		w.wait("back in use", func() bool { return w.back(id) })
		s, _ := move.StateOf(w.nodes()[id])
		assert.True(t, s.Step == move.Rebooted && s.Began.IsZero(), "it is replaced at once: %+v", s)
		time.Sleep(time.Hour)
		assert.Equal(t, []int{1, 0}, []int{w.reboots(), w.terminations()}, "calls of RebootInstances, terminations")
		said := textOf(events)
		assert.Contains(t, said, "Put back into use: EC2 did not reboot the instance: ")
		assert.Equal(t, 1, strings.Count(said, "; allow ec2:RebootInstances on it"), said)
	})(t)
}
