package fakeaws

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func describeAll(t *testing.T, c clients) error {
	_, err := c.autoscaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	return err
}

func TestRefusalFollowsEachService(t *testing.T) {
	s, c := overHTTP(t, Config{Region: "cn-northwest-1"})
	for _, action := range []string{"DescribeAutoScalingGroups", "DescribeInstanceTypes", "DescribeNodegroup", "GetCallerIdentity"} {
		s.Deny(action)
	}
	wantAPIError(t, describeAll(t, c), "AccessDenied", "User: arn:aws-cn:sts::123456789012:assumed-role/cluster-autoscaler/fakeaws is not authorized to perform: "+
		"autoscaling:DescribeAutoScalingGroups because no identity-based policy allows the autoscaling:DescribeAutoScalingGroups action")
	_, err := c.ec2.DescribeInstanceTypes(t.Context(), &ec2.DescribeInstanceTypesInput{})
	wantAPIError(t, err, "UnauthorizedOperation", "")
	_, err = c.eks.DescribeNodegroup(t.Context(), &eks.DescribeNodegroupInput{ClusterName: aws.String("c"), NodegroupName: aws.String("n")})
	wantAPIError(t, err, "AccessDeniedException", "")
	_, err = c.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	wantAPIError(t, err, "AccessDenied", "")
	s.ClearFaults()
	assert.NoError(t, describeAll(t, c), "after the faults were cleared")
}

// A refusal names its caller by the sessions, to which others add meanwhile.
func TestCallsAreRefusedWhileSessionsBegin(t *testing.T) {
	s, c := overHTTP(t, oneGroup())
	s.Deny("DescribeAutoScalingGroups")
	var begun sync.WaitGroup
	begun.Go(func() {
		for n := range 100 {
			_, err := c.sts.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String("arn:aws:iam::1:role/r"),
				RoleSessionName: aws.String(fmt.Sprint("session-", n)), WebIdentityToken: aws.String("token")})
			assert.NoError(t, err)
		}
	})
	for range 100 {
		wantAPIError(t, describeAll(t, c), "AccessDenied", "")
	}
	begun.Wait()
}

func TestFaultEndsAfterItsTimesOrItsDuration(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.Inject(Fault{Action: "DescribeAutoScalingGroups", Code: "Throttling", Times: 2})
		for range 2 {
			wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
		}
		assert.NoError(t, describeAll(t, c), "third call")
		s.Inject(Fault{Service: serviceAutoScaling, Code: "InternalFailure", For: Duration(time.Minute)})
		pass(30 * time.Second)
		wantAPIError(t, describeAll(t, c), "InternalFailure", "An internal error has occurred")
		pass(time.Minute)
		err := describeAll(t, c)
		assert.Truef(t, err == nil && len(s.Faults()) == 0, "after the time: %v, faults %v", err, s.Faults())
	})
}

func TestFaultByParameterSparesCallsWithoutIt(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.Inject(Fault{Action: "DescribeAutoScalingGroups", Params: map[string]string{"AutoScalingGroupNames.member.1": "*"}, Code: "InternalFailure"})
		assert.NoError(t, describeAll(t, c), "a call without the parameter")
		_, err := c.autoscaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"g"}})
		wantAPIError(t, err, "InternalFailure", "")
	})
}

func TestThrottlingHitsAPercentage(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.Inject(Fault{Code: "Throttling", Percent: 30})
		failed := 0
		for range 200 {
			if describeAll(t, c) != nil {
				failed++
			}
		}
		assert.Truef(t, failed >= 40 && failed <= 80, "%d of 200 calls failed, want about 60", failed)
	})
}

func TestFaultFindsTheGroupOfAnInstance(t *testing.T) {
	s, c := overHTTP(t, oneGroup(withDesired(2)))
	s.Inject(Fault{Group: "g", Action: "TerminateInstanceInAutoScalingGroup", Code: "AccessDenied"})
	group, _ := s.Group("g")
	_, err := terminate(t, c, true, &group.Instances[0].ID)
	wantAPIError(t, err, "AccessDenied", "")
}

const diedText = "Instance became unhealthy while waiting for instance to be in InService state. " +
	"Termination Reason: Client.InternalError: Client error on launch"

func TestLaunchDiesPendingAndIsRepeated(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{Group: "g", Dies: Duration(20 * time.Second), Times: 1})
		setDesired(t, c, "g", 1)
		pass(20 * time.Second)
		statesAre(t, c, "while it has not died", map[string]int{"Pending": 1})
		pass(700 * time.Millisecond)
		statesAre(t, c, "when it has died", map[string]int{"Terminating": 1})
		pass(10 * time.Second)
		statesAre(t, c, "in the end", map[string]int{"InService": 1})
		acts := activities(t, c, "g")
		var died []string
		for _, act := range acts {
			if act.StatusCode == "Cancelled" && *act.StatusMessage == diedText && strings.HasSuffix(*act.Description, ".  Status Reason: "+diedText) {
				died = append(died, *act.ActivityId)
			}
		}
		assert.Truef(t, len(died) == 1 && len(acts) == 3,
			"activities %+v; want a launch cancelled with the reason, its termination, and another launch", acts)
	})
}

func TestDeadLaunchOfEC2SaysWhy(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{Dies: Duration(5 * time.Second), Times: 1, Code: "Client.VolumeLimitExceeded", Message: "Volume limit exceeded"})
		out, err := launch(t.Context(), c, "token", 1)
		require.Truef(t, err == nil && len(out.Instances) == 1, "launch: %+v, %v; want one instance answered", out, err)
		pass(7 * time.Second)
		seen, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: out.Instances[0].InstanceIds})
		require.NoError(t, err)
		i := seen.Reservations[0].Instances[0]
		assert.Truef(t, i.State.Name == "terminated" && i.StateReason != nil && *i.StateReason.Code == "Client.VolumeLimitExceeded",
			"instance is %s, reason %+v; want it terminated for its volumes", i.State.Name, i.StateReason)
	})
}

func TestDeadLaunchWithoutRetryWaitsForChange(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{Dies: Duration(2 * time.Second), Times: 1, NoRetry: true})
		setDesired(t, c, "g", 1)
		pass(time.Hour)
		statesAre(t, c, "an hour later", map[string]int{})
		setDesired(t, c, "g", 2)
		pass(time.Minute)
		statesAre(t, c, "after another write", map[string]int{"InService": 2})
	})
}

func TestEachActionHasItsOwnBucket(t *testing.T) {
	cfg := oneGroup()
	cfg.Throttles = []Throttle{{Service: serviceAutoScaling, Action: "Describe*", Burst: 3, PerSecond: 1}, {Service: serviceEC2, Burst: 1, PerSecond: 0.1}}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		for range 3 {
			describe(t, c, "g")
		}
		wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
		activities(t, c, "g")
		setDesired(t, c, "g", 1)
		pass(2 * time.Second)
		for range 2 {
			describe(t, c, "g")
		}
		wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
		_, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
		assert.NoError(t, err)
		_, err = c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
		wantAPIError(t, err, "RequestLimitExceeded", "Request limit exceeded.")
	})
}

func TestActionsCanShareOneBucket(t *testing.T) {
	cfg := oneGroup()
	cfg.Throttles = []Throttle{{Service: serviceAutoScaling, Shared: true, Burst: 3, PerSecond: 1}}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		describe(t, c, "g")
		activities(t, c, "g")
		setDesired(t, c, "g", 1)
		wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
		pass(time.Second)
		activities(t, c, "g")
		wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
	})
}

func TestThrottledWriteTakesNoEffect(t *testing.T) {
	cfg := oneGroup()
	cfg.Throttles = []Throttle{{Action: "SetDesiredCapacity", Burst: 1}}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 1)
		_, err := setTo(t, c, 2)
		wantAPIError(t, err, "Throttling", "Rate exceeded")
		assert.EqualValues(t, 1, *describe(t, c, "g").DesiredCapacity, "desired capacity")
	})
}

func TestUselessThrottlesAreRefused(t *testing.T) {
	for _, throttle := range []Throttle{{Burst: 0, PerSecond: 1}, {Burst: 1, PerSecond: -1}, {Action: "[", Burst: 1}} {
		_, err := New(Config{Throttles: []Throttle{throttle}})
		assert.Errorf(t, err, "%+v is accepted", throttle)
	}
}
