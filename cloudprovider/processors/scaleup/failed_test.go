package scaleup

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	testprovider "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/test"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
)

// refusing is a cloud whose groups show one instance that AWS could not launch.
type refusing struct {
	*testprovider.TestCloudProvider
}

type refusedGroup struct{ cloudprovider.NodeGroup }

func (r refusing) NodeGroups() (groups []cloudprovider.NodeGroup) {
	for _, g := range r.TestCloudProvider.NodeGroups() {
		groups = append(groups, refusedGroup{g})
	}
	return groups
}

func (g refusedGroup) Nodes() ([]cloudprovider.Instance, error) {
	instances, err := g.NodeGroup.Nodes()
	return append(instances, cloudprovider.Instance{Id: "refused", Status: &cloudprovider.InstanceStatus{State: cloudprovider.InstanceCreating,
		ErrorInfo: &cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OutOfResourcesErrorClass, ErrorCode: "LaunchFailed", ErrorMessage: "not today"}}}), err
}

// The group has two nodes that are about to end, which its size does not count. So the core takes its scale-up for finished.
func TestRefusedGroupWithLeavingNodesIsPaused(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 5}})
	w.backoff = nodegroups.NewPauses(5*time.Minute, 30*time.Minute, 3*time.Hour)
	events := record.NewFakeRecorder(10)
	recorder, err := utils.NewStatusMapRecorder(fake.NewClientset(), "kube-system", events, true, "status")
	require.NoError(t, err)
	w.ctx.LogRecorder = recorder
	w.ctx.CloudProvider = refusing{w.provider}
	failing := false
	o := w.start(Options{Failing: func(string) bool { return failing }, Clock: clock.RealClock{}})
	state := w.state
	var leaving []*apiv1.Node
	for _, name := range []string{"leaving-1", "leaving-2"} {
		node := utiltest.BuildTestNode(name, 1000, 1<<30)
		utiltest.SetNodeReadyState(node, true, time.Now())
		w.provider.AddNode("a", node)
		leaving = append(leaving, node)
	}
	loop := func() {
		o.Refresh()
		require.NoError(t, state.UpdateNodes(leaving, w.nodeInfos, time.Now()))
		_, err = o.ScaleUp(filling(1), leaving, nil, w.nodeInfos, false)
		require.NoError(t, err)
	}
	paused := func(after time.Duration) bool {
		return state.BackoffStatusForNodeGroup(w.ctx.CloudProvider.NodeGroups()[0], time.Now().Add(after)).IsBackedOff
	}
	loop()
	assert.Falsef(t, paused(0), "the group is paused before AWS refused anything: %q", w.asked)
	failing = true
	loop()
	assert.True(t, paused(4*time.Minute), "the group is paused as after a launch, and not as after a call")
	assert.Len(t, w.asked, 1, "requests")
	loop()
	close(events.Events)
	var failures []string
	for e := range events.Events {
		if strings.Contains(e, "ScaleUpFailed") {
			failures = append(failures, e)
		}
	}
	assert.Len(t, failures, 1, "events of the failure")
	assert.Contains(t, strings.Join(failures, ""), "not today")
}
