package decisions_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// newDearWorld has groups of large and of small nodes. Each node has a Ready pod of its own Deployment.
func newDearWorld(t *testing.T, big, small int, cpu string, changes ...func(big *fakeaws.AutoScalingGroup)) *world {
	t.Helper()
	return newDearWorldOf(t, dearOptions(), big, small, cpu, changes...)
}

// dearOptions let pods and nodes that are a minute old move.
func dearOptions() config.AutoscalingOptions {
	o := options()
	o.NodeGroupDefaults.ScaleDownUnneededTime = time.Minute
	return o
}

func newDearWorldOf(t *testing.T, o config.AutoscalingOptions, big, small int, cpu string, changes ...func(big *fakeaws.AutoScalingGroup)) *world {
	t.Helper()
	o.ScaleDownDelayAfterAdd, o.ScanInterval = 100*time.Hour, planEvery // the core itself removes nothing
	o.NodeGroupDefaults.MaxNodeStartupTime = 100 * time.Hour
	m := &move.Machine{Reasons: []move.Reason{&move.Consolidate{On: true}}, Budgets: parseBudgets(t, "100%")}
	large := awsworld.Group("big", "m5.2xlarge", 0, big, 5, map[string]string{move.TagBudget: "100%"})
	for _, change := range changes {
		change(&large)
	}
	on := awsworld.NewAWS(t, func(c *fakeaws.Config) {
		c.Delays.Synchronous = fakeaws.Duration(20 * time.Millisecond)
		c.InstanceTypes = []fakeaws.InstanceType{{Name: "x9z.large", VCPU: 2, MemoryMiB: 8192}}
		c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "m5.2xlarge", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.2xlarge"}}})
	}, large, awsworld.Group("small", "m5.large", 0, small, 5, map[string]string{move.TagBudget: "100%"}))
	w := newMovingWorld(t, on, o, m)
	for _, group := range []string{"big", "small"} {
		for i, n := range w.ready(group) {
			n.Labels = map[string]string{"disk": group, corev1.LabelHostname: n.Name, corev1.LabelTopologyZone: awsworld.ZoneA}
			w.join(n)
			pod := running(fmt.Sprint(group, "-pod-", i), fmt.Sprint(group, "-set-", i), cpu, n.Name)
			w.put(pod)
		}
	}
	return w
}

// changePods changes all pods in the cache.
func (w *world) changePods(change func(*corev1.Pod)) {
	for _, o := range w.factory.Core().V1().Pods().Informer().GetIndexer().List() {
		pod := o.(*corev1.Pod).DeepCopy()
		change(pod)
		w.put(pod)
	}
}

// untilConsolidated runs loops, ten seconds apart, until the report is as wanted.
func (w *world) untilConsolidated(want func(*decision.Report) bool) (r *decision.Report) {
	w.T.Helper()
	w.Eventually(func() string {
		w.clock.Step(planEvery)
		if r = w.loop(); want(r) {
			return ""
		}
		nodes, err := json.Marshal(r.Nodes)
		require.NoError(w.T, err)
		return fmt.Sprintf("%s, evicted %q, nodes %s", w.sizes(), w.evicted(), nodes)
	})
	return r
}

// untilSizes runs loops, ten seconds apart, until AWS has these sizes.
func (w *world) untilSizes(want string) {
	w.T.Helper()
	w.untilConsolidated(func(*decision.Report) bool { return w.sizes() == want })
}

// stays runs loops, ten seconds apart. AWS has these sizes in the end, and no pod was evicted.
func (w *world) stays(sizes string, loops int) {
	w.T.Helper()
	for range loops {
		w.clock.Step(planEvery)
		w.loop()
		require.NoError(w.T, w.failed)
		w.Eventually(func() string {
			made := reflect.ValueOf(w.consolidation).Elem().FieldByName("made")
			return map[bool]string{true: "plans are still made beside the loop"}[!made.IsNil() && made.Len() == 0]
		})
	}
	assert.Truef(w.T, w.sizes() == sizes && w.evicted() == "", "%s, evicted %q, want %s and no eviction", w.sizes(), w.evicted(), sizes)
}

const planEvery = 10 * time.Second

// sizes are the desired capacities at AWS, once AWS has answered. A test that ends before has a termination in doubt.
func (w *world) sizes() string {
	w.T.Helper()
	known := w.Cache.Snapshot()
	if big, small := known.Group("big").DesiredCapacity, known.Group("small").DesiredCapacity; big != w.size("big") || small != w.size("small") {
		return fmt.Sprintf("%d big, %d small, as far as is known", big, small)
	}
	return fmt.Sprintf("%d big, %d small", w.size("big"), w.size("small"))
}

func TestNodeGoesWhosePodsFitElsewhere(t *testing.T) {
	w := newDearWorld(t, 0, 3, "900m")
	w.untilSizes("0 big, 2 small")
	list := entries(w.record.Report(), decision.ScaleDown)
	if len(list) != 1 || !strings.HasPrefix(list[0].Reason.Message, "replaced (consolidation: its pods fit on other nodes, which saves ") {
		t.Errorf("recorded %+v", list)
	}
	got := w.evicted()
	assert.Equalf(t, 1, strings.Count(got, "pod"), "evicted %q, want one pod", got)
}

// A terminating lifecycle hook may last for hours.
func TestNodeWhoseInstanceEndsHoldsNoConsolidation(t *testing.T) {
	w := newDearWorld(t, 1, 3, "900m", func(big *fakeaws.AutoScalingGroup) {
		big.LifecycleHooks = []fakeaws.LifecycleHook{{Name: "copy-logs", Transition: "terminating", HeartbeatTimeout: fakeaws.Duration(time.Hour)}}
	})
	w.loop() // takes the taints of an earlier leader off
	n := w.stored("big-0")
	moves := move.State{Reason: move.Rotation, Step: move.Placing, Began: w.clock.Now(), Since: w.clock.Now()}
	metav1.SetMetaDataAnnotation(&n.ObjectMeta, move.Annotation, moves.Text())
	n.Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint, Value: fmt.Sprint(w.clock.Now().Unix()), Effect: corev1.TaintEffectNoSchedule}}
	n, err := w.client.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{})
	require.NoError(t, err)
	w.put(n)
	require.NoError(t, w.NodeGroup("big").DeleteNodes([]*corev1.Node{n}))
	w.untilSizes("0 big, 2 small")
}

// The scheduler's filters take their time in a large cluster, as this rule does.
func TestPlanIsTriedForLongerInALargeCluster(t *testing.T) {
	w := newDearWorld(t, 0, 3, "900m")
	w.consolidation.Rules = append(rules.Rules{look(func(string) { time.Sleep(40 * time.Millisecond) })}, w.consolidation.Rules...)
	w.untilSizes("0 big, 2 small")
}

// The pod of a large node fits on a small one. That comes first, and no other group launches.
func TestCheaperNodeReplacesADearOne(t *testing.T) {
	// The new node registered some time ago, and the core takes it for one that starts.
	for name, age := range map[string]time.Duration{"launched": 0, "slow to start": 11 * time.Minute, "from a warm pool": 72 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newDearWorld(t, 1, 0, "1500m")
			w.untilSizes("1 big, 1 small")
			w.loopTimes(3)
			require.Truef(t, w.sizes() == "1 big, 1 small" && w.evicted() == "",
				"%s, evicted %q, want both nodes until the new one is Ready", w.sizes(), w.evicted())
			fresh := w.ready("small")[0]
			fresh.CreationTimestamp = metav1.NewTime(w.clock.Now().Add(-age))
			fresh.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}} // which goes a moment after the node is Ready
			w.join(fresh)
			for range 3 {
				n := w.node(w.loop(), "big-0")
				require.Truef(t, n.Move != nil && n.Move.Hold == string(move.HeldStarting), "move %+v, want it to wait for its new node", n.Move)
			}
			w.change(fresh, func(n *corev1.Node) { n.Spec.Taints = nil })
			w.untilSizes("0 big, 1 small")
		})
	}
}

// Zones and groups of one price fill evenly, although nothing moves nodes between them later.
func TestNewNodeComesToTheSmallestOfEqualGroups(t *testing.T) {
	w := newDearWorld(t, 1, 1, "1500m")
	require.NoError(t, w.AWS.AddGroup(awsworld.Group("tiny", "m5.large", 0, 0, 5, map[string]string{move.TagBudget: "100%"})))
	w.Eventually(func() string {
		w.Reread()
		if g := w.View().Group("tiny"); g == nil || g.LaunchSpec == nil {
			return "the new group has not been read"
		}
		return ""
	})
	w.untilConsolidated(func(*decision.Report) bool { return w.size("small")+w.size("tiny") == 2 })
	assert.Equal(t, 1, w.size("tiny"), "nodes of the empty group")
}

// Each launch of the cheap group fails in one pool, and another one serves it.
func TestGroupWithAPoolThatAlwaysFailsStaysOfUse(t *testing.T) {
	w := newDearWorld(t, 1, 0, "1500m")
	require.NoError(t, w.AWS.EditGroup("small", fakeaws.GroupEdit{MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"},
		Overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "m5.xlarge"}}}}))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.Reread()
	require.NoError(t, w.Provider.View().NodeGroup("small").IncreaseSize(1))
	require.NoError(t, w.Provider.AwaitIncreases(t.Context()))
	_, failed := w.Provider.RecentFailure("small")
	require.True(t, failed, "one pool has failed")
	w.join(w.ready("small")[0])
	w.put(running("full", "full", "1500m", "small-0"))
	w.untilSizes("1 big, 2 small")
}

// New pods come to a node that goes only where no other node has room, until the plan fails: its room is there for pods that wait.
func TestNodeOfAConsolidationGetsNewPodsLast(t *testing.T) {
	w := newDearWorld(t, 1, 0, "1500m")
	w.untilSizes("1 big, 1 small")
	untilTainted := func(want ...corev1.TaintEffect) {
		t.Helper()
		w.untilConsolidated(func(*decision.Report) bool {
			var got []corev1.TaintEffect
			for _, taint := range w.stored("big-0").Spec.Taints {
				if taint.Key == move.Taint {
					got = append(got, taint.Effect)
				}
			}
			return slices.Equal(want, got)
		})
	}
	untilTainted(corev1.TaintEffectPreferNoSchedule)
	w.consolidation.Reason.Drop(w.clock.Now())
	untilTainted()
	assert.Equal(t, "", w.evicted())
}

// A pod of one workload crashes. Its node waits, and others go in its place.
func TestNodeWithACrashingPodMakesRoom(t *testing.T) {
	w := newDearWorld(t, 0, 3, "900m")
	crashing := running("small-pod-0", "small-set-0", "900m", "small-0")
	crashing.Status.Conditions[0].Status, crashing.Status.Conditions[0].LastTransitionTime = corev1.ConditionFalse, metav1.NewTime(w.clock.Now())
	w.put(crashing)
	began := w.clock.Now()
	w.untilConsolidated(func(*decision.Report) bool {
		p := w.consolidation.Reason.Plan
		return p != nil && !slices.Contains(p.Nodes, "small-0")
	})
	assert.Less(t, w.clock.Since(began), 3*time.Minute)
	w.untilSizes("0 big, 2 small")
}

// The group launches another type than the plan counts on, and nobody knows what that costs.
func TestNewNodeWithoutAPriceReplacesNone(t *testing.T) {
	w := newDearWorld(t, 1, 0, "1500m")
	w.AWS.Deny("DescribeInstanceTypes")
	require.NoError(t, w.AWS.EditGroup("small", fakeaws.GroupEdit{MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"},
		Overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "x9z.large"}}}}))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.Reread()
	w.untilSizes("1 big, 1 small")
	fresh := w.ready("small")[0]
	fresh.CreationTimestamp = metav1.NewTime(w.clock.Now())
	w.join(fresh)
	w.untilConsolidated(func(r *decision.Report) bool { return w.node(r, "big-0").Move == nil || w.evicted() != "" })
	w.stays("1 big, 1 small", 0)
}

// newSpotWorld is newDearWorld with small nodes of a type that AWS chooses, which is the first one, and a price before the launch of the cheapest.
func newSpotWorld(t *testing.T, big int, types ...string) *world {
	t.Helper()
	w := newDearWorld(t, big, 0, "1500m")
	policy := &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"},
		Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: ptr.To(0), SpotAllocationStrategy: "price-capacity-optimized"}}
	for _, name := range types {
		policy.Overrides = append(policy.Overrides, fakeaws.Override{InstanceType: name})
	}
	require.NoError(t, w.AWS.EditGroup("small", fakeaws.GroupEdit{MixedInstancesPolicy: policy}))
	w.Reread()
	w.untilSizes(fmt.Sprintf("%d big, 1 small", big))
	fresh := w.ready("small")[0]
	fresh.CreationTimestamp = metav1.NewTime(w.clock.Now())
	w.join(fresh)
	return w
}

// The new node is dearer than the one that it is for. The pods of another node do not go there either.
func TestNoPodMovesToADearerNode(t *testing.T) {
	w := newSpotWorld(t, 3, "m5.12xlarge", "m5.large")
	w.stays("3 big, 1 small", 50)
	assert.Nil(t, w.consolidation.Reason.Plan)
}

func TestSavingCountsThePriceOfTheNewNode(t *testing.T) {
	w := newSpotWorld(t, 1, "m5.xlarge", "m5.large")
	both := w.Provider.Spending().Total.PerHour
	small := both
	w.untilConsolidated(func(*decision.Report) bool {
		small = w.Provider.Spending().Total.PerHour
		return w.consolidation.Reason.Saved > 0 && small < both
	})
	assert.InDelta(t, both-small-small, w.consolidation.Reason.Saved, 0.001)
}

// A saving would last for minutes: a minimum by the clock needs the nodes again, or a maximum ends the new one.
func TestConsolidationLeavesGroupsThatChangeSoon(t *testing.T) {
	soon := time.Now().Add(40 * time.Minute).UTC()
	by := func(limit string) func(*fakeaws.AutoScalingGroup) {
		return func(big *fakeaws.AutoScalingGroup) {
			big.Tags[group.TagSchedule+"soon"] = fmt.Sprintf("%d %d any any any for=10m %s", soon.Minute(), soon.Hour(), limit)
		}
	}
	newDearWorld(t, 3, 0, "900m", by("min=3")).stays("3 big, 0 small", 10)
	newDearWorld(t, 0, 3, "1500m", onSpot, by("max=0")).stays("0 big, 3 small", 10)
}

// The group's minimum keeps an empty node, which costs nothing more with pods.
func TestPodsMoveToTheEmptyNodeOfAMinimum(t *testing.T) {
	w := newDearWorld(t, 1, 1, "1500m")
	require.NoError(t, w.AWS.EditGroup("small", fakeaws.GroupEdit{Min: ptr.To(1), Max: ptr.To(1)}))
	w.Reread()
	w.end("small-pod-0")
	w.untilSizes("0 big, 1 small")
}

// Three nodes go for a spot one, the pods of which leave one after the other.
func TestOneNodeReplacesSeveral(t *testing.T) {
	for _, budget := range []string{"1", "100%"} {
		t.Run(budget, func(t *testing.T) { oneReplacesSeveral(t, budget, false) })
	}
	t.Run("the leader changes", func(t *testing.T) { oneReplacesSeveral(t, "100%", true) })
}

func onSpot(g *fakeaws.AutoScalingGroup) {
	g.LaunchTemplate, g.MixedInstancesPolicy = nil, &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.2xlarge", Version: "1"},
		Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: ptr.To(0)}}
}

// The workload of one of three nodes is not Ready. The new node would not pay for the other two.
func TestNoNodeComesForAPlanWithANodeThatStays(t *testing.T) {
	w := newDearWorld(t, 0, 3, "1500m", onSpot)
	crashing := running("small-pod-2", "small-set-2", "1500m", "small-2")
	crashing.Status.Conditions[0].Status, crashing.Status.Conditions[0].LastTransitionTime = corev1.ConditionFalse, metav1.NewTime(w.clock.Now())
	w.put(crashing)
	w.untilConsolidated(func(r *decision.Report) bool {
		n := w.node(r, "small-0")
		return w.size("big") != 0 || n.Move != nil && !n.Move.Retry.IsZero()
	})
	w.stays("0 big, 3 small", 10)
}

func oneReplacesSeveral(t *testing.T, budget string, leaderChanges bool) {
	w := newDearWorld(t, 0, 3, "1500m", onSpot)
	w.machine.Budgets = parseBudgets(t, budget)
	w.untilSizes("1 big, 3 small")
	if leaderChanges { // the next one ends the plan, and finds one that needs no further node
		w.Eventually(func() string { // what the next leader reads is written
			w.loop()
			nodes, err := w.factory.Core().V1().Nodes().Lister().List(labels.Everything())
			require.NoError(t, err)
			marked := 0
			for _, n := range nodes {
				if s, _ := move.StateOf(n); s.Reason == move.Consolidation && s.Launches > 0 {
					marked++
				}
			}
			return cmp.Diff(3, marked)
		})
		*w.consolidation.Reason, w.consolidation.Horizon = move.Consolidate{On: true}, 4*time.Hour // for which the new node costs, too
		w.untilConsolidated(func(r *decision.Report) bool {
			return !slices.ContainsFunc(r.Nodes, func(n decision.Node) bool { return n.Move != nil })
		})
	}
	n := w.ready("big")[0]
	for name, amount := range awsworld.Resources("cpu", "7910m", "memory", "30Gi") {
		n.Status.Allocatable[name], n.Status.Capacity[name] = amount, amount
	}
	w.join(n)
	w.untilConsolidated(func(*decision.Report) bool {
		for _, name := range strings.Fields(w.evicted()) { // its controller makes another one
			w.put(running(name, strings.Replace(name, "pod", "set", 1), "1500m", n.Name))
		}
		return w.sizes() == "1 big, 0 small"
	})
	assert.Len(t, strings.Fields(w.evicted()), 3, "evicted, want each pod once")
}

// Two pods of a large node fit where one of them leaves room: the one that may not run on the cheaper new node gets that, although the core prefers the
// other one.
func TestPlacesOfAPlanAreKept(t *testing.T) {
	w := newDearWorld(t, 2, 0, "500m")
	pod := func(name, cpu, node string, change func(*corev1.Pod)) {
		p := running(name, name+"-set", cpu, node)
		change(p)
		w.put(p)
	}
	pod("big-pod-0", "500m", "big-0", func(p *corev1.Pod) { p.Spec.Priority = ptr.To[int32](1000) })
	pod("choosy", "550m", "big-0", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "big"} })
	pod("big-pod-1", "1300m", "big-1", func(p *corev1.Pod) { p.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"} })
	w.untilSizes("2 big, 1 small")
	w.join(w.ready("small")[0])
	w.untilSizes("1 big, 1 small")
	got := w.evicted()
	assert.Truef(t, strings.Contains(got, "choosy") && strings.Contains(got, "big-pod-0"), "evicted %q, want both pods of the large node", got)
}

// newChoosyWorld has two large nodes. A consolidation has asked for a small one in the place of the first, whose pod choosy may run on the other alone.
func newChoosyWorld(t *testing.T) (w *world, choosy *corev1.Pod) {
	t.Helper()
	w, choosy = newDearWorld(t, 2, 0, "500m"), running("choosy", "choosy-set", "550m", "big-0")
	choosy.Spec.NodeSelector = map[string]string{"disk": "big"}
	kept := running("big-pod-1", "big-set-1", "1300m", "big-1")
	kept.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
	w.put(choosy, kept)
	w.untilSizes("2 big, 1 small")
	return w, choosy
}

// The pod of a node that AWS takes gets the room that the plan has for a pod that runs, and not a node on its way.
func TestInterruptedPodsComeBeforeAConsolidation(t *testing.T) {
	w, choosy := newChoosyWorld(t)
	spot := taken(awsworld.M5Large("spot", "", nil), event.SpotInterruption)
	urgent := running("urgent", "urgent-set", "600m", "spot")
	urgent.Spec.NodeSelector = choosy.Spec.NodeSelector
	w.put(spot, urgent)
	w.drains.nodes = []string{"spot"}
	w.once()
	assert.Equal(t, map[string]bool{"spot": true}, w.drains.placed, "the pod has a place")
	assert.Equal(t, "2 big, 1 small", w.sizes())
}

// The new pod of a restarted Deployment gets the room that the plan has for the old one, whose disruption budget lets no pod go.
func TestConsolidationLeavesItsRoomToANewPod(t *testing.T) {
	w := newDearWorld(t, 0, 2, "900m")
	w.put(noneMayGo())
	w.changePods(asksForRestart)
	from, to := "small-0", "small-1"
	held := func(r *decision.Report) bool {
		n := w.node(r, from)
		return n.Move != nil && n.Move.Hold == string(move.HeldRestart)
	}
	w.untilConsolidated(func(r *decision.Report) bool {
		if w.node(r, to).Move != nil {
			from, to = to, from
		}
		return held(r) && w.restarts() == 1
	})
	w.Eventually(func() string { // the clock runs ahead of the cache
		if s, _ := move.StateOf(w.cached(from)); s.Restarted.IsZero() {
			return fmt.Sprintf("the cache has %+v", s)
		}
		return ""
	})
	w.comesAndStays("small-set-"+from[len("small-"):], to)
	for range 20 {
		w.clock.Step(planEvery)
		require.True(t, held(w.loop()), "it waits for the old pod")
	}
	old := running("small-pod-"+from[len("small-"):], "", "900m", from)
	require.NoError(t, w.factory.Core().V1().Pods().Informer().GetIndexer().Delete(old))
	w.untilSizes("0 big, 1 small")
	assert.Equal(t, "", w.evicted(), "evicted")
}

// A restart of one Deployment would not help the other pod of the node.
func TestBudgetOfAnotherPodKeepsItsNode(t *testing.T) {
	w := newDearWorld(t, 0, 2, "500m")
	w.put(noneMayGo())
	for i := range 2 {
		pod := running(fmt.Sprint("asking-", i), fmt.Sprint("asking-set-", i), "100m", fmt.Sprint("small-", i))
		asksForRestart(pod)
		w.put(pod)
	}
	w.stays("0 big, 2 small", 20)
	assert.Nil(t, w.consolidation.Reason.Plan)
}

// comesAndStays has a new pod come to a node. No consolidation moves it within the next hour.
func (w *world) comesAndStays(set, node string) {
	w.T.Helper()
	fresh := running("new", set, "900m", node)
	fresh.CreationTimestamp = metav1.NewTime(w.clock.Now())
	w.put(fresh)
	for after, may := range map[time.Duration]bool{59 * time.Minute: false, 2 * time.Hour: true} {
		on := move.Node{Node: w.cached(node), Pods: func() []*corev1.Pod { return []*corev1.Pod{fresh} }}
		assert.Equalf(w.T, may, w.consolidation.Reason.MayGo(on, time.Minute, w.clock.Now().Add(after)), "the new pod moves again after %s", after)
	}
}

// A pod was evicted, whoever wanted its node to go. No consolidation moves its successor within an hour.
func TestConsolidationLeavesPodsThatWereEvicted(t *testing.T) {
	gone := func(w *world) bool { return w.evicted() == "small-pod-0" }
	for name, evict := range map[string]func(*world, *corev1.Node) (evicted func(*world) bool){
		"by a rotation": func(w *world, _ *corev1.Node) func(*world) bool {
			w.machine.Reasons = append([]move.Reason{rotating{"small-0": true}}, w.machine.Reasons...)
			return gone
		},
		"by a request": func(w *world, n *corev1.Node) func(*world) bool {
			w.request(n)
			return gone
		},
		"by the drain of an interruption": func(w *world, n *corev1.Node) func(*world) bool {
			w.put(taken(n, event.SpotInterruption))
			w.loop()
			return func(*world) bool { return true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newDearWorld(t, 0, 3, "900m")
			w.consolidation.Reason.On = false
			w.loop() // takes the taints of an earlier leader off
			evicted := evict(w, w.cached("small-0"))
			w.untilConsolidated(func(*decision.Report) bool { return evicted(w) })
			w.comesAndStays("small-set-0", "small-1")
		})
	}
}

// A drain may have begun before the loop that sees it.
func TestConsolidationLeavesPodsThatCameAfterTheMessage(t *testing.T) {
	for kind, may := range map[event.Kind]bool{event.SpotInterruption: false, event.ScheduledChange: true} {
		w := newDearWorld(t, 0, 3, "900m")
		w.consolidation.Reason.On = false
		w.loop()
		cached, err := w.factory.Core().V1().Nodes().Lister().Get("small-0")
		require.NoError(t, err)
		drained := taken(cached.DeepCopy(), kind)
		drained.Annotations = map[string]string{interruption.Taint: fmt.Sprintf(`{"kind":%q,"began":%q}`, kind, w.clock.Now().Add(-time.Minute).Format(time.RFC3339))}
		fresh := running("new", "small-set-0", "900m", "small-1")
		fresh.CreationTimestamp = metav1.NewTime(w.clock.Now().Add(-30 * time.Second))
		w.put(drained)
		w.put(fresh)
		w.loop()
		n, err := w.factory.Core().V1().Nodes().Lister().Get("small-1")
		require.NoError(t, err)
		on := move.Node{Node: n, Pods: func() []*corev1.Pod { return []*corev1.Pod{fresh} }}
		assert.Equalf(t, may, w.consolidation.Reason.MayGo(on, time.Minute, w.clock.Now().Add(59*time.Minute)), "the new pod moves after %s", kind)
	}
}

// Two nodes go for one, and one pod of each fits where there is room for one alone. They begin one after the other.
func TestNodesOfAPlanShareItsNewNode(t *testing.T) {
	w := newDearWorld(t, 3, 0, "800m")
	w.machine.Budgets = parseBudgets(t, "1")
	kept := running("big-pod-2", "big-set-2", "1050m", "big-2")
	kept.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
	w.put(kept)
	w.untilSizes("3 big, 1 small")
	assert.Equal(t, "", w.evicted(), "evicted before the new node is Ready")
	w.join(w.ready("small")[0])
	w.untilSizes("1 big, 1 small")
}

// The cheap group has no capacity. Nothing dearer is launched for the move, and nothing ends.
func TestNoCapacityEndsAConsolidation(t *testing.T) {
	w := newDearWorld(t, 2, 0, "1500m")
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.untilConsolidated(func(r *decision.Report) bool { return len(entries(r, decision.LaunchFailed)) > 0 })
	w.stays("2 big, 0 small", 20)
	assert.True(t, w.consolidation.Reason.Refused("small", w.clock.Now()), "the cheap group is asked again later")
	for _, n := range w.record.Report().Nodes {
		assert.Truef(t, n.Move == nil || n.Move.Failures <= 0, "node %s: want no failure, got %+v", n.Name, n.Move)
	}
}

// A limit of the cluster lets no cheap node come, which no plan knows before. The plan for the other node would be of no more use.
func TestGroupThatMayLaunchNoNodeIsOfNoFurtherPlan(t *testing.T) {
	o := dearOptions()
	o.MaxCoresTotal = 5 // each node has 2
	w := newDearWorldOf(t, o, 2, 0, "1500m")
	w.untilAdopted()
	w.stays("2 big, 0 small", 60)
	assert.True(t, w.consolidation.Reason.Refused("small", w.clock.Now()), "the cheap group is asked again later")
	cancelled, _ := metric(t, w.moves, "asg_autoscaler_moves_total", "")
	assert.Equal(t, 1.0, cancelled, "moves that ended, want one")
}

// Without the dear node the cluster would have too few cores, which no plan knows before. Another new node would be of no more use.
func TestGroupWhoseNodeCameInVainIsOfNoFurtherPlan(t *testing.T) {
	o := dearOptions()
	o.MinCoresTotal = 5 // each node has 2
	w := newDearWorldOf(t, o, 2, 0, "1500m")
	w.untilSizes("2 big, 1 small")
	w.join(w.ready("small")[0])
	w.untilConsolidated(func(*decision.Report) bool { return w.consolidation.Reason.Refused("small", w.clock.Now()) })
	w.stays("2 big, 1 small", 40)
}

// The plan waits for something else than its group.
func TestGroupThatNobodyAskedForANodeStaysOfUse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		most   int // of nodes in the cluster
		before func(w *world)
		sizes  string
	}{
		{name: "a pod that no group helps has its turn first", sizes: "2 big, 1 small", before: func(w *world) { w.put(waiting("huge", "huge", "100")) }},
		{name: "the cluster becomes full", most: 3, sizes: "2 big, 0 small", before: func(w *world) {
			other := w.ready("big")[0].DeepCopy()
			other.Name, other.UID, other.Spec.ProviderID = "other", "other", "aws:///zone/i-0123456789abcdef0"
			other.Spec.Unschedulable = true
			w.join(other)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := dearOptions()
			o.MaxNodesTotal = tt.most
			w := newDearWorldOf(t, o, 2, 0, "1500m")
			w.untilAdopted()
			tt.before(w)
			w.stays(tt.sizes, 20)
			assert.False(t, w.consolidation.Reason.Refused("small", w.clock.Now()), "the cheap group is left out")
		})
	}
}

func TestPlanChangesNothing(t *testing.T) {
	for name, change := range map[string]func(*world){
		"plans are only shown": func(w *world) { w.consolidation.Reason.On = false },
		"no window is open": func(w *world) {
			windows, err := move.ParseWindows([]string{"consolidation:deny 0 0 * * * 24h"})
			require.NoError(w.T, err)
			w.machine.Windows = windows
		},
		"a budget of 0": func(w *world) { w.machine.Budgets = parseBudgets(t, "consolidation:0") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newDearWorld(t, 0, 3, "900m")
			change(w)
			r := w.untilConsolidated(func(r *decision.Report) bool {
				return r.Spend.Consolidation != nil && len(r.Spend.Consolidation.Plans) > 0
			})
			w.stays("0 big, 3 small", 5)
			assert.Nil(t, w.consolidation.Reason.Plan)
			if p := r.Spend.Consolidation.Plans[0]; len(p.Nodes) != 1 || p.NewNode != "" || p.Saving != p.PerHour || p.Saving <= 0 || p.Begun {
				t.Errorf("plan %+v, want one node that saves its price", p)
			}
		})
	}
}

// spreadOver has the pod be spread.
func spreadOver(p *corev1.Pod, key string, unless corev1.UnsatisfiableConstraintAction) {
	p.Labels["app"] = "spread"
	p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: unless,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "spread"}}}}
}

// A pod that asks to be left alone keeps its node, and a young one does. So does one that prefers a spread, unless that does not count. The
// nodes are in two zones.
func TestPodsKeepTheirNodes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*corev1.Pod)
		spread bool
	}{
		{name: "left alone", change: func(p *corev1.Pod) { p.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"} }},
		{name: "bare", change: func(p *corev1.Pod) { p.OwnerReferences = nil }},
		{name: "young", change: func(p *corev1.Pod) { p.CreationTimestamp.Time = time.Now().Add(time.Hour) }},
		{name: "spread over nodes", spread: true, change: func(p *corev1.Pod) { spreadOver(p, corev1.LabelHostname, corev1.ScheduleAnyway) }},
		{name: "last of its zone", spread: true, change: func(p *corev1.Pod) { spreadOver(p, corev1.LabelTopologyZone, corev1.ScheduleAnyway) }},
		{name: "apart from its like", spread: true, change: func(p *corev1.Pod) {
			p.Labels["app"] = "apart"
			like := corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "apart"}}}
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
				PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 1, PodAffinityTerm: like}}}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newDearWorld(t, 0, 2, "500m")
			w.change(w.cached("small-1"), func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = "cn-northwest-1b" })
			w.changePods(tt.change)
			w.stays("0 big, 2 small", 10)
			if w.consolidation.KeepSpread = false; tt.spread {
				w.clock.Step(time.Hour) // the plan that was refused is made again
				w.untilSizes("0 big, 1 small")
			}
		})
	}
}

// The dearest node may not go: it is paid in any case and saves nothing, or its group lets no node move. Others go instead.
func TestDearestNodeStaysThatMayNotGo(t *testing.T) {
	for name, change := range map[string]func(*fakeaws.AutoScalingGroup){
		"a Capacity Block": func(g *fakeaws.AutoScalingGroup) {
			g.LaunchTemplate, g.MixedInstancesPolicy = nil, &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.2xlarge", Version: "1"},
				Distribution: fakeaws.Distribution{Segments: [][]string{{"capacity-block"}}}}
		},
		"a capacity reservation": func(g *fakeaws.AutoScalingGroup) {
			g.CapacityReservations = &fakeaws.CapacityReservations{Preference: "capacity-reservations-only", IDs: []string{"cr-1"}}
		},
		"a budget of 0": func(g *fakeaws.AutoScalingGroup) { g.Tags[move.TagBudget] = "consolidation:0" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newDearWorld(t, 1, 3, "900m", change)
			w.untilSizes("1 big, 1 small")
		})
	}
}

// The tag of one group replaces the flag there, as in the core.
func TestTimeOfItsGroupSettlesANode(t *testing.T) {
	for _, tt := range []struct {
		tag       string // of the dear group
		flag, old time.Duration
	}{
		{tag: "24h", flag: time.Minute, old: 24 * time.Hour},
		{tag: "1m", flag: 1000 * time.Hour},
	} {
		t.Run(tt.tag, func(t *testing.T) {
			o := options()
			o.NodeGroupDefaults.ScaleDownUnneededTime = tt.flag
			w := newDearWorldOf(t, o, 1, 2, "900m", func(big *fakeaws.AutoScalingGroup) {
				big.Tags[awsworld.Template+"autoscaling-options/scaledownunneededtime"] = tt.tag
			})
			if tt.old > 0 {
				w.stays("1 big, 2 small", 20)
				w.clock.Step(tt.old)
			}
			w.untilSizes("0 big, 2 small")
		})
	}
}

// Somebody protects one of two instances. A group that protects all new ones, so that AWS ends none by its own choice, keeps none by that.
func TestProtectedInstanceStays(t *testing.T) {
	w := newDearWorld(t, 2, 0, "1500m")
	g, _ := w.AWS.Group("big")
	require.NoError(t, w.AWS.ProtectInstance(g.Instances[0].ID, true))
	w.Reread()
	w.untilSizes("2 big, 1 small")
	w.join(w.ready("small")[0])
	w.untilSizes("1 big, 1 small")
	assert.Equal(t, "big-pod-1", strings.TrimSpace(w.evicted()), "evicted")
	w = newDearWorld(t, 1, 0, "1500m", func(big *fakeaws.AutoScalingGroup) { big.ProtectNewInstances = true })
	w.untilSizes("1 big, 1 small")
}

// rotating are nodes that are due for rotation, by name.
type rotating map[string]bool

func (rotating) Name() string { return move.Rotation }

func (rotating) Judged(move.Node) bool { return true }

func (r rotating) Due(n move.Node, _ time.Time) (move.Why, bool) {
	return move.Why{Cause: "it is old"}, r[n.Name]
}

// newHeldWorld is newDearWorld without a window for rotations.
func newHeldWorld(t *testing.T, cpu string, changes ...func(big *fakeaws.AutoScalingGroup)) (*world, rotating) {
	t.Helper()
	w, due := newDearWorld(t, 0, 3, cpu, changes...), rotating{}
	var err error
	w.machine.Windows, err = move.ParseWindows([]string{"rotation:deny 0 0 * * * 24h"})
	require.NoError(t, err)
	w.machine.Reasons = append([]move.Reason{due}, w.machine.Reasons...)
	return w, due
}

// untilAdopted runs loops until a plan is carried out.
func (w *world) untilAdopted() {
	w.T.Helper()
	w.untilConsolidated(func(*decision.Report) bool { return w.consolidation.Reason.Plan != nil })
}

// A node waits for a window for its rotation. Others go in its place.
func TestNodeThatIsToRotateIsOfNoPlan(t *testing.T) {
	w, due := newHeldWorld(t, "900m")
	due["small-0"] = true
	w.untilSizes("0 big, 2 small")
	got := w.evicted()
	assert.Truef(t, got != "" && !strings.Contains(got, "small-pod-0"), "evicted %q, want a pod of another node", got)
}

// A node of a plan becomes due for rotation, outside a window. The new node would not pay for the others.
func TestNoNodeComesForAPlanWithANodeThatIsToRotate(t *testing.T) {
	w, due := newHeldWorld(t, "1500m", onSpot)
	w.untilAdopted()
	due["small-2"] = true
	w.stays("0 big, 3 small", 10)
}

// Three nodes wait for the one that their plan has launched when all of them become due for rotation, one at a time.
func TestNodesOfAPlanThatAreToRotateBeginAnew(t *testing.T) {
	w, due := newHeldWorld(t, "1500m", onSpot)
	w.machine.Windows, w.machine.Budgets = nil, parseBudgets(t, "100% rotation:1")
	w.untilSizes("1 big, 3 small")
	for _, n := range w.ready("small") {
		due[n.Name] = true
	}
	w.stays("1 big, 3 small", 20)
	under := 0
	for _, n := range w.record.Report().Nodes {
		if n.Move != nil && n.Move.Retry.IsZero() && n.Move.Hold != string(move.HeldBudget) {
			assert.Equalf(t, move.Rotation, n.Move.Reason, "node %s: %+v", n.Name, n.Move)
			under++
		}
	}
	assert.Equal(t, 1, under, "nodes under way")
	assert.Nil(t, w.consolidation.Reason.Plan)
}

// A disruption budget is used up once the plan is adopted. The move makes room for others after two minutes.
func TestConsolidationThatABudgetKeepsMakesRoom(t *testing.T) {
	w := newDearWorld(t, 0, 3, "900m")
	w.untilAdopted()
	w.put(noneMayGo())
	began := w.clock.Now()
	w.untilConsolidated(func(r *decision.Report) bool {
		return slices.ContainsFunc(r.Nodes, func(n decision.Node) bool { return n.Move != nil && !n.Move.Retry.IsZero() })
	})
	took := w.clock.Since(began)
	assert.Truef(t, took < 4*time.Minute && w.evicted() == "", "it waits for its next try after %s, evicted %q", took, w.evicted())
}

// A plan that is under way ends when the autoscaler is restarted so that it only shows plans.
func TestConsolidationEndsWhereItIsOnlyShown(t *testing.T) {
	w := newDearWorld(t, 1, 0, "1500m")
	w.untilSizes("1 big, 1 small")
	*w.consolidation.Reason = move.Consolidate{}
	w.join(w.ready("small")[0])
	w.untilConsolidated(func(r *decision.Report) bool { return w.node(r, "big-0").Move == nil })
	w.stays("1 big, 1 small", 0)
}

func TestConsolidationWaitsForNoPodThatGetsNoNode(t *testing.T) {
	w := newDearWorld(t, 0, 3, "900m")
	w.put(w.expendable())
	w.untilSizes("0 big, 2 small")
}

// A Job's pod comes to the node once the plan is adopted.
func TestConsolidationNamesThePodThatMustEnd(t *testing.T) {
	w := newDearWorld(t, 0, 3, "900m")
	w.untilAdopted()
	w.changePods(func(pod *corev1.Pod) { pod.OwnerReferences[0].Kind = "Job" })
	w.untilConsolidated(func(r *decision.Report) bool {
		return slices.ContainsFunc(r.Nodes, func(n decision.Node) bool {
			pod := "default/" + strings.Replace(n.Name, "-", "-pod-", 1)
			return n.Move != nil && n.Move.Waits == fmt.Sprintf("its pods cannot move: pod %q must end first, as a Job's or by its annotation", pod)
		})
	})
}

// Pods that wait are helped by any group, although a consolidation may launch in one alone.
func TestWaitingPodsComeBeforeAConsolidation(t *testing.T) {
	w := newDearWorld(t, 1, 0, "1500m")
	w.untilSizes("1 big, 1 small")
	w.put(waiting("first", "new", "1700m"), waiting("second", "new", "1700m")) // one of them takes the new node
	w.untilConsolidated(func(*decision.Report) bool { return w.size("big")+w.size("small") == 3 })
	assert.Equal(t, "", w.evicted(), "evicted while a pod waits")
}

// A pod of the plan has lost its place, and the node that comes has no room beside the pod that waits for it.
func TestConsolidationLeavesRoomThatWasAskedFor(t *testing.T) {
	w, choosy := newChoosyWorld(t)
	job := waiting("job", "job", "7600m")
	job.Spec.NodeSelector = choosy.Spec.NodeSelector
	w.put(job, running("filler", "filler", "100m", "big-1"))
	w.untilSizes("3 big, 1 small")
	w.stays("3 big, 1 small", 10)
}

// The room alone would fit on a node of another group, and the pod would get a second node then.
func TestConsolidationLaunchesOnceForPodsAndRoom(t *testing.T) {
	w := newDearWorld(t, 1, 0, "2")
	w.consolidation.Horizon = 4 * time.Hour
	big := w.cached("big-0")
	for _, amounts := range []corev1.ResourceList{big.Status.Allocatable, big.Status.Capacity} {
		amounts[corev1.ResourceCPU] = resource.MustParse("7910m")
	}
	w.update(big)
	w.put(big)
	middle := awsworld.Group("middle", "", 0, 0, 5, map[string]string{move.TagBudget: "100%"})
	middle.LaunchTemplate, middle.MixedInstancesPolicy = nil, &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"},
		Overrides: []fakeaws.Override{{InstanceType: "m5.xlarge"}}}
	require.NoError(t, w.AWS.AddGroup(middle))
	w.Reread()
	w.addRoom("400m", 3)
	w.untilConsolidated(func(*decision.Report) bool { return w.size("middle") == 1 })
	w.stays("1 big, 0 small", 10) // beside one of the middle
	assert.Equal(t, 1, w.size("middle"))
}
