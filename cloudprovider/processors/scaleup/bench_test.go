package scaleup

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// BenchmarkOrchestrator scales up for pods of which something other than CPU fills the nodes: a GPU, a host port, anti-affinity, or the number
// of pods on a node. One pod more has its own pool, so that there are two scale-ups, and all pods of the first are put on their nodes in
// between.
//
//	go test -run - -bench Orchestrator -benchtime 1x ./cloudprovider/processors/scaleup
//
// core-ns/pod is the time of the core's scale-ups, filter-ns/pod that of the scheduler's filters on the nodes just asked for, and
// ours-ns/pod all other time. filters/pod counts runs of the filters. The core packs for 10 s at most, and leaves the pods behind
// unplanned. Its time for a pod grows with the nodes, and with anti-affinity with the pods, because each run of the scheduler's filters
// looks at them.
func BenchmarkOrchestrator(b *testing.B) {
	for _, tt := range []struct {
		name   string
		change func(*apiv1.Pod)
	}{{"gpu", withGPU}, {"port", withHostPort}, {"apart", keptApart}, {"limit", nil}} {
		for _, count := range []int{200, 800, 3200, 12800} {
			b.Run(fmt.Sprintf("fill=%s/pods=%d", tt.name, count), func(b *testing.B) {
				var core, filters, all time.Duration
				runs, unplanned := 0, 0
				for b.Loop() {
					b.StopTimer()
					w := newWorld(b, map[string]zone{"a": {max: 20000, cpus: 64, gpu: true}, "b": {max: 1, cpus: 64, pool: "b"}},
						func(o *config.AutoscalingOptions) { o.MaxNodeGroupBinpackingDuration = time.Hour })
					w.nodeInfos["a"].Node().Status.Allocatable[apiv1.ResourcePods] = resource.MustParse("10")
					w.nodeInfos["a"].SetNode(w.nodeInfos["a"].Node())
					w.provider.SetResourceLimiter(cloudprovider.NewResourceLimiter(nil, nil))
					w.limits = []estimator.Threshold{estimator.NewStaticThreshold(0, 10*time.Second)}
					snapshot := &timedSnapshot{ClusterSnapshot: w.ctx.ClusterSnapshot}
					w.ctx.ClusterSnapshot = snapshot
					timed := &timed{Orchestrator: orchestrator.New(), snapshot: snapshot}
					planned := plan.New(clock.RealClock{})
					o := New(Options{Core: timed, Most: 2, Plan: planned, Clock: clock.RealClock{}})
					w.initialize(o)
					pods := join(replicas("many", count, 100, tt.change), inPool("b", replicas("other", 1, 100, nil)))
					b.StartTimer()
					began := time.Now()
					if _, err := o.ScaleUp(pods, nil, nil, w.nodeInfos, false); err != nil || len(w.asked) != 2 {
						b.Fatalf("error %v, scale-ups %v, want two", err, w.asked)
					}
					all += time.Since(began)
					core, filters, runs = core+timed.took, filters+snapshot.took, runs+snapshot.runs
					for _, n := range planned.Planned() {
						unplanned -= len(n.Pods)
					}
					unplanned += len(pods)
				}
				perPod := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N*count) }
				b.ReportMetric(perPod(all-core-filters), "ours-ns/pod")
				b.ReportMetric(perPod(filters), "filter-ns/pod")
				b.ReportMetric(float64(runs)/float64(b.N*count), "filters/pod")
				b.ReportMetric(perPod(core), "core-ns/pod")
				b.ReportMetric(float64(unplanned)/float64(b.N), "unplanned")
			})
		}
	}
}

// timed adds up the time of the core's scale-ups.
type timed struct {
	corescaleup.Orchestrator
	took     time.Duration
	snapshot *timedSnapshot
}

func (t *timed) ScaleUp(pods []*apiv1.Pod, nodes []*apiv1.Node, daemonSets []*appsv1.DaemonSet, infos map[string]*framework.NodeInfo,
	allOrNothing bool) (*status.ScaleUpStatus, caerrors.AutoscalerError) {
	t.snapshot.off = true
	began := time.Now()
	defer func() { t.took, t.snapshot.off = t.took+time.Since(began), false }()
	return t.Orchestrator.ScaleUp(pods, nodes, daemonSets, infos, allOrNothing)
}

// timedSnapshot adds up runs of the scheduler's filters and their time, and looks at nodes.
type timedSnapshot struct {
	clustersnapshot.ClusterSnapshot
	off         bool
	took        time.Duration
	runs, looks int
}

func (t *timedSnapshot) GetNodeInfo(node string) (*framework.NodeInfo, error) {
	if !t.off {
		t.looks++
	}
	return t.ClusterSnapshot.GetNodeInfo(node)
}

func (t *timedSnapshot) SchedulePodOnAnyNodeMatching(pod *apiv1.Pod, opts clustersnapshot.SchedulingOptions) (string, clustersnapshot.SchedulingError) {
	if t.off {
		return t.ClusterSnapshot.SchedulePodOnAnyNodeMatching(pod, opts)
	}
	began := time.Now()
	defer func() { t.took, t.runs = t.took+time.Since(began), t.runs+1 }()
	return t.ClusterSnapshot.SchedulePodOnAnyNodeMatching(pod, opts)
}

func (t *timedSnapshot) SchedulePod(pod *apiv1.Pod, node string) clustersnapshot.SchedulingError {
	if t.off {
		return t.ClusterSnapshot.SchedulePod(pod, node)
	}
	began := time.Now()
	defer func() { t.took, t.runs = t.took+time.Since(began), t.runs+1 }()
	return t.ClusterSnapshot.SchedulePod(pod, node)
}
