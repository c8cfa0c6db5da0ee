package status

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	scaleup "k8s.io/autoscaler/cluster-autoscaler/processors/status"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEventOnPodCountsGroupsLeftOut(t *testing.T) {
	group := func(name, instanceType string) fakeaws.AutoScalingGroup {
		return awsworld.Group(name, instanceType, 0, 0, 5, nil)
	}
	suspended, operated := group("suspended", "g4dn.xlarge"), group("operated", "g4dn.xlarge")
	suspended.SuspendedProcesses, operated.Operator = []string{"Launch"}, "example.amazonaws.com"
	z := newZonalWorld(t, awsworld.NewDivided(t, nil, suspended, operated, group("empty", "m5.large"), group("sound", "g4dn.xlarge")))
	z.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	if err := z.Grow("empty", 1); err == nil {
		t.Fatal("launched where there is no capacity")
	}
	launchable := &nodegroups.Launchable{Provider: z.Provider}
	able, _, err := launchable.Process(z.ctx, z.NodeGroups(), z.ctx.TemplateNodeInfoRegistry.GetNodeInfos(), nil)
	require.NoError(t, err)
	shared := map[string]scaleup.Reasons{"sound": orchestrator.MaxLimitReachedReason}
	for _, tt := range []struct {
		name    string
		skipped map[string]scaleup.Reasons
		want    string
	}{
		{"beside another", shared, "1 in cool-down (no-capacity), 1 max node group size reached, 1 unable to launch (see the event NodeGroupProblem)"},
		{"alone", nil, "1 in cool-down (no-capacity), 1 unable to launch (see the event NodeGroupProblem)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpNoOptionsAvailable, ConsideredNodeGroups: able, PodsRemainUnschedulable: []scaleup.NoScaleUpInfo{
				{Pod: pending("one", "1", nil), SkippedNodeGroups: tt.skipped}, {Pod: pending("two", "1", nil), SkippedNodeGroups: tt.skipped}}}
			launchable.AddLeftOut(s)
			(&scaleup.EventingScaleUpStatusProcessor{}).Process(z.ctx, s)
			events := z.published()
			assert.Equalf(t, 2, len(events), "events on 2 pods: %q", events)
			for _, event := range events {
				// The core lists the reasons in any order.
				reasons := strings.Split(strings.TrimPrefix(event, "Normal NotTriggerScaleUp pod didn't trigger scale-up: "), ", ")
				slices.Sort(reasons)
				assert.Equal(t, tt.want, strings.Join(reasons, ", "), "event")
			}
		})
	}
}
