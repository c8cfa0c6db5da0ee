package readiness

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The core counts a node that is not Ready as upcoming for --max-node-startup-time after its creation.
func TestNodeFromWarmPoolIsAsNewAsInItsGroup(t *testing.T) {
	pooled := awsworld.Group("warm", "g4dn.xlarge", 0, 1, 5, nil)
	pooled.WarmPool = &fakeaws.WarmPool{Warmed: 1}
	w := awsworld.New(t, nil, pooled)
	now := testclock.NewFakeClock(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	s, ctx := starting(w, now)
	days := metav1.NewTime(now.Now().Add(-72 * time.Hour))
	as := func(status corev1.ConditionStatus, n *corev1.Node) *corev1.Node {
		n.CreationTimestamp = days
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
		return n
	}
	ids, err := w.AWS.Warmed("warm")
	require.NoError(t, err)
	require.Len(t, ids, 1, "instances in the pool")
	warmed := as(corev1.ConditionUnknown, awsworld.Node("warmed", nodemeta.ProviderID(pooled.Zones[0], ids[0])))
	broken := as(corev1.ConditionFalse, w.Nodes("warm")[0])
	made := func(n *corev1.Node, ready ...*corev1.Node) time.Time {
		t.Helper()
		all, ready := s.FilterOutNodesWithUnreadyResources(ctx, []*corev1.Node{broken, warmed}, ready, nil, nil)
		require.Truef(t, len(all) == 2 && len(ready) == 0, "%d nodes of 2, %d of them ready, want none", len(all), len(ready))
		for _, got := range all {
			if got.Name == n.Name {
				return got.CreationTimestamp.Time
			}
		}
		return time.Time{}
	}
	assert.Equal(t, days.Time, made(warmed), "in the pool, the node was made")
	require.NoError(t, w.Grow("warm", 1))
	w.Eventually(func() string {
		if w.Reread(); !w.IsMember(warmed) {
			return "the instance is not in the group"
		}
		return ""
	})
	joined := now.Now()
	assert.Equal(t, joined, made(warmed), "in the group, the node counts as made")
	now.Step(10 * time.Minute)
	assert.Equal(t, joined, made(warmed), "ten minutes later, the node counts as made")
	assert.Equal(t, days.Time, made(broken), "a broken node of the group counts as made")
	assert.Equal(t, days, warmed.CreationTimestamp, "the watched node was changed: it was made")
	as(corev1.ConditionTrue, warmed)
	assert.Equal(t, joined, made(warmed, warmed), "while it is Ready without its GPU, the node counts as made")
	as(corev1.ConditionFalse, warmed)
	assert.Equal(t, joined, made(warmed), "broken after it was Ready, the node counts as made")
	now.Step(5 * time.Minute)
	assert.Equal(t, days.Time, made(warmed), "broken after its start-up time, the node counts as made")
}
