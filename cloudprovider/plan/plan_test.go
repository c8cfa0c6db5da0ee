package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
)

func node(group string, asked time.Time, uids ...types.UID) Node {
	n := Node{Group: group, Asked: asked}
	for _, uid := range uids {
		n.Pods = append(n.Pods, Pod{Namespace: "default", Name: string(uid), UID: uid})
	}
	return n
}

func TestTake(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		change func(*Plan, *testingclock.FakePassiveClock)
		want   []Node // of group a, in the order in which they are taken
	}{
		{name: "the oldest node of the group first",
			change: func(p *Plan, _ *testingclock.FakePassiveClock) {
				p.Add(node("a", start, "1", "2"), node("b", start, "3"), node("a", start, "4"))
			},
			want: []Node{node("a", start, "1", "2"), node("a", start, "4")}},
		{name: "a pod that is planned again leaves its node",
			change: func(p *Plan, _ *testingclock.FakePassiveClock) {
				p.Add(node("a", start, "1", "2"), node("a", start, "3"))
				p.Add(node("b", start, "1", "3"))
			},
			want: []Node{node("a", start, "2")}},
		{name: "a pod that no longer waits leaves its node",
			change: func(p *Plan, _ *testingclock.FakePassiveClock) {
				p.Add(node("a", start, "1", "2"))
				p.Drop("1", "unknown")
			},
			want: []Node{node("a", start, "2")}},
		{name: "a node that does not come is forgotten",
			change: func(p *Plan, c *testingclock.FakePassiveClock) {
				p.Add(node("a", start, "1"))
				c.SetTime(start.Add(keep))
				p.Add(node("a", c.Now(), "2"))
			},
			want: []Node{node("a", start.Add(keep), "2")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := testingclock.NewFakePassiveClock(start)
			p := New(clock)
			tt.change(p, clock)
			var got []Node
			for taken, ok := p.Take("a", "node"); ok; taken, ok = p.Take("a", "node") {
				taken.Name, taken.entry = "", nil
				got = append(got, taken)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(Node{})); diff != "" {
				t.Errorf("nodes taken (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	p := New(testingclock.NewFakePassiveClock(time.Unix(0, 0)))
	for n, group := range []string{"oldest", "older", "latest"} {
		uids := make([]types.UID, mostPods/2)
		for at := range uids {
			uids[at] = types.UID(fmt.Sprint(n, "/", at))
		}
		p.Add(node(group, time.Unix(0, 0), uids...))
	}
	if len(p.of) != mostPods || len(p.nodes) != 2 {
		t.Errorf("%d pods on %d nodes are remembered, want %d on 2", len(p.of), len(p.nodes), mostPods)
	}
	if _, ok := p.Take("oldest", "node"); ok {
		t.Error("the oldest node is remembered, and not those that were asked for after it")
	}
}

func TestJoin(t *testing.T) {
	clock := testingclock.NewFakePassiveClock(time.Unix(0, 0))
	p := New(clock)
	p.Add(node("a", clock.Now(), "1"), node("b", clock.Now(), "2"), node("c", clock.Now(), "3"))
	seen := p.Planned()
	pod := func(uid types.UID) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: string(uid), UID: uid}}
	}
	p.Join(seen[0], []*corev1.Pod{pod("2"), pod("4")})
	p.Take("c", "node-c")
	p.Join(seen[2], []*corev1.Pod{pod("5")}) // it has registered
	p.Add(node("d", clock.Now(), "6"))       // forgets b, which has no pod
	p.Join(seen[1], []*corev1.Pod{pod("1")})
	if p.Drop("6"); !p.Has("4") || p.Has("6") {
		t.Errorf("pod 4 is planned: %t, want true. Pod 6 is planned: %t, want false", p.Has("4"), p.Has("6"))
	}
	got := map[string]int{}
	for _, n := range p.Planned() {
		got[n.Group] = len(n.Pods)
	}
	if diff := cmp.Diff(map[string]int{"a": 3, "c": 1}, got); diff != "" {
		t.Errorf("planned pods by group (-want +got):\n%s", diff)
	}
}
