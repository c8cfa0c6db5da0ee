package scenario

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestUnexpectedDenialFailsTheScript(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	s := groupScript(t, 0)
	s.allowed = map[string]bool{}
	var err error
	if s.policies, err = shippedPolicies(fakeaws.Config{Region: s.AWS.Region()}); err != nil {
		t.Fatal(err)
	}
	must(t, s.AWS.SetPolicies(s.policies...))
	clients, err := awsclient.New(t.Context(), awsclients.Options(s.AWS))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.policy([]string{"without", "autoscaling:NoSuchAction"}); err == nil {
		t.Error("an action that no policy allows can be taken away")
	}
	must(t, s.policy([]string{"without", "ec2:DescribeImages"}))
	if _, err := clients.AutoScaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{}); err != nil {
		t.Errorf("an action of the policy: %v", err)
	}
	if err := s.neverDenied(); err != nil {
		t.Errorf("before a denial: %v", err)
	}
	_, err = clients.AutoScaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(0)})
	if !awsclient.IsForbidden(err) {
		t.Fatalf("a group without the tag: %v, want a denial", err)
	}
	if err := s.neverDenied(); err == nil || !strings.Contains(err.Error(), "autoscaling:SetDesiredCapacity on arn:") {
		t.Errorf("after a denial: %v, want it", err)
	}
	must(t, s.policy([]string{"without", "autoscaling:SetDesiredCapacity"}))
	if err := s.neverDenied(); err != nil {
		t.Errorf("a denial that the script wants: %v", err)
	}
}
