package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func describeAll(t *testing.T, c clients) error {
	t.Helper()
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
	if err := describeAll(t, c); err != nil {
		t.Errorf("after the faults were cleared: %v", err)
	}
}

func TestFaultEndsAfterItsTimesOrItsDuration(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.Inject(Fault{Action: "DescribeAutoScalingGroups", Code: "Throttling", Times: 2})
		for range 2 {
			wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
		}
		if err := describeAll(t, c); err != nil {
			t.Errorf("third call: %v", err)
		}
		s.Inject(Fault{Service: serviceAutoScaling, Code: "InternalFailure", For: Duration(time.Minute)})
		pass(30 * time.Second)
		wantAPIError(t, describeAll(t, c), "InternalFailure", "An internal error has occurred")
		pass(time.Minute)
		if err := describeAll(t, c); err != nil || len(s.Faults()) != 0 {
			t.Errorf("after the time: %v, faults %v", err, s.Faults())
		}
	})
}

func TestFaultByParameterSparesCallsWithoutIt(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.Inject(Fault{Action: "DescribeAutoScalingGroups", Params: map[string]string{"AutoScalingGroupNames.member.1": "*"}, Code: "InternalFailure"})
		if err := describeAll(t, c); err != nil {
			t.Errorf("a call without the parameter: %v", err)
		}
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
		if failed < 40 || failed > 80 {
			t.Errorf("%d of 200 calls failed, want about 60", failed)
		}
	})
}

func TestFaultFindsTheGroupOfAnInstance(t *testing.T) {
	s, c := overHTTP(t, oneGroup(withDesired(2)))
	s.Inject(Fault{Group: "g", Action: "TerminateInstanceInAutoScalingGroup", Code: "AccessDenied"})
	group, _ := s.Group("g")
	_, err := terminate(t, c, true, &group.Instances[0].ID)
	wantAPIError(t, err, "AccessDenied", "")
}

func TestFaultCanBeOfOneTemplate(t *testing.T) {
	s, c := overHTTP(t, templates())
	s.Inject(Fault{Params: map[string]string{"LaunchTemplateId": "lt-0a"}, Code: "AccessDenied"})
	_, err := c.ec2.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0a")})
	wantAPIError(t, err, "UnauthorizedOperation", "")
	if _, err := c.ec2.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0b")}); err != nil {
		t.Errorf("another template: %v", err)
	}
}
