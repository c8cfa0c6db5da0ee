package fakeaws

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func setTo(t *testing.T, c clients, desired int32) (*autoscaling.SetDesiredCapacityOutput, error) {
	return c.autoscaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: &desired})
}

// terminateBatch returns the instances of the activities, which their descriptions name.
func terminateBatch(ctx context.Context, c clients, ids ...string) ([]string, error) {
	out, err := c.autoscaling.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("g"), InstanceIds: ids, ShouldDecrementDesiredCapacity: aws.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	var answered []string
	for _, act := range out.Activities {
		answered = append(answered, (*act.Description)[len("Terminating EC2 instance: "):])
	}
	return answered, nil
}

func idsOf(t *testing.T, c clients) []string {
	var ids []string
	for _, i := range describe(t, c, "g").Instances {
		ids = append(ids, *i.InstanceId)
	}
	return ids
}

func strictGroup(seed uint64, change ...func(*AutoScalingGroup)) Config {
	cfg := oneGroup(change...)
	cfg.Strict, cfg.Seed, cfg.Throttles = true, seed, []Throttle{}
	return cfg
}

func TestFaultActsOnShareOfBatch(t *testing.T) {
	inBubble(t, oneGroup(withDesired(8)), func(t *testing.T, s *Server, c clients) {
		s.Inject(Fault{Action: "TerminateInstanceInAutoScalingGroup", Share: 50, Times: 1})
		answered, err := terminateBatch(t.Context(), c, idsOf(t, c)[:6]...)
		assert.Truef(t, err == nil && len(answered) == 3, "answered %v, error %v; want three activities", answered, err)
		statesAre(t, c, "right after", map[string]int{"InService": 5, "Terminating": 3})
	})
}

func TestFaultAnswersShareOfBatch(t *testing.T) {
	inBubble(t, oneGroup(withDesired(8)), func(t *testing.T, s *Server, c clients) {
		s.Inject(Fault{Action: "TerminateInstanceInAutoScalingGroup", Answers: 30, Times: 1})
		answered, err := terminateBatch(t.Context(), c, idsOf(t, c)[:6]...)
		assert.Truef(t, err == nil && len(answered) == 2, "answered %v, error %v; want two activities", answered, err)
		statesAre(t, c, "right after", map[string]int{"InService": 2, "Terminating": 6})
	})
}

// bySeed runs a test in strict accounts of twenty seeds and counts the outcomes.
func bySeed(t *testing.T, outcome func(*testing.T, *Server, clients) string, change ...func(*AutoScalingGroup)) map[string]int {
	outcomes := map[string]int{}
	for seed := range uint64(20) {
		inBubble(t, strictGroup(seed, change...), func(t *testing.T, s *Server, c clients) { outcomes[outcome(t, s, c)]++ })
	}
	return outcomes
}

func code(err error) string {
	var known smithy.APIError
	if errors.As(err, &known) {
		return known.ErrorCode()
	}
	return "ok"
}

func TestStrictTerminatingTwiceIsRefusedBySeed(t *testing.T) {
	got := bySeed(t, func(t *testing.T, s *Server, c clients) string {
		id := idsOf(t, c)[0]
		_, err := terminate(t, c, true, &id)
		require.NoError(t, err)
		_, err = terminate(t, c, true, &id)
		return code(err)
	}, withDesired(2))
	assert.Truef(t, len(got) == 2 && got["ok"] != 0 && got["ScalingActivityInProgress"] != 0,
		"outcomes %v; want both success and ScalingActivityInProgress", got)
}

func TestStrictBatchIsNeitherAllNorNothing(t *testing.T) {
	got := bySeed(t, func(t *testing.T, s *Server, c clients) string {
		ids := idsOf(t, c)
		answered, err := terminateBatch(t.Context(), c, ids[0], "i-unknown", ids[1])
		return code(err) + " " + strconv.Itoa(len(answered)) + " " + strconv.Itoa(states(describe(t, c, "g"))["Terminating"])
	}, withDesired(3))
	assert.Truef(t, len(got) == 2 && got["ok 2 2"] != 0 && got["ValidationError 0 0"] != 0,
		"outcomes %v; want batches done for the two that exist, and batches refused", got)
}

func TestStrictBatchKeepsTheMinimum(t *testing.T) {
	got := bySeed(t, func(t *testing.T, s *Server, c clients) string {
		answered, err := terminateBatch(t.Context(), c, idsOf(t, c)...)
		desired := *describe(t, c, "g").DesiredCapacity
		assert.Truef(t, desired >= 1, "desired capacity %d is below the minimum", desired)
		return code(err) + " " + strconv.Itoa(len(answered))
	}, withDesired(3), func(g *AutoScalingGroup) { g.Min = 1 })
	assert.Truef(t, len(got) == 2 && got["ok 2"] != 0 && got["ValidationError 0"] != 0,
		"outcomes %v; want two of three terminated, or none", got)
}

func TestInstancesAreListedInSeededOrder(t *testing.T) {
	sorted := map[bool]int{}
	for seed := range uint64(20) {
		cfg := oneGroup()
		cfg.Seed = seed
		inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
			for n := range int32(3) {
				setDesired(t, c, "g", n+1)
				pass(time.Minute)
			}
			g, _ := s.Group("g")
			var launched []string
			for _, i := range g.Instances {
				launched = append(launched, i.ID)
			}
			listed := idsOf(t, c)
			assert.True(t, slices.Equal(listed, idsOf(t, c)), "two readings in a row differ in order")
			sorted[slices.Equal(launched, listed)]++
		})
	}
	assert.Truef(t, sorted[true] != 0 && sorted[false] != 0,
		"listed in the order of launch: %v; want some seeds with it and some without", sorted)
}

func TestTokensAreForgotten(t *testing.T) {
	cfg := oneGroup()
	cfg.ClientTokens = Duration(time.Minute)
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		for _, wait := range []time.Duration{0, 50 * time.Second, 20 * time.Second} {
			pass(wait)
			_, err := launch(t.Context(), c, "token", 1)
			require.NoError(t, err)
		}
		assert.Equal(t, 2, count(s, Launched), "launched, want one within the minute and one after it")
	})
}

func TestStrictTokensAreForgottenEarlier(t *testing.T) {
	got := bySeed(t, func(t *testing.T, s *Server, c clients) string {
		for range 2 {
			_, err := launch(t.Context(), c, "token", 1)
			require.NoError(t, err)
			pass(5 * time.Minute)
		}
		return strconv.Itoa(count(s, Launched))
	}, func(g *AutoScalingGroup) { g.SuspendedProcesses = []string{"AZRebalance"} })
	assert.Truef(t, len(got) == 2 && got["1"] != 0 && got["2"] != 0, "launched %v; want one by some seeds and two by others", got)
}

func TestStrictRetriesComeAtIrregularPace(t *testing.T) {
	inBubble(t, strictGroup(1, func(g *AutoScalingGroup) { g.Zones = g.Zones[:1] }), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{})
		setDesired(t, c, "g", 1)
		pass(5 * time.Minute)
		var gaps []time.Duration
		var last time.Time
		for _, e := range s.Events() {
			if e.Kind != LaunchFailed {
				continue
			}
			if !last.IsZero() {
				gaps = append(gaps, e.Time.Sub(last))
			}
			last = e.Time
		}
		assert.Truef(t, len(gaps) >= 5 && slices.Max(gaps)-slices.Min(gaps) >= 5*time.Second,
			"pauses between attempts %v; want them to differ", gaps)
	})
}

func TestStrictGroupEvensOutZonesByItself(t *testing.T) {
	for _, suspended := range []bool{false, true} {
		change := func(g *AutoScalingGroup) {
			if suspended {
				g.SuspendedProcesses = []string{"AZRebalance"}
			}
		}
		inBubble(t, strictGroup(1, withDesired(1), change), func(t *testing.T, s *Server, c clients) {
			_, err := launch(t.Context(), c, "token", 3)
			require.NoError(t, err)
			most := 0
			for range 600 {
				pass(100 * time.Millisecond)
				most = max(most, len(describe(t, c, "g").Instances))
			}
			zones := byZone(s)
			if moved := count(s, Replaced) > 0; moved == suspended || moved && (most != 5 || zones["m5.large us-west-2b"] != 2) {
				t.Errorf("suspended %t: zones %v, %d instances at most, moved %t", suspended, zones, most, moved)
			}
		})
	}
}

func TestStrictAccountThrottlesUnlessItNamesLimits(t *testing.T) {
	got := (Config{Strict: true}).withDefaults().Throttles
	assert.Truef(t, slices.Equal(got, strictThrottles), "limits %v, want the limits of a strict account", got)
	assert.Empty(t, (Config{}).withDefaults().Throttles, "limits, want none")
}
