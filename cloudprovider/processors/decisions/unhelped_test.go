package decisions

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
)

// unschedulable are pods in sets of equivalent ones, and what the core says about them: one of the groups is at its maximum, half of the
// others have a taint, and the rest are too small.
func unschedulable(pods, sets, groups int) []corestatus.NoScaleUpInfo {
	skipped := map[string]corestatus.Reasons{"group-0000": orchestrator.MaxLimitReachedReason}
	var list []corestatus.NoScaleUpInfo
	for s := range sets {
		rejected := map[string]corestatus.Reasons{}
		for i := 0; i < pods/sets; i++ {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("pod-%04d-%04d", s, i), UID: types.UID(fmt.Sprint(s, "-", i))}}
			list = append(list, corestatus.NoScaleUpInfo{Pod: pod, RejectedNodeGroups: rejected, SkippedNodeGroups: skipped})
		}
		for g := 1; g < groups; g++ {
			name, pod := fmt.Sprintf("group-%04d", g), list[len(list)-1].Pod
			rejected[name] = clustersnapshot.NewFailingPredicateError(pod, "NodeResourcesFit", []string{"Insufficient cpu"}, "",
				fmt.Sprintf("nodeName: %q", "template-of-"+name))
			if g%2 == 0 {
				taints := []corev1.Taint{{Key: "dedicated", Value: "gpu", Effect: corev1.TaintEffectNoSchedule}}
				rejected[name] = clustersnapshot.NewFailingPredicateError(pod, "TaintToleration", []string{"node(s) had untolerated taint(s)"}, "",
					fmt.Sprintf("nodeName: %q, nodeTaints: %#v", "template-of-"+name, taints))
			}
		}
	}
	return list
}

func TestAnswersAreShared(t *testing.T) {
	pods := unschedulable(20, 2, 5)
	if compacted(pods, 8) != nil {
		t.Error("few answers were compacted")
	}
	u := compacted(pods, 7)
	if len(u.pods) != 20 || len(u.sets) != 2 || u.set[9] != u.set[0] || u.set[10] == u.set[0] {
		t.Fatalf("%d pods in %d sets %v, want 20 in 2", len(u.pods), len(u.sets), u.set)
	}
	first, second := u.sets[0], u.sets[1]
	sortByGroup(first.rejected)
	sortByGroup(second.rejected)
	if len(first.rejected) != 4 || first.rejected[0].why != first.rejected[2].why || first.rejected[0].why != second.rejected[0].why {
		t.Errorf("answers %+v and %+v, want one refusal for all groups that are too small", first, second)
	}
	if len(first.skipped) != 1 || !first.whole {
		t.Errorf("answers %+v, want all", first)
	}
	want := refusal{plugin: "TaintToleration", reasons: "node(s) had untolerated taint(s)"}
	if got := *first.rejected[1].why; got != want {
		t.Errorf("refusal %+v, want %+v", got, want)
	}
	silent := compactor{refusals: map[refusal]*refusal{}}
	failed := clustersnapshot.NewFailingPredicateError(pods[0].Pod, "VolumeBinding", nil, "PreFilter failed", "nodeName: \"n\"")
	if got := *silent.refusal(failed); got.detail != "PreFilter failed" {
		t.Errorf("refusal %+v without a reason, want what went wrong", got)
	}
}

func TestFurtherAnswersAreSummedUp(t *testing.T) {
	const groups = 1_001
	u := compacted(unschedulable(100, 100, groups), 0)
	whole := 0
	for _, set := range u.sets {
		if set.whole {
			whole++
		} else if len(set.rejected) != 2 {
			t.Fatalf("%d answers, want one of each kind", len(set.rejected))
		}
	}
	if want := maxKept / groups; whole != want {
		t.Errorf("%d sets with all answers, want %d", whole, want)
	}
}

// The core's own answers to 300 kinds of pods would take more than 100 MiB.
func TestAnswersHoldLittleMemory(t *testing.T) {
	for _, sets := range []int{5, 50, 300} {
		t.Run(fmt.Sprintf("sets=%d", sets), func(t *testing.T) {
			pods := unschedulable(9_900, sets, 1_000)
			var cluster []*corev1.Pod
			for _, p := range pods {
				cluster = append(cluster, p.Pod)
			}
			u := &ScaleUp{New(Config{})}
			u.Process(nil, &corestatus.ScaleUpStatus{Result: corestatus.ScaleUpNoOptionsAvailable, PodsRemainUnschedulable: pods})
			pods = nil
			with := heap()
			runtime.KeepAlive(u)
			u = nil
			held := with - heap()
			runtime.KeepAlive(cluster)
			t.Logf("held %.1f MiB", float64(held)/(1<<20))
			if held > 4<<20 {
				t.Errorf("%d bytes are held, want at most 4 MiB", held)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// go test ./cloudprovider/processors/decisions -bench Compact: what a scale-up that helps nobody costs beside the core's own work.
func BenchmarkCompact(b *testing.B) {
	pods := unschedulable(10_000, 50, 1_000)
	b.ReportAllocs()
	for b.Loop() {
		compacted(pods, 0)
	}
	b.ReportMetric(float64(b.Elapsed()/time.Microsecond)/float64(b.N)/50_000, "µs/answer")
}
