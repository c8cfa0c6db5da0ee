package aws_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
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

// They say nothing of the next node, and last: by size alone equal groups fill evenly.
func TestProblemsOfAPresentNodeOrAnIdleTagPutNoGroupLast(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("sound", "m5.large", 0, 0, 5, nil), awsworld.Group("odd-node", "m5.large", 0, 1, 5, nil),
		awsworld.Group("misspelt", "m5.large", 0, 0, 5, map[string]string{"asg-autoscaler.github.io/pause": "true"}),
		awsworld.Group("move-tag", "m5.large", 0, 0, 5, map[string]string{move.TagBudget: "some"}))
	odd := w.Members("odd-node", nil)[0]
	odd.Status.Capacity["memory"], odd.Status.Allocatable["memory"] = resource.MustParse("524288Ki"), resource.MustParse("400000Ki")
	w.Cluster.Put(t, odd)
	w.NextLoop()
	for _, name := range []string{"odd-node", "misspelt", "move-tag"} {
		assert.Truef(t, slices.ContainsFunc(w.Problems(), func(p aws.Problem) bool { return p.Group == name }), "%s has no problem", name)
		assert.Equalf(t, w.Rank("sound"), w.Rank(name), "rank of %s", name)
	}
}
