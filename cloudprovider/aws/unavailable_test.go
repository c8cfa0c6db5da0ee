package aws_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestInterruptedGroupHasRecentFailure(t *testing.T) {
	w := newWorld(t, func(cfg *fakeaws.Config) {
		cfg.LaunchTemplates = append(cfg.LaunchTemplates, fakeaws.LaunchTemplate{Name: "spot",
			Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.large", Spot: true}}})
	}, awsworld.Group("spot", "spot", 0, 0, 5, nil), awsworld.Group("on-demand", "m5.large", 0, 0, 5, nil))
	reason, known := w.RecentFailure("spot")
	assert.Falsef(t, known, "before any interruption: %s", reason)
	w.Cache.Interrupted(cooldown.Pool{InstanceType: "m5.large", Zone: "cn-northwest-1a"}, "warned")
	for name, want := range map[string]string{"spot": "spot instances taken back", "on-demand": "", "unknown": ""} {
		got, _ := w.RecentFailure(name)
		assert.Equalf(t, want, got, "trouble of %s", name)
	}
}

func TestReservedCapacityComesFirstAmongGroupsWithAsManyProblems(t *testing.T) {
	reserved := func(name string, tags map[string]string) fakeaws.AutoScalingGroup {
		g := awsworld.Group(name, "m5.large", 0, 0, 5, tags)
		g.CapacityReservations = &fakeaws.CapacityReservations{Preference: "capacity-reservations-only", IDs: []string{"cr-1"}}
		return g
	}
	w := newWorld(t, nil, awsworld.Group("on-demand", "m5.large", 0, 0, 5, nil), reserved("reserved", nil),
		reserved("wrong-tag", map[string]string{group.TagSpendCap: "much"}))
	w.NextLoop()
	assert.Less(t, w.Rank("reserved"), w.Rank("on-demand"))
	assert.Less(t, w.Rank("on-demand"), w.Rank("wrong-tag"))

	w.AWS.AddShortage(fakeaws.Shortage{Group: "reserved", Code: "InsufficientInstanceCapacity"})
	require.NoError(t, w.NodeGroup("reserved").IncreaseSize(1))
	require.Eventually(t, func() bool { _, failed := w.RecentFailure("reserved"); return failed }, 10*time.Second, 10*time.Millisecond)
	assert.Less(t, w.Rank("on-demand"), w.Rank("reserved"), "after a failed launch")
	assert.Less(t, w.Rank("reserved"), w.Rank("wrong-tag"))
}
