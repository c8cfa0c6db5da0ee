package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
)

func withDesired(n int) func(*AutoScalingGroup) {
	return func(g *AutoScalingGroup) { g.Desired = n }
}

func terminate(t *testing.T, c clients, decrement bool, id *string) (*types.Activity, error) {
	t.Helper()
	out, err := c.autoscaling.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: id, ShouldDecrementDesiredCapacity: &decrement,
	})
	if err != nil {
		return nil, err
	}
	return out.Activity, nil
}

func TestTerminateWithDecrementShrinksTheGroup(t *testing.T) {
	inBubble(t, oneGroup(withDesired(3)), func(t *testing.T, s *Server, c clients) {
		id := describe(t, c, "g").Instances[1].InstanceId
		act, err := terminate(t, c, true, id)
		if err != nil {
			t.Fatal(err)
		}
		if *act.Description != "Terminating EC2 instance: "+*id || act.StatusCode != types.ScalingActivityStatusCodeInProgress {
			t.Errorf("activity %q %s", *act.Description, act.StatusCode)
		}
		g := describe(t, c, "g")
		if diff := cmp.Diff(map[string]int{"InService": 2, "Terminating": 1}, states(g)); diff != "" || *g.DesiredCapacity != 2 {
			t.Errorf("desired %d, instances (-want +got):\n%s", *g.DesiredCapacity, diff)
		}
		pass(time.Minute)
		if got := len(describe(t, c, "g").Instances); got != 2 || count(s, Launched) != 3 || count(s, ScaleInKill) != 0 {
			t.Errorf("%d instances, %d launched, %d killed; want 2, 3 and 0", got, count(s, Launched), count(s, ScaleInKill))
		}
	})
}

func TestTerminateWithoutDecrementReplaces(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2)), func(t *testing.T, s *Server, c clients) {
		if _, err := terminate(t, c, false, describe(t, c, "g").Instances[0].InstanceId); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		g := describe(t, c, "g")
		if diff := cmp.Diff(map[string]int{"InService": 2}, states(g)); diff != "" || count(s, Launched) != 3 {
			t.Errorf("%d launched, instances (-want +got):\n%s", count(s, Launched), diff)
		}
	})
}

func TestTerminatingInstanceIsNotDecrementedTwice(t *testing.T) {
	inBubble(t, oneGroup(withDesired(3)), func(t *testing.T, s *Server, c clients) {
		id := describe(t, c, "g").Instances[0].InstanceId
		first, err := terminate(t, c, true, id)
		if err != nil {
			t.Fatal(err)
		}
		again, err := terminate(t, c, true, id)
		if err != nil {
			t.Fatal(err)
		}
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

func TestManyInstancesEndInOneCall(t *testing.T) {
	inBubble(t, oneGroup(withDesired(5)), func(t *testing.T, s *Server, c clients) {
		var ids []string
		for _, i := range describe(t, c, "g").Instances[:4] {
			ids = append(ids, *i.InstanceId)
		}
		out, err := c.autoscaling.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{
			AutoScalingGroupName: aws.String("g"), InstanceIds: ids, ShouldDecrementDesiredCapacity: aws.Bool(true),
		})
		if err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		g := describe(t, c, "g")
		if len(out.Activities) != 4 || *g.DesiredCapacity != 1 || len(g.Instances) != 1 {
			t.Errorf("%d activities, desired %d, %d instances; want 4, 1 and 1", len(out.Activities), *g.DesiredCapacity, len(g.Instances))
		}
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
			if wantAPIError(t, err, "ValidationError", tt.message); count(s, TerminateRequested) != 0 {
				t.Errorf("%s: something was terminated", tt.name)
			}
		}
	})
}

func TestLoweredDesiredCapacityEndsOldestUnprotected(t *testing.T) {
	inBubble(t, oneGroup(withDesired(4), func(g *AutoScalingGroup) { g.Zones = g.Zones[:1] }), func(t *testing.T, s *Server, c clients) {
		before := describe(t, c, "g").Instances
		must(t, s.ProtectInstance(*before[0].InstanceId, true))
		setDesired(t, c, "g", 2)
		pass(5 * time.Second)
		var killed []string
		for _, e := range s.Events() {
			if e.Kind == ScaleInKill {
				killed = append(killed, e.Instance)
			}
		}
		if diff := cmp.Diff([]string{*before[1].InstanceId, *before[2].InstanceId}, killed); diff != "" {
			t.Errorf("killed (-want +got):\n%s", diff)
		}
		if got := len(describe(t, c, "g").Instances); got != 2 {
			t.Errorf("%d instances, want 2", got)
		}
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

func TestGroupIsDeletedWithItsInstances(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2)), func(t *testing.T, s *Server, c clients) {
		must(t, s.DeleteGroup("g"))
		if got := aws.ToString(describe(t, c, "g").Status); got != "Delete in progress" {
			t.Errorf("status %q", got)
		}
		pass(2 * time.Second)
		if _, exists := s.Group("g"); exists {
			t.Error("the group is still there")
		}
	})
}

func TestReclaimedInstanceIsReplaced(t *testing.T) {
	inBubble(t, oneGroup(withDesired(1)), func(t *testing.T, s *Server, c clients) {
		id := *describe(t, c, "g").Instances[0].InstanceId
		must(t, s.Reclaim(id))
		if got := *describe(t, c, "g").Instances[0].HealthStatus; got != "Unhealthy" {
			t.Errorf("health status %q", got)
		}
		pass(3 * time.Second)
		g := describe(t, c, "g")
		if len(g.Instances) != 1 || *g.Instances[0].InstanceId == id || *g.DesiredCapacity != 1 {
			t.Errorf("instances %v, desired %d; want another one", g.Instances, *g.DesiredCapacity)
		}
	})
}
