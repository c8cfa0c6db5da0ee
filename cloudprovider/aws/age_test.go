package aws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/stretchr/testify/require"
)

func TestMetricHasTheAgeBeyondWhichNoNodeIsRemoved(t *testing.T) {
	for interval, want := range map[time.Duration]float64{time.Minute: 180, 3 * time.Minute: 360} {
		w := newAWS(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil)).restartedWith(func(o *asg.Options, _ *aws.Options) { o.RefreshInterval = interval })
		got := w.gauges("asg_autoscaler_snapshot_age_limit_seconds")
		assert.Equalf(t, map[string]float64{"asg_autoscaler_snapshot_age_limit_seconds{}": want}, got, "readings each %s", interval)
	}
}

func TestOldReadingForbidsActions(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 1, 5, nil), func(c *asg.Options, o *aws.Options) {
		c.MotionInterval, c.Clock, o.Clock = time.Second, now, now
	})
	for _, step := range []struct {
		after       time.Duration
		read        bool
		remove, add bool
		events      int
		says        string
	}{
		{after: 0, remove: true, add: true},
		{after: 3 * time.Minute, remove: true, add: true},
		{after: time.Second, add: true, events: 1, says: "no node is removed"},
		{after: time.Minute, add: true, events: 1},
		{after: 6 * time.Minute, events: 2, says: "no node is added or removed"},
		{after: time.Minute, read: true, remove: true, add: true, events: 2},
	} {
		now.Step(step.after)
		if step.read {
			require.NoError(t, w.Cache.Refresh(t.Context()))
		}
		require.NoError(t, w.Refresh(), "whatever the age")
		assert.Equalf(t, step.remove, !w.TooOldToRemove(), "removal is allowed after %s", w.Cache.Age())
		assert.Equalf(t, step.add, !w.TooOldToAdd(), "growth is allowed after %s", w.Cache.Age())
		all := w.Events.All()
		assert.Truef(t, len(all) == step.events && (step.says == "" || strings.Contains(all[len(all)-1], step.says)),
			"after %s the events are %q, want %d, the last with %q", w.Cache.Age(), all, step.events, step.says)
	}
}
