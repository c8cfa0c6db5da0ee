package nodegroups

import (
	"fmt"
	"testing"

	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

func TestAGroupAtZeroIsComparedByItsTemplate(t *testing.T) {
	inZone := func(g fakeaws.AutoScalingGroup, zone string) fakeaws.AutoScalingGroup {
		g.Zones = []string{zone}
		return g
	}
	team := map[string]string{awsworld.Template + "label/team": "dsp"}
	w := awsworld.New(t, nil,
		awsworld.Group("live", "m5.large", 0, 1, 5, team),
		awsworld.Group("other-live", "m5.large", 0, 1, 5, nil),
		inZone(awsworld.Group("zero", "m5.large", 0, 0, 5, team), "cn-northwest-1b"),
		inZone(awsworld.Group("starting", "m5.large", 0, 2, 5, team), "cn-northwest-1b"),
		awsworld.Group("zero-other-label", "m5.large", 0, 0, 5, map[string]string{awsworld.Template + "label/team": "web"}),
		awsworld.Group("zero-other-type", "g4dn.xlarge", 0, 0, 5, team))
	similar := NewSimilar(w.Provider, nodegroupset.CreateAwsNodeInfoComparator(nil, config.NewDefaultNodeGroupDifferenceRatios()))

	// liveNode is the template's node with what only a real one has.
	liveNode := func(id string) *framework.NodeInfo {
		info, err := w.NodeGroup(id).TemplateNodeInfo()
		require.NoError(t, err)
		n := info.Node().DeepCopy()
		n.Labels["k8s.io/cloud-provider-aws"] = "0123"
		n.Status.Capacity["hugepages-2Mi"] = *n.Status.Capacity.Name("pods", "DecimalSI")
		n.Status.Allocatable["hugepages-2Mi"] = n.Status.Capacity["hugepages-2Mi"]
		return named(framework.NewNodeInfo(n, nil), id)
	}
	fromTemplate := func(id string) *framework.NodeInfo {
		info, err := w.NodeGroup(id).TemplateNodeInfo()
		require.NoError(t, err)
		return named(info, id)
	}
	for _, tt := range []struct {
		name string
		a, b *framework.NodeInfo
		want bool
	}{
		{name: "same but for the zone", a: liveNode("live"), b: fromTemplate("zero"), want: true},
		{name: "the other way round", a: fromTemplate("zero"), b: liveNode("live"), want: true},
		{name: "with instances that are no nodes yet", a: liveNode("live"), b: fromTemplate("starting"), want: true},
		{name: "another label", a: liveNode("live"), b: fromTemplate("zero-other-label")},
		{name: "another type", a: liveNode("live"), b: fromTemplate("zero-other-type")},
		{name: "two groups with nodes are compared by them", a: liveNode("live"), b: liveNode("other-live")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, similar(tt.a, tt.b), "similar")
		})
	}
}

func TestObservedFactsMakeNoGroupDifferent(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("seen", "m5.large", 0, 2, 5, nil), awsworld.Group("unseen", "m5.large", 0, 0, 5, nil))
	nodes := w.Cluster
	real := w.Members("seen", map[string]string{"team": "dsp"})
	nodes.Put(t, real...)
	w.NextLoop()
	nodes.Drop(t, real...)
	w.Emptied("seen")
	core := nodegroupset.CreateAwsNodeInfoComparator(nil, config.NewDefaultNodeGroupDifferenceRatios())
	seen, err := w.NodeGroup("seen").TemplateNodeInfo()
	require.NoError(t, err)
	unseen, err := w.NodeGroup("unseen").TemplateNodeInfo()
	require.NoError(t, err)
	require.False(t, core(seen, unseen), "the templates are alike to the core: this proves nothing")
	if similar := NewSimilar(w.Provider, core); !similar(named(seen, "seen"), named(unseen, "unseen")) {
		t.Error("two groups that differ in nothing but what was seen of them are not balanced")
	}
}

// The core compares each group that may grow with all groups, and raises several in a loop.
func TestTemplatesToCompareAreMadeOnce(t *testing.T) {
	const count = 30
	var groups []fakeaws.AutoScalingGroup
	for n := range count {
		groups = append(groups, awsworld.Group(fmt.Sprint("group-", n), "m5.large", 0, 0, 5, nil))
	}
	w := awsworld.New(t, nil, groups...)
	compared := map[*framework.NodeInfo]bool{}
	similar := NewSimilar(w.Provider, func(a, b *framework.NodeInfo) bool {
		compared[a], compared[b] = true, true
		return false
	})
	var infos []*framework.NodeInfo
	for _, g := range groups {
		info, err := w.NodeGroup(g.Name).TemplateNodeInfo()
		require.NoError(t, err)
		infos = append(infos, named(info, g.Name))
	}
	for range 2 {
		for _, a := range infos {
			for _, b := range infos {
				similar(a, b)
			}
		}
		require.NoError(t, w.Grow("group-0", 1))
	}
	assert.Len(t, compared, 2*count, "NodeInfos, the given ones included")
}

func named(info *framework.NodeInfo, id string) *framework.NodeInfo {
	nodemeta.NodeGroup.Set(info.Node(), id)
	return info
}
