package aws_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The group is tried again every five minutes, and nobody mends anything.
func TestRefusedLaunchIsOneProblemWhileItIsTried(t *testing.T) {
	w, now, told := stillTold(t, awsworld.Group("a", "m5.large", 0, 0, 9, nil))
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
	assert.Equal(t, []string{"launch-quota, mended: false"}, told(), "the timeline")
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

// A tag of another key is silently off, be it a pause, a cap or a taint. The tags of discovery are the owner's, whatever their keys.
func TestMisspeltKeyIsAProblemOfItsGroup(t *testing.T) {
	const own, searched = "asg-autoscaler.github.io/", "asg-autoscaler.github.io/fleet"
	tags := map[string]string{searched: "a", asg.TagZonal: "false", group.TagPaused: "false", group.TagSpendCap: "99", move.TagBudget: "1",
		move.TagRotateAge: "720h", group.TagSchedule + "office": "0 8 any any any for=1h max=9", awsworld.Template + "label/team": "a",
		"x" + awsworld.Template + "label/a": "b", // misplaced, and read as in stock
		"kops.k8s.io/instancegroup":         "nodes", "geeks:forum": "yes", "karpenter.k8s.aws/awsnodetemplate": "a",
		"scheduling.cast.ai/node-template": "a", "asg-autoscaler-owner": "us"}
	var want []string
	for _, key := range []string{"ASG-Autoscaler.github.io/paused", "asg-autoscaler.github.com/zonal", own + "max-hourly-costs", own + "Paused", own + "pause",
		own + "rotate_age", own + "schedule", own + "schedules/office", "asgautoscaler.github.io/paused", "K8s.io/Cluster-Autoscaler/node-template/taint/a",
		"k8s.io/autoscaler/node-template/label/a", "k8s.io/cluster-autoscaler/node-templates/taint/a", "k8s.io/cluster-autoscaler/nodetemplate/resources/cpu"} {
		tags[key], want = "true", append(want, fmt.Sprintf("unknown-tag %q", key))
	}
	w := world{awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 0, 9, tags), func(c *asg.Options, _ *aws.Options) {
		c.Discovery.Filters[0] = append(c.Discovery.Filters[0], ownership.Tag{Key: searched})
	})}
	w.Reread()
	var got []string
	for _, p := range w.Problems() {
		if key := strings.Split(p.Message, `"`)[3:4]; p.Reason == "unknown-tag" {
			got = append(got, fmt.Sprintf("%s %q", p.Reason, key[0]))
			assert.NotContains(t, p.Remedy, "delete-tags", "next step: a policy of IAM may name the tag")
		}
	}
	assert.ElementsMatch(t, want, got, "problems")
	w.wantProblems(map[string]float64{"a misplaced-prefix": 1, "a unknown-tag": float64(len(want))})
	assert.Len(t, w.Events.All(), len(want)+1, "events")
	assert.NoError(t, w.Grow("a", 1), "the group does not scale")
}

// stillTold is a world with one group whose time a test sets, and the problems in its timeline.
func stillTold(t *testing.T, g fakeaws.AutoScalingGroup) (w world, now *clocktesting.FakeClock, told func() []string) {
	now = clocktesting.NewFakeClock(time.Now())
	var all []string
	w = world{awsworld.NewStill(t, g, func(c *asg.Options, o *aws.Options) {
		c.LaunchMode, c.Clock, o.Clock = asg.LaunchAuto, now, now
		o.Problem = func(p aws.Problem, mended bool) { all = append(all, fmt.Sprintf("%s, mended: %t", p.Reason, mended)) }
	})}
	return w, now, func() []string { return all }
}

// Nobody tries the call again, so nothing shows whether IAM allows it now.
func TestDeniedCallIsNoProblemLongAfterItsLastTry(t *testing.T) {
	for id, reason := range map[string]string{"a": asg.ReasonLaunchDenied, "a/" + awsworld.ZoneB: asg.ReasonNotZonal} {
		t.Run(reason, func(t *testing.T) {
			g := awsworld.Group("a", "m5.large", 0, 0, 9, nil)
			if id != "a" {
				g = awsworld.Divided("a", "m5.large", 0, 0, 9)
			}
			w, now, told := stillTold(t, g)
			w.AWS.Deny("LaunchInstances")
			_ = w.NodeGroup(id).AtomicIncreaseSize(1)
			w.Reread()
			now.Step(59 * time.Minute) // the alert asks for 15 minutes
			w.Reread()
			require.Len(t, w.Problems(), 1, "problems within the hour")
			assert.Equal(t, reason, w.Problems()[0].Reason)
			now.Step(time.Minute)
			w.Reread()
			assert.Empty(t, w.Problems(), "problems an hour after the only try")
			assert.Len(t, w.Events.All(), 1, "events")
			assert.NotContains(t, told(), asg.ReasonLaunchDenied+", mended: true", "nobody knows whether it is mended")
		})
	}
}

// Its nodes would be drained in vain for weeks. The next try comes after the pause, once a node is unneeded anew and drained.
func TestDeniedTerminationIsAProblemThatOutlastsItsPause(t *testing.T) {
	w, now, told := stillTold(t, awsworld.Group("a", "m5.large", 0, 2, 9, nil))
	fault := w.AWS.Inject(fakeaws.Fault{Action: terminateCall, Code: "AccessDenied"})
	nodes := w.Nodes("a")
	for range 2 {
		require.ErrorContains(t, w.NodeGroup("a").DeleteNodes(nodes[:1]), "AccessDenied")
		now.Step(30 * time.Minute)
		w.Reread()
		require.False(t, w.Keeps(nodes[0]), "the group is paused")
		require.Len(t, w.Problems(), 1, "problems until the next try")
		assert.Equal(t, "termination-denied", w.Problems()[0].Reason)
		assert.Contains(t, w.Problems()[0].Remedy, "autoscaling:"+terminateCall, "next step")
	}
	now.Step(30 * time.Minute)
	w.Reread()
	assert.Empty(t, w.Problems(), "problems an hour after the last try")
	assert.Equal(t, []string{"termination-denied, mended: false"}, told(), "the timeline")
	require.Error(t, w.NodeGroup("a").DeleteNodes(nodes[:1]))
	w.AWS.ClearFaults(fault)
	now.Step(16 * time.Minute)
	require.NoError(t, w.NodeGroup("a").DeleteNodes(nodes[:1]))
	w.Reread()
	assert.Empty(t, w.Problems(), "problems after a termination that AWS carried out")
}
