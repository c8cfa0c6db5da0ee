package interruption_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// change is a scheduled change of instances, at no stated time if starts is zero.
func change(what string, starts time.Time, instances ...string) string {
	var entities, start string
	for _, id := range instances {
		entities += fmt.Sprintf(`,{"entityValue":%q}`, id)
	}
	if !starts.IsZero() {
		start = fmt.Sprintf(`"startTime":%q,`, starts.UTC().Format("Mon, 2 Jan 2006 15:04:05 GMT"))
	}
	return fmt.Sprintf(`{"id":"h","detail-type":"AWS Health Event","source":"aws.health","detail":{"service":"EC2","eventTypeCategory":"scheduledChange",`+
		`"eventTypeCode":"AWS_EC2_INSTANCE_%s_SCHEDULED",%s"affectedEntities":[%s]}}`, what, start, strings.TrimPrefix(entities, ","))
}

// later is a scheduled change that begins after some time, and advised a recommendation.
func later(what string, in time.Duration) func(instance string) string {
	return func(instance string) string { return change(what, time.Now().Add(in), instance) }
}

func advised(instance string) string { return recommendation(instance, time.Now()) }

// waits fails the test unless one node is cordoned and still runs its pod.
func (w *world) waits() {
	w.t.Helper()
	require.Truef(w.t, w.cordoned() == 1 && w.evictions("a") == 0, "%d nodes cordoned, %d evictions, want a node that waits",
		w.cordoned(), w.evictions("a"))
}

// The new node may need long, be refused by AWS, or be more than the group may have.
func TestPlannedDrainWaitsUntilItsPodsHaveAPlace(t *testing.T) {
	for _, tt := range []struct {
		name       string
		rebalances bool // the group, which replaces its instances at other risks
		message    func(instance string) string
		after      time.Duration
	}{
		{name: "a recommendation", message: advised, after: 12 * time.Minute},
		{name: "a reboot", message: later("REBOOT_MAINTENANCE", 2*time.Hour), after: time.Hour},
		{name: "a reboot in a group that rebalances", rebalances: true, message: later("REBOOT_MAINTENANCE", 2*time.Hour), after: time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := scalingGroup(0, 2, 5)
			g.CapacityRebalance = tt.rebalances
			inUse(g, func(t *testing.T, w *world, leaves string) {
				w.full.Store(true)
				h := w.handler(drainOnRebalance)
				w.background(h.Run)
				w.send(tt.message(leaves))
				time.Sleep(tt.after)
				w.waits()
				assert.NotContains(t, w.nodes()[leaves].Labels, corev1.LabelNodeExcludeBalancers, "its pods serve while they wait")
				w.refused.Store(true)
				w.full.Store(false)
				w.decide(h)
				w.wait("off load balancers as its pods leave", func() bool {
					n := w.nodes()[leaves]
					return n.Labels[corev1.LabelNodeExcludeBalancers] == "true" && strings.Contains(n.Annotations[interruption.Taint], `"excluded":true`)
				})
				w.refused.Store(false)
				w.waitTerminated(leaves)
				w.waitEmptyQueue()
				w.ended(1, 1, 1)
			})(t)
		})
	}
}

func TestEmptyNodeLeavesLoadBalancersBeforeItsInstanceGoes(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		leaves := w.inService()[0]
		w.running(drainOnRebalance)
		w.send(advised(leaves))
		w.wait("off load balancers", func() bool { return w.nodes()[leaves].Labels[corev1.LabelNodeExcludeBalancers] == "true" })
		off := time.Now()
		w.waitTerminated(leaves)
		assert.GreaterOrEqual(t, time.Since(off), 19*time.Second)
	})(t)
}

func TestPodsWithoutAPlaceLeaveOnlyAnInstanceThatEnds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		message func(instance string) string
		until   time.Duration // the pods are left alone
		ends    bool
	}{
		{name: "a recommendation", message: advised, until: 12 * time.Minute},
		{name: "a reboot", message: later("REBOOT_MAINTENANCE", time.Hour), until: 57 * time.Minute},
		{name: "a retirement", message: later("RETIREMENT", time.Hour), until: 57 * time.Minute, ends: true},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
			w.full.Store(true)
			w.running(drainOnRebalance)
			w.send(tt.message(leaves))
			time.Sleep(tt.until)
			w.waits()
			if tt.ends {
				w.within(2*time.Minute, "terminated", func() bool { return w.terminations() == 1 })
				assert.Equal(t, 1, w.evictions("a"), "evictions")
				return
			}
			w.within(2*time.Minute, "back in use", func() bool { return w.cordoned() == 0 })
			w.waitEmptyQueue()
			w.ended(0, 2, 0)
		}))
	}
}

// said is the message about a change as AWS Health sends it after some time.
func said(message, arn, status string, after time.Duration) string {
	return strings.Replace(message, `"detail":{`, fmt.Sprintf(`"time":%q,"detail":{"eventArn":%q,"statusCode":%q,`,
		time.Now().Add(after).UTC().Format(time.RFC3339), arn, status), 1)
}

func TestChangeThatAWSCallsOffIsNotDrainedFor(t *testing.T) {
	for _, tt := range []struct {
		name             string
		full, refused    bool
		reversed, next   bool // the messages, and the leader that reads the last one
		ofAnother, stays bool
	}{
		{name: "while pods have no place", full: true},
		{name: "while a budget holds pods", refused: true},
		{name: "before the next leader", full: true, next: true},
		{name: "before the message about it comes", full: true, reversed: true},
		{name: "another one", full: true, ofAnother: true, stays: true},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
			w.full.Store(tt.full)
			w.refused.Store(tt.refused)
			retires := change("RETIREMENT", time.Now().Add(4*time.Hour), leaves)
			open, over := said(retires, "arn:1", "open", 0), said(retires, "arn:1", "closed", time.Second)
			if tt.ofAnother {
				over = said(retires, "arn:2", "closed", time.Second)
			}
			if tt.reversed {
				open, over = over, open
			}
			stop := w.running()
			w.send(open)
			time.Sleep(20 * time.Minute)
			if !tt.reversed {
				w.waits()
			}
			if tt.next {
				stop()
				w.running()
			}
			w.send(over)
			time.Sleep(time.Minute)
			if tt.stays {
				w.waits()
				return
			}
			w.waitEmptyQueue()
			time.Sleep(5 * time.Hour)
			assert.Zero(t, w.cordoned()+w.evictions("a")+w.terminations(), "nodes cordoned, evictions and terminations")
		}))
	}
}

// Each message has an ID of its own. AWS's word about the change is as old as the newest of them.
func TestChangeThatAWSOpensAgainIsDrainedFor(t *testing.T) {
	for name, known := range map[string]bool{"called off during its drain": true, "called off before a drain": false} {
		t.Run(name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
			w.full.Store(true)
			h := w.handler()
			w.background(h.Run)
			retires := change("RETIREMENT", time.Now().Add(40*time.Hour), leaves)
			open, over := said(retires, "arn:1", "upcoming", 0), said(retires, "arn:1", "closed", time.Second)
			again := strings.Replace(said(retires, "arn:1", "upcoming", 30*time.Minute), `"id":"h"`, `"id":"again"`, 1)
			if known {
				w.send(open)
				time.Sleep(time.Minute)
			}
			w.send(strings.Replace(over, `"id":"h"`, `"id":"over"`, 1))
			time.Sleep(15 * time.Minute)
			w.send(open) // SQS may deliver it again
			time.Sleep(15 * time.Minute)
			require.Zero(t, w.cordoned(), "nodes cordoned for a change that is called off")
			w.send(again)
			w.wait("cordoned", func() bool { return w.cordoned() == 1 })
			w.full.Store(false)
			w.decide(h)
			w.waitTerminated(leaves)
			w.waitEmptyQueue()
			w.ended(1, 1, 1)
		}))
	}
}

func TestChangeThatAWSPutsOffIsDrainedForLater(t *testing.T) {
	for what, ends := range map[string]bool{"RETIREMENT": true, "REBOOT_MAINTENANCE": false} {
		t.Run(what, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
			w.full.Store(true)
			stop := w.running()
			old := said(change(what, time.Now().Add(time.Hour), leaves), "arn:1", "open", 0)
			w.send(old)
			time.Sleep(15 * time.Minute)
			w.send(said(change(what, time.Now().Add(3*time.Hour), leaves), "arn:1", "open", 0))
			time.Sleep(time.Minute)
			w.send(old) // SQS may keep no order
			time.Sleep(time.Minute)
			stop()
			w.running()
			time.Sleep(2*time.Hour + 50*time.Minute)
			w.waits()
			if ends {
				w.within(8*time.Minute, "terminated", func() bool { return w.terminations() == 1 })
				assert.Equal(t, 1, w.evictions("a"), "evictions")
			} else {
				w.within(8*time.Minute, "back in use", func() bool { return w.cordoned() == 0 })
			}
			w.waitEmptyQueue()
		}))
	}
}

// AWS has planned the change before the instance joins the cluster.
func TestPlannedDrainWaitsForItsNode(t *testing.T) {
	for _, tt := range []struct {
		name    string
		message func(instance string) string
		joins   bool
		after   time.Duration // the instance is left alone until then
		outcome string
		ended   int // instances
		evicted int
	}{
		{name: "a reboot", message: later("REBOOT_MAINTENANCE", 2*time.Hour), joins: true, after: 12 * time.Minute, outcome: "drained",
			ended: 1, evicted: 1},
		{name: "a reboot without a node", message: later("REBOOT_MAINTENANCE", 12*time.Minute), after: 11 * time.Minute, outcome: "counted"},
		{name: "a reboot at an unknown time", outcome: "counted",
			message: func(id string) string { return change("REBOOT_MAINTENANCE", time.Time{}, id) }},
		{name: "a retirement", message: later("RETIREMENT", 35*time.Minute), after: 14 * time.Minute, outcome: "no-node", ended: 1},
	} {
		t.Run(tt.name, inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
			w.silent()
			starts := w.inService()[0]
			node := w.unregister(starts)
			w.running()
			w.send(tt.message(starts))
			time.Sleep(tt.after)
			w.ended(0, 2, 0) // it may join the cluster
			if tt.joins {
				w.register(node)
				w.run(starts, "a")
			}
			w.within(3*time.Minute, "dealt with", func() bool { return w.handled()[tt.outcome+" scheduled-change"] == 1 })
			w.waitEmptyQueue()
			w.ended(tt.ended, 2-tt.ended, tt.evicted)
		}))
	}
}

// versioned has the API server refuse writes over an older version of a node.
func (w *world) versioned() {
	last := 0
	w.cluster.PrependReactor("update", "nodes", func(a clienttesting.Action) (bool, runtime.Object, error) {
		nodes, node := corev1.SchemeGroupVersion.WithResource("nodes"), a.(clienttesting.UpdateAction).GetObject().(*corev1.Node)
		stored, err := w.cluster.Tracker().Get(nodes, "", node.Name)
		if err == nil && stored.(*corev1.Node).ResourceVersion != node.ResourceVersion {
			return true, nil, apierrors.NewConflict(nodes.GroupResource(), node.Name, errors.New("it has changed"))
		}
		last++
		node.ResourceVersion = strconv.Itoa(last)
		return false, nil, nil
	})
}

// An operator takes the group's discovery tag off, or gives it to another autoscaler. Nobody here would end the instance.
func TestNodeOfAGroupThatIsNoLongerOursIsPutBackIntoUse(t *testing.T) {
	for _, tt := range []struct {
		name, what string
		full       bool
		refused    bool
		grace      time.Duration
		unwritable bool // nodes, for longer than one try lasts
		evicted    int
	}{
		{name: "before its pods have a place", what: "REBOOT_MAINTENANCE", full: true},
		{name: "while nodes cannot be written", what: "REBOOT_MAINTENANCE", full: true, unwritable: true},
		{name: "while the node of an instance that ends cannot be written", what: "RETIREMENT", full: true, unwritable: true},
		{name: "while a budget holds its pods", what: "REBOOT_MAINTENANCE", refused: true},
		{name: "while a budget holds the pods of an instance that ends", what: "RETIREMENT", refused: true},
		{name: "while its pods leave", what: "REBOOT_MAINTENANCE", grace: 5 * time.Minute, evicted: 1},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
			w.full.Store(tt.full)
			w.refused.Store(tt.refused)
			w.grace.Store(tt.grace.Milliseconds())
			c := &hanging{Interface: w.cluster, refuses: errors.New("a webhook refuses")}
			w.running(func(o *interruption.Options) { o.Cordons = c })
			w.send(change(tt.what, time.Now().Add(3*time.Hour), leaves))
			w.wait("cordoned", func() bool { return w.cordoned() == 1 })
			time.Sleep(time.Minute)
			if tt.unwritable {
				c.first.Store(10000)
			}
			require.NoError(t, w.aws.SetTags("spot", map[string]*string{tag: nil}))
			w.within(2*time.Minute, "the group is not ours in a reading", func() bool { return w.cache.Snapshot().Group("spot") == nil })
			time.Sleep(time.Minute)
			c.first.Store(0)
			w.within(6*time.Minute, "back in use", func() bool { return w.cordoned() == 0 })
			time.Sleep(10 * time.Minute)
			assert.Truef(t, w.cordoned() == 0 && w.evictions("a") == tt.evicted && w.terminations() == 0,
				"%d nodes cordoned, %d evictions, %d terminations", w.cordoned(), w.evictions("a"), w.terminations())
			for _, call := range w.pods.Calls() {
				assert.NotEqualf(t, "delete", call.Verb, "%+v", call)
			}
		}))
	}
}

// The core takes its taint off after two minutes, and its cordon with it. It has left a pod.
func TestPodsThatTheCoreLeavesNeedAPlaceFirst(t *testing.T) {
	for _, tt := range []struct {
		name    string
		resumed bool // by the next leader
		later   bool // the core begins after the handler
		person  bool // who had cordoned the node before the core
		gaveUp  bool // because there is no place
	}{
		{name: "a drain that begins"},
		{name: "a drain that is taken up", resumed: true},
		{name: "a drain that the core joins", later: true},
		{name: "a drain that is given up", gaveUp: true},
		{name: "a drain that is given up, of a cordoned node", person: true, gaveUp: true},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
			w.versioned()
			starts, since := time.Now().Add(3*time.Hour), metav1.Now()
			w.full.Store(true)
			if tt.resumed {
				w.annotate(leaves, "cordon", starts, "kind", "scheduled-change")
			}
			h := w.handler()
			begin := func() {
				w.background(h.Run)
				if !tt.resumed {
					w.send(change("REBOOT_MAINTENANCE", starts, leaves))
				}
			}
			if tt.later {
				begin()
				time.Sleep(time.Minute)
				require.Len(t, h.NodesBeingDrained(), 1, "nodes whose pods count as pending")
			}
			w.edit(leaves, func(n *corev1.Node) {
				n.Spec.Unschedulable = true
				n.Spec.Taints = append(n.Spec.Taints,
					corev1.Taint{Key: byCore.Key, Value: fmt.Sprint(since.Unix()), Effect: corev1.TaintEffectNoSchedule},
					corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule, TimeAdded: &since})
				if tt.person {
					slices.Reverse(n.Spec.Taints)
				}
			})
			if !tt.later {
				begin()
			}
			time.Sleep(2 * time.Minute)
			w.waits()
			require.Empty(t, h.NodesBeingDrained(), "nodes whose pods count twice, here and in the core")

			w.edit(leaves, func(n *corev1.Node) {
				n.Spec.Unschedulable, n.Spec.Taints = false, slices.DeleteFunc(n.Spec.Taints, isByCore)
			})
			time.Sleep(time.Minute)
			w.waits()
			require.Equal(t, []string{w.nodes()[leaves].Name}, h.NodesBeingDrained(), "nodes whose pods count as pending")
			if tt.gaveUp {
				time.Sleep(2*time.Hour + 50*time.Minute)
				w.within(10*time.Minute, "given up", func() bool { return w.handled()["gave-up scheduled-change"] == 1 })
				assert.Equal(t, tt.person, w.nodes()[leaves].Spec.Unschedulable, "cordoned in the end")
				assert.Zero(t, w.evictions("a"), "evictions")
				return
			}
			w.full.Store(false)
			w.decide(h)
			w.waitTerminated(leaves)
			assert.Equal(t, 1, w.evictions("a"), "evictions")
		}))
	}
}

// AWS launches the replacement, and ends the instance when that is in service. An eviction before then would leave its pods without a node.
func TestRecommendationIsLeftToCapacityRebalancing(t *testing.T) {
	g := hooked(scalingGroup(0, 2, 5))
	g.CapacityRebalance = true
	inBubble(g, func(t *testing.T, w *world) {
		leaves := w.inService()[0]
		w.run(leaves, "a")
		w.running(drainOnRebalance)
		w.send(advised(leaves))
		w.wait("counted", func() bool { return w.handled()["counted rebalance-recommendation"] == 1 })
		time.Sleep(20 * time.Second)
		require.Zero(t, w.cordoned()+w.evictions("a"), "nodes cordoned and evictions before AWS has a replacement")
		require.NoError(t, w.aws.Announce(leaves, fakeaws.Deed{Kind: fakeaws.RecommendRebalance}))
		w.waitTerminated(leaves)
		assert.Truef(t, w.evictions("a") == 1 && w.desired() == 2 && len(w.inService()) == 2,
			"%d evictions, desired %d, in service %v, want a drained node with one replacement", w.evictions("a"), w.desired(), w.inService())
	})(t)
}

// The group is to lose no node, and AWS does not take this one.
func TestRecommendationIsOnlyCountedWhileItsGroupIsLeftAlone(t *testing.T) {
	for name, leave := range map[string]func(g *fakeaws.AutoScalingGroup){
		"by its tag":                   func(g *fakeaws.AutoScalingGroup) { g.Tags[group.TagPaused] = "scale-down" },
		"while Terminate is suspended": func(g *fakeaws.AutoScalingGroup) { g.SuspendedProcesses = []string{group.ProcessTerminate} },
	} {
		t.Run(name, func(t *testing.T) {
			g := scalingGroup(0, 2, 5)
			leave(&g)
			inUse(g, func(t *testing.T, w *world, id string) {
				w.running(drainOnRebalance)
				w.send(recommendation(id, time.Now()))
				w.wait("counted", func() bool { return w.handled()["counted rebalance-recommendation"] == 1 })
				time.Sleep(20 * time.Second)
				assert.Zero(t, w.cordoned()+w.evictions("a")+w.terminations(), "nodes cordoned, evictions and terminations")
			})(t)
		})
	}
}

// An operator freezes the group during the drain. A change that AWS plans comes all the same.
func TestRecommendationIsGivenUpOnceItsGroupIsLeftAlone(t *testing.T) {
	byTag := func(w *world) error {
		return w.aws.SetTags("spot", map[string]*string{group.TagPaused: ptr.To("scale-down")})
	}
	for _, tt := range []struct {
		name          string
		message       func(instance string) string
		freeze        func(w *world) error
		full, refused bool
		next          bool // another leader goes on
		said          string
		stays         bool // it is drained
	}{
		{name: "before its pods have a place", message: advised, freeze: byTag, full: true, said: "its group is paused by its tag asg-autoscaler.github.io/paused"},
		{name: "while a budget holds its pods", message: advised, freeze: byTag, refused: true, said: "its group is paused by its tag asg-autoscaler.github.io/paused"},
		{name: "by a suspended process", message: advised, freeze: func(w *world) error { return w.aws.Suspend("spot", group.ProcessTerminate) },
			full: true, said: "its group is paused, because its process Terminate is suspended"},
		{name: "before the next leader", message: advised, freeze: byTag, full: true, next: true, said: "its group is paused by its tag asg-autoscaler.github.io/paused"},
		{name: "a change", message: later("REBOOT_MAINTENANCE", 2*time.Hour), freeze: byTag, full: true, stays: true},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
			w.full.Store(tt.full)
			w.refused.Store(tt.refused)
			events := record.NewFakeRecorder(100)
			run := func() func() {
				return w.running(drainOnRebalance, func(o *interruption.Options) { o.Events = events })
			}
			stop := run()
			w.send(tt.message(leaves))
			w.wait("cordoned", func() bool { return w.cordoned() == 1 })
			time.Sleep(time.Minute)
			if tt.next {
				stop()
			}
			require.NoError(t, tt.freeze(w))
			w.within(2*time.Minute, "frozen in a reading", func() bool { return w.cache.Snapshot().Group("spot").LeftAlone(time.Now(), true).Down })
			if tt.next {
				run()
			}
			time.Sleep(5 * time.Second)
			if tt.stays {
				w.waits()
				return
			}
			w.full.Store(false)
			w.refused.Store(false)
			w.wait("back in use", func() bool { return w.cordoned() == 0 })
			w.waitEmptyQueue()
			time.Sleep(20 * time.Minute)
			w.ended(0, 2, 0)
			assert.Zero(t, w.cordoned(), "nodes cordoned")
			assert.Contains(t, textOf(events), "Put back into use: "+tt.said)
		}))
	}
}

// Beside a plugin nobody counts the pods of the node.
func TestPlannedDrainDoesNotWaitForACoreElsewhere(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
		w.running(drainOnRebalance, func(o *interruption.Options) { o.CoreElsewhere, o.Wake = true, func() {} })
		w.send(recommendation(leaves, time.Now()))
		w.waitTerminated(leaves)
		assert.Equal(t, 1, w.evictions("a"), "evictions")
	})(t)
}

// The time of the planned drain is over while Auto Scaling waits for us.
func TestHookOutlastsPlannedDrain(t *testing.T) {
	inUse(hooked(scalingGroup(0, 2, 5)), func(t *testing.T, w *world, id string) {
		l := &leaving{Cache: w.cache, instance: id}
		w.refused.Store(true)
		h := w.handler(func(o *interruption.Options) { o.Groups = l })
		w.background(h.Run)
		w.send(change("REBOOT_MAINTENANCE", time.Time{}, l.instance))
		time.Sleep(12 * time.Minute)
		l.state.Store("Terminating:Wait")
		w.send(hookMessage(l.instance, time.Now()))
		time.Sleep(5 * time.Minute)
		w.waits()
		assert.Zero(t, w.aws.Calls()["CompleteLifecycleAction"], "completions before the node is drained")
		w.refused.Store(false)
		w.waitEmptyQueue()
		assert.Equal(t, 1, w.evictions("a"), "evictions")
		assert.Equal(t, 1, w.aws.Calls()["CompleteLifecycleAction"], "completions")
	})(t)
}

// Without the warning's words the node would say that there is time.
func TestDrainedNodeSaysThatAWSTakesItSoon(t *testing.T) {
	for _, tt := range []struct {
		name       string
		hook, full bool
	}{
		{name: "before the evictions of a planned drain", full: true},
		{name: "after they have begun"},
		{name: "in a drain for a lifecycle hook", hook: true},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
			w.refused.Store(true)
			w.full.Store(tt.full)
			l, first := &leaving{Cache: w.cache, instance: warned}, advised(warned)
			if tt.hook {
				l.state.Store("Terminating:Wait")
				first = hookMessage(warned, time.Now())
			}
			events, told := record.NewFakeRecorder(1000), make(chan string, 10)
			w.running(drainOnRebalance, func(o *interruption.Options) {
				o.Groups, o.Events, o.Draining = l, events, func(_, _, reason string) { told <- reason }
			})
			w.send(first)
			w.wait("cordoned", func() bool { return w.cordoned() == 1 })
			time.Sleep(time.Minute)
			w.send(warning(warned, time.Now()))
			const soon = "EC2 takes the instance back (terminate)"
			w.wait("the node says so", func() bool {
				reason, _, _ := interruption.Draining(w.nodes()[warned])
				return strings.HasPrefix(reason, soon) && !interruption.Planned(w.nodes()[warned])
			})
			w.send(warning(warned, time.Now().Add(-5*time.Second))) // a copy, which is no news
			time.Sleep(5 * time.Second)
			<-told
			assert.Truef(t, len(told) == 1 && strings.HasPrefix(<-told, soon), "told %d times after the first one", len(told))
			said := 0
			for len(events.Events) > 0 {
				if e := <-events.Events; strings.HasPrefix(e, "Warning Interruption Cordoned and drained") && strings.Contains(e, soon) {
					said++
				}
			}
			assert.Equal(t, 1, said, "events")
			w.refused.Store(false)
			w.waitEmptyQueue()
			assert.Equal(t, 1, w.evictions("a"), "evictions")
			if !tt.hook {
				w.waitTerminated(warned)
			}
		}))
	}
}

func TestWarningWhileANodeIsPutBackIntoUse(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
		w.refused.Store(true)
		c := &hanging{Interface: w.cluster}
		w.running(drainOnRebalance, func(o *interruption.Options) { o.Cordons = c })
		w.send(recommendation(warned, time.Now()))
		w.wait("cordoned", func() bool { return w.cordoned() == 1 })
		c.first.Store(c.begun.Load() + 1)
		w.within(16*time.Minute, "being put back into use", func() bool { return c.now.Load() == 1 })
		w.send(warning(warned, time.Now()))
		w.within(3*time.Minute, "terminated", func() bool { return w.terminations() == 1 })
		w.waitEmptyQueue()
	})(t)
}

// Nodes of a group are drained one at a time, and the message comes again meanwhile.
func TestNodesThatGaveUpLeaveTheTurnToOthers(t *testing.T) {
	inBubble(scalingGroup(0, 3, 5), func(t *testing.T, w *world) {
		w.silent()
		ids := w.inService()[:2]
		for _, id := range ids {
			w.run(id, "pod-"+id)
		}
		w.refused.Store(true)
		w.running()
		w.send(change("REBOOT_MAINTENANCE", time.Time{}, ids...))
		w.within(45*time.Minute, "both given up", func() bool { return w.handled()["gave-up scheduled-change"] == 1 })
		w.waitEmptyQueue()
		assert.Zero(t, w.cordoned(), "nodes cordoned")
		assert.Zero(t, w.count("asg_autoscaler_interruption_pods_lost_total")[""], "pods lost, which run on")
	})(t)
}

// Both messages wait for the drain that the first one began.
func TestChangeThatGaveUpLeavesTheTurnToAnotherOne(t *testing.T) {
	for name, over := range map[string]bool{"called off": true, "out of time": false} {
		t.Run(name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
			w.full.Store(true)
			h := w.handler()
			w.background(h.Run)
			what := "REBOOT_MAINTENANCE"
			if over {
				what = "RETIREMENT"
			}
			first := change(what, time.Now().Add(time.Hour), leaves)
			w.send(said(first, "arn:1", "open", 0))
			time.Sleep(time.Minute)
			another := said(change("RETIREMENT", time.Now().Add(10*time.Hour), leaves), "arn:2", "open", time.Second)
			if !over { // one that ends the instance would outrank the first
				another = said(change(what, time.Now().Add(10*time.Hour), leaves), "arn:2", "open", time.Second)
			}
			w.send(strings.Replace(another, `"id":"h"`, `"id":"another"`, 1))
			time.Sleep(time.Minute)
			if over {
				w.send(said(first, "arn:1", "closed", 2*time.Second))
			}
			time.Sleep(2 * time.Hour)
			w.waits()
			w.full.Store(false)
			w.decide(h)
			w.within(9*time.Hour, "terminated", func() bool { return w.terminations() == 1 })
			assert.Equal(t, 1, w.evictions("a"), "evictions")
			w.waitEmptyQueue()
		}))
	}
}

// A change that was put off has two messages. Its drain was given up by the later one.
func TestOlderWordAboutAChangeIsNotDrainedForAgain(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
		w.full.Store(true)
		w.running()
		for at, id := range []string{"one", "two"} {
			put := change("REBOOT_MAINTENANCE", time.Now().Add(time.Duration(1+at)*time.Hour), leaves)
			w.send(strings.Replace(said(put, "arn:1", "open", 0), `"id":"h"`, `"id":"`+id+`"`, 1))
			time.Sleep(time.Minute)
		}
		w.waits()
		w.within(2*time.Hour, "back in use", func() bool { return w.cordoned() == 0 })
		for range 60 {
			time.Sleep(15 * time.Second)
			require.Zero(t, w.cordoned(), "nodes cordoned for the older word")
		}
		w.waitEmptyQueue()
	})(t)
}

// One cluster's nodes are drained within a minute. Another cluster that reads the same queue has to see the message, too.
func TestMessageAboutTwoClustersIsLeftToTheOther(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, ours string) {
		w.running()
		w.send(change("RETIREMENT", time.Now().Add(48*time.Hour), ours, "i-0aaaaaaaaaaaaaaaa"))
		w.waitTerminated(ours)
		w.wait("the message is left to others", func() bool { return w.handled()["left-to-others scheduled-change"] > 0 })
		time.Sleep(20 * time.Minute)
		q := w.aws.Queues()[0]
		assert.Truef(t, q.Visible+q.InFlight+q.Delayed == 1, "the other cluster's message was deleted: %+v", q)
		w.within(15*time.Minute, "nobody wants it", func() bool { return w.handled()["not-ours scheduled-change"] == 1 })
		w.waitEmptyQueue()
		assert.Equal(t, 1, w.evictions("a"), "evictions")
	})(t)
}

// The other cluster may still drain for it.
func TestChangeOfAnotherClusterThatIsCalledOffIsLeftToIt(t *testing.T) {
	inUse(scalingGroup(0, 1, 5), func(t *testing.T, w *world, _ string) {
		w.running()
		w.send(said(change("RETIREMENT", time.Now().Add(48*time.Hour), "i-0aaaaaaaaaaaaaaaa"), "arn:1", "closed", 0))
		w.wait("the message is left to others", func() bool { return w.handled()["left-to-others scheduled-change"] > 0 })
	})(t)
}

// Evicted pods would come back to the node.
func TestNodeThatCannotBeCordonedIsNotDrainedAsPlanned(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
		c := &hanging{Interface: w.cluster}
		c.first.Store(1000)
		w.running(drainOnRebalance, func(o *interruption.Options) { o.Cordons = c })
		w.send(recommendation(leaves, time.Now()))
		w.within(time.Minute, "tried again later", func() bool { return w.handled()["broken rebalance-recommendation"] > 0 })
		assert.Zero(t, w.evictions("a"), "evictions from a node that is not cordoned")
		c.first.Store(0)
		w.within(time.Minute, "terminated", func() bool { return w.terminations() == 1 })
	})(t)
}

func TestCordonIsRepeatedBesideAnUrgentDrain(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
		w.refused.Store(true)
		c := &hanging{Interface: w.cluster}
		c.first.Store(3) // more than the first try has time for
		w.running(func(o *interruption.Options) { o.Cordons = c })
		w.send(warning(warned, time.Now()))
		w.within(time.Minute, "cordoned", func() bool { return w.cordoned() == 1 })
		w.refused.Store(false)
		w.waitTerminated(warned)
	})(t)
}

// Another process drains the nodes of its own groups in this cluster.
func TestNodeOfAnotherProcessStaysCordoned(t *testing.T) {
	const unknown = "i-0aaaaaaaaaaaaaaaa"
	ready := []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	for _, tt := range []struct {
		name   string
		more   []string // of the annotation
		cordon bool
	}{
		{"of no group", nil, false},
		{"detached", []string{"group", "spot"}, false},
		{"another group", []string{"group", "theirs"}, true},
		{"terminated", []string{"group", "spot", "terminating", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}, true},
		{"ended by a hook", []string{"group", "spot", "kind", "lifecycle-terminate"}, true},
		{"detached after its reboot", []string{"group", "spot", "kind", "reboot", "terminating", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}, false},
	} {
		t.Run(tt.name, inBubble(scalingGroup(0, 1, 5), func(t *testing.T, w *world) {
			w.register(&corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "unknown", Labels: map[string]string{"a": "b"}},
				Spec:       corev1.NodeSpec{ProviderID: "aws:///" + zone + "/" + unknown},
				Status:     corev1.NodeStatus{Conditions: ready},
			})
			w.annotate(unknown, "cordon,label", time.Now().Add(-6*time.Minute), tt.more...)
			w.handler().Reconcile(t.Context())
			assert.Equal(t, tt.cordon, w.nodes()[unknown].Spec.Unschedulable, "cordoned")
		}))
	}
}
