package aws_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The group is tried again every five minutes, and nobody mends anything.
func TestRefusedLaunchIsOneProblemWhileItIsTried(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	var told []string
	w := world{awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 0, 9, nil), func(c *asg.Options, o *aws.Options) {
		c.LaunchMode, c.Clock, o.Clock = asg.LaunchAuto, now, now
		o.Problem = func(p aws.Problem, mended bool) { told = append(told, fmt.Sprintf("%s, mended: %t", p.Reason, mended)) }
	})}
	w.AWS.AddShortage(fakeaws.Shortage{Code: "VcpuLimitExceeded", Message: "your current vCPU limit of 32 allows no more"})
	for range 3 {
		require.Error(t, w.Grow("a", 1))
		now.Step(5*time.Minute + time.Second)
		w.Reread()
		_, cooling := w.CoolDown(w.View().Group("a"))
		require.False(t, cooling, "the group is left alone")
		problems := w.Problems()
		require.Len(t, problems, 1, "problems until the next try")
		assert.Contains(t, problems[0].Remedy, "request-service-quota-increase", "next step")
	}
	now.Step(time.Hour)
	w.Reread()
	assert.Empty(t, w.Problems(), "problems long after the last try")
	assert.Equal(t, []string{"launch-quota, mended: false"}, told, "the timeline")
	assert.Len(t, w.Events.All(), 1, "events")
}

func TestRefusalInAZoneIsAProblemOfItsZoneGroup(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 0, 9))
	w.AWS.AddShortage(fakeaws.Shortage{Zone: awsworld.ZoneB, Code: "Unsupported"})
	require.Error(t, w.Grow("a/"+awsworld.ZoneB, 1))
	w.Reread()
	problems := w.Problems()
	require.Len(t, problems, 1, "problems")
	assert.Equal(t, "launch-config-error a/"+awsworld.ZoneB, problems[0].Reason+" "+problems[0].ZoneGroup)
	assert.Contains(t, problems[0].Message, `"a": in zone `+awsworld.ZoneB+", AWS refuses")
}
