package scaleup

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	testprovider "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/test"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
)

// byProviderID knows the groups of nodes by their provider IDs, as we do.
type byProviderID struct {
	*testprovider.TestCloudProvider
}

func (b byProviderID) NodeGroupForNode(node *apiv1.Node) (cloudprovider.NodeGroup, error) {
	if node.Spec.ProviderID == "" {
		return nil, nil
	}
	return b.TestCloudProvider.NodeGroupForNode(node)
}

// The core counts all nodes of a group by the first one.
func TestNodesOfSeveralSizesCountByThemselves(t *testing.T) {
	for range 5 {
		w := newWorld(t, map[string]zone{"mix": {max: 9, cpus: 2}})
		w.provider.SetResourceLimiter(cloudprovider.NewResourceLimiter(nil, map[string]int64{cloudprovider.ResourceNameCores: 24}))
		w.ctx.CloudProvider = byProviderID{w.provider}
		var nodes []*apiv1.Node
		for name, cpus := range map[string]int64{"small": 2, "too": 2, "large": 16} {
			node := utiltest.BuildTestNode(name, cpus*1000, 1<<30)
			node.Spec.ProviderID = "aws:///a/" + name
			w.provider.AddNode("mix", node)
			nodes = append(nodes, node)
		}
		rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		pods := []*apiv1.Pod{utiltest.BuildTestPod("a", 1800, 1), utiltest.BuildTestPod("b", 1800, 1), utiltest.BuildTestPod("c", 1800, 1)}
		_, err := w.start(Options{}).ScaleUp(pods, nodes, nil, w.nodeInfos, false)
		require.NoError(t, err)
		assert.Equal(t, []string{"mix +2"}, w.asked, "the limit of 24 CPUs leaves two nodes of two beside 20")
	}
}

// The device plugin of the node restarts. The core would ask the node's group how many GPUs it has.
func TestNodeThatHasLostItsGPUsCountsThem(t *testing.T) {
	w := newWorld(t, map[string]zone{"gpu": {max: 9, gpu: true}})
	w.provider.SetResourceLimiter(cloudprovider.NewResourceLimiter(nil, map[string]int64{"a10g": 2}))
	w.ctx.CloudProvider = byProviderID{w.provider}
	node := utiltest.BuildTestNode("lost", 1000, 1<<30)
	node.Spec.ProviderID, node.Labels[w.provider.GPULabel()] = "aws:///a/lost", "a10g"
	w.provider.AddNode("gpu", node)
	_, err := w.start(Options{}).ScaleUp(replicas("web", 3, 800, withGPU), []*apiv1.Node{node}, nil, w.nodeInfos, false)
	require.NoError(t, err)
	assert.Equal(t, []string{"gpu +1"}, w.asked, "the limit of 2 GPUs leaves one beside the node's own")
}

// The core passes on what it said last in a loop, and forgets the pods.
func TestLimitOfNodesIsNamedAfterTheMinimumSizes(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}}, func(o *config.AutoscalingOptions) { o.MaxNodesTotal, o.ScaleUpFromZero = 1, true })
	delay := &NoPodAgeDelay{ActionableClusterProcessor: w.processors.ActionableClusterProcessor, Enforcer: w.processors.ScaleUpEnforcer, MaxNodesTotal: 1}
	o, nodes := w.start(Options{Limited: delay.Limited}), []*apiv1.Node{utiltest.BuildTestNode("n", 1000, 1<<30)}
	for _, pods := range [][]*apiv1.Pod{filling(2), nil} {
		_, _ = delay.ShouldAbort(w.ctx, nodes, nodes, time.Now())
		assert.False(t, delay.ShouldForceScaleUp(pods), "ShouldForceScaleUp")
		result, err := o.ScaleUpToNodeGroupMinSize(nodes, w.nodeInfos)
		require.NoError(t, err)
		assert.Equal(t, len(pods) > 0, result.Result == status.ScaleUpLimitedByMaxNodesTotal, "limited")
		assert.Len(t, result.PodsRemainUnschedulable, len(pods), "pods that remain")
	}
}
