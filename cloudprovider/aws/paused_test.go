package aws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The core looks at the sizes first. A change that it asks for all the same is refused.
func TestPausedGroupIsLeftAlone(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	end := now.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for value, want := range map[string]struct {
		least, most int
		up, down    bool // it may grow, and lose nodes
	}{
		"false":      {1, 5, true, true},
		"true":       {2, 2, false, false},
		"scale-up":   {1, 2, false, true},
		"scale-down": {2, 5, true, false},
		"yes":        {2, 2, false, false},
	} {
		t.Run(value, func(t *testing.T) {
			w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 1, 2, 5, map[string]string{group.TagPaused: value}),
				func(o *asg.Options, a *aws.Options) { o.Clock, a.Clock = now, now })
			ng := w.NodeGroup("a")
			assert.Truef(t, ng.MinSize() == want.least && ng.MaxSize() == want.most,
				"sizes from %d to %d, want %d to %d", ng.MinSize(), ng.MaxSize(), want.least, want.most)
			node := w.Nodes("a")[:1]
			assert.Equal(t, !want.down, w.Keeps(node[0]), "nodes are left alone")
			w.AWS.ResetCalls()
			err := w.Grow("a", 1)
			assert.Equalf(t, want.up, err == nil, "growth: %v", err)
			if err := ng.AtomicIncreaseSize(1); !want.up && (err == nil || !strings.Contains(err.Error(), group.TagPaused)) {
				t.Errorf("growth at once: %v, want an error with the tag", err)
			}
			err = ng.DeleteNodes(node)
			assert.Equalf(t, want.down, err == nil, "deletion: %v", err)
			if calls := w.AWS.Calls(); !want.up && !want.down && calls["LaunchInstances"]+calls["SetDesiredCapacity"]+calls["TerminateInstanceInAutoScalingGroup"] > 0 {
				t.Errorf("calls %v change a group that is left alone", calls)
			}
		})
	}
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 1, 5, map[string]string{group.TagPaused: "true until=" + end.Format(time.RFC3339)}),
		func(o *asg.Options, a *aws.Options) { o.Clock, a.Clock = now, now })
	for _, most := range []int{1, 5} {
		assert.Equalf(t, most, w.NodeGroup("a").MaxSize(), "the maximum at %s", now.Now())
		now.Step(2 * time.Hour)
	}
}

func TestGroupWhoseTerminationsAreDeniedKeepsItsNodes(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil), awsworld.Group("b", "m5.large", 0, 2, 5, nil))
	w.AWS.Inject(fakeaws.Fault{Group: "a", Action: terminateCall, Code: "AccessDenied"})
	nodes, others := w.Nodes("a"), w.Nodes("b")
	require.ErrorContains(t, w.NodeGroup("a").DeleteNodes(nodes[:1]), "AccessDenied")
	require.NoError(t, w.NodeGroup("b").DeleteNodes(others[:1]))
	assert.True(t, w.Keeps(nodes[0]) && w.Keeps(nodes[1]), "its nodes are not left alone")
	assert.False(t, w.Keeps(others[1]), "another group's node is left alone")
	assert.Equal(t, 2, w.NodeGroup("a").MinSize(), "the size below which the core removes no node")
}

func TestUnreadablePauseIsAProblem(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 3, 9))
	w.setTag("a", group.TagPaused, "till monday")
	w.Reread()
	w.wantEvent(`"a"`, group.TagPaused, "delete-tags")
	w.wantProblems(map[string]float64{"a invalid-paused-tag": 1})
}
