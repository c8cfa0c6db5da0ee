package scaleup

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	testprovider "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/test"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
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

// The core compares the limit with the Ready nodes alone, and its packing with all of them.
func TestLimitOfNodesThatAreNotAllReadyIsNamed(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 9}}, func(o *config.AutoscalingOptions) { o.MaxNodesTotal = 2 })
	w.limits = []estimator.Threshold{estimator.NewClusterCapacityThreshold()}
	cordoned := utiltest.BuildTestNode("cordoned", 1000, 1<<30)
	cordoned.Spec.Unschedulable = true
	result, err := w.start(Options{}).ScaleUp(filling(2), []*apiv1.Node{utiltest.BuildTestNode("n", 1000, 1<<30), cordoned}, nil, w.nodeInfos, false)
	require.NoError(t, err)
	assert.Equal(t, status.ScaleUpLimitedByMaxNodesTotal, result.Result, "result")
	assert.Len(t, result.PodsRemainUnschedulable, 2, "pods that remain")
	assert.Empty(t, w.asked, "requests")
}
