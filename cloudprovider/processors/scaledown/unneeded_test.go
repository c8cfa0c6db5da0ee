package scaledown

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
)

// start is when the first loop ran. Moments are counted from there.
var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return start.Add(d) }

// unneededNodes are unneeded nodes by how long they must be so.
func unneededNodes(nodes map[string]time.Duration) (list []*scaledown.UnneededNode) {
	for name, length := range nodes {
		list = append(list, &scaledown.UnneededNode{Node: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, RemovalThreshold: length})
	}
	return list
}

func TestNextRemoval(t *testing.T) {
	type found map[string]time.Duration
	options := config.AutoscalingOptions{ScaleDownDelayAfterAdd: 10 * time.Minute, ScaleDownDelayAfterDelete: 20 * time.Second}
	local := options
	local.ScaleDownDelayTypeLocal = true
	const minute = time.Minute
	for _, tt := range []struct {
		name    string
		options config.AutoscalingOptions
		loops   []found       // unneeded nodes of the loops, 10 s apart
		ran     time.Duration // start of the last loop, which may have ended before it looked at nodes
		scaleUp time.Duration
		removal time.Duration
		want    time.Duration // 0 for none. The core wants more than the unneeded time
	}{
		{name: "no unneeded node", loops: []found{{}}},
		{name: "a node", loops: []found{{"a": minute}}, want: minute + 1},
		{name: "since the first loop that found it", loops: []found{{"a": minute}, {"a": minute}}, ran: 10 * time.Second, want: minute + 1},
		{name: "needed in between", loops: []found{{"a": minute}, {}, {"a": minute}}, ran: 20 * time.Second, want: 20*time.Second + minute + 1},
		{name: "not Ready any more, which takes longer", loops: []found{{"a": minute}, {"a": 20 * minute}}, ran: 10 * time.Second, want: 20*minute + 1},
		{name: "two nodes", loops: []found{{"a": minute, "b": 2 * minute}}, want: minute + 1},
		{name: "two nodes close to each other", loops: []found{{"a": minute, "b": minute + together}}, want: minute + together + 1},
		{name: "two nodes apart", loops: []found{{"a": minute, "b": minute + together + 1}}, want: minute + 1},
		{name: "kept by the loop of its moment", loops: []found{{"a": minute}, {"a": minute}}, ran: minute + 1},
		{name: "the next after one that was kept", loops: []found{{"a": minute, "b": 2 * minute}}, ran: minute + time.Second, want: 2*minute + 1},
		{name: "pause after a scale-up", options: options, loops: []found{{"a": minute}}, want: 10 * minute},
		{name: "time over within the pause", options: options, loops: []found{{"a": minute}}, ran: 5 * minute, want: 10 * minute},
		{name: "pause over", options: options, loops: []found{{"a": minute}}, ran: 10 * minute},
		{name: "pause begins again", options: options, loops: []found{{"a": minute}}, ran: 10 * minute, scaleUp: 9 * minute, want: 19 * minute},
		{name: "pause after a removal", options: options, loops: []found{{"a": minute}}, scaleUp: -time.Hour, removal: 50 * time.Second, want: 70 * time.Second},
		{name: "pause of single groups", options: local, loops: []found{{"a": minute}}, want: minute + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := &UnneededTimes{Options: tt.options, Kept: func() map[string]KeptBy { return nil }}
			for i, nodes := range tt.loops {
				u.UpdateScaleDownCandidates(unneededNodes(nodes), after(time.Duration(i)*10*time.Second))
			}
			got := u.Next(after(tt.ran), after(tt.scaleUp), after(tt.removal))
			want := time.Time{}
			if tt.want != 0 {
				want = after(tt.want)
			}
			assert.Truef(t, got.Equal(want), "next removal %v after the first loop, want %v", got.Sub(start), tt.want)
		})
	}
}

// A process before this one marked the node. With --node-deletion-candidate-ttl the core's first plan goes on from there.
func TestUnneededTimeGoesOnAfterARestart(t *testing.T) {
	for _, tt := range []struct {
		ttl, marked, want time.Duration
	}{
		{ttl: 30 * time.Minute, marked: -8 * time.Minute, want: -8 * time.Minute},
		{ttl: 30 * time.Minute, marked: -31 * time.Minute},
		{marked: -8 * time.Minute},
	} {
		nodes := unneededNodes(map[string]time.Duration{"a": 10 * time.Minute})
		nodes[0].Node.Spec.Taints = []corev1.Taint{{Key: taints.DeletionCandidateTaintKey, Value: fmt.Sprint(after(tt.marked).Unix())}}
		u := &UnneededTimes{Options: config.AutoscalingOptions{NodeDeletionCandidateTTL: tt.ttl}}
		u.UpdateScaleDownCandidates(nodes, start)
		assert.Equalf(t, tt.want, u.Nodes["a"].Since.Sub(start), "marked %v before, with a time of %v", -tt.marked, tt.ttl)
		u.UpdateScaleDownCandidates(nil, start)
		u.UpdateScaleDownCandidates(nodes, start)
		assert.Zero(t, u.Nodes["a"].Since.Sub(start), "needed in between")
	}
}
