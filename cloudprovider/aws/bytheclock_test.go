package aws_test

import (
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
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
			if ng.MinSize() != tt.least || ng.MaxSize() != tt.most || w.BelowClock("a") != tt.below {
				t.Errorf("sizes from %d to %d, below: %t, want %d to %d and %t", ng.MinSize(), ng.MaxSize(), w.BelowClock("a"), tt.least, tt.most, tt.below)
			}
			if !tt.below {
				return
			}
			if err := w.Grow("a", ng.MinSize()-w.Target("a")); err != nil {
				t.Fatal(err)
			}
			if w.NextLoop(); w.BelowClock("a") {
				t.Error("it is still below its minimum")
			}
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
	if below != 3 {
		t.Errorf("%d nodes lack in the zones, want 3", below)
	}
}

func TestSurplusGoesBeforeAWSChooses(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	for paused, want := range map[string]int{"false": 2, "scale-down": 0} {
		w := awsworld.NewAWS(t, func(c *fakeaws.Config) {
			three := 3
			c.Deeds = []fakeaws.Deed{{Kind: fakeaws.ScheduledAction, Group: "a", After: fakeaws.Duration(10 * time.Minute), Max: &three}}
		}, awsworld.Group("a", "m5.large", 0, 5, 9, map[string]string{group.TagPaused: paused})).RestartedWith(func(o *asg.Options, a *aws.Options) {
			o.Actions, o.Clock, a.Clock = o.AutoScaling.(asg.ActionsAPI), now, now
		})
		w.Eventually(func() string {
			nodes, by := w.Surplus(w.View().Group("a"))
			if size := w.Cache.Snapshot().Group("a").MaxSize; size != 3 {
				return "the action is not seen"
			}
			if nodes != want || nodes > 0 && by.Sub(now.Now()).Round(time.Minute) != 10*time.Minute {
				t.Errorf("%d nodes must go by %s, want %d in ten minutes", nodes, by, want)
			}
			return ""
		})
	}
}

func TestUnreadableScheduleIsAProblem(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 3, 9))
	w.setTag("a", group.TagSchedule+"x", "every morning")
	w.Reread()
	events := w.Events.All()
	if len(events) != 1 || !strings.Contains(events[0], `"a"`) || !strings.Contains(events[0], group.TagSchedule+"x") || !strings.Contains(events[0], "delete-tags") {
		t.Errorf("events %q, want one with group, tag and remedy", events)
	}
}
