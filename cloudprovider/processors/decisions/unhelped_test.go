package decisions

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
)

// unschedulable are pods in sets of equivalent ones, and what the core says about them: one of the groups is at its maximum, some of the
// others have a taint, and the rest are too small. Each two sets have the same answers.
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
			if g%(2+s/2) == 0 {
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
	u := compacted(pods)
	require.Truef(t, u.count == 20 && len(u.kinds) == 2 && len(u.kinds[0].pods) == 10 && u.kinds[1].pods[0] == pods[10].Pod,
		"%d pods of %d kinds, want 20 of 2", u.count, len(u.kinds))
	first, second := u.kinds[0].answers, u.kinds[1].answers
	assert.Truef(t, len(first) == 5 && slices.Equal(first, second), "answers %v and %v, want the same ones for both kinds", first, second)
	said := map[*refusal]refusal{}
	for _, r := range first {
		said[r] = *r
	}
	got := slices.SortedFunc(maps.Values(said), func(a, b refusal) int { return strings.Compare(a.reasons, b.reasons) })
	if want := []refusal{{skipped: true, cores: why.Refusal{Kind: why.RefusedFull}}, {plugin: "NodeResourcesFit", reasons: "Insufficient cpu"},
		{plugin: "TaintToleration", reasons: "node(s) had untolerated taint(s)"}}; !slices.Equal(got, want) {
		t.Errorf("refusals %+v, want %+v", got, want)
	}
	failed := clustersnapshot.NewFailingPredicateError(pods[0].Pod, "VolumeBinding", nil, "PreFilter failed", "nodeName: \"n\"")
	if got := refusalOf(failed, false); got.detail != "PreFilter failed" {
		t.Errorf("refusal %+v without a reason, want what went wrong", got)
	}
}

func TestSearchesAreBounded(t *testing.T) {
	s := newSpeaker(&cluster{facts: &facts{}}, nil)
	kept := 0
	for range 100 {
		if s.keep(make([]decision.Answer, 1_000)) == kept {
			kept++
		}
	}
	assert.Truef(t, len(s.searches) == 60 && kept == 60,
		"%d searches with 1000 answers each, of which %d were kept; want 60", len(s.searches), kept)
}

// Several scale-ups of a loop ask different groups.
func TestAnswersOfKind(t *testing.T) {
	pods := unschedulable(2, 2, 5)
	delete(pods[0].RejectedNodeGroups, "group-0002")
	pods[1].SkippedNodeGroups = map[string]corestatus.Reasons{"group-0009": orchestrator.MaxLimitReachedReason}
	s := newSpeaker(&cluster{Collector: New(Config{}), facts: &facts{unhelped: compacted(pods)}}, map[string]*decision.Group{"group-0000": {}, "group-0009": {}})
	s.order = s.facts.unhelped.byName()
	for _, tt := range []struct {
		kind int
		all  bool
		want string
	}{
		{0, true, "group-0000 skipped, group-0001 rejected, group-0003 rejected, group-0004 rejected"},
		{0, false, "group-0000 skipped, group-0001 rejected, group-0004 rejected"},
		{1, true, "group-0009 skipped, group-0001 rejected, group-0002 rejected, group-0003 rejected, group-0004 rejected"},
		{1, false, "group-0009 skipped, group-0001 rejected, group-0002 rejected"},
	} {
		var list []string
		for _, a := range s.answers(s.facts.unhelped.kinds[tt.kind], tt.all) {
			list = append(list, a.Group+" "+string(a.Verdict))
		}
		assert.Equalf(t, tt.want, strings.Join(list, ", "), "answers to kind %d, all: %t", tt.kind, tt.all)
	}
}

// The answers of a large cluster have no room in the record. A group at its maximum is the cause only of pods that its nodes would take.
func TestCauseNeedsNoRoomForTheAnswers(t *testing.T) {
	pods := unschedulable(2, 2, 3)
	groups, nodes := map[string]*decision.Group{}, []*why.GroupNode{}
	for i, cpus := range []string{"2", "4", "8"} {
		name := fmt.Sprintf("group-%04d", i)
		nodes = append(nodes, &why.GroupNode{Group: name, Allocatable: corev1.ResourceList{"cpu": resource.MustParse(cpus), "pods": resource.MustParse("9")}})
		groups[name] = &decision.Group{Name: name}
	}
	for i := range pods {
		pods[i].RejectedNodeGroups["group-0002"] = pods[i].RejectedNodeGroups["group-0001"]
		pods[i].Pod.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("64")}}}}
	}
	s := newSpeaker(&cluster{Collector: New(Config{}), facts: &facts{unhelped: compacted(pods)}}, groups)
	s.order, s.next, s.spare = s.facts.unhelped.byName(), nodes, len(nodes)
	first, second := s.tell(s.facts.unhelped.kinds[0]), s.tell(s.facts.unhelped.kinds[1])
	assert.True(t, first.search == 0 && second.search == -1, "searches")
	assert.Equal(t, "the pod asks for 64 CPUs, the largest node of groups \"group-0000\", \"group-0001\" and \"group-0002\" has 8", first.cause.Message)
	assert.Equal(t, first.cause, second.cause)
	s.telling = mostTelling // a busy report looks at no more nodes
	assert.NotContains(t, s.tell(s.facts.unhelped.kinds[1]).cause.Message, "the largest node")
}

// The core's processors take the pods of buffers out of the status, and moves those of their nodes.
func TestNoGroupHelpsPodsOfBuffers(t *testing.T) {
	u := &ScaleUp{Collector: New(Config{})}
	u.Process(nil, &corestatus.ScaleUpStatus{Result: corestatus.ScaleUpNoOptionsAvailable})
	got := u.now.result().Message
	assert.Equal(t, "no group helps pods that run on nodes to be replaced, or that do not exist yet", got)
}

type nodeGroup struct{ cloudprovider.NodeGroup }

func (nodeGroup) Id() string { return "web" }

// A group grows for a buffer, and then to its minimum size in the same loop.
func TestGroupsGrowForPodsOfBuffers(t *testing.T) {
	record := decision.New(decision.Process{}, clock.RealClock{})
	u := &ScaleUp{Collector: New(Config{Record: record}), Raises: func(s *corestatus.ScaleUpStatus) []*corestatus.ScaleUpStatus { return []*corestatus.ScaleUpStatus{s} }}
	u.Chose(expander.Choice{Chosen: &coreexpander.Option{NodeGroup: nodeGroup{}, NodeCount: 2}})
	for _, size := range []int{2, 3} {
		u.Process(nil, &corestatus.ScaleUpStatus{Result: corestatus.ScaleUpSuccessful,
			ScaleUpInfos: []nodegroupset.ScaleUpInfo{{Group: nodeGroup{}, CurrentSize: size - 1, NewSize: size}}})
	}
	var got []string
	for _, e := range record.Report().Timeline {
		got = append(got, e.Reason.Message)
	}
	slices.Sort(got)
	want := []string{"1 node for pods that do not exist yet, from 1 to 2", "1 node for the minimum size, from 2 to 3"}
	assert.Truef(t, slices.Equal(got, want), "entries %q, want %q", got, want)
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
			u := &ScaleUp{Collector: New(Config{})}
			u.Process(nil, &corestatus.ScaleUpStatus{Result: corestatus.ScaleUpNoOptionsAvailable, PodsRemainUnschedulable: pods})
			pods = nil
			with := heap()
			runtime.KeepAlive(u)
			u = nil
			held := with - heap()
			runtime.KeepAlive(cluster)
			t.Logf("held %.1f MiB", float64(held)/(1<<20))
			assert.Truef(t, held <= 4<<20, "%d bytes are held, want at most 4 MiB", held)
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
