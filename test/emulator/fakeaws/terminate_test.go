package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func withDesired(n int) func(*AutoScalingGroup) { return func(g *AutoScalingGroup) { g.Desired = n } }

func terminate(t *testing.T, c clients, decrement bool, id *string) (*types.Activity, error) {
	out, err := c.autoscaling.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: id, ShouldDecrementDesiredCapacity: &decrement,
	})
	if err != nil {
		return nil, err
	}
	return out.Activity, nil
}

func TestTerminatingInstanceIsNotDecrementedTwice(t *testing.T) {
	inBubble(t, oneGroup(withDesired(3)), func(t *testing.T, s *Server, c clients) {
		id := describe(t, c, "g").Instances[0].InstanceId
		first, err := terminate(t, c, true, id)
		require.NoError(t, err)
		again, err := terminate(t, c, true, id)
		require.NoError(t, err)
		if got := *describe(t, c, "g").DesiredCapacity; got != 2 || *again.ActivityId != *first.ActivityId {
			t.Errorf("desired %d, activities %s and %s; want 2 and one activity", got, *first.ActivityId, *again.ActivityId)
		}
	})
}

func TestTerminateRefusesLikeAWS(t *testing.T) {
	inBubble(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.Min = 1 }), func(t *testing.T, s *Server, c clients) {
		_, err := terminate(t, c, true, aws.String("i-0123"))
		wantAPIError(t, err, "ValidationError", "Instance Id not found - No managed instance found for instance ID: i-0123")
		_, err = terminate(t, c, true, describe(t, c, "g").Instances[0].InstanceId)
		wantAPIError(t, err, "ValidationError", "Currently, desiredSize equals minSize (1). Terminating instance without replacement will violate "+
			"group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.")
		_, err = c.autoscaling.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{
			InstanceIds: []string{"i-1"}, ShouldDecrementDesiredCapacity: aws.Bool(true),
		})
		wantAPIError(t, err, "ValidationError", "AutoScalingGroupName is required when InstanceIds is specified")
	})
}

// API reference, TerminateInstanceInAutoScalingGroup: "You can specify up to 100 instances", by either parameter. The answer
// has a list of activities and none of errors, so a batch is done whole or, if anything is wrong, not at all.
func TestBatchIsDoneWholeOrNotAtAll(t *testing.T) {
	inBubble(t, oneGroup(withDesired(4), func(g *AutoScalingGroup) { g.Min = 2 }), func(t *testing.T, s *Server, c clients) {
		var all []string
		for _, i := range describe(t, c, "g").Instances {
			all = append(all, *i.InstanceId)
		}
		for _, tt := range []struct {
			name    string
			single  *string
			ids     []string
			message string
		}{
			{"one unknown", nil, []string{all[0], "i-0123"}, "Instance Id not found - No managed instance found for instance ID: i-0123"},
			{"three with a minimum of two", nil, all[:3], "Currently, desiredSize equals minSize (2). Terminating instance without replacement will violate " +
				"group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."},
			{"101", nil, make([]string, 101), "1 validation error detected: Value at 'instanceIds' failed to satisfy constraint: Member must have length less than or equal to 100"},
			{"both parameters", &all[0], all[:1], "Only one of InstanceId and InstanceIds can be specified"},
		} {
			_, err := c.autoscaling.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{
				AutoScalingGroupName: aws.String("g"), InstanceId: tt.single, InstanceIds: tt.ids, ShouldDecrementDesiredCapacity: aws.Bool(true),
			})
			wantAPIError(t, err, "ValidationError", tt.message)
			assert.Equalf(t, 0, count(s, TerminateRequested), "%s: something was terminated", tt.name)
		}
	})
}

func TestLoweredDesiredCapacityEndsOldestUnprotected(t *testing.T) {
	inBubble(t, oneGroup(withDesired(4), func(g *AutoScalingGroup) { g.Zones = g.Zones[:1] }), func(t *testing.T, s *Server, c clients) {
		before := describe(t, c, "g").Instances
		require.NoError(t, s.ProtectInstance(*before[0].InstanceId, true))
		setDesired(t, c, "g", 2)
		pass(5 * time.Second)
		var killed []string
		for _, e := range s.Events() {
			if e.Kind == ScaleInKill {
				killed = append(killed, e.Instance)
			}
		}
		assert.Empty(t, cmp.Diff([]string{*before[1].InstanceId, *before[2].InstanceId}, killed), "killed (-want +got)")
		assert.Equal(t, 2, len(describe(t, c, "g").Instances), "instances")
	})
}

func TestSetDesiredCapacityStaysWithinTheLimits(t *testing.T) {
	inBubble(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.Min, g.Max = 1, 2 }), func(t *testing.T, s *Server, c clients) {
		for _, tt := range []struct {
			group   string
			desired int32
			message string
		}{
			{"g", 3, "New SetDesiredCapacity value 3 is above max value 2 for the AutoScalingGroup."},
			{"g", 0, "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup."},
			{"gone", 1, "AutoScalingGroup name not found - AutoScalingGroup: gone not found"},
		} {
			_, err := c.autoscaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{
				AutoScalingGroupName: &tt.group, DesiredCapacity: &tt.desired,
			})
			wantAPIError(t, err, "ValidationError", tt.message)
		}
	})
}
