package asg_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestOldProcessHasNoPredecessor(t *testing.T) {
	t.Parallel()
	now := clockAt(time.Minute)
	w := newWorld(t, scalingGroup("a", 0, 0, 9)).with(at(now)).started()
	now.Step(2 * time.Minute)
	w.setDesired(2) // somebody else's
	w.eventuallyInService("a", 2)
	w.increasesTo(3, 5) // want 2 of somebody else and 3 of ours
}

func TestTokenDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 9))
	var tokens []string
	for _, edit := range []func(*types.AutoScalingGroup){nil, func(g *types.AutoScalingGroup) { slices.Reverse(g.Instances) }} {
		next := w.with(at(clockAt(time.Minute)))
		next.calls.edit, next.calls.neverAsk = edit, true
		token := make(chan string, 1)
		next.calls.launching = func(in *autoscaling.LaunchInstancesInput) { token <- aws.ToString(in.ClientToken) }
		next.started()
		go func() { _ = next.cache.Increase(context.Background(), "a", 2) }()
		tokens = append(tokens, <-token)
	}
	assert.Equal(t, tokens[0], tokens[1], "tokens")
}

func TestConflictingTokenIsAwaitedThenReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 9))
	shortage := w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.with(at(clockAt(time.Minute))).started().failsToIncrease("a", 4)
	w.aws.ClearShortages(shortage)
	now := clockAt(2 * time.Minute)
	next := w.with(at(now)).started()
	for _, step := range []time.Duration{0, 5 * time.Second} {
		now.Step(step)
		next.failsToIncrease("a", 3) // another launch may be under way
		w.wantDesired(0)
	}
	now.Step(6 * time.Second)
	next.increasesTo(3, 3)
}

func TestThrottledZonalLaunchEnds(t *testing.T) {
	t.Parallel()
	now := clockAt(time.Minute)
	w := newWorld(t, divided("a", 0, 0, 9)).with(at(now)).started()
	w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "Throttling"})
	done := make(chan error, 1)
	go func() { done <- zoneIncrease(w.cache, context.Background(), "a", "us-west-2b", 1) }()
	require.Error(t, steps(w, now, func() bool { return true }, done))
	assert.LessOrEqual(t, w.aws.Calls()[launchCall], 7, "calls")
}

func TestTokenOfEarlierWindowIsUnused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 9)).with(at(clockAt(time.Minute))).started()
	w.increase(2)
	w.end("a")
	next := w.with(at(clockAt(61 * time.Minute))).started() // does not ask EC2, which would show that they are gone
	w.aws.ResetCalls()
	next.increase(2)
	w.awsHas(2, 2)
	assert.Equal(t, 1, w.aws.Calls()[launchCall], "calls")
}

func TestFailureCountsFromSecondOfRequest(t *testing.T) {
	t.Parallel()
	slow := fakeaws.Fault{Action: desiredCall, Latency: ms(3000)}
	lost := fakeaws.Fault{Action: desiredCall, Code: "InternalFailure", Late: true, Times: 1}
	for name, tt := range map[string]struct {
		began time.Duration // after the second of the request
		want  bool
		fault fakeaws.Fault // of the request
		ahead time.Duration // AWS's clock
	}{
		"in the same second":                                               {began: 0, want: true},
		"in an earlier one":                                                {began: -time.Second},
		"after the beginning":                                              {began: 2 * time.Second, want: true},
		"in the same second, and the answer is slow":                       {began: 0, want: true, fault: slow},
		"in an earlier one, and the answer is slow":                        {began: -time.Second, fault: slow},
		"in the same second, the answer is lost and AWS's clock is behind": {began: 0, want: true, fault: lost, ahead: -time.Minute},
		"in an earlier one, the answer is lost and AWS's clock is ahead":   {began: -5 * time.Second, fault: lost, ahead: time.Minute},
	} {
		t.Run(name, bubbled(func(t *testing.T) {
			w := newWorldWith(t, func(d *fakeaws.Delays) { d.Listed = fakeaws.Duration(time.Hour) }, scalingGroup("a", 0, 0, 9))
			w.aws.SetClockSkew(tt.ahead)
			w.running()
			if tt.fault.Action != "" {
				w.aws.Inject(tt.fault)
			}
			second := time.Now().Truncate(time.Second).Add(time.Second)
			time.Sleep(time.Until(second.Add(700 * time.Millisecond)))
			w.calls.inProgress = []types.Activity{{
				StartTime: aws.Time(second.Add(tt.began + tt.ahead)), StatusCode: types.ScalingActivityStatusCodeFailed,
				Description: aws.String("Launching a new EC2 instance"), StatusMessage: aws.String("There is no capacity")}}
			w.increase(1)
			w.waitWhile("AWS has not been asked twice", func() bool { return w.aws.Calls()["DescribeScalingActivities"] < 2 && w.group("a").Failure == nil })
			assert.Equal(t, tt.want, w.group("a").Failure != nil, "the failure counts")
		}))
	}
}

// Capacity that a group has for itself stays although others find none, and its own lack says nothing about others.
func TestShortageOfOthersLeavesOwnCapacity(t *testing.T) {
	t.Parallel()
	reserved, block := scalingGroup("own", 0, 0, 9), mixing(scalingGroup("own", 0, 0, 9))
	reserved.CapacityReservations = &fakeaws.CapacityReservations{Preference: "capacity-reservations-only", IDs: []string{"cr-1"}}
	block.MixedInstancesPolicy.Distribution.Segments = [][]string{{"capacity-block"}}
	for name, tt := range map[string]struct {
		own                fakeaws.AutoScalingGroup
		short, other, code string
	}{
		"reservation, no capacity elsewhere":    {reserved, "a", "own", "InsufficientInstanceCapacity"},
		"reservation, quota of others":          {reserved, "a", "own", "VcpuLimitExceeded"},
		"capacity block, no capacity elsewhere": {block, "a", "own", "InsufficientInstanceCapacity"},
		"no capacity in the reservation":        {reserved, "own", "a", "InsufficientInstanceCapacity"},
		"no room in the placement group":        {scalingGroup("own", 0, 0, 9), "own", "a", "InsufficientInstanceCapacity"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 0, 9), tt.own).with(synchronous)
			w.calls.edit = func(g *types.AutoScalingGroup) {
				if strings.Contains(name, "placement") && aws.ToString(g.AutoScalingGroupName) == "own" {
					g.PlacementGroup = aws.String("near")
				}
			}
			w.started()
			w.aws.AddShortage(fakeaws.Shortage{Group: tt.short, Code: tt.code})
			w.failsToIncrease(tt.short, 1)
			_, resting := w.cache.CoolDown(w.group(tt.other))
			assert.False(t, resting, "the other group rests")
			w.must(w.cache.Increase(t.Context(), tt.other, 1))
			_, resting = w.cache.CoolDown(w.group(tt.short))
			assert.True(t, resting, "the group without capacity rests, also after a launch of the other")
		})
	}
}

func TestOldFailureCausesNoProbe(t *testing.T) {
	t.Parallel()
	b := scalingGroup("b", 0, 0, 9)
	b.Zones = []string{"us-west-2b"}
	now := clockAt(time.Minute)
	w := newWorld(t, scalingGroup("a", 0, 0, 9), b).with(at(now)).started()
	shortage := w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	for _, name := range []string{"a", "b"} {
		w.failsToIncrease(name, 1)
		now.Step(7*time.Minute + 15*time.Second) // longer than twice the cool-down
	}
	w.aws.ClearShortages(shortage)
	w.aws.ResetCalls()
	w.increase(5)
	assert.Equal(t, 1, w.aws.Calls()[launchCall], "calls for 5 instances")
}
