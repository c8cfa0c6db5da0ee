package decisions

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

func TestInstanceIsLateByItsGroupsLastJoin(t *testing.T) {
	joins := map[string]time.Duration{"quick": 10 * time.Second, "slow": 50 * time.Second}
	for _, tt := range []struct {
		group  string
		within time.Duration
		want   time.Duration // after which it is late
	}{
		{group: "quick", within: 15 * time.Minute, want: time.Minute},
		{group: "slow", within: 15 * time.Minute, want: 150 * time.Second},
		{group: "unknown", within: 15 * time.Minute, want: 2 * time.Minute},
		{group: "slow", within: 30 * time.Second, want: 15 * time.Second},
	} {
		since := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
		u := unjoined{whole: tt.group, since: since}
		assert.Truef(t, !u.isLate(since.Add(tt.want), joins, tt.within) && u.isLate(since.Add(tt.want+1), joins, tt.within),
			"group %s, given up after %v: not late just after %v", tt.group, tt.within, tt.want)
	}
}

// A pod that fits waits for a late instance only where no other node comes for it.
func TestPodThatFitsWaitsForNoOtherGroupsInstance(t *testing.T) {
	late := decision.Reason{Message: "its instance is late"}
	for name, tt := range map[string]struct {
		coming    int    // nodes of the group b
		zone      string // of a volume
		nominated string
		want      string // the group that the pod waits for
	}{
		"its group alone":           {want: "a"},
		"another group's node":      {coming: 1},
		"a volume in its zone":      {zone: "zone-a", coming: 1, want: "a"},
		"a volume in another zone":  {zone: "zone-b"},
		"a node that is there":      {nominated: "n"},
		"a volume in no such zones": {zone: "zone-c", coming: 1},
	} {
		nodes := []*why.GroupNode{}
		for _, group := range []string{"a", "b"} {
			nodes = append(nodes, &why.GroupNode{Group: group, Labels: map[string]string{corev1.LabelTopologyZone: "zone-" + group},
				Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("9")}})
		}
		k := &cluster{Collector: New(Config{}), facts: &facts{at: noon}}
		if tt.zone != "" {
			k.Need = func(*corev1.Pod) (podzone.Need, bool) { return podzone.Need{Zone: tt.zone, OfVolume: true}, true }
		}
		s := newSpeaker(k, map[string]*decision.Group{"a": {Name: "a", Starting: 1}, "b": {Name: "b", Starting: tt.coming}})
		s.late = func() (map[string]decision.Reason, map[string]int) { return map[string]decision.Reason{"a": late}, nil }
		s.upcoming = func() []*why.GroupNode { return nodes }
		pod := &corev1.Pod{Status: corev1.PodStatus{NominatedNodeName: tt.nominated}}
		group, r := s.lateFor(pod, "")
		assert.Truef(t, group == tt.want && (r == late) == (tt.want != ""), "%s: waits for %q: %+v, want %q", name, group, r, tt.want)
		_, unused := s.unused(pod, noon.Add(-time.Hour))
		assert.Equalf(t, tt.zone == "zone-b" || tt.zone == "zone-c", unused, "%s: no node on its way takes it, and the scheduler has not used the room", name)
	}
}

// All groups have idle nodes, and one instance is late. The loop waits while the report is made.
func BenchmarkPodsThatFitBesideALateInstance(b *testing.B) {
	groups, nodes := map[string]*decision.Group{}, []*why.GroupNode{}
	for n := range 1000 {
		group := fmt.Sprint("group-", n)
		groups[group] = &decision.Group{Name: group}
		nodes = append(nodes, &why.GroupNode{Group: group, Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}})
	}
	pod := &corev1.Pod{}
	for b.Loop() {
		s := newSpeaker(&cluster{Collector: New(Config{}), facts: &facts{at: noon}}, groups)
		s.late = func() (map[string]decision.Reason, map[string]int) {
			return map[string]decision.Reason{"group-7": {Message: "late"}}, nil
		}
		s.upcoming = func() []*why.GroupNode { return nodes }
		for range 30_000 {
			s.lateFor(pod, "")
		}
	}
}
