package interruption_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// silent stops AWS's own messages.
func (w *world) silent() { require.NoError(w.t, w.aws.SetQueue(fakeaws.Queue{Name: queueName})) }

func (w *world) cordoned() int {
	n := 0
	for _, node := range w.nodes() {
		if node.Spec.Unschedulable {
			n++
		}
	}
	return n
}

// A reading may be older than the message. Otherwise the instance would wait out its hook with pods on it.
func TestHookMessageOutlastsStaleReading(t *testing.T) {
	inBubble(hooked(scalingGroup(0, 1, 5)), func(t *testing.T, w *world) {
		warned := w.inService()[0]
		w.silent()
		w.run(warned, "a")
		w.running()
		w.send(hookMessage(warned, time.Now()))
		w.wait("looked at before the reading shows it", func() bool { return w.handled()["postponed lifecycle-terminate"] > 0 })
		assert.True(t, w.cordoned() == 0, "a node was cordoned whose instance is in service")
		require.NoError(t, w.aws.SetDesired("spot", 0))
		w.waitTerminated(warned)
		assert.Truef(t, w.evictions("a") == 1 && w.aws.Calls()["CompleteLifecycleAction"] != 0, "evicted %v, calls %v", w.allEvicted(), w.aws.Calls())
	})(t)
}

func TestScheduledChangesDrainOneNodeAtATime(t *testing.T) {
	inBubble(scalingGroup(0, 4, 5), func(t *testing.T, w *world) {
		w.silent()
		ids := w.inService()
		for _, id := range ids[:3] {
			w.run(id, "pod-"+id)
		}
		w.refused.Store(true)
		w.running()
		received := w.aws.Queues()[0].Received
		w.send(change("RETIREMENT", time.Now().Add(48*time.Hour), ids[:3]...))
		w.wait("one node cordoned", func() bool { return w.cordoned() > 0 })
		time.Sleep(4 * time.Second)
		n := w.cordoned()
		assert.Truef(t, n == 1 && len(w.allEvicted()) == 0, "%d nodes of the group are cordoned at once, evicted %v", n, w.allEvicted())
		w.refused.Store(false)
		w.within(time.Minute, "all three terminated", func() bool { return w.desired() == 1 })
		w.waitEmptyQueue()
		assert.Equal(t, 1, w.aws.Queues()[0].Received-received, "times the message was received, want once")
	})(t)
}

func TestFailedPlannedDrainKeepsItsInstance(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rebalance-recommendation", "scheduled-change"} {
		t.Run(kind, inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
			kept := w.inService()[0]
			w.silent()
			w.run(kept, "a")
			w.refused.Store(true)
			w.annotate(kept, "cordon,label", time.Now().Add(6*time.Second), "kind", kind)
			w.running(func(o *interruption.Options) { o.Rebalance = interruption.Drain })
			w.wait("back in use", func() bool {
				n := w.nodes()[kept]
				return n.Annotations[interruption.Taint] == "" && !n.Spec.Unschedulable
			})
			for _, call := range w.pods.Calls() {
				assert.Truef(t, call.Verb != "delete", "%+v", call)
			}
			assert.Equal(t, 0, w.terminations(), "the instance was ended under its pod")
		}))
	}
}

func TestGroupThatRebalancesReplacesItsOwnInstances(t *testing.T) {
	g := scalingGroup(0, 2, 5)
	g.CapacityRebalance = true
	inBubble(g, func(t *testing.T, w *world) {
		warned := w.inService()[0]
		w.run(warned, "a")
		h := w.handler()
		w.background(h.Run)
		w.refused.Store(true)
		w.send(warning(warned, time.Now()))
		w.wait("cordoned", func() bool { return w.cordoned() > 0 })
		for range 20 {
			require.Empty(t, h.NodesBeingDrained(), "the core is to replace the pods as well")
			time.Sleep(50 * time.Millisecond)
		}
		w.refused.Store(false)
		w.waitTerminated(warned)
		assert.Equal(t, 2, w.desired(), "desired: Auto Scaling has launched a replacement")
	})(t)
}

// Capacity Rebalancing replaces spot instances alone, and none while AWS launches nothing.
func TestTheCoreReplacesAnInstanceThatCapacityRebalancingDoesNot(t *testing.T) {
	for name, suspended := range map[string]bool{"reserved": false, "while Launch is suspended": true} {
		t.Run(name, func(t *testing.T) {
			g := scalingGroup(0, 2, 5)
			g.CapacityRebalance = true
			inBubble(g, func(t *testing.T, w *world) {
				ends := w.inService()[0]
				w.run(ends, "a")
				w.refused.Store(true)
				h := w.handler()
				w.background(h.Run)
				if suspended {
					require.NoError(t, w.aws.Suspend(g.Name, group.ProcessLaunch))
					time.Sleep(2 * time.Minute) // the suspension is read
					w.send(warning(ends, time.Now()))
				} else {
					require.NoError(t, w.aws.Announce(ends, fakeaws.Deed{Kind: fakeaws.InterruptReservation}))
				}
				w.wait("its pods count as pending", func() bool { return len(h.NodesBeingDrained()) == 1 })
				w.refused.Store(false)
				w.waitTerminated(ends)
				assert.Equal(t, 1, w.desired(), "desired")
			})(t)
		})
	}
}

// AWS has launched no replacement. It does so once the instance is terminated, and the pods wait for that.
func TestReplacementThatComesAfterTheTerminationIsNotWaitedFor(t *testing.T) {
	for name, halted := range map[string]bool{"in a group that rebalances too late": false, "while the core is halted": true} {
		t.Run(name, func(t *testing.T) {
			g := scalingGroup(0, 2, 5)
			g.CapacityRebalance = !halted
			inBubble(g, func(t *testing.T, w *world) {
				w.silent()
				warned := w.inService()[0]
				w.create("a", owned, func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = w.nodes()[warned].Name, corev1.PodRunning })
				w.create("b", owned) // which waits for a node
				w.running(func(o *interruption.Options) { o.Halted = func() bool { return halted } })
				w.send(warning(warned, time.Now()))
				w.within(40*time.Second, "terminated", func() bool { return w.terminations() > 0 })
				w.wait("replaced", func() bool { return len(w.inService()) == 2 })
			})(t)
		})
	}
}

// AWS takes the instance whatever the owners of pod and group ask for. The group keeps the capacity that its owner wants.
func TestInterruptionOverrulesWishesToBeLeftAlone(t *testing.T) {
	g := scalingGroup(0, 2, 5)
	g.Tags[group.TagPaused] = "true"
	inBubble(g, func(t *testing.T, w *world) {
		warned := w.inService()[0]
		w.create("a", func(p *corev1.Pod) {
			p.Spec.NodeName, p.Status.Phase = w.nodes()[warned].Name, corev1.PodRunning
			p.Annotations = map[string]string{string(nodemeta.DoNotDisrupt): "true"}
		})
		w.running()
		w.send(warning(warned, time.Now()))
		w.waitTerminated(warned)
		w.ended(1, 2, 1) // AWS replaces the instance
	})(t)
}

// A zone is cut off, so the core ends each loop before it looks at pods. Nobody but AWS replaces what AWS takes.
func TestInterruptionsDoNotShrinkAClusterWhoseCoreIsHalted(t *testing.T) {
	inUse(scalingGroup(0, 5, 5), func(t *testing.T, w *world, occupied string) {
		ids := w.inService()
		empty, ends, unjoined, late := ids[1], ids[2], ids[3], ids[4]
		w.unregister(unjoined)
		var halted atomic.Bool
		halted.Store(true)
		h := w.handler(func(o *interruption.Options) { o.Halted, o.Wake = halted.Load, func() {} })
		w.background(h.Run)
		for _, id := range []string{occupied, empty, unjoined} {
			w.send(warning(id, time.Now()))
		}
		w.send(stateChange(ends, "shutting-down"))
		for _, id := range ids[:4] {
			w.waitTerminated(id)
		}
		w.ended(4, 5, 1)
		halted.Store(false)
		w.send(warning(late, time.Now()))
		w.waitTerminated(late)
		w.ended(5, 4, 1) // the core replaces what has pods
	})(t)
}

func TestWaitForPodsLeavesTimeToTerminate(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		warned := w.inService()[0]
		w.create("a", owned, func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = w.nodes()[warned].Name, corev1.PodRunning })
		w.create("b", owned) // which never starts
		w.running()
		w.send(warning(warned, time.Now().Add(-100*time.Second))) // twenty seconds to go
		w.within(12*time.Second, "terminated well before EC2 interrupts it", func() bool { return w.terminations() > 0 })
	})(t)
}

func TestResumedTerminationBeatsTheDeadline(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		warned := w.inService()[0]
		now := time.Now()
		w.annotate(warned, "cordon,label", now.Add(16*time.Second), "terminating", now.UTC().Format(time.RFC3339),
			"began", now.Add(-90*time.Second).UTC().Format(time.RFC3339))
		w.running(func(o *interruption.Options) { o.Queue = "" })
		w.within(12*time.Second, "terminated before the deadline", func() bool { return w.terminations() > 0 })
	})(t)
}

// failures records the groups whose failed launches are to be read.
type failures struct {
	*asg.Cache
	mu    sync.Mutex
	names []string
}

func (f *failures) LaunchFailed(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = append(f.names, name)
}

func TestFailedLaunchIsReadAtOnce(t *testing.T) {
	w, _ := parallelWorld(t, scalingGroup(0, 1, 5))
	noted := &failures{Cache: w.cache}
	w.running(func(o *interruption.Options) { o.Groups = noted })
	w.send(`{"id":"l","detail-type":"EC2 Instance Launch Unsuccessful","source":"aws.autoscaling","detail":{"AutoScalingGroupName":"spot"}}`)
	w.waitEmptyQueue()
	assert.Equalf(t, "[spot]", fmt.Sprint(noted.names), "failures are read of %v, want spot", noted.names)
}

// An API server that fails to list pods says nothing about them.
func TestPlannedDrainKeepsInstanceOfUnlistedNode(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		kept := w.inService()[0]
		w.silent()
		w.pods.RefuseList = func() error { return fmt.Errorf("etcd has no leader") }
		w.annotate(kept, "cordon,label", time.Now().Add(6*time.Second), "kind", "scheduled-change")
		w.running()
		w.wait("back in use", func() bool { return w.nodes()[kept].Annotations[interruption.Taint] == "" })
		assert.Equal(t, 0, w.terminations(), "an instance was ended whose pods nobody has seen")
	})(t)
}
