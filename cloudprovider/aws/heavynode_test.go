package aws_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/require"
)

// heavy is a weighted group for which AWS has only the heavy type, with a desired capacity and the instances that AWS has launched for it.
func heavy(t *testing.T, desired, instances int) *awsworld.World {
	t.Helper()
	w := awsworld.New(t, nil, awsworld.Weighted("w", 0, 0))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.NoError(t, w.AWS.SetDesired("w", desired))
	await(w, instances)
	return w
}

// await waits until AWS has that number of instances in service, and no others.
func await(w *awsworld.World, instances int) {
	w.T.Helper()
	w.Eventually(func() string {
		s, _ := w.AWS.Group("w")
		in := 0
		for _, i := range s.Instances {
			if i.State == "InService" {
				in++
			}
		}
		if in != instances || len(s.Instances) != instances {
			return fmt.Sprintf("%d instances of %d are in service, want %d", in, len(s.Instances), instances)
		}
		return ""
	})
	w.Reread()
}

func TestHeavyNodesCanGo(t *testing.T) {
	w := heavy(t, 5, 2)
	assert.Equal(t, 0, w.NodeGroup("w").MinSize(), "the minimum in nodes that the core sees, want none")
	for _, n := range w.Nodes("w") {
		assert.NoErrorf(t, w.NodeGroup("w").DeleteNodes([]*corev1.Node{n}), "node %s", n.Name)
	}
	await(w, 0)
	s, _ := w.AWS.Group("w")
	assert.Equal(t, 0, s.Desired, "desired capacity")
}

func TestHeavyNodeDoesNotFulfilNextScaleUp(t *testing.T) {
	w := heavy(t, 1, 1)
	require.NoError(t, w.Grow("w", 1))
	assert.Equal(t, 2, w.Target("w"), "a target in nodes")
	await(w, 2)
}
