package aws_test

import (
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnneededNodesUnderWayAreGivenBack(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	w := newAWS(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil), awsworld.Group("least", "m5.large", 0, 0, 5, nil)).
		restartedWith(func(o *asg.Options, _ *aws.Options) { o.Clock = now })
	for _, name := range w.IDs() {
		require.NoError(t, w.AWS.Suspend(name, "Launch"))
		require.NoError(t, w.Grow(name, 2))
	}
	require.NoError(t, w.AWS.SetLimits("least", 2, 5))
	now.Step(21 * time.Second) // AWS begins launches sooner
	w.Reread()
	w.GiveBack("least", 2) // what the minimum size wants
	w.GiveBack("unknown", 2)
	w.GiveBack("a", 1)
	w.Eventually(func() string {
		if state, _ := w.AWS.Group("a"); state.Desired != 2 || w.Target("a") != 2 {
			return fmt.Sprintf("desired capacity is %d and target size %d, want 2 and 2", state.Desired, w.Target("a"))
		}
		return ""
	})
	assert.Equal(t, 2, w.Target("least"), "the target of the group at its minimum")
}
