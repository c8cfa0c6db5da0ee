package plan

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
)

func node(group string, asked time.Time, uids ...types.UID) Node {
	n := Node{Group: group, Asked: asked}
	for _, uid := range uids {
		n.Pods = append(n.Pods, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: string(uid), UID: uid}})
	}
	return n
}

// misfit reports whether the node that registers refuses the pod.
func misfit(pod *corev1.Pod) bool { return pod.Name == "misfit" }

func newPlan() *Plan { return New(testingclock.NewFakePassiveClock(time.Unix(0, 0))) }

func TestTake(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		change func(*Plan, *testingclock.FakePassiveClock)
		want   []Node // of group a or its zone x, in the order in which they are taken
	}{
		{"the oldest node of the group first", func(p *Plan, _ *testingclock.FakePassiveClock) {
			p.Add(node("a", start, "1", "2"), node("b", start, "3"), node("a", start, "4"))
		}, []Node{node("a", start, "1", "2"), node("a", start, "4")}},
		{"a pod that is planned again leaves its node", func(p *Plan, _ *testingclock.FakePassiveClock) {
			p.Add(node("a", start, "1", "2"), node("a", start, "3"))
			p.Add(node("b", start, "1", "3"))
		}, []Node{node("a", start, "2")}},
		{"a pod that no longer waits leaves its node", func(p *Plan, _ *testingclock.FakePassiveClock) {
			p.Add(node("a", start, "1", "2"))
			p.Drop("1", "unknown")
		}, []Node{node("a", start, "2")}},
		{"a node that does not come is forgotten", func(p *Plan, c *testingclock.FakePassiveClock) {
			p.Add(node("a", start, "1"))
			c.SetTime(start.Add(keep))
			p.Add(node("a", c.Now(), "2"))
		}, []Node{node("a", start.Add(keep), "2")}},
		{"the group is divided since", func(p *Plan, _ *testingclock.FakePassiveClock) {
			p.Add(node("a", start, "1"), node("a/y", start, "2"), node("a/x", start, "3"))
		}, []Node{node("a", start, "1"), node("a/x", start, "3")}},
		{"the node refuses pods of the oldest", func(p *Plan, _ *testingclock.FakePassiveClock) {
			p.Add(node("a", start, "1", "misfit"), node("a", start, "2"), node("a", start, "3"))
		}, []Node{node("a", start, "2"), node("a", start, "3"), node("a", start, "1", "misfit")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := testingclock.NewFakePassiveClock(start)
			p := New(clock)
			tt.change(p, clock)
			var got []Node
			for taken, ok := p.Take("a/x", "a", "node", misfit); ok; taken, ok = p.Take("a/x", "a", "node", misfit) {
				taken.Name, taken.entry = "", nil
				got = append(got, taken)
			}
			assert.Empty(t, cmp.Diff(tt.want, got, cmp.AllowUnexported(Node{})), "nodes taken (-want +got)")
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	p := newPlan()
	for n, group := range []string{"oldest", "older", "latest"} {
		uids := make([]types.UID, mostPods/2)
		for at := range uids {
			uids[at] = types.UID(fmt.Sprint(n, "/", at))
		}
		p.Add(node(group, time.Unix(0, 0), uids...))
	}
	assert.Truef(t, len(p.of) == mostPods && len(p.nodes) == 2,
		"%d pods on %d nodes are remembered, want %d on 2", len(p.of), len(p.nodes), mostPods)
	_, ok := p.Take("oldest", "oldest", "node", misfit)
	assert.False(t, ok, "the oldest node is remembered, and not those that were asked for after it")
}

func TestJoin(t *testing.T) {
	p, now := newPlan(), time.Unix(0, 0)
	p.Add(node("a", now, "1"), node("b", now, "2"), node("c", now, "3"))
	seen := p.Planned()
	p.Join(seen[0], node("", time.Time{}, "2", "4").Pods)
	p.Take("c", "c", "node-c", misfit)
	p.Join(seen[2], node("", time.Time{}, "5").Pods) // it has registered
	p.Add(node("d", now, "6"))                       // forgets b, which has no pod
	p.Join(seen[1], node("", time.Time{}, "1").Pods)
	p.Drop("6")
	assert.Truef(t, p.Has("4") && !p.Has("6"), "pod 4 is planned: %t, want true. Pod 6 is planned: %t, want false", p.Has("4"), p.Has("6"))
	got := map[string]int{}
	for _, n := range p.Planned() {
		got[n.Group] = len(n.Pods)
	}
	assert.Empty(t, cmp.Diff(map[string]int{"a": 3, "c": 1}, got), "planned pods by group (-want +got)")
}

func planned(name string, change func(*corev1.PodSpec)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
	p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}
	p.Spec.Volumes = []corev1.Volume{{Name: "kube-api-access-" + name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

func wants(cpu string) func(*corev1.PodSpec) {
	return func(p *corev1.PodSpec) {
		p.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
}

func in(pool string) func(*corev1.PodSpec) {
	return func(p *corev1.PodSpec) { p.NodeSelector = map[string]string{"pool": pool} }
}

func tolerates(p *corev1.PodSpec) {
	p.Tolerations = []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}
}

var gpu = corev1.Taint{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}

func TestAlikeInOneGroup(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*corev1.PodSpec)
		want   bool
	}{
		"the same amount in other words": {wants("1000m"), true},
		"another amount":                 {wants("2"), false},
		"a node selector":                {in("a"), false},
		"a toleration":                   {tolerates, false},
		"a host port":                    {func(p *corev1.PodSpec) { p.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}} }, false},
		"a volume of its own": {func(p *corev1.PodSpec) {
			p.Volumes[0].VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "b"}}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlan()
			p.Asked(Nodes("group", [][]*corev1.Pod{{planned("a", nil)}, {planned("b", tt.change)}, {planned("c", nil)}})...)
			node, _ := p.Take("group", "group", "node", misfit)
			assert.Equal(t, tt.want, p.Alike(node, nil), "alike")
			node, _ = p.Take("group", "group", "next", misfit) // its pod may tolerate a taint that the others wait for
			assert.Equal(t, tt.want, p.Alike(node, []corev1.Taint{gpu}), "alike on a node with a taint")
			node, _ = p.Take("group", "group", "last", misfit)
			p.Asked(Nodes("other", [][]*corev1.Pod{{planned("b", tt.change)}})...)
			assert.Equal(t, tt.want, p.Alike(node, nil), "alike when planned anew")
			p.Drop("b")
			assert.True(t, p.Alike(node, nil), "not alike without the other pod")
		})
	}
}

// All pods that are planned for the group are alike. Others are planned for another one, of two shapes.
func TestAlikeBesideAnotherGroup(t *testing.T) {
	for name, tt := range map[string]struct {
		own, other func(*corev1.PodSpec)
		taint      corev1.Taint
		want       bool
	}{
		"others that could run there":            {other: wants("2")},
		"others of another pool":                 {own: in("a"), other: in("b"), want: true},
		"others of the same pool":                {own: in("a"), other: func(p *corev1.PodSpec) { in("a")(p); wants("2")(p) }},
		"others of any pool":                     {own: in("a")},
		"a taint keeps others away":              {own: tolerates, taint: gpu, want: true},
		"others tolerate the taint":              {own: tolerates, other: func(p *corev1.PodSpec) { tolerates(p); wants("2")(p) }, taint: gpu},
		"a taint that goes before any pod comes": {other: wants("2"), taint: gpu},
		"a taint that is no more than a wish":    {own: tolerates, taint: corev1.Taint{Key: "gpu", Effect: corev1.TaintEffectPreferNoSchedule}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlan()
			p.Asked(Nodes("mixed", [][]*corev1.Pod{{planned("a", tt.other)}, {planned("b", func(s *corev1.PodSpec) {
				if tt.other != nil {
					tt.other(s)
				}
				wants("3")(s)
			})}})...)
			p.Asked(Nodes("group", [][]*corev1.Pod{{planned("c", tt.own)}, {planned("d", tt.own)}})...)
			node, _ := p.Take("group", "group", "node-1", misfit)
			assert.Equal(t, tt.want, p.Alike(node, []corev1.Taint{tt.taint}), "alike")
			mixed, _ := p.Take("mixed", "mixed", "node-2", misfit)
			assert.False(t, p.Alike(mixed, nil), "pods of two shapes are alike")
		})
	}
}

func TestNodeOf(t *testing.T) {
	p := newPlan()
	p.Add(node("a", time.Unix(0, 0), "1"), node("a", time.Unix(0, 0), "2"))
	p.Take("a", "a", "node-1", misfit)
	for uid, want := range map[types.UID]string{"1": "node-1", "2": "", "unknown": ""} {
		assert.Equalf(t, want, p.NodeOf(uid), "node of pod %s", uid)
	}
}

func TestWatcherHearsOfPodsThatAreAskedForAndDropped(t *testing.T) {
	p := newPlan()
	var heard []string
	p.Changed = func(asked bool, pods []types.UID) { heard = append(heard, fmt.Sprint(asked, pods)) }
	p.Asked(Nodes("group", [][]*corev1.Pod{{planned("a", nil)}, {planned("b", nil)}})...)
	p.Drop("b", "unknown")
	p.Drop("b")
	assert.Empty(t, cmp.Diff([]string{"true [a b]", "false [b]"}, heard), "changes (-want +got)")
}

// The core's loop writes to the containers of pods that it compares, and the nominator's workers hash them meanwhile. The race detector
// finds a read of such a field.
func TestShapeReadsNoFieldThatTheCoreChanges(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: make([]corev1.Container, 1), InitContainers: make([]corev1.Container, 1)}}
	var core sync.WaitGroup
	core.Go(func() {
		for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
			list[0].Env, list[0].VolumeMounts = nil, nil
		}
	})
	assert.NotZero(t, Shape(pod))
	core.Wait()
}
