package loop

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/informed"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var settings = Config{ScanInterval: 10 * time.Second, SettleTime: 100 * time.Millisecond, SettleLimit: time.Second}

// started returns a Trigger whose first loop is over.
func started(t *testing.T, config Config) *Trigger {
	t.Helper()
	trigger := New(config, clock.RealClock{})
	reason, err := trigger.Wait(t.Context(), time.Now())
	require.Truef(t, reason == Start && err == nil, "first Wait = %q, %v; want %q", reason, err, Start)
	return trigger
}

// wait returns why the next loop runs and how long that took.
func wait(t *testing.T, trigger *Trigger) (WakeReason, time.Duration) {
	t.Helper()
	began := time.Now()
	reason, err := trigger.Wait(t.Context(), began)
	require.NoError(t, err, "Wait")
	return reason, time.Since(began)
}

func expect(t *testing.T, trigger *Trigger, reason WakeReason, after time.Duration) {
	t.Helper()
	got, took := wait(t, trigger)
	assert.Truef(t, got == reason && took == after, "loop ran for %q after %v, want for %q after %v", got, took, reason, after)
}

// expectAfter expects the next loop for an event 2 s after the first one, or else at the scan interval.
func expectAfter(t *testing.T, reason WakeReason, event func(*Trigger)) {
	t.Helper()
	after := map[WakeReason]time.Duration{PodsPending: 2050 * time.Millisecond, NodeChanged: 2*time.Second + nodeSettleTime, ScanInterval: settings.ScanInterval}
	synctest.Test(t, func(t *testing.T) {
		trigger := started(t, settings)
		time.AfterFunc(2*time.Second, func() { event(trigger) })
		expect(t, trigger, reason, after[reason])
	})
}

// pendingPod is a pod created now that the scheduler found no place for.
func pendingPod(name string) *apiv1.Pod {
	pod := newPod(name)
	pod.Status.Conditions = []apiv1.PodCondition{{
		Type: apiv1.PodScheduled, Status: apiv1.ConditionFalse, Reason: apiv1.PodReasonUnschedulable,
	}}
	return pod
}

func newPod(name string) *apiv1.Pod {
	return &apiv1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: "default", UID: types.UID(name),
		CreationTimestamp: metav1.NewTime(time.Now().Truncate(time.Second)),
	}}
}

// becomes makes a pod unschedulable.
func becomes(trigger *Trigger, name string) {
	trigger.PodHandler().OnUpdate(newPod(name), pendingPod(name))
}

func TestFirstLoopRunsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := New(settings, clock.RealClock{})
		old := pendingPod("web")
		time.Sleep(2 * time.Second)
		trigger.PodHandler().OnAdd(old, true)
		expect(t, trigger, Start, 0)
	})
}

// A leader may die while pods are coming. The first loop of its successor must not pack a part of them.
func TestFirstLoopWaitsForBurstInProgress(t *testing.T) {
	for _, tt := range []struct {
		name          string
		listed, later []time.Duration // of the pods in the first listing and of those after it: when each becomes unschedulable
		want          time.Duration
	}{
		{name: "all pods judged before", listed: []time.Duration{0, 0}, want: 50 * time.Millisecond},
		{name: "one pod judged before", listed: []time.Duration{0, 90e6}, want: 140 * time.Millisecond},
		{name: "pods that come after the listing", listed: []time.Duration{0}, later: []time.Duration{20e6, 60e6}, want: 110 * time.Millisecond},
		{name: "pods without end", listed: []time.Duration{0}, later: every(40*time.Millisecond, 0, 2*time.Second), want: time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trigger := New(settings, clock.RealClock{})
				for i, at := range tt.listed {
					if name := podName(i); at == 0 {
						trigger.PodHandler().OnAdd(pendingPod(name), true)
					} else {
						trigger.PodHandler().OnAdd(newPod(name), true)
						time.AfterFunc(at, func() { becomes(trigger, name) })
					}
				}
				for i, at := range tt.later {
					time.AfterFunc(at, func() { becomes(trigger, "late-"+podName(i)) })
				}
				expect(t, trigger, PodsPending, tt.want)
			})
		})
	}
}

func TestPodWakesLoopOnceItsBurstSettles(t *testing.T) {
	for _, tt := range []struct {
		name   string
		exist  int             // so many pods exist when the wait begins, and the scheduler has yet to look at them
		pods   []time.Duration // when each pod becomes unschedulable, after the wait began
		placed time.Duration   // when the last of the pods that exist gets a node, 0 for never
		want   time.Duration   // when the loop runs
	}{
		{name: "a single pod", pods: []time.Duration{2 * time.Second}, want: 2050 * time.Millisecond},
		{name: "three pods 40 ms apart", pods: []time.Duration{3000e6, 3040e6, 3080e6}, want: 3130 * time.Millisecond},
		{name: "three pods that exist", exist: 3, pods: []time.Duration{3000e6, 3090e6, 3180e6}, want: 3270 * time.Millisecond},
		{name: "two controllers make pods, with a pause", pods: append(every(40*time.Millisecond, 3*time.Second, 3360*time.Millisecond), 3500e6), want: 3750 * time.Millisecond},
		{name: "a pod that the scheduler never looks at", exist: 2, pods: []time.Duration{3000e6}, want: 3100 * time.Millisecond},
		{name: "a pod that exists gets a node", exist: 2, pods: []time.Duration{3000e6}, placed: 3070e6, want: 3070 * time.Millisecond},
		{name: "two pods too far apart", pods: []time.Duration{3000e6, 3200e6}, want: 3050 * time.Millisecond},
		{name: "a stream that does not end", pods: every(40*time.Millisecond, 5*time.Second, 8*time.Second), want: 6 * time.Second},
		{name: "a burst across the scan interval", pods: []time.Duration{9950e6, 9990e6}, want: 10040 * time.Millisecond},
		{name: "just before the scan interval", pods: []time.Duration{9999e6}, want: 10049 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trigger := started(t, settings)
				for i := range tt.exist {
					trigger.PodHandler().OnAdd(newPod(podName(i)), false)
				}
				for i, at := range tt.pods {
					time.AfterFunc(at, func() { becomes(trigger, podName(i)) })
				}
				if tt.placed > 0 {
					last := newPod(podName(tt.exist - 1))
					placed := last.DeepCopy()
					placed.Spec.NodeName = "node-1"
					time.AfterFunc(tt.placed, func() { trigger.PodHandler().OnUpdate(last, placed) })
				}
				expect(t, trigger, PodsPending, tt.want)
			})
		})
	}
}

func podName(i int) string { return "web-" + strconv.Itoa(i) }

// On a busy machine the scheduler's verdicts come with pauses.
func TestManyUnjudgedPodsAreAwaitedLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := started(t, settings)
		for i := range 20 {
			trigger.PodHandler().OnAdd(newPod(podName(i)), false)
		}
		becomes(trigger, podName(0))
		expect(t, trigger, PodsPending, settings.SettleTime+19*judgeTime)
		time.Sleep(settings.SettleLimit) // so old pods are not judged any time soon
		becomes(trigger, podName(1))
		expect(t, trigger, PodsPending, settings.SettleTime)
	})
}

// A pod that was deleted before the scheduler looked at it would make each later pod wait longer.
func TestDeletedPodIsNotAwaited(t *testing.T) {
	for name, last := range map[string]any{"seen": newPod("web"), "missed": cache.DeletedFinalStateUnknown{Obj: newPod("web")}} {
		t.Run(name, func(t *testing.T) {
			expectAfter(t, PodsPending, func(trigger *Trigger) {
				trigger.PodHandler().OnAdd(newPod("web"), false)
				trigger.PodHandler().OnDelete(last)
				becomes(trigger, "another")
			})
		})
	}
}

func every(step, from, to time.Duration) (list []time.Duration) {
	for at := from; at <= to; at += step {
		list = append(list, at)
	}
	return list
}

func TestPodDuringLoopWakesNextLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := started(t, settings)
		becomes(trigger, "settled long before the loop ended")
		time.Sleep(3 * time.Second) // the loop
		expect(t, trigger, PodsPending, longPause)
		expect(t, trigger, ScanInterval, 10*time.Second)

		time.Sleep(time.Second) // the loop
		becomes(trigger, "came as the loop ended")
		expect(t, trigger, PodsPending, 100*time.Millisecond)
		expect(t, trigger, ScanInterval, 10*time.Second)
	})
}

func TestOnlyPodsThatBecomeUnschedulableCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := started(t, settings)
		handler := trigger.PodHandler()
		bound, leaving, gated := pendingPod("web"), pendingPod("web"), pendingPod("web")
		bound.Spec.NodeName = "node-1"
		leaving.DeletionTimestamp = &metav1.Time{Time: time.Now()}
		gated.Status.Conditions[0].Reason = apiv1.PodReasonSchedulingGated
		gated.Spec.SchedulingGates = []apiv1.PodSchedulingGate{{Name: "queue"}}

		old := pendingPod("web")
		old.CreationTimestamp.Time = old.CreationTimestamp.Add(-time.Hour)
		handler.OnAdd(old, true)
		handler.OnAdd(newPod("web"), false)
		handler.OnUpdate(newPod("web"), newPod("web"))
		handler.OnUpdate(pendingPod("web"), pendingPod("web"))
		handler.OnUpdate(newPod("web"), bound)
		handler.OnUpdate(newPod("web"), leaving)
		handler.OnUpdate(newPod("web"), gated)
		handler.OnDelete(pendingPod("web"))
		expect(t, trigger, ScanInterval, 10*time.Second)

		handler.OnAdd(pendingPod("web"), false)
		expect(t, trigger, PodsPending, 50*time.Millisecond)
		recreated := pendingPod("web")
		recreated.UID = "another"
		handler.OnUpdate(pendingPod("web"), recreated)
		expect(t, trigger, PodsPending, 50*time.Millisecond)
	})
}

// A pod that stays unschedulable was counted, unless a node may help it now.
func TestUnschedulablePodCountsAgainWhenANodeMayHelp(t *testing.T) {
	judged := func(message, nominated string) *apiv1.Pod {
		pod := pendingPod("web")
		pod.CreationTimestamp = metav1.Time{} // the row is made outside the test's own time
		pod.Status.Conditions[0].Message, pod.Status.NominatedNodeName = message, nominated
		return pod
	}
	const noRoom = "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
	const noClaim = `0/3 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.`
	for _, tt := range []struct {
		name     string
		old, now *apiv1.Pod
		reason   WakeReason
	}{
		{"its claim exists", judged(noClaim, ""), judged(noRoom, ""), PodsPending},
		{"another claim does not exist", judged(noClaim, ""), judged(strings.Replace(noClaim, "data", "logs", 1), ""), PodsPending},
		{"no node is kept for it", judged(noRoom, "node-1"), judged(noRoom, ""), NodeChanged},
		{"a node is kept for it", judged(noRoom, ""), judged(noRoom, "node-1"), ScanInterval},
		{"a node became full", judged(noRoom, ""), judged(strings.Replace(noRoom, "2 node", "1 Insufficient memory, 1 node", 1), ""), ScanInterval},
		{"the first node exists", judged("no nodes available to schedule pods", ""), judged(noRoom, ""), ScanInterval},
		{"the claim is missing on more nodes", judged(noClaim, ""), judged(strings.ReplaceAll(noClaim, "3", "4"), ""), ScanInterval},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectAfter(t, tt.reason, func(trigger *Trigger) { trigger.PodHandler().OnUpdate(tt.old, tt.now) })
		})
	}
}

// The loop counts a pod without a verdict of its own if the scheduler found no node for another pod of its controller.
func TestSiblingsOfUnschedulablePodAreNotAwaited(t *testing.T) {
	for _, tt := range []struct {
		name      string
		scheduler string
		ungated   bool            // their gates have just gone
		created   []time.Duration // after the wait began
		judged    []time.Duration // the same pods
		want      []time.Duration // when loops run
	}{
		{name: "siblings wait for a busy scheduler", created: []time.Duration{0, 0, 0}, judged: []time.Duration{3000e6, 3090e6, 3180e6}, want: []time.Duration{3100e6}},
		{name: "siblings whose gates have gone", ungated: true, created: []time.Duration{0, 0, 0}, judged: []time.Duration{3000e6, 3090e6, 3180e6}, want: []time.Duration{3100e6}},
		{name: "all are judged", created: []time.Duration{0, 0, 0}, judged: []time.Duration{3000e6, 3010e6, 3020e6}, want: []time.Duration{3050e6}},
		{name: "siblings are being created", created: []time.Duration{0, 0, 3080e6}, judged: []time.Duration{3000e6, 3200e6, 3210e6}, want: []time.Duration{3200e6}},
		{name: "verdicts come while the loop runs", created: []time.Duration{0, 0, 0}, judged: []time.Duration{3000e6, 4090e6, 4100e6}, want: []time.Duration{3100e6, 4140e6}},
		{name: "another scheduler", scheduler: "queues", created: []time.Duration{0, 0, 0}, judged: []time.Duration{3000e6, 3090e6, 3180e6}, want: []time.Duration{3270e6}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trigger, began := started(t, settings), time.Now()
				for i := range tt.created {
					sibling := func(pod *apiv1.Pod) *apiv1.Pod {
						pod.CreationTimestamp = metav1.NewTime(began.Add(tt.created[i]))
						pod.Spec.SchedulerName = cmp.Or(tt.scheduler, apiv1.DefaultSchedulerName)
						pod.OwnerReferences = []metav1.OwnerReference{{UID: "web", Controller: ptr.To(true)}}
						return pod
					}
					unjudged := sibling(newPod(podName(i)))
					if tt.ungated {
						unjudged.Status.Conditions = []apiv1.PodCondition{{Type: apiv1.PodScheduled, Status: apiv1.ConditionFalse, Reason: apiv1.PodReasonSchedulingGated}}
					}
					time.AfterFunc(tt.created[i], func() { trigger.PodHandler().OnAdd(unjudged, false) })
					time.AfterFunc(tt.judged[i], func() { trigger.PodHandler().OnUpdate(unjudged, sibling(pendingPod(podName(i)))) })
				}
				for _, want := range tt.want {
					if reason, _ := wait(t, trigger); reason != PodsPending || time.Since(began) != want {
						t.Errorf("loop ran for %q after %v, want for %q after %v", reason, time.Since(began), PodsPending, want)
					}
				}
			})
		})
	}
}

// A node may be asked for a pod before the scheduler has judged it, because it has judged others like it.
func TestVerdictAboutPlannedPodWakesNoLoop(t *testing.T) {
	for planned, reason := range map[bool]WakeReason{true: ScanInterval, false: PodsPending} {
		expectAfter(t, reason, func(trigger *Trigger) {
			trigger.config.Planned = func(uid types.UID) bool { return planned && uid == pendingPod("web").UID }
			becomes(trigger, "web")
		})
	}
}

// The core leaves pods alone until they have reached the age of --new-pod-scale-up-delay or of their own annotation.
func TestPodWakesNoLoopBeforeItsDelayIsOver(t *testing.T) {
	for _, tt := range []struct {
		name    string
		forAll  time.Duration
		own     string
		created time.Duration // offset from now
		reason  WakeReason
	}{
		{name: "delay for all", forAll: 3 * time.Second, reason: ScanInterval},
		{name: "own delay", own: "4s", reason: ScanInterval},
		{name: "own delay below that for all is not valid", forAll: 3 * time.Second, own: "1s", created: -2 * time.Second, reason: ScanInterval},
		{name: "malformed delay", own: "soon", reason: PodsPending},
		{name: "clock of the API server ahead", created: 2 * time.Second, reason: PodsPending},
		{name: "clock of the API server ahead, and a delay", forAll: 3 * time.Second, created: 2 * time.Second, reason: ScanInterval},
		{name: "old enough", forAll: 3 * time.Second, created: -3 * time.Second, reason: PodsPending},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectAfter(t, tt.reason, func(trigger *Trigger) {
				trigger.config.PodDelay = tt.forAll
				pod := pendingPod("web")
				pod.CreationTimestamp = metav1.NewTime(time.Now().Add(tt.created))
				pod.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/pod-scale-up-delay": tt.own}
				trigger.PodHandler().OnUpdate(newPod("web"), pod)
			})
		})
	}
}

func TestBeginOfBurstIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bursts := 0
		config := settings
		config.Coming = func() { bursts++ }
		trigger := started(t, config)
		for burst := 1; burst <= 2; burst++ {
			becomes(trigger, "web-"+podName(burst))
			becomes(trigger, "batch-"+podName(burst))
			expect(t, trigger, PodsPending, 50*time.Millisecond)
			assert.Truef(t, bursts == burst, "told of %d bursts, want %d", bursts, burst)
		}
	})
}

// Pods that a scheduler holds back for hours are awaited all that time.
func BenchmarkDueWithHeldPods(b *testing.B) {
	burst, now := newBurst(time.Second, time.Second, time.Second), time.Now()
	for i := range 50_000 {
		burst.await(now, types.UID(podName(i)), "")
	}
	now = now.Add(time.Minute)
	burst.add(now)
	for b.Loop() {
		burst.due(now)
	}
}

func TestChangedCloudWakesLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{}, 1)
		config := settings
		config.Changed = changed
		trigger := started(t, config)

		time.AfterFunc(2*time.Second, func() { changed <- struct{}{} })
		expect(t, trigger, CloudChanged, 2*time.Second)

		changed <- struct{}{}
		expect(t, trigger, CloudChanged, shortPause)

		changed <- struct{}{}
		becomes(trigger, "a pod that came with the change")
		expect(t, trigger, PodsPending, 50*time.Millisecond)
		expect(t, trigger, ScanInterval, 10*time.Second)
	})
}

func TestInterruptionStartsLoopAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupted := make(chan struct{}, 1)
		trigger := started(t, Config{ScanInterval: 10 * time.Second, Interrupted: interrupted})
		time.AfterFunc(2*time.Second, func() { interrupted <- struct{}{} })
		expect(t, trigger, Interruption, 2*time.Second)
		expect(t, trigger, ScanInterval, 10*time.Second)
	})
}

func TestNodeThatMayBeRemovedWakesLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var removable, ran time.Time
		changed := make(chan struct{}, 1)
		config := settings
		config.Changed = changed
		config.Removal = func(after time.Time) time.Time { ran = after; return removable }
		trigger := started(t, config)
		expect(t, trigger, ScanInterval, 10*time.Second)

		began := time.Now()
		time.Sleep(time.Second) // the loop
		removable = time.Now().Add(3 * time.Second)
		expect(t, trigger, NodeUnneeded, 3*time.Second)
		assert.Truef(t, ran.Equal(began), "asked for a moment after %v, want after the start of the last loop at %v", ran, began)

		removable = time.Now().Add(20 * time.Second)
		expect(t, trigger, ScanInterval, 10*time.Second)

		removable = time.Now().Add(3 * time.Second)
		changed <- struct{}{}
		expect(t, trigger, CloudChanged, shortPause)
	})
}

func TestHeldPodsWakeLoopWhenTheyHaveWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(4 * time.Second)
		config := settings
		config.Held = func(ran time.Time) time.Time {
			if until.After(ran) {
				return until
			}
			return time.Time{}
		}
		trigger := started(t, config)
		expect(t, trigger, PodsPending, 4*time.Second)
		expect(t, trigger, ScanInterval, 10*time.Second)

		config.Tick, until = true, time.Now().Add(4*time.Second)
		expect(t, started(t, config), ScanInterval, 10*time.Second)
	})
}

func TestTwoLoopsFollowAProductiveOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var scaledUp time.Time
		config := settings
		config.Productive = []ProductiveLoop{{Reason: "scale-up", Last: func() time.Time { return scaledUp }}}
		trigger := New(config, clock.RealClock{})
		previous, last := time.Now(), time.Now()
		loop := func(want WakeReason, after time.Duration) {
			t.Helper()
			began := time.Now()
			if got, err := trigger.Wait(t.Context(), previous); got != want || err != nil || time.Since(began) != after {
				t.Errorf("loop ran for %q after %v (%v), want for %q after %v", got, time.Since(began), err, want, after)
			}
			previous, last = last, time.Now()
		}
		loop(Start, 0)
		loop(ScanInterval, 10*time.Second)
		scaledUp = last
		loop("scale-up", shortPause)
		loop("scale-up", shortPause)
		loop(ScanInterval, 10*time.Second)
	})
}

func TestProductiveLoopDoesNotCutABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := settings
		config.Productive = []ProductiveLoop{{Reason: "scale-up", Last: time.Now}}
		trigger := started(t, config)
		for _, at := range every(30*time.Millisecond, 0, 300*time.Millisecond) {
			time.AfterFunc(at, func() { becomes(trigger, "web") })
		}
		expect(t, trigger, PodsPending, 450*time.Millisecond)
	})
}

func TestLoopsNeverRunWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{})
		go func() {
			for {
				select {
				case changed <- struct{}{}:
				case <-t.Context().Done():
					return
				}
			}
		}()
		config := Config{Changed: changed, Productive: []ProductiveLoop{{Reason: "always", Last: time.Now}}}
		trigger := started(t, config)
		began := time.Now()
		for range 50 {
			becomes(trigger, "web")
			wait(t, trigger)
		}
		took := time.Since(began)
		assert.Truef(t, took >= 50*shortPause, "50 loops within %v, want at least %v", took, 50*shortPause)
	})
}

func TestPauseGrowsWithTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{}, 1)
		trigger := started(t, Config{ScanInterval: time.Minute, Changed: changed})
		for took, pause := range map[time.Duration]time.Duration{0: 10e6, 2e6: 10e6, 20e6: 80e6, 1e9: 100e6} {
			time.Sleep(took)
			changed <- struct{}{}
			expect(t, trigger, CloudChanged, pause)
		}
	})
}

func TestTickingWaitsForScanIntervalAndInterruptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed, interrupted := make(chan struct{}, 1), make(chan struct{}, 1)
		changed <- struct{}{}
		config := settings
		config.Tick, config.Changed, config.Interrupted = true, changed, interrupted
		config.Removal = func(time.Time) time.Time { return time.Now().Add(3 * time.Second) }
		config.Productive = []ProductiveLoop{{Reason: "scale-up", Last: time.Now}}
		trigger := started(t, config)
		becomes(trigger, "web")
		expect(t, trigger, ScanInterval, 10*time.Second)
		time.AfterFunc(2*time.Second, func() { interrupted <- struct{}{} })
		expect(t, trigger, Interruption, 2*time.Second)
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := started(t, settings)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := trigger.Wait(ctx, began); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("Wait = %v after %v, want a deadline after 3s", err, time.Since(began))
		}
		_, err := New(settings, clock.RealClock{}).Wait(ctx, began)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "first Wait with a context that has ended, want its error")
	})
}

// A loop that runs for a pod must find it listed. This holds because informers fill their store before they call handlers.
func TestListerKnowsPodsThatWokeTheLoop(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	config := settings
	config.SettleTime = 0
	trigger := started(t, config)
	_, err := pods.Informer().AddEventHandler(trigger.PodHandler())
	require.NoError(t, err)
	informed.Start(ctx, t, client, factory)

	_, err = client.CoreV1().Pods("default").Create(ctx, pendingPod("web"), metav1.CreateOptions{})
	require.NoError(t, err)
	reason, err := trigger.Wait(ctx, time.Now())
	require.Truef(t, reason == PodsPending && err == nil, "Wait = %q, %v; want %q", reason, err, PodsPending)
	_, err = pods.Lister().Pods("default").Get("web")
	assert.NoError(t, err, "the pod that woke the loop is not listed")
	cancel()
	factory.Shutdown()
}
