package asg_test

import (
	"context"
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
	for _, reverses := range []bool{false, true} {
		next := w.with(at(clockAt(time.Minute)))
		next.calls.reverses, next.calls.neverAsk = reverses, true
		token := make(chan string, 1)
		next.calls.launching = func(in *autoscaling.LaunchInstancesInput) { token <- aws.ToString(in.ClientToken) }
		next.started()
		go func() { _ = next.cache.Increase(context.Background(), "a", 2) }()
		tokens = append(tokens, <-token)
	}
	assert.Truef(t, tokens[0] == tokens[1], "tokens %q, want one", tokens)
}

func TestConflictingTokenIsAwaitedThenReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 9))
	shortage := w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	if err := w.with(at(clockAt(time.Minute))).started().cache.Increase(t.Context(), "a", 4); err == nil {
		t.Fatal("a group without capacity has launched")
	}
	w.aws.ClearShortages(shortage)
	now := clockAt(2 * time.Minute)
	next := w.with(at(now)).started()
	for _, step := range []time.Duration{0, 5 * time.Second} {
		now.Step(step)
		if err := next.cache.Increase(t.Context(), "a", 3); err == nil || w.desired("a") != 0 {
			t.Errorf("%d are desired, error %v, want none while another launch may be under way", w.desired("a"), err)
		}
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
	go func() {
		err := zoneIncrease(w.cache, context.Background(), "a", "us-west-2b", 1)
		done <- err
	}()
	err := steps(w, now, func() bool { return true }, done)
	calls := w.aws.Calls()[launchCall]
	assert.Truef(t, err != nil && calls <= 7, "error %v after %d calls, want one after a few", err, calls)
}

func TestTokenOfEarlierWindowIsUnused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 9)).with(at(clockAt(time.Minute))).started()
	w.increase(2)
	w.end("a")
	next := w.with(at(clockAt(61 * time.Minute))).started() // does not ask EC2, which would show that they are gone
	w.aws.ResetCalls()
	err := next.cache.Increase(t.Context(), "a", 2)
	if state, _ := w.aws.Group("a"); err != nil || len(state.Instances) != 2 || w.aws.Calls()[launchCall] != 1 {
		t.Errorf("AWS has %d instances after %d calls, error %v, want 2 after one", len(state.Instances), w.aws.Calls()[launchCall], err)
	}
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
			delays := quick
			delays.Listed = fakeaws.Duration(time.Hour)
			w := newWorldWith(t, delays, scalingGroup("a", 0, 0, 9))
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

func TestFullReservationCoolsDownItsGroupOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 9), scalingGroup("b", 0, 0, 9)).with(synchronous).started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "ReservationCapacityExceeded"})
	w.failsToIncrease("a", 1)
	for name, want := range map[string]bool{"a": true, "b": false} {
		_, resting := w.cache.CoolDown(w.group(name))
		assert.Equalf(t, want, resting, "group %s rests", name)
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
		require.Error(t, w.cache.Increase(t.Context(), name, 1), "a group without capacity has launched")
		now.Step(7*time.Minute + 15*time.Second) // longer than twice the cool-down
	}
	w.aws.ClearShortages(shortage)
	w.aws.ResetCalls()
	if err := w.cache.Increase(t.Context(), "a", 5); err != nil || w.aws.Calls()[launchCall] != 1 {
		t.Errorf("error %v after %d calls, want 5 instances by one call", err, w.aws.Calls()[launchCall])
	}
}
