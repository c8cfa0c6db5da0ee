package scaleup

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	testprovider "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/test"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/processors/callbacks"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	provreq "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	ourexpander "github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
)

// sized are pods of about one size, named after it. None has the size of another, because the core has no order among equals.
func sized(count int, milliCPU int64) (list []*apiv1.Pod) {
	for i := range count {
		list = append(list, utiltest.BuildTestPod(fmt.Sprintf("%dm-%d", milliCPU, i), milliCPU-int64(i), 1<<20))
	}
	return list
}

// inPool are pods that run on the nodes of a pool only.
func inPool(pool string, pods []*apiv1.Pod) []*apiv1.Pod {
	for _, pod := range pods {
		pod.Name, pod.Spec.NodeSelector = pool+"-"+pod.Name, map[string]string{"pool": pool}
	}
	return pods
}

func TestOneLoopAsksForEverything(t *testing.T) {
	limits := func(name string, most int64) *cloudprovider.ResourceLimiter {
		return cloudprovider.NewResourceLimiter(nil, map[string]int64{name: most})
	}
	for _, tt := range []struct {
		name    string
		zones   map[string]zone
		options func(*config.AutoscalingOptions)
		limits  *cloudprovider.ResourceLimiter
		pods    []*apiv1.Pod // filling(5) if nil
		most    int          // scale-ups, many if 0
		asked   []string
		failed  bool
	}{
		{name: "two groups", zones: map[string]zone{"a": {max: 2}, "b": {max: 9}}, asked: []string{"a +2", "b +3"}},
		{name: "one scale-up a loop", zones: map[string]zone{"a": {max: 2}, "b": {max: 9}}, most: 1, asked: []string{"a +2"}},
		{name: "as many as allowed", zones: map[string]zone{"a": {max: 1}, "b": {max: 1}, "c": {max: 9}}, most: 2, asked: []string{"a +1", "b +1"}},
		{name: "the maxima of all groups", zones: map[string]zone{"a": {max: 2}, "b": {max: 2}}, asked: []string{"a +2", "b +2"}},
		{name: "a limit of all nodes", zones: map[string]zone{"a": {max: 2}, "b": {max: 9}},
			options: func(o *config.AutoscalingOptions) { o.MaxNodesTotal = 4 }, asked: []string{"a +2", "b +2"}},
		{name: "a limit of all nodes that is reached", zones: map[string]zone{"a": {max: 2}, "b": {max: 9}},
			options: func(o *config.AutoscalingOptions) { o.MaxNodesTotal = 2 }, asked: []string{"a +2"}},
		{name: "a limit of cores", zones: map[string]zone{"a": {max: 2}, "b": {max: 9}}, limits: limits(cloudprovider.ResourceNameCores, 3), asked: []string{"a +2", "b +1"}},
		{name: "a limit of memory", zones: map[string]zone{"a": {max: 2}, "b": {max: 9}}, limits: limits(cloudprovider.ResourceNameMemory, 4<<30), asked: []string{"a +2", "b +2"}},
		{name: "a limit of GPUs", zones: map[string]zone{"a": {max: 2, gpu: true}, "b": {max: 9, gpu: true}}, limits: limits("a10g", 3), asked: []string{"a +2", "b +1"}},
		{name: "smaller nodes within a limit of cores", zones: map[string]zone{"a": {max: 9, cpus: 2}, "b": {max: 9}}, pods: sized(4, 800),
			limits: limits(cloudprovider.ResourceNameCores, 3), asked: []string{"a +1", "b +1"}},
		{name: "similar groups and another", zones: map[string]zone{"a": {max: 2}, "b": {max: 2}, "c": {max: 9, cpus: 2}}, pods: sized(7, 800),
			options: func(o *config.AutoscalingOptions) { o.BalanceSimilarNodeGroups = true }, asked: []string{"a +2", "b +2", "c +2"}},
		{name: "pods of several pools", zones: map[string]zone{"a": {max: 9, pool: "a"}, "b": {max: 9, pool: "b"}, "c": {max: 9, pool: "c"}},
			pods: slices.Concat(inPool("c", sized(2, 800)), inPool("a", sized(1, 800)), inPool("b", sized(3, 800))), asked: []string{"a +1", "b +3", "c +2"}},
		{name: "a pod that no group helps", zones: map[string]zone{"a": {max: 9}}, pods: slices.Concat(sized(1, 1800), sized(1, 800)), asked: []string{"a +1"}},
		{name: "a group that fails", zones: map[string]zone{"a": {max: 2, dry: true}, "b": {max: 1}, "c": {max: 9}}, asked: []string{"a +2", "b +1", "c +4"}},
		{name: "a group that launches some", zones: map[string]zone{"a": {max: 9, dry: true, partly: 1}, "b": {max: 9}}, asked: []string{"a +5", "b +4"}},
		{name: "groups that all fail", zones: map[string]zone{"a": {max: 2, dry: true}, "b": {max: 9, dry: true}}, asked: []string{"a +2", "b +5"}, failed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var options []func(*config.AutoscalingOptions)
			if tt.options != nil {
				options = append(options, tt.options)
			}
			w := newWorld(t, tt.zones, options...)
			if tt.limits != nil {
				w.provider.SetResourceLimiter(tt.limits)
			}
			if tt.pods == nil {
				tt.pods = filling(5)
			}
			o := w.start(Options{Most: tt.most})
			result, err := o.ScaleUp(tt.pods, nil, nil, w.nodeInfos, false)
			assert.Truef(t, (err != nil) == tt.failed && (result.Result == status.ScaleUpError) == tt.failed,
				"result = %v, error %v, want a failure %t", result.Result, err, tt.failed)
			assert.Empty(t, cmp.Diff(tt.asked, w.asked), "launches (-want +got)")
			if left, err := w.ctx.ClusterSnapshot.ListNodeInfos(); err != nil || len(left) > 0 {
				t.Errorf("%d nodes in the snapshot, error %v, want it as before", len(left), err)
			}
		})
	}
}

// The expander's plan is for other groups than the first option, which the tests' expander chooses.
func TestPlanOfExpanderGoesOn(t *testing.T) {
	type nodes = map[string][][]types.UID
	for _, tt := range []struct {
		name  string
		later []nodes // after each scale-up
		asked []string
	}{
		{name: "no plan", asked: []string{"a +1", "b +4"}},
		{name: "one group", later: []nodes{{"d": {{"800m-1"}, {"800m-2"}, {"800m-3"}, {"800m-4"}}}}, asked: []string{"a +1", "d +4"}},
		{name: "two groups", later: []nodes{{"c": {{"800m-1"}}, "d": {{"800m-2"}, {"800m-3"}, {"800m-4"}}}, {"d": {{"800m-2"}, {"800m-3"}, {"800m-4"}}}},
			asked: []string{"a +1", "c +1", "d +3"}},
		{name: "pods beside the plan", later: []nodes{{"d": {{"800m-1"}}}}, asked: []string{"a +1", "d +1", "b +3"}},
		{name: "pods that wait no longer", later: []nodes{{"d": {{"800m-0"}, {"800m-4", "gone"}}}}, asked: []string{"a +1", "d +1", "b +3"}},
		{name: "none of its pods waits", later: []nodes{{"d": {{"gone"}}}}, asked: []string{"a +1", "b +4"}},
		{name: "a group that is gone", later: []nodes{{"gone": {{"800m-1"}}}}, asked: []string{"a +1", "b +4"}},
		{name: "a group that is full", later: []nodes{{"a": {{"800m-1"}}}}, asked: []string{"a +1", "b +4"}},
		{name: "more nodes than the group may have", later: []nodes{{"c": {{"800m-1"}, {"800m-2"}, {"800m-3"}}}}, asked: []string{"a +1", "c +2", "b +2"}},
		{name: "a group that fails", later: []nodes{{"e": {{"800m-1"}}}, {"d": {{"800m-2"}}}}, asked: []string{"a +1", "e +1", "b +4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]zone{"a": {max: 1}, "b": {max: 9}, "c": {max: 2}, "d": {max: 9}, "e": {max: 9, dry: true}})
			o := w.start(Options{Planner: &planner{tt.later}})
			assert.Len(t, w.scaleUp(o, sized(5, 800), tt.asked...).PodsTriggeredScaleUp, 5, "pods with nodes")
		})
	}
}

// planner is an expander that chooses whole options, and has nodes for later after each.
type planner struct{ later []map[string][][]types.UID }

func (p *planner) Plan() (chosen, later []plan.Node) {
	if len(p.later) == 0 {
		return nil, nil
	}
	next := p.later[0]
	p.later = p.later[1:]
	for _, group := range slices.Sorted(maps.Keys(next)) {
		for _, uids := range next[group] {
			node := plan.Node{Group: group}
			for _, uid := range uids {
				node.Pods = append(node.Pods, &apiv1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid}})
			}
			later = append(later, node)
		}
	}
	return nil, later
}

// The expander is least-waste, and pods merely prefer to be spread over zones.
func TestPlanByPreferencesGoesOn(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9, pool: "a"}, "b": {max: 9, pool: "b"}, "c": {max: 9, pool: "c"}})
	filter := leastcost.New(perCPU{}, nil, nil, time.Minute, clock.RealClock{})
	filter.Preferences.Percent = 5
	parts := ourexpander.Config{Provider: w.provider, Costs: perCPU{}, LeastCost: filter}
	chain := ourexpander.New([]string{expander.LeastWasteExpanderName}, parts)
	w.ctx.ExpanderStrategy = chain
	pods := replicas("web", 9, 800, spreadOver("pool", apiv1.ScheduleAnyway))
	result := w.scaleUp(w.start(Options{Planner: chain}), pods, "a +3", "b +3", "c +3")
	assert.Len(t, result.PodsTriggeredScaleUp, 9, "pods with nodes")
	planned := w.planned()
	for _, group := range []string{"a", "b", "c"} {
		assert.Lenf(t, slices.Concat(planned[group]...), 3, "pods of the plan's nodes in %s, of %v", group, planned)
	}
}

// The pods may run on one node alone. The nodes of least-cost hold all of them or none, wherever they stand among the others.
func TestPodsThatMustShareANodeGetOne(t *testing.T) {
	for _, owner := range []string{"alpha", "zeta"} {
		w := newWorld(t, map[string]zone{"a": {max: 9}})
		filter := leastcost.New(perCPU{}, nil, nil, time.Minute, clock.RealClock{})
		w.ctx.ExpanderStrategy = cheapest{filter}
		together := replicas(owner, 4, 190, near(owner, apiv1.LabelHostname))
		w.scaleUp(w.start(Options{Planner: filter}), slices.Concat(replicas("web", 40, 127, nil), together), "a +7")
		on := map[int]int{} // of them, by node
		for i, node := range w.planned()["a"] {
			for _, name := range node {
				if strings.HasPrefix(name, owner) {
					on[i]++
				}
			}
		}
		assert.Equalf(t, []int{4}, slices.Collect(maps.Values(on)), "pods of %s by node", owner)
	}
}

func TestNoScaleUpBeginsLate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		dry   bool // the first group fails
		most  time.Duration
		took  time.Duration
		asked []string
	}{
		{name: "in time", most: packingTime, took: packingTime - 1, asked: []string{"a +1", "b +1"}},
		{name: "late", most: packingTime, took: packingTime, asked: []string{"a +1"}},
		{name: "late after a failure", dry: true, most: packingTime, took: packingTime, asked: []string{"a +1"}},
		{name: "without a limit", took: time.Hour, asked: []string{"a +1", "b +1", "c +3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := clocktesting.NewFakePassiveClock(time.Now())
			w := newWorld(t, map[string]zone{"a": {max: 1, dry: tt.dry}, "b": {max: 1}, "c": {max: 9}})
			w.ctx.MaxNodeGroupBinpackingDuration = tt.most
			o := w.start(Options{Core: around{orchestrator.New(), func() {}, func() { c.SetTime(c.Now().Add(tt.took)) }}, Clock: c})
			_, err := o.ScaleUp(filling(5), nil, nil, w.nodeInfos, false)
			assert.Equalf(t, tt.dry, err != nil, "error %v, want one %t", err, tt.dry)
			assert.Empty(t, cmp.Diff(tt.asked, w.asked), "launches (-want +got)")
		})
	}
}

// around calls functions before and after each scale-up.
type around struct {
	corescaleup.Orchestrator
	before, after func()
}

func (a around) ScaleUp(pods []*apiv1.Pod, nodes []*apiv1.Node, daemonSets []*appsv1.DaemonSet, infos map[string]*framework.NodeInfo,
	allOrNothing bool) (*status.ScaleUpStatus, caerrors.AutoscalerError) {
	a.before()
	defer a.after()
	return a.Orchestrator.ScaleUp(pods, nodes, daemonSets, infos, allOrNothing)
}

// asked are the nodes that a plan received, as the names of their pods.
type asked map[string][][]string

func (w *world) planned() asked {
	list := asked{}
	for _, node := range w.plan.Planned() {
		list[node.Group] = append(list[node.Group], names(node.Pods))
	}
	return list
}

func TestPlanReceivesNodesWithTheirPods(t *testing.T) {
	for _, tt := range []struct {
		name  string
		zones map[string]zone
		most  int
		pods  []*apiv1.Pod
		want  asked
	}{
		{name: "two groups", zones: map[string]zone{"a": {max: 1, cpus: 2}, "b": {max: 9}}, pods: sized(4, 800),
			want: asked{"a": {{"800m-0", "800m-1"}}, "b": {{"800m-2"}, {"800m-3"}}}},
		{name: "one scale-up a loop", zones: map[string]zone{"a": {max: 1, cpus: 2}, "b": {max: 9}}, most: 1, pods: sized(4, 800),
			want: asked{"a": {{"800m-0", "800m-1"}}}},
		{name: "small pods beside large ones", zones: map[string]zone{"a": {max: 9}}, pods: slices.Concat(sized(1, 350), sized(1, 430), sized(1, 560), sized(1, 640)),
			want: asked{"a": {{"640m-0", "350m-0"}, {"560m-0", "430m-0"}}}},
		{name: "a group that failed", zones: map[string]zone{"a": {max: 9, dry: true}, "b": {max: 9}}, pods: sized(1, 800),
			want: asked{"b": {{"800m-0"}}}},
		{name: "nothing asked for", zones: map[string]zone{"a": {max: 9}}, pods: sized(1, 1800), want: asked{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.zones)
			_, err := w.start(Options{Most: tt.most}).ScaleUp(tt.pods, nil, nil, w.nodeInfos, false)
			assert.NoError(t, err)
			assert.Empty(t, cmp.Diff(tt.want, w.planned()), "plan (-want +got)")
		})
	}
}

func TestOtherPhaseTakesRoomThatIsLeft(t *testing.T) {
	for _, tt := range []struct {
		name  string
		free  int64 // CPU of the pod that can run anywhere
		asked []string
		want  asked
	}{
		{name: "room", free: 500, asked: []string{"a +1"}, want: asked{"a": {{"free", "in-a"}}}},
		{name: "no room", free: 800, asked: []string{"a +1", "a +1"}, want: asked{"a": {{"free"}, {"in-a"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]zone{"a": {max: 9}})
			pods := []*apiv1.Pod{utiltest.BuildTestPod("in-a", 400, 1<<20), utiltest.BuildTestPod("free", tt.free, 1<<20)}
			result := w.scaleUp(w.start(Options{Zones: zonesByName{views: true}}), pods, tt.asked...)
			assert.Truef(t, len(result.PodsTriggeredScaleUp) == 2 && len(result.PodsAwaitEvaluation) == 0,
				"nodes for %q, later %q, want nodes for both", names(result.PodsTriggeredScaleUp), names(result.PodsAwaitEvaluation))
			assert.Empty(t, cmp.Diff(tt.want, w.planned()), "plan (-want +got)")
		})
	}
}

// Other pods may keep some out of a zone, or have them share one. The burst beside them may run anywhere.
func TestPodsThatOtherPodsKeepOutOfZonesDrawNoOthersThere(t *testing.T) {
	spread := replicas("spread", 20, 800, spreadOverZones)
	byID := replicas("spread", 20, 800, spreadOver(podzone.LabelZoneID, apiv1.DoNotSchedule))
	softly := replicas("spread", 20, 800, spreadOver(apiv1.LabelTopologyZone, apiv1.ScheduleAnyway))
	apart := replicas("apart", 3, 800, apartBy(apiv1.LabelTopologyZone))
	web, inA := replicas("web", 9, 900, nil), replicas("db", 1, 900, func(pod *apiv1.Pod) {
		pod.Name, pod.Spec.NodeSelector = "in-a", map[string]string{apiv1.LabelTopologyZone: "a"}
	})
	cache := replicas("cache", 3, 800, nil)
	fewerInA := func(pods []*apiv1.Pod) map[string][]*apiv1.Pod {
		return map[string][]*apiv1.Pod{"a": pods[:1], "b": pods[1:3], "c": pods[3:5]}
	}
	for _, tt := range []struct {
		name    string
		running map[string][]*apiv1.Pod // by zone, each on a node that it fills
		pods    []*apiv1.Pod
		want    map[string]int // nodes by group
	}{
		{name: "zone a alone takes a spread pod", running: fewerInA(spread),
			pods: slices.Concat(web, spread[5:6]), want: map[string]int{"a": 4, "b": 3, "c": 3}},
		{name: "zone a alone takes a pod spread by zone ID", running: fewerInA(byID),
			pods: slices.Concat(web, byID[5:6]), want: map[string]int{"a": 4, "b": 3, "c": 3}},
		{name: "zone a alone takes the next of many spread pods", running: fewerInA(spread),
			pods: slices.Concat(web, spread[5:9]), want: map[string]int{"a": 5, "b": 4, "c": 4}},
		{name: "a plan of several sizes", running: fewerInA(spread),
			pods: slices.Concat(replicas("web", 6, 900, nil), replicas("db", 3, 3900, nil), spread[5:6]),
			want: map[string]int{"a": 3, "b": 2, "c": 2, "a-large": 1, "b-large": 1, "c-large": 1}},
		{name: "all zones take spread pods", pods: slices.Concat(web, spread[:12]), want: map[string]int{"a": 7, "b": 7, "c": 7}},
		{name: "pods that prefer zone a", running: fewerInA(softly),
			pods: slices.Concat(web, softly[5:8]), want: map[string]int{"a": 4, "b": 4, "c": 4}},
		{name: "spread pods beside one that needs zone a", pods: slices.Concat(spread[:9], inA), want: map[string]int{"a": 4, "b": 3, "c": 3}},
		{name: "two near each other", pods: slices.Concat(web, replicas("near", 2, 800, near("near", apiv1.LabelTopologyZone))),
			want: map[string]int{"a": 5, "b": 3, "c": 3}},
		{name: "near a pod in zone b", running: map[string][]*apiv1.Pod{"a": spread[:1], "b": cache[:1]},
			pods: slices.Concat(web, replicas("near", 1, 800, near("cache", apiv1.LabelTopologyZone))), want: map[string]int{"a": 3, "b": 4, "c": 3}},
		{name: "near pods in all zones, beside one that needs zone a",
			running: map[string][]*apiv1.Pod{"a": cache[:1], "b": cache[1:2], "c": cache[2:]},
			pods:    slices.Concat(replicas("near", 9, 800, near("cache", apiv1.LabelTopologyZone)), inA), want: map[string]int{"a": 4, "b": 3, "c": 3}},
		{name: "zone c alone takes a pod apart from others", running: map[string][]*apiv1.Pod{"a": apart[:1], "b": apart[1:2]},
			pods: slices.Concat(web, apart[2:]), want: map[string]int{"a": 3, "b": 3, "c": 4}},
	} {
		for _, name := range []string{leastcost.Name, expander.LeastWasteExpanderName} {
			groups := map[string]zone{"a": {max: 20}, "b": {max: 20}, "c": {max: 20}}
			if tt.want["a-large"] > 0 {
				if name != leastcost.Name {
					continue // which alone plans several sizes
				}
				maps.Copy(groups, map[string]zone{"a-large": {max: 20, cpus: 4}, "b-large": {max: 20, cpus: 4}, "c-large": {max: 20, cpus: 4}})
			}
			t.Run(tt.name+", "+name, func(t *testing.T) {
				w := newWorld(t, groups, func(o *config.AutoscalingOptions) { o.BalanceSimilarNodeGroups = true })
				for zone, pods := range tt.running {
					for _, pod := range pods {
						old := utiltest.BuildTestNode("old-"+pod.Name, 1000, 1<<30)
						maps.Copy(old.Labels, inZone(zone))
						utiltest.SetNodeReadyState(old, true, time.Now().Add(-time.Hour))
						require.NoError(t, w.ctx.ClusterSnapshot.AddNodeInfo(framework.NewTestNodeInfo(old, pod)))
					}
				}
				filter := leastcost.New(perCPU{}, nil, nil, time.Minute, clock.RealClock{})
				chain := ourexpander.New([]string{name}, ourexpander.Config{Provider: w.provider, Costs: perCPU{}, LeastCost: filter})
				w.ctx.ExpanderStrategy = chain
				w.processors.NodeGroupSetProcessor = among{w.processors.NodeGroupSetProcessor, chain}
				o := w.start(Options{Planner: chain, Zones: zonesByName{views: true}, Most: 6}) // one node at a time would take more
				result, err := o.ScaleUp(tt.pods, nil, nil, w.nodeInfos, false)
				require.NoError(t, err)
				assert.ElementsMatch(t, names(tt.pods), names(result.PodsTriggeredScaleUp), "pods with nodes")
				assert.Equal(t, tt.want, w.sizes(), "nodes by group")
			})
		}
	}
}

// among balances between the groups that the expander allows, as nodegroups.Balancing does.
type among struct {
	nodegroupset.NodeGroupSetProcessor
	chain *ourexpander.Chain
}

func (a among) BalanceScaleUpBetweenGroups(ctx *cacontext.AutoscalingContext, groups []cloudprovider.NodeGroup, newNodes int) (
	[]nodegroupset.ScaleUpInfo, caerrors.AutoscalerError) {
	chosen := groups[0].Id()
	return a.NodeGroupSetProcessor.BalanceScaleUpBetweenGroups(ctx, slices.DeleteFunc(groups, func(ng cloudprovider.NodeGroup) bool {
		return ng.Id() != chosen && !a.chain.Balances(chosen, ng.Id())
	}), newNodes)
}

// Nobody knows which pods fit on which of its nodes. Another scale-up could ask for nodes for them again.
func TestCutOptionIsTheLast(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}})
	w.ctx.ExpanderStrategy = cutting{}
	w.scaleUp(w.start(Options{}), filling(3), "a +2")
}

// cutting leaves half of the pods and their nodes out of the option.
type cutting struct{}

func (cutting) BestOption(options []expander.Option, infos map[string]*framework.NodeInfo) *expander.Option {
	best := firstByID{}.BestOption(options, infos)
	half := len(best.Pods) / 2
	best.Pods, best.NodeCount = best.Pods[half:], best.NodeCount-half
	return best
}

// The nodes were asked for all the same. An earlier group's error is not lost.
func TestNodesThatCannotBeSimulatedAreNoted(t *testing.T) {
	for name, template := range map[string]*framework.NodeInfo{
		"no template":        nil,
		"devices of no node": framework.NewNodeInfo(utiltest.BuildTestNode("template", 1000, 1<<30), []*resourceapi.ResourceSlice{{}}),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, map[string]zone{"a": {max: 9}, "b": {max: 9}})
			w.nodeInfos["a"] = template
			s := &simulation{snapshot: w.ctx.ClusterSnapshot, templates: w.nodeInfos}
			if err := s.add(map[string]int{"a": 1, "b": 1}); err == nil || len(s.asked) != 2 || len(s.nodes()) != 0 {
				t.Errorf("error %v, %d nodes, of which %d are simulated. Want an error, two nodes, and none of them simulated", err, len(s.asked), len(s.nodes()))
			}
		})
	}
}

// A new node makes old nodes fit for pods that must be spread over nodes.
func TestSpreadPodsFitOnOldNodesToo(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9, cpus: 8}})
	spread := func(pods []*apiv1.Pod) []*apiv1.Pod {
		for _, pod := range pods {
			pod.Labels = map[string]string{"app": "web"}
			spreadOverNodes(pod)
			pod.Spec.TopologySpreadConstraints[0].MinDomains = ptr.To[int32](2)
		}
		return pods
	}
	old := utiltest.BuildTestNode("old", 8000, 1<<30)
	old.Labels[apiv1.LabelHostname] = old.Name
	require.NoError(t, w.ctx.ClusterSnapshot.AddNodeInfo(framework.NewTestNodeInfo(old, spread(sized(1, 500))[0])))
	s := &simulation{snapshot: w.ctx.ClusterSnapshot, templates: w.nodeInfos}
	require.NoError(t, s.add(map[string]int{"a": 1}))
	pods, option, placed := spread(sized(4, 800)), podSet{}, podSet{}
	option.added(pods)
	err := s.fit(placed, option, pods, 0, func() bool { return false })
	if diff := cmp.Diff([][]string{{"800m-0", "800m-1", "800m-3"}}, [][]string{names(s.asked[0].Pods)}); diff != "" || err != nil || len(placed) != 4 {
		t.Errorf("%d pods placed, want 4, error %v, pods on the new node (-want +got):\n%s", len(placed), err, diff)
	}
}

// Each scale-up of the core is for one pod, because the next one must go to another zone.
func TestPodsSpreadOverZonesFillTheirNodes(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 20, pool: "a"}, "b": {max: 20, pool: "b"}, "c": {max: 20, pool: "c"}})
	pods := sized(60, 50)
	for _, pod := range pods {
		pod.Labels = map[string]string{"app": "web"}
		spreadOverPools(pod)
	}
	for _, pool := range []string{"a", "b", "c"} {
		old := utiltest.BuildTestNode("old-"+pool, 1000, 1<<30)
		old.Labels["pool"] = pool
		utiltest.SetNodeReadyState(old, true, time.Now().Add(-time.Hour))
		require.NoError(t, w.ctx.ClusterSnapshot.AddNodeInfo(framework.NewTestNodeInfo(old, utiltest.BuildTestPod("full-"+pool, 1000, 0))))
	}
	_, err := w.start(Options{}).ScaleUp(pods, nil, nil, w.nodeInfos, false)
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff([]string{"a +1", "b +1", "c +1"}, slices.Sorted(slices.Values(w.asked))), "launches (-want +got)")
}

// The pod also stays off an old node that has room.
func TestPodsKeptApartGetNewNodes(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}})
	old := utiltest.BuildTestNode("old", 8000, 1<<30)
	require.NoError(t, w.ctx.ClusterSnapshot.AddNodeInfo(framework.NewTestNodeInfo(old)))
	s := &simulation{snapshot: w.ctx.ClusterSnapshot, templates: w.nodeInfos}
	require.NoError(t, s.add(map[string]int{"a": 2}))
	placed := podSet{}
	err := s.fit(placed, podSet{}, replicas("apart", 3, 100, keptApart), 0, func() bool { return false })
	if diff := cmp.Diff([][]string{{"apart-0"}, {"apart-1"}}, [][]string{names(s.asked[0].Pods), names(s.asked[1].Pods)}); diff != "" || err != nil || len(placed) != 2 {
		t.Errorf("%d pods placed, want 2, error %v, pods on the new nodes (-want +got):\n%s", len(placed), err, diff)
	}
}

// A check for capacity succeeds without a launch, and a best-effort-atomic request that fits needs none. The core removes no node for
// --scale-down-delay-after-add after a success, and books the room in its next loop.
func TestScaleUpsEndWhenNothingGrows(t *testing.T) {
	for answer, served := range map[status.ScaleUpResult]bool{status.ScaleUpSuccessful: true, status.ScaleUpNotNeeded: true, status.ScaleUpNoOptionsAvailable: false} {
		w, calls := newWorld(t, map[string]zone{"a": {max: 9}}), 0
		result := w.scaleUp(w.start(Options{Core: scripted{orchestrator.New(), func() (*status.ScaleUpStatus, caerrors.AutoscalerError) {
			calls++
			return &status.ScaleUpStatus{Result: answer}, nil
		}}}), filling(2))
		assert.Equal(t, 1, calls)
		assert.Equal(t, served, result.Result == status.ScaleUpNotNeeded, "the result for the core")
		assert.Equal(t, served, w.served())
	}
}

// served reports whether no node goes in this loop, because a request has got its room.
func (w *world) served() bool {
	w.t.Helper()
	loop := w.ctx.ProcessorCallbacks.(*callbacks.TestProcessorCallbacks)
	_, served := loop.GetExtraValue(podlist.RequestServed)
	assert.Equal(w.t, served, loop.ScaleDownDisabledForLoop)
	return served
}

// summary is a result in words.
type summary struct{ Infos, Triggered, Remain, Await []string }

func summarized(s *status.ScaleUpStatus) summary {
	sum := summary{Triggered: names(s.PodsTriggeredScaleUp), Await: names(s.PodsAwaitEvaluation), Infos: inWords(s.ScaleUpInfos)}
	for _, info := range s.PodsRemainUnschedulable {
		sum.Remain = append(sum.Remain, info.Pod.Name)
	}
	return sum
}

func inWords(infos []nodegroupset.ScaleUpInfo) (list []string) {
	for _, info := range infos {
		list = append(list, fmt.Sprintf("%s %d-%d/%d", info.Group.Id(), info.CurrentSize, info.NewSize, info.MaxSize))
	}
	return list
}

func TestResultCoversAllScaleUps(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 1, cpus: 2, pool: "a"}, "b": {max: 2, dry: true, pool: "b"}, "c": {max: 2, pool: "c"}})
	o := w.start(Options{Most: 3})
	result, err := o.ScaleUp(slices.Concat(inPool("c", sized(3, 800)), inPool("none", sized(1, 100)), inPool("a", sized(2, 900)), inPool("b", sized(1, 500))),
		nil, nil, w.nodeInfos, false)
	assert.Truef(t, err == nil && result.Result == status.ScaleUpSuccessful && result.ScaleUpError == nil,
		"result %v, errors %v and %v, want success", result.Result, result.ScaleUpError, err)
	want := summary{Infos: []string{"a 0-1/1", "c 0-2/2"}, Triggered: []string{"a-900m-0", "a-900m-1", "c-800m-0", "c-800m-1"},
		Remain: []string{"b-500m-0", "none-100m-0"}, Await: []string{"c-800m-2"}}
	assert.Empty(t, cmp.Diff(want, summarized(result)), "result (-want +got)")
	failed := slices.Sorted(maps.Keys(cloudprovider.NodeGroupListToMapById(result.FailedResizeNodeGroups)))
	if diff := cmp.Diff([]string{"b"}, failed); diff != "" || len(result.ConsideredNodeGroups) != 3 {
		t.Errorf("%d groups considered, groups that failed (-want +got):\n%s", len(result.ConsideredNodeGroups), diff)
	}
	var parts []summary
	result.PodsTriggeredScaleUp = result.PodsTriggeredScaleUp[1:] // as if the first one were made up
	for _, part := range o.Raises(result) {
		parts = append(parts, summarized(part))
	}
	wantParts := []summary{{Infos: []string{"a 0-1/1"}, Triggered: []string{"a-900m-1"}}, {Infos: []string{"c 0-2/2"}, Triggered: []string{"c-800m-0", "c-800m-1"}}}
	assert.Empty(t, cmp.Diff(wantParts, parts), "scale-ups (-want +got)")
}

// The quota cuts two of the three nodes off.
func TestPodsBeyondAQuotaAreNotHelped(t *testing.T) {
	for most, want := range map[int]summary{
		1: {Infos: []string{"a 0-1/9"}, Triggered: []string{"900m-0"}, Await: []string{"700m-0", "800m-0"}},
		9: {Infos: []string{"a 0-1/9"}, Triggered: []string{"900m-0"}, Remain: []string{"700m-0", "800m-0"}},
	} {
		w := newWorld(t, map[string]zone{"a": {max: 9}})
		w.provider.SetResourceLimiter(cloudprovider.NewResourceLimiter(nil, map[string]int64{cloudprovider.ResourceNameCores: 1}))
		got := summarized(w.scaleUp(w.start(Options{Most: most}), slices.Concat(sized(1, 900), sized(1, 800), sized(1, 700)), "a +1"))
		slices.Sort(got.Remain)
		slices.Sort(got.Await)
		assert.Emptyf(t, cmp.Diff(want, got), "%d scale-ups (-want +got)", most)
	}
}

func TestGroupThatGrowsTwiceHasOneInfo(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}})
	o := w.start(Options{Zones: zonesByName{views: true}})
	result := w.scaleUp(o, []*apiv1.Pod{utiltest.BuildTestPod("in-a", 800, 1<<20), utiltest.BuildTestPod("free", 800, 1<<20)}, "a +1", "a +1")
	assert.Empty(t, cmp.Diff([]string{"a 0-2/9"}, inWords(result.ScaleUpInfos)), "groups that grew (-want +got)")
	if parts := o.Raises(result); len(parts) != 2 || inWords(parts[1].ScaleUpInfos)[0] != "a 1-2/9" {
		t.Errorf("%d scale-ups, want two, the second from 1 to 2", len(parts))
	}
}

func withRequests(o *config.AutoscalingOptions) { o.ProvisioningRequestEnabled = true }

func TestRequestsGetOneScaleUpALoop(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 1}, "b": {max: 1}, "c": {max: 9}}, withRequests)
	requests := 0
	o := w.start(Options{Core: provreq.NewWrapperOrchestrator(scripted{orchestrator.New(), func() (*status.ScaleUpStatus, caerrors.AutoscalerError) {
		requests++
		w.resize("c", 1)
		return &status.ScaleUpStatus{Result: status.ScaleUpSuccessful, PodsTriggeredScaleUp: requested("request")}, nil
	}})})
	for loop := range 2 {
		w.scaleUp(o, slices.Concat(requested("request"), sized(2, 800)), "a +1", "b +1")
		assert.Equalf(t, loop, requests, "tries of requests by loop %d", loop)
		assert.Equal(t, requests > 0, w.served())
	}
	assert.Empty(t, cmp.Diff(asked{"a": {{"800m-0"}}, "b": {{"800m-1"}}}, w.planned()), "plan (-want +got)")
}

func TestRequestsFollowAfterOtherPods(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 1}, "b": {max: 1}, "c": {max: 9}}, withRequests)
	o := w.start(Options{Core: provreq.NewWrapperOrchestrator(orchestrator.New()), Zones: zonesByName{views: true}, Most: 2})
	w.scaleUp(o, slices.Concat(requested("request"), sized(2, 800), []*apiv1.Pod{utiltest.BuildTestPod("in-a", 700, 1<<20)}), "a +1", "b +1")
	assert.True(t, w.ctx.ProvisioningRequestScaleUpMode, "the next scale-up is for requests")
}

func TestMinimumSizesCountNodesJustAskedFor(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}, "b": {min: 2, max: 9}})
	w.provider.SetResourceLimiter(cloudprovider.NewResourceLimiter(nil, map[string]int64{cloudprovider.ResourceNameCores: 3}))
	o := w.start(Options{})
	w.scaleUp(o, filling(2), "a +2")
	for range 2 {
		_, err := o.ScaleUpToNodeGroupMinSize(nil, w.nodeInfos)
		require.NoError(t, err)
	}
	// The second time the nodes would be in the list of the cluster's nodes.
	assert.Empty(t, cmp.Diff([]string{"a +2", "b +1", "b +1"}, w.asked), "launches (-want +got)")
}

func TestMinimumSizesOfOneLoopShareTheLimits(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {min: 2, max: 9}, "b": {min: 2, max: 9}})
	w.provider.SetResourceLimiter(cloudprovider.NewResourceLimiter(nil, map[string]int64{cloudprovider.ResourceNameCores: 3}))
	result, err := w.start(Options{}).ScaleUpToNodeGroupMinSize(nil, w.nodeInfos)
	require.NoError(t, err)
	slices.Sort(w.asked)
	assert.Lenf(t, result.ScaleUpInfos, 2, "groups that grew: %v", w.asked)
	total := 0
	for _, info := range result.ScaleUpInfos {
		total += info.NewSize - info.CurrentSize
	}
	assert.Equalf(t, 3, total, "nodes of one CPU each, of 3 CPUs: %v", w.asked)
}

// minimums counts the core's calls for minimum sizes.
type minimums struct {
	corescaleup.Orchestrator
	calls int
}

func (m *minimums) ScaleUpToNodeGroupMinSize(nodes []*apiv1.Node, infos map[string]*framework.NodeInfo) (*status.ScaleUpStatus, caerrors.AutoscalerError) {
	m.calls++
	return m.Orchestrator.ScaleUpToNodeGroupMinSize(nodes, infos)
}

// The core does not come to the groups behind one that fails.
func TestGroupThatFailsKeepsNoOtherBelowItsMinimumSize(t *testing.T) {
	zones, want := map[string]zone{"dry": {min: 2, max: 9, dry: true}, "empty": {min: 2, max: 9, dry: true}}, map[string]int{}
	for i := range 8 {
		zones[fmt.Sprint("group-", i)], want[fmt.Sprint("group-", i)] = zone{min: 2, max: 9}, 2
	}
	w := newWorld(t, zones)
	result, err := w.start(Options{}).ScaleUpToNodeGroupMinSize(nil, w.nodeInfos)
	require.Error(t, err)
	assert.Len(t, result.FailedResizeNodeGroups, 2)
	failed := slices.Sorted(maps.Keys(cloudprovider.NodeGroupListToMapById(result.FailedResizeNodeGroups)))
	assert.Equal(t, []string{"dry", "empty"}, failed)
	assert.Equal(t, want, w.sizes())
	assert.Len(t, w.asked, 10, "each group once")
}

// zoneGroup is one of an Auto Scaling group whose other zone groups want fewer nodes once it has grown.
type zoneGroup struct {
	*testprovider.TestNodeGroup
	others []*zoneGroup
}

func (*zoneGroup) AutoScalingGroup() string { return "whole" }

func (z *zoneGroup) MinSize() int {
	least := z.TestNodeGroup.MinSize()
	for _, other := range z.others {
		size, _ := other.TargetSize()
		least -= size
	}
	return max(0, least)
}

// The minimum size of a zone group depends on the sizes of the others.
func TestZoneGroupsOfOneGroupShareItsMinimumSize(t *testing.T) {
	w := newWorld(t, map[string]zone{"whole/a": {min: 3, max: 9}, "whole/b": {min: 3, max: 9}, "other": {min: 1, max: 9}})
	of := func(id string) *zoneGroup {
		return &zoneGroup{TestNodeGroup: w.provider.GetNodeGroup(id).(*testprovider.TestNodeGroup)}
	}
	a, b := of("whole/a"), of("whole/b")
	a.others, b.others = []*zoneGroup{b}, []*zoneGroup{a}
	w.provider.InsertNodeGroup(a)
	w.provider.InsertNodeGroup(b)
	core := &minimums{Orchestrator: orchestrator.New()}
	_, err := w.start(Options{Core: core}).ScaleUpToNodeGroupMinSize(nil, w.nodeInfos)
	require.NoError(t, err)
	sizes := w.sizes()
	assert.Equal(t, 3, sizes["whole/a"]+sizes["whole/b"], "nodes of the group, by zone groups %v", sizes)
	assert.Equal(t, 1, sizes["other"])
	assert.Equal(t, 1, core.calls)
}

// No group was below its minimum size in the loop that asked for them. They are in the list by now.
func TestNodesOfAnEarlierLoopCountOnce(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}, "b": {min: 2, max: 9}})
	w.provider.SetResourceLimiter(cloudprovider.NewResourceLimiter(nil, map[string]int64{cloudprovider.ResourceNameCores: 4}))
	o := w.start(Options{})
	w.scaleUp(o, filling(2), "a +2")
	o.Refresh()
	_, err := o.ScaleUpToNodeGroupMinSize([]*apiv1.Node{utiltest.BuildTestNode("1", 1000, 1<<30), utiltest.BuildTestNode("2", 1000, 1<<30)}, w.nodeInfos)
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff([]string{"a +2", "b +2"}, w.asked), "launches (-want +got)")
}

func TestMinimumSizesKeepWithinAllNodes(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {min: 2, max: 9}, "b": {min: 2, max: 9}}, func(o *config.AutoscalingOptions) { o.MaxNodesTotal = 5 })
	nodes := []*apiv1.Node{utiltest.BuildTestNode("1", 1000, 1<<30), utiltest.BuildTestNode("2", 1000, 1<<30)}
	_, err := w.start(Options{}).ScaleUpToNodeGroupMinSize(nodes, w.nodeInfos)
	require.NoError(t, err)
	assert.Lenf(t, w.asked, 1, "launches %v, want those of one group, because there are 2 nodes of 5", w.asked)
}

// Without the flag the core leaves the other groups below their minimum sizes.
func TestMinimumByTheClockNeedsNoFlag(t *testing.T) {
	for _, tt := range []struct {
		flag  bool
		below map[string]bool
		cools string // AWS is not asked for this group for now
		want  []string
	}{
		{below: map[string]bool{"b": true}, want: []string{"b +2"}},
		{below: map[string]bool{"a": true, "b": true}, cools: "b", want: []string{"a +1"}},
		{below: map[string]bool{}},
		{flag: true, below: map[string]bool{}, want: []string{"a +1", "b +2"}},
		{flag: true, below: map[string]bool{"b": true}, want: []string{"a +1", "b +2"}},
	} {
		w := newWorld(t, map[string]zone{"a": {min: 1, max: 9}, "b": {min: 2, max: 9}}, func(o *config.AutoscalingOptions) { o.EnforceNodeGroupMinSize = tt.flag })
		o := w.start(Options{BelowClock: func(id string) bool { return tt.below[id] }, Cooling: func(id string) bool { return id == tt.cools }})
		for range 2 {
			o.Refresh()
			if w.ctx.EnforceNodeGroupMinSize {
				_, err := o.ScaleUpToNodeGroupMinSize(nil, w.nodeInfos)
				require.NoError(t, err)
			}
		}
		slices.Sort(w.asked)
		assert.Emptyf(t, cmp.Diff(tt.want, w.asked), "with the flag: %t, and %v below a minimum by the clock: launches (-want +got)", tt.flag, tt.below)
		clear(tt.below)
		o.Refresh()
		assert.Equal(t, tt.flag, w.ctx.EnforceNodeGroupMinSize, "the flag once no group is below")
	}
}
