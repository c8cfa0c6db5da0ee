package asg_test

import (
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

func TestTroubleOutlastsCoolDownUntilLaunch(t *testing.T) {
	t.Parallel()
	now := clockAt(time.Minute)
	w := newWorldOf(t, fakeaws.Config{Delays: quick, LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large")},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{group("a", 0, 0, 10), group("same", 0, 0, 10)}},
		asg.Discovery{Filters: []asg.TagFilter{{{Key: discoveryTag}}}}).
		with(func(o *asg.Options) { o.LaunchMode, o.Clock = asg.LaunchAuto, now }).started()
	if trouble, known := w.cache.Trouble(w.group("a")); known {
		t.Errorf("before any failure: %+v", trouble)
	}
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "InsufficientInstanceCapacity"})
	if _, err := w.cache.Increase(t.Context(), "a", 2); err == nil {
		t.Fatal("launched where there is no capacity")
	}
	for _, after := range []time.Duration{0, 4 * time.Minute} { // the rest itself is over after 3
		now.Step(after)
		for _, name := range []string{"a", "same"} {
			if trouble, known := w.cache.Trouble(w.group(name)); !known || trouble.Class != awsmessage.NoCapacity {
				t.Errorf("%v later, group %s: %+v, %t, want %s", after, name, trouble, known, awsmessage.NoCapacity)
			}
		}
	}
}
