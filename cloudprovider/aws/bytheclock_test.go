package aws_test

import (
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const always = "any any any any any for=1h min=3 max=4"

func TestNodeGroupHasTheSizesOfItsSchedule(t *testing.T) {
	tags := func(paused string) map[string]string {
		tags := map[string]string{group.TagSchedule + "x": always}
		if paused != "" {
			tags[group.TagPaused] = paused
		}
		return tags
	}
	weighted := awsworld.Weighted("a", 0, 2)
	weighted.Tags[group.TagSchedule+"x"] = always
	for name, tt := range map[string]struct {
		group       fakeaws.AutoScalingGroup
		least, most int
		below       bool
	}{
		"plain":                 {awsworld.Group("a", "m5.large", 0, 1, 9, tags("")), 3, 4, true},
		"reached":               {awsworld.Group("a", "m5.large", 0, 3, 9, tags("")), 3, 4, false},
		"by AWS's own minimum":  {awsworld.Group("a", "m5.large", 3, 3, 9, tags("")), 3, 4, false},
		"weighted":              {weighted, 3, 4, true},
		"scale-up is paused":    {awsworld.Group("a", "m5.large", 0, 1, 9, tags("scale-up")), 1, 1, false},
		"scale-down is paused":  {awsworld.Group("a", "m5.large", 0, 5, 9, tags("scale-down")), 5, 4, false},
		"none of its own sizes": {awsworld.Group("a", "m5.large", 0, 0, 2, tags("")), 2, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := awsworld.NewStill(t, tt.group, nil)
			ng := w.NodeGroup("a")
			assert.Truef(t, ng.MinSize() == tt.least && ng.MaxSize() == tt.most && w.BelowClock("a") == tt.below,
				"sizes from %d to %d, below: %t, want %d to %d and %t", ng.MinSize(), ng.MaxSize(), w.BelowClock("a"), tt.least, tt.most, tt.below)
			if !tt.below {
				return
			}
			require.NoError(t, w.Grow("a", ng.MinSize()-w.Target("a")))
			w.NextLoop()
			assert.False(t, w.BelowClock("a"), "it is still below its minimum")
		})
	}
}

func TestZoneGroupsShareTheMinimumOfASchedule(t *testing.T) {
	divided := awsworld.Divided("a", "m5.large", 0, 0, 9)
	divided.Tags[group.TagSchedule+"x"] = always
	w := newDividedWorld(t, nil, divided)
	below := 0
	for _, id := range w.IDs() {
		if w.BelowClock(id) {
			below += w.NodeGroup(id).MinSize() - w.Target(id)
		}
	}
	assert.Equal(t, 3, below, "nodes lack in the zones")
}

func TestUnreadableScheduleIsAProblem(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 3, 9))
	w.setTag("a", group.TagSchedule+"x", "every morning")
	w.Reread()
	w.wantEvent(`"a"`, group.TagSchedule+"x", "delete-tags")
}
