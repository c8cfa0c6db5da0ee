package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// API reference, EnterStandby: "can enter standby as long as the desired capacity […] is equal to or greater than the minimum
// capacity". ExitStandby: "After you put the instances back in service, the desired capacity is incremented."
func TestStandbyDoesNotCountAndComesBack(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2), func(g *AutoScalingGroup) { g.Min = 1 }), func(t *testing.T, s *Server, c clients) {
		both := describe(t, c, "g").Instances
		enter := func(id *string, decrement bool) error {
			_, err := c.autoscaling.EnterStandby(t.Context(), &autoscaling.EnterStandbyInput{
				AutoScalingGroupName: aws.String("g"), InstanceIds: []string{*id}, ShouldDecrementDesiredCapacity: &decrement,
			})
			return err
		}
		if err := enter(both[0].InstanceId, true); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		statesAre(t, c, "standby", map[string]int{"InService": 1, "Standby": 1})
		wantAPIError(t, enter(both[1].InstanceId, true), "ValidationError", "AutoScalingGroup g has min-size=1, max-size=10, and desired-size=1. "+
			"To place into standby 1 instance, please update the AutoScalingGroup sizes appropriately.")
		if err := enter(both[1].InstanceId, false); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		statesAre(t, c, "replaced", map[string]int{"InService": 1, "Standby": 2})
		if _, err := c.autoscaling.ExitStandby(t.Context(), &autoscaling.ExitStandbyInput{
			AutoScalingGroupName: aws.String("g"), InstanceIds: []string{*both[0].InstanceId},
		}); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		statesAre(t, c, "back", map[string]int{"InService": 2, "Standby": 1})
		if got := *describe(t, c, "g").DesiredCapacity; got != 2 || count(s, ScaleInKill) != 0 {
			t.Errorf("desired %d, %d killed; want 2 and 0", got, count(s, ScaleInKill))
		}
	})
}

// API reference, DetachInstances: "After the instances are detached, you can manage them independent of the Auto Scaling group."
func TestDetachedInstanceLivesOnWithoutItsGroup(t *testing.T) {
	inBubble(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.Min = 1 }), func(t *testing.T, s *Server, c clients) {
		id := *describe(t, c, "g").Instances[0].InstanceId
		detach := func(decrement bool) error {
			_, err := c.autoscaling.DetachInstances(t.Context(), &autoscaling.DetachInstancesInput{
				AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id}, ShouldDecrementDesiredCapacity: &decrement,
			})
			return err
		}
		wantAPIError(t, detach(true), "ValidationError", "AutoScalingGroup g has min-size=1, max-size=10, and desired-size=1. "+
			"To detach 1 instance, please update the AutoScalingGroup sizes appropriately.")
		if err := detach(false); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if got := describe(t, c, "g").Instances; len(got) != 1 || *got[0].InstanceId == id {
			t.Errorf("instances %v, want another one", got)
		}
		out, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		if err != nil || out.Reservations[0].Instances[0].State.Name != "running" {
			t.Errorf("EC2 has the detached instance as %v (%v), want running", out, err)
		}
		managed, err := c.autoscaling.DescribeAutoScalingInstances(t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{id}})
		if err != nil || len(managed.AutoScalingInstances) != 0 {
			t.Errorf("Auto Scaling still has it: %v (%v)", managed.AutoScalingInstances, err)
		}
		_, err = terminate(t, c, true, &id)
		wantAPIError(t, err, "ValidationError", "Instance Id not found - No managed instance found for instance ID: "+id)
	})
}

// API reference, SetInstanceProtection. User guide: protection does not keep a caller of TerminateInstanceInAutoScalingGroup
// from terminating.
func TestProtectionStopsScaleInButNoCaller(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2)), func(t *testing.T, s *Server, c clients) {
		both := describe(t, c, "g").Instances
		protect := func(on bool) {
			if _, err := c.autoscaling.SetInstanceProtection(t.Context(), &autoscaling.SetInstanceProtectionInput{
				AutoScalingGroupName: aws.String("g"), InstanceIds: []string{*both[0].InstanceId, *both[1].InstanceId}, ProtectedFromScaleIn: &on,
			}); err != nil {
				t.Fatal(err)
			}
		}
		protect(true)
		setDesired(t, c, "g", 0)
		pass(time.Minute)
		statesAre(t, c, "protected", map[string]int{"InService": 2})
		if _, err := terminate(t, c, false, both[0].InstanceId); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		statesAre(t, c, "one terminated by name", map[string]int{"InService": 1})
		protect2 := *both[1].InstanceId
		if err := s.ProtectInstance(protect2, false); err != nil {
			t.Fatal(err)
		}
		setDesired(t, c, "g", 1)
		setDesired(t, c, "g", 0)
		pass(time.Minute)
		statesAre(t, c, "unprotected", map[string]int{})
	})
}
