package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// API reference, EnterStandby: "can enter standby as long as the desired capacity […] is equal to or greater than the minimum
// capacity".
func TestStandbyDoesNotCount(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2), func(g *AutoScalingGroup) { g.Min = 1 }), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: Standby})
		pass(time.Minute)
		statesAre(t, c, "standby", map[string]int{"InService": 1, "Standby": 1})
		do(t, s, Deed{Kind: Standby})
		pass(time.Minute)
		statesAre(t, c, "replaced at the minimum", map[string]int{"InService": 1, "Standby": 2})
		if got := *describe(t, c, "g").DesiredCapacity; got != 1 || count(s, ScaleInKill) != 0 {
			t.Errorf("desired %d, %d killed; want 1 and 0", got, count(s, ScaleInKill))
		}
	})
}

// API reference, DetachInstances: "After the instances are detached, you can manage them independent of the Auto Scaling group."
func TestDetachedInstanceLivesOnWithoutItsGroup(t *testing.T) {
	inBubble(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.Min = 1 }), func(t *testing.T, s *Server, c clients) {
		id := *describe(t, c, "g").Instances[0].InstanceId
		do(t, s, Deed{Kind: Detach, Instances: []string{id}})
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

// User guide: protection does not keep a caller of TerminateInstanceInAutoScalingGroup from terminating.
func TestProtectionStopsScaleInButNoCaller(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2), func(g *AutoScalingGroup) { g.ProtectNewInstances = true }), func(t *testing.T, s *Server, c clients) {
		both := describe(t, c, "g").Instances
		setDesired(t, c, "g", 0)
		pass(time.Minute)
		statesAre(t, c, "protected", map[string]int{"InService": 2})
		if !aws.ToBool(both[0].ProtectedFromScaleIn) {
			t.Error("the protection is not shown")
		}
		if _, err := terminate(t, c, false, both[0].InstanceId); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		statesAre(t, c, "one terminated by name", map[string]int{"InService": 1})
		must(t, s.ProtectInstance(*both[1].InstanceId, false))
		setDesired(t, c, "g", 1)
		setDesired(t, c, "g", 0)
		pass(time.Minute)
		statesAre(t, c, "unprotected", map[string]int{})
	})
}
