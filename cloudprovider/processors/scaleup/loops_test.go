package scaleup

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/core/podlistprocessor"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	capacitybuffer "k8s.io/autoscaler/cluster-autoscaler/processors/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/stretchr/testify/require"
)

// ticking is a clock that goes on by a tick whenever somebody looks.
type ticking struct {
	clock.RealClock
	now  time.Time
	tick time.Duration
}

func (c *ticking) Now() time.Time { c.now = c.now.Add(c.tick); return c.now }

// replicas are equal pods of one owner. change may be nil.
func replicas(owner string, count int, milliCPU int64, change func(*apiv1.Pod)) (list []*apiv1.Pod) {
	for i := range count {
		pod := utiltest.BuildTestPod(fmt.Sprintf("%s-%d", owner, i), milliCPU, 1<<10)
		pod.UID, pod.Labels = types.UID(pod.Name), map[string]string{"app": owner}
		pod.OwnerReferences = []metav1.OwnerReference{
			{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: owner, UID: types.UID(owner), Controller: new(true)}}
		if change != nil {
			change(pod)
		}
		list = append(list, pod)
	}
	return list
}

func withGPU(pod *apiv1.Pod) {
	pod.Spec.Containers[0].Resources.Requests["nvidia.com/gpu"] = resource.MustParse("1")
}

func withHostPort(pod *apiv1.Pod) {
	pod.Spec.Containers[0].Ports = []apiv1.ContainerPort{{HostPort: 8080, ContainerPort: 8080, Protocol: apiv1.ProtocolTCP}}
}

// apartBy keeps pods of one kind off nodes with the same value of the label, and near has them run beside the pods of an app.
func apartBy(label string) func(*apiv1.Pod) {
	return func(pod *apiv1.Pod) {
		terms := []apiv1.PodAffinityTerm{{LabelSelector: &metav1.LabelSelector{MatchLabels: pod.Labels}, TopologyKey: label}}
		pod.Spec.Affinity = &apiv1.Affinity{PodAntiAffinity: &apiv1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}}
	}
}

func near(app, label string) func(*apiv1.Pod) {
	return func(pod *apiv1.Pod) {
		terms := []apiv1.PodAffinityTerm{{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}, TopologyKey: label}}
		pod.Spec.Affinity = &apiv1.Affinity{PodAffinity: &apiv1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}}
	}
}

var keptApart = apartBy(apiv1.LabelHostname)

// cheapest chooses by a plan of least-cost, at a price for each CPU.
type cheapest struct{ *leastcost.Filter }

func (c cheapest) BestOption(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) *expander.Option {
	best := c.BestOptions(options, nodeInfos)
	if len(best) == 0 {
		return nil
	}
	return &best[0]
}

// perCPU is the price of a node.
type perCPU struct{}

func (perCPU) NodeCost(_ string, template *apiv1.Node, count int) (pricing.Amount, bool) {
	return pricing.Amount{PerHour: float64(count) * template.Status.Capacity.Cpu().AsApproximateFloat64(), Currency: "USD"}, true
}

// However short the time, the loops together ask for the nodes of one packing. The clock ticks whenever somebody looks.
func TestLoopsAskForNodesOnce(t *testing.T) {
	small := map[string]zone{"a": {max: 100}}
	large := map[string]zone{"a": {max: 100, cpus: 4, gpu: true}}
	for _, tt := range []struct {
		name      string
		zones     map[string]zone
		pods      []*apiv1.Pod
		leastCost bool
		want      int // nodes, by one packing
	}{
		{name: "a pod fills a node", zones: small, pods: replicas("full", 30, 800, nil), want: 30},
		{name: "GPUs", zones: large, pods: replicas("gpu", 30, 100, withGPU), want: 30},
		{name: "host ports", zones: large, pods: replicas("port", 30, 100, withHostPort), want: 30},
		{name: "anti-affinity", zones: large, pods: replicas("apart", 30, 100, keptApart), want: 30},
		{name: "spread over nodes", zones: large, pods: replicas("spread", 60, 400, spreadOverNodes), want: 6},
		{name: "pods of many sizes", zones: small, want: 10,
			pods: slices.Concat(replicas("l", 10, 600, nil), replicas("m", 10, 300, nil), replicas("s", 10, 100, nil))},
		{name: "beside GPU pods", zones: large, pods: slices.Concat(replicas("gpu", 20, 1000, withGPU), replicas("web", 30, 2000, nil)), want: 35},
		{name: "several groups", zones: map[string]zone{"a": {max: 7}, "b": {max: 8, cpus: 2}, "c": {max: 100}},
			pods: replicas("full", 40, 800, nil), want: 7 + 8 + 17},
		{name: "a plan of several groups", zones: map[string]zone{"a": {max: 100}, "b": {max: 100, cpus: 4}}, leastCost: true,
			pods: slices.Concat(replicas("l", 5, 3900, nil), replicas("s", 5, 900, nil)), want: 10},
	} {
		for _, milliseconds := range []int{0, 1, 10, 60, 300, 2000} {
			tick := time.Duration(milliseconds) * time.Millisecond
			for _, most := range []int{0, 4} { // nodes that the core packs in one go
				t.Run(fmt.Sprintf("%s/%v/%d", tt.name, tick, most), func(t *testing.T) {
					w := newWorld(t, tt.zones) // a scale-up has a second
					w.limits = append(w.limits, estimator.NewStaticThreshold(most, 0))
					c := &ticking{now: time.Now(), tick: tick}
					w.plan = plan.New(c)
					options := Options{Clock: c}
					if tt.leastCost {
						filter := leastcost.New(perCPU{}, nil, nil, time.Minute, clock.RealClock{})
						options.Planner, w.ctx.ExpanderStrategy = filter, cheapest{filter}
					}
					loops := w.loop(w.start(options), tt.pods)
					assert.Truef(t, loops <= 40, "pods wait after %d loops", loops)
					asked := 0
					for _, size := range w.sizes() {
						asked += size
					}
					assert.Truef(t, asked <= tt.want, "%d nodes asked for (%v), want at most %d", asked, w.asked, tt.want)
				})
			}
		}
	}
}

// lapsing is a clock that goes on at one look alone. By then the time for a scale-up has ended.
type lapsing struct {
	clock.RealClock
	now       time.Time
	at, looks int
}

func (c *lapsing) Now() time.Time {
	if c.looks++; c.looks == c.at {
		c.now = c.now.Add(time.Minute)
	}
	return c.now
}

// Wherever the time ends, and however few nodes the core packs in one go, the loops together ask for no more nodes than one packing.
func TestNodesNeverExceedOnePacking(t *testing.T) {
	for seed := range int64(8) {
		random := rand.New(rand.NewSource(seed))
		zones := map[string]zone{"a": {max: 1 + random.Intn(4), cpus: 4, gpu: true}, "b": {max: 100, cpus: 2, gpu: true}}
		var pods []*apiv1.Pod
		for at := range 4 {
			change := []func(*apiv1.Pod){nil, withGPU, withHostPort, keptApart, spreadOverNodes}[random.Intn(5)]
			pods = append(pods, replicas(fmt.Sprint("owner-", at), 1+random.Intn(5), 100<<random.Intn(4), change)...)
		}
		run := func(c *lapsing, most int) (nodes int, asked []string) {
			w := newWorld(t, zones)
			w.limits = append(w.limits, estimator.NewStaticThreshold(most, 0))
			loops := w.loop(w.start(Options{Clock: c}), pods)
			assert.Truef(t, loops <= 40, "seed %d: pods wait after %d loops", seed, loops)
			for _, size := range w.sizes() {
				nodes += size
			}
			return nodes, w.asked
		}
		whole := &lapsing{}
		want, once := run(whole, 0)
		for _, most := range []int{0, 2} {
			for at := range whole.looks {
				got, asked := run(&lapsing{at: at + 1}, most)
				for range 1000 { // the core packs equal pods together, and their kinds in any order, by which one packing may take more
					if got <= want {
						break
					}
					again, _ := run(&lapsing{}, 0)
					want = max(want, again)
				}
				assert.Truef(t, got <= want,
					"seed %d, %d nodes in one go, the time ends at look %d: asked for %v, want no more than %v", seed, most, at+1, asked, once)
			}
		}
	}
}

// The pods of one scale-up try the nodes just asked for, and the core packs no more than a quarter of the pods in one go.
func TestTriesGrowWithPodsAlone(t *testing.T) {
	for name, change := range map[string]func(*apiv1.Pod){"gpu": withGPU, "port": withHostPort, "apart": keptApart, "limit": nil} {
		t.Run(name, func(t *testing.T) {
			tries := func(count int) int {
				w := newWorld(t, map[string]zone{"a": {max: 1000, cpus: 64, gpu: true}},
					func(o *config.AutoscalingOptions) { o.MaxNodeGroupBinpackingDuration = time.Hour })
				w.nodeInfos["a"].Node().Status.Allocatable[apiv1.ResourcePods] = resource.MustParse("10")
				w.nodeInfos["a"].SetNode(w.nodeInfos["a"].Node())
				nodes := count
				if change == nil {
					nodes /= 10
				}
				w.limits = []estimator.Threshold{estimator.NewStaticThreshold(nodes/4, 0)}
				snapshot := &counting{ClusterSnapshot: w.ctx.ClusterSnapshot}
				w.ctx.ClusterSnapshot = snapshot
				o := w.start(Options{Core: around{orchestrator.New(), func() { snapshot.off = true }, func() { snapshot.off = false }}})
				_, err := o.ScaleUp(replicas("many", count, 100, change), nil, nil, w.nodeInfos, false)
				assert.Truef(t, err == nil && len(w.asked) == 4 && w.sizes()["a"] == nodes, "error %v, scale-ups %v, want four for %d nodes", err, w.asked, nodes)
				return snapshot.tries
			}
			few, many := tries(40), tries(160)
			assert.Truef(t, few != 0 && many <= 4*few, "%d tries for 40 pods, and %d for 160, want four times as many at most", few, many)
		})
	}
}

// counting counts runs of the scheduler's filters and looks at nodes, but for the core's.
type counting struct {
	clustersnapshot.ClusterSnapshot
	off   bool
	tries int
}

func (c *counting) count() {
	if !c.off {
		c.tries++
	}
}

func (c *counting) GetNodeInfo(node string) (*framework.NodeInfo, error) {
	c.count()
	return c.ClusterSnapshot.GetNodeInfo(node)
}

func (c *counting) SchedulePodOnAnyNodeMatching(pod *apiv1.Pod, opts clustersnapshot.SchedulingOptions) (string, clustersnapshot.SchedulingError) {
	c.count()
	return c.ClusterSnapshot.SchedulePodOnAnyNodeMatching(pod, opts)
}

func (c *counting) SchedulePod(pod *apiv1.Pod, node string) clustersnapshot.SchedulingError {
	c.count()
	return c.ClusterSnapshot.SchedulePod(pod, node)
}

// loop runs loops until no pod is left for which nodes must be asked for, and returns how many. All nodes that were asked for are upcoming.
func (w *world) loop(o *Orchestrator, pods []*apiv1.Pod) (loops int) {
	w.t.Helper()
	w.ctx.DebuggingSnapshotter = debuggingsnapshot.NewDebuggingSnapshotter(false)
	room := podlist.FreeRoom{Core: podlistprocessor.NewFilterOutSchedulablePodListProcessor(scheduling.ScheduleAnywhere), Plan: w.plan,
		GroupOf: func(node *apiv1.Node) (_, _ string) { id, _, _ := strings.Cut(node.Name, "-up-"); return id, id }}
	for ; loops <= 40; loops++ {
		w.ctx.ClusterSnapshot.Fork()
		for id, size := range w.sizes() {
			for i := range size {
				info, err := simulator.SanitizedNodeInfo(w.nodeInfos[id], fmt.Sprintf("%s-up-%03d", id, i))
				if err == nil {
					err = w.ctx.ClusterSnapshot.AddNodeInfo(info)
				}
				require.NoError(w.t, err)
			}
		}
		left, err := room.Process(w.ctx, slices.Clone(pods))
		require.NoError(w.t, err)
		if len(left) > 0 {
			_, err := o.ScaleUp(left, nil, nil, w.nodeInfos, false)
			require.NoError(w.t, err)
		}
		w.ctx.ClusterSnapshot.Revert()
		if len(left) == 0 {
			return loops
		}
	}
	return loops
}

// A node that ends meanwhile lowers the target size. Its group was asked for all nodes of the option all the same.
func TestGroupThatShrinksMeanwhileIsAskedOnce(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}})
	w.scaleUp(w.start(Options{Core: around{orchestrator.New(), func() {}, func() { w.resize("a", -1) }}}), filling(2), "a +2")
}

// The core's fast path simulates one node only, and counts the others.
func TestFastPathPodsAreAskedForOnce(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}, "b": {max: 9, pool: "b"}})
	w.fastPath = true
	pods := slices.Concat(replicas("web", 10, 300, nil), inPool("b", replicas("other", 1, 300, nil)))
	w.scaleUp(w.start(Options{}), pods, "a +4", "b +1")
	for _, pod := range pods {
		assert.Truef(t, w.plan.Has(pod.UID), "pod %s is not in the plan", pod.Name)
	}
}

// Buffers and proactive scale-up have the core make pods that the API server does not know.
func TestPodsOfTheCoreAreInNoPlan(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}})
	pods := slices.Concat(replicas("buffer", 1, 700, nil), replicas("injected", 1, 600, nil), replicas("real", 2, 300, nil))
	pods[0].Annotations = map[string]string{
		capacitybuffer.CapacityBufferFakePodAnnotationKey: capacitybuffer.CapacityBufferFakePodAnnotationValue}
	fake.WithFakePodAnnotation(pods[1])
	w.scaleUp(w.start(Options{}), pods, "a +2")
	for at, pod := range pods {
		assert.Equalf(t, at > 1, w.plan.Has(pod.UID), "pod %s is in the plan", pod.Name)
	}
}
