package decisions

import (
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

func TestOutcomeNamesTheCallAndTheGroup(t *testing.T) {
	for _, tt := range []struct {
		name         string
		launch       asg.Launch
		says, remedy string
	}{
		{"a reading before the launch is throttled", asg.Launch{Group: "web", Call: "SetDesiredCapacity", RefusedCall: "DescribeAutoScalingGroups",
			Refused: "Throttling: Rate exceeded", Class: awsmessage.Throttle}, "AWS throttles DescribeAutoScalingGroups", "AttributeValue=DescribeAutoScalingGroups"},
		{"no pool is named", asg.Launch{Group: "web", Failures: cooldown.Failures{{Class: awsmessage.Quota, Message: "Volume limit exceeded"}}},
			"the AWS account has no more of its quota: Volume limit exceeded", "list-service-quotas"},
		{"a suspended process", asg.Launch{Group: "web", Call: "LaunchInstances", Refused: "ValidationError: The Launch process of the AutoScalingGroup is suspended"},
			"the Launch process of group web is suspended", "aws autoscaling resume-processes --scaling-processes Launch --auto-scaling-group-name web"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, failed := outcomeOf(tt.launch)
			if !failed || got.Message != tt.says || !strings.Contains(got.Remedy, tt.remedy) {
				t.Errorf("outcome %+v, want %q and in the remedy %q", got, tt.says, tt.remedy)
			}
		})
	}
}
