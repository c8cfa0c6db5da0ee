package move

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

func TestMovedPodsStayForAnHour(t *testing.T) {
	now := time.Now()
	on := func(name string, created time.Time) Node {
		h := newHost(name, "small", "2", 0.1, "1")
		h.Pods[0].OwnerReferences[0].Name, h.Pods[0].CreationTimestamp = "web", metav1.NewTime(created)
		return Node{Node: h.Node, Instance: &group.Instance{}, Pods: func() []*corev1.Pod { return []*corev1.Pod{h.Pods[0].Pod} }}
	}
	for _, tt := range []struct {
		name    string
		created time.Duration // after the move
		after   time.Duration
		may     bool
	}{
		{"moved a moment ago", 5 * time.Second, 20 * time.Minute, false},
		{"moved a moment ago, by a clock that is behind", -3 * time.Second, 20 * time.Minute, false},
		{"moved an hour ago", 5 * time.Second, 61 * time.Minute, true},
		{"created once the other one has ended", 6 * time.Minute, 30 * time.Minute, false},
		{"there before the move", -20 * time.Minute, time.Minute, true},
		{"too young", 10 * time.Minute, 15 * time.Minute, false},
		{"a Job's", -20 * time.Minute, time.Minute, false},
		{"a Job's, which may be evicted", -20 * time.Minute, time.Minute, true},
	} {
		c, n, at := &Consolidate{}, on("b", now.Add(tt.created)), now.Add(tt.after)
		if pod := n.Pods()[0]; strings.HasPrefix(tt.name, "a Job's") {
			pod.OwnerReferences[0].Kind = "Job"
			pod.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": strconv.FormatBool(tt.may)}
		}
		c.Began(on("a", now.Add(-time.Hour)).Pods(), now)
		c.See([]Node{n}, at)
		assert.Equalf(t, tt.may, c.MayGo(n, 10*time.Minute, at), "%s: may go", tt.name)
	}
}

func TestPlanEndsWithItsNodes(t *testing.T) {
	now := time.Now()
	node := func(s *State) Node {
		h := newHost("a", "small", "2", 0.1, "1")
		if s != nil {
			metav1.SetMetaDataAnnotation(&h.Node.ObjectMeta, Annotation, s.Text())
		}
		return Node{Node: h.Node, Instance: &group.Instance{}, Pods: func() []*corev1.Pod { return nil }}
	}
	placing := State{Reason: Consolidation, Step: Placing, Launches: 1}
	ending := node(&placing)
	ending.Instance.Lifecycle = "Terminating:Wait"
	for _, tt := range []struct {
		name      string
		nodes     []Node
		after     time.Duration
		plan, due bool
		saved     float64
	}{
		{"it has not begun", []Node{node(nil)}, time.Minute, true, true, 0},
		{"it does not begin", []Node{node(nil)}, 6 * time.Minute, false, false, 0},
		{"it moves", []Node{node(&placing)}, time.Hour, true, true, 0},
		{"its instance ends", []Node{ending}, 6 * time.Minute, false, false, 0},
		{"it has failed, and waits", []Node{node(&State{Reason: Consolidation, Step: Waiting, Retry: now.Add(time.Hour)})}, time.Minute, false, true, 0},
		{"it has waited", []Node{node(&State{Reason: Consolidation, Step: Waiting, Retry: now})}, time.Minute, false, false, 0},
		{"it is gone", nil, time.Minute, true, false, 0},
		{"others have removed it", nil, 6 * time.Minute, false, false, 0},
	} {
		c := &Consolidate{On: true}
		c.Adopt(Plan{Nodes: []string{"a"}, Saving: 0.1}, now)
		c.See(tt.nodes, now.Add(tt.after))
		due := false
		for _, n := range tt.nodes {
			_, due = c.Due(n, now.Add(tt.after))
		}
		assert.Truef(t, (c.Plan != nil) == tt.plan && due == tt.due && c.Saved == tt.saved,
			"%s: plan %v, due %t, saved %v", tt.name, c.Plan, due, c.Saved)
	}
	for _, stays := range []bool{false, true} {
		c, late := &Consolidate{On: true}, now.Add(6*time.Minute)
		c.Adopt(Plan{Nodes: []string{"a"}}, now)
		c.Stays = stays
		c.See([]Node{node(nil)}, late)
		assert.Equalf(t, !stays, c.MayGo(node(nil), 0, late), "may go at once after a plan that did not begin, stays %t", stays)
	}
	c, soon := &Consolidate{On: true}, now.Add(30*time.Second)
	c.Adopt(Plan{Nodes: []string{"a"}}, now)
	c.Stays = true
	c.See([]Node{node(nil)}, soon)
	assert.Nil(t, c.Plan, "something holds its node before it has begun")
	assert.False(t, c.MayGo(node(nil), 0, soon.Add(59*time.Second)), "others have their turn")
	assert.True(t, c.MayGo(node(nil), 0, soon.Add(time.Minute)), "a rollout has ended")
	c = &Consolidate{On: true} // of the next leader
	if _, due := c.Due(node(&placing), now); due {
		t.Error("a move goes on without its plan")
	}
	c.Adopt(Plan{Nodes: []string{"a"}, Saving: 0.1}, now)
	c.Removed("a")
	if c.See(nil, now); c.Plan != nil || c.Saved != 0.1 {
		t.Errorf("after the removal: plan %v, saved %v", c.Plan, c.Saved)
	}
	c.Adopt(Plan{Nodes: []string{"a"}}, now)
	c.Drop(now)
	if _, due := c.Due(node(&placing), now); due {
		t.Error("the move of a dropped plan goes on")
	}
	c.Adopt(Plan{Nodes: []string{"b", "a"}}, now)
	c.Removed("b")
	c.See([]Node{node(nil)}, now.Add(19*time.Minute))
	assert.NotNil(t, c.Plan, "the plan, while the pods of its first node start")
	c.See([]Node{node(nil)}, now.Add(20*time.Minute))
	assert.Nil(t, c.Plan)
	c.Adopt(Plan{Nodes: []string{"b", "a"}, Saving: 0.2}, now)
	c.Stays = true
	c.See([]Node{ending}, soon)
	assert.NotNil(t, c.Plan, "the plan, while its first node ends and a rollout keeps the other")
	c.Stays = false
	c.Removed("b")
	c.See([]Node{ending}, soon)
	c.Removed("a")
	assert.InDelta(t, 0.3, c.Saved, 1e-9, "saved by both plans, whose last node was ending before it was counted")
	c.See([]Node{ending}, soon)
	assert.Nil(t, c.Plan, "the plan whose nodes are counted, while AWS ends the last one")
	got := newHost("a", "small", "2", 0.1, "1") // a pod that comes for one of the first node
	got.Pods[0].CreationTimestamp = metav1.NewTime(now)
	pods := func() []*corev1.Pod { return []*corev1.Pod{got.Pods[0].Pod} }
	c.Adopt(Plan{Nodes: []string{"b", "a"}}, now)
	c.Began(pods(), now)
	c.Removed("b")
	c.See([]Node{{Node: got.Node, Instance: &group.Instance{}, Pods: pods}}, now.Add(time.Minute))
	assert.Nil(t, c.Plan, "none of the others may go within the hour")
}
