package plugin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/stretchr/testify/require"
)

// A real node shows page sizes of which it has none, and the core compares a real node of one group with the template of the other.
func TestTemplateIsSimilarToNodeOfAnotherZone(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil), awsworld.Group("b", "m5.large", 0, 0, 5, nil))
	p := serve(t, w, 5*time.Second)
	template := func(group string) *framework.NodeInfo {
		t.Helper()
		require.NoError(t, p.core.Refresh())
		info, err := p.group(t, group).TemplateNodeInfo()
		require.NoError(t, err)
		return info
	}
	similar := nodegroupset.CreateGenericNodeInfoComparator(nil, config.NewDefaultNodeGroupDifferenceRatios())
	node := template("a").Node().DeepCopy()
	for _, list := range []corev1.ResourceList{node.Status.Capacity, node.Status.Allocatable} {
		list["hugepages-2Mi"] = resource.MustParse("0")
	}
	require.False(t, similar(framework.NewNodeInfo(node, nil), template("b")), "the comparator does not see page sizes")
	require.NoError(t, p.nodes.Add(node))
	assert.Truef(t, similar(framework.NewNodeInfo(node, nil), template("b")),
		"template = %v, not similar to the node with %v", template("b").Node().Status.Capacity, node.Status.Capacity)
}
