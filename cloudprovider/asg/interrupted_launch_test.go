package asg_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The next look at the failures of groups in motion is an hour away here.
func TestReportedLaunchFailureIsReadAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(func(o *asg.Options) { o.MotionInterval = time.Hour }).running()
		w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
		w.increase(1)
		w.eventually(func() string {
			w.cache.LaunchFailed("a")
			if f := w.group("a").Failure; f == nil || f.Code != "InsufficientInstanceCapacity" {
				return fmt.Sprintf("failure is %+v, want InsufficientInstanceCapacity", f)
			}
			return ""
		})
	})
}

func TestManyReportedLaunchFailuresAreReadOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(func(o *asg.Options) { o.Clock, o.MotionInterval = clockAt(time.Minute), time.Hour }).running()
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.increase(1)
	w.aws.ResetCalls()
	for range 50 {
		w.cache.LaunchFailed("a")
		w.refresh()
	}
	w.eventually(func() string {
		if w.aws.Calls()["DescribeScalingActivities"] == 0 {
			return "the activities have not been read"
		}
		return ""
	})
	if got := w.aws.Calls()["DescribeScalingActivities"]; got != 1 {
		t.Errorf("the activities were read %d times at one moment, want once", got)
	}
}
