package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"
)

// User guide, "Warm pools": the pool's size is the difference between max prepared capacity and desired capacity. A group that
// scales out draws from it first. Its instances are not in service and are described apart.
func TestWarmPoolFeedsItsGroup(t *testing.T) {
	prepared := 3
	inBubble(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.WarmPool = &WarmPool{MaxPrepared: &prepared} }), func(t *testing.T, s *Server, c clients) {
		warm := func() map[string]int {
			out, err := c.autoscaling.DescribeWarmPool(t.Context(), &autoscaling.DescribeWarmPoolInput{AutoScalingGroupName: aws.String("g")})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for _, i := range out.Instances {
				got[string(i.LifecycleState)]++
			}
			return got
		}
		if diff := cmp.Diff(map[string]int{"Warmed:Pending": 2}, warm()); diff != "" {
			t.Errorf("at first (-want +got):\n%s", diff)
		}
		pass(time.Minute)
		if diff := cmp.Diff(map[string]int{"Warmed:Stopped": 2}, warm()); diff != "" {
			t.Errorf("prepared (-want +got):\n%s", diff)
		}
		group := describe(t, c, "g")
		statesAre(t, c, "prepared", map[string]int{"InService": 1})
		if *group.WarmPoolSize != 2 || *group.WarmPoolConfiguration.MaxGroupPreparedCapacity != 3 {
			t.Errorf("warm pool of %d, %+v", *group.WarmPoolSize, group.WarmPoolConfiguration)
		}
		all, err := c.autoscaling.DescribeAutoScalingInstances(t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{})
		if err != nil || len(all.AutoScalingInstances) != 3 {
			t.Errorf("%d instances of Auto Scaling (%v), want all 3", len(all.AutoScalingInstances), err)
		}
		stopped := ""
		for _, i := range all.AutoScalingInstances {
			if *i.LifecycleState == "Warmed:Stopped" {
				stopped = *i.InstanceId
			}
		}
		out, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{stopped}})
		if err != nil || out.Reservations[0].Instances[0].State.Name != "stopped" {
			t.Errorf("EC2 has it as %v (%v), want stopped", out, err)
		}
		// API reference, TerminateInstanceInAutoScalingGroup: "cannot be called on instances in a warm pool".
		_, err = terminate(t, c, true, &stopped)
		wantAPIError(t, err, "ValidationError", "")

		setDesired(t, c, "g", 3)
		pass(time.Minute)
		statesAre(t, c, "scaled out", map[string]int{"InService": 3})
		if diff := cmp.Diff(map[string]int{}, warm()); diff != "" || count(s, Launched) != 3 {
			t.Errorf("%d launched; pool (-want +got):\n%s", count(s, Launched), diff)
		}
		setDesired(t, c, "g", 2)
		pass(time.Minute)
		if diff := cmp.Diff(map[string]int{"Warmed:Stopped": 1}, warm()); diff != "" {
			t.Errorf("filled again (-want +got):\n%s", diff)
		}
	})
}

// User guide, "Launch instances synchronously": "Auto Scaling groups with warm pools are currently not supported".
func TestNothingIsLaunchedSynchronouslyBesideAWarmPool(t *testing.T) {
	inBubble(t, oneGroup(func(g *AutoScalingGroup) { g.WarmPool = &WarmPool{Min: 1} }), func(t *testing.T, s *Server, c clients) {
		_, err := launch(t.Context(), c, "token", 1)
		wantAPIError(t, err, "UnsupportedOperation", "LaunchInstances is not supported for an AutoScalingGroup with a warm pool")
		pass(time.Minute)
		statesAre(t, c, "after the refusal", map[string]int{})
	})
}

func TestGroupGoesWithItsWarmPool(t *testing.T) {
	inBubble(t, oneGroup(func(g *AutoScalingGroup) { g.WarmPool = &WarmPool{Min: 1, State: "Running"} }), func(t *testing.T, s *Server, c clients) {
		pass(time.Minute)
		if err := s.DeleteGroup("g"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if _, exists := s.Group("g"); exists {
			t.Error("the group is still there")
		}
	})
}
