package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

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
