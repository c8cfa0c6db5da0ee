package decisions_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The node of the warned instance is Ready, and its group is as large as desired. AWS's own replacement does not count in that.
func TestPodsOfAWarnedNodeWaitForTheReplacementByCapacityRebalancing(t *testing.T) {
	g := awsworld.Group("spot", "m5.large", 0, 1, 5, nil)
	g.CapacityRebalance = true
	on := awsworld.NewAWS(t, func(c *fakeaws.Config) {
		c.Delays.InService = fakeaws.Duration(15 * time.Second)
		c.Delays.Synchronous = fakeaws.Duration(20 * time.Millisecond)
		c.LaunchTemplates[0].Versions[0].Spot = true
	}, g)
	w := newWorld(t, on, options())
	node := w.ready("spot")[0]
	w.put(node)
	w.loop()
	require.NoError(t, w.AWS.Announce(nodemeta.InstanceOf(node), fakeaws.Deed{Kind: fakeaws.Interrupt}))
	require.Eventually(t, func() bool { s, _ := w.AWS.Group("spot"); return len(s.Instances) == 2 }, 10*time.Second, 50*time.Millisecond, "AWS's replacement")
	w.Reread()
	w.put(taken(node.DeepCopy(), event.SpotInterruption))
	w.put(waiting("evicted", "web", "1"))
	r := w.loop()
	assert.Equalf(t, 1, w.Target("spot"), "target size; pod %+v", w.pod(r, "evicted"))
	assert.Equal(t, 1, w.group(r, "spot").Ready, "ready nodes, beside AWS's replacement")
}
