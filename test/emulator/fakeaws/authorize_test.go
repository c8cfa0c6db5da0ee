package fakeaws

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const caller = "User: arn:aws:sts::123456789012:assumed-role/cluster-autoscaler/fakeaws is not authorized to perform: "

// allowing is a policy with one statement, whose condition may be empty.
func allowing(action, resource, condition string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": %q, "Resource": %q, "Condition": {%s}}]}`, action, resource, condition)
}

func under(cfg Config, policies ...string) Config {
	cfg.Policies = policies
	return cfg
}

// The texts follow messages that Auto Scaling, EC2 and SQS sent to people who published them.
func TestDenialReadsAsTheServiceWritesIt(t *testing.T) {
	cfg := oneGroup()
	cfg.Queues = []Queue{{Name: "q"}}
	s, c := overHTTP(t, under(cfg, allowing("sns:Publish", "*", "")))
	wantAPIError(t, describeAll(t, c), "AccessDenied", caller+
		"autoscaling:DescribeAutoScalingGroups because no identity-based policy allows the autoscaling:DescribeAutoScalingGroups action")
	_, err := c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	wantAPIError(t, err, "UnauthorizedOperation", "You are not authorized to perform this operation. "+caller+
		"ec2:DescribeImages because no identity-based policy allows the ec2:DescribeImages action")
	_, err = c.eks.DescribeNodegroup(t.Context(), &eks.DescribeNodegroupInput{ClusterName: aws.String("c"), NodegroupName: aws.String("n")})
	wantAPIError(t, err, "AccessDeniedException", caller+"eks:DescribeNodegroup on resource: arn:aws:eks:us-west-2:123456789012:nodegroup/c/n/"+
		uuidOf("nodegroup", "c", "n")+" because no identity-based policy allows the eks:DescribeNodegroup action")
	_, err = c.sqs.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
	wantAPIError(t, err, "AccessDenied", caller+"sqs:getqueueurl on resource: arn:aws:sqs:us-west-2:123456789012:q "+
		"because no identity-based policy allows the sqs:getqueueurl action")
	_, err = c.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	assert.NoError(t, err, "GetCallerIdentity needs no permission")
	want := []Denial{{"autoscaling:DescribeAutoScalingGroups", "*"}, {"ec2:DescribeImages", "*"},
		{"eks:DescribeNodegroup", "arn:aws:eks:us-west-2:123456789012:nodegroup/c/n/" + uuidOf("nodegroup", "c", "n")},
		{"sqs:GetQueueUrl", "arn:aws:sqs:us-west-2:123456789012:q"}}
	diff := cmp.Diff(want, s.Denials())
	assert.Truef(t, diff == "" && len(s.Permitted()) == 0, "permitted %q, denials (-want +got):\n%s", s.Permitted(), diff)
}

// The tests of the shipped policies decide by aws:ResourceTag.
func TestTagsOfTheGroupDecideWrites(t *testing.T) {
	const name = "autoscaling:SetDesiredCapacity"
	s, c := overHTTP(t, under(oneGroup(), allowing("autoscaling:*", "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/*",
		`"StringEquals": {"autoscaling:ResourceTag/owner": "me"}`)))
	set := func(group string) error {
		_, err := c.autoscaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{
			AutoScalingGroupName: aws.String(group), DesiredCapacity: aws.Int32(0)})
		return err
	}
	wantAPIError(t, set("g"), "AccessDenied", caller+name+" on resource: arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:"+
		uuidOf("group", "g")+":autoScalingGroupName/g because no identity-based policy allows the "+name+" action")
	require.NoError(t, s.SetTags("g", map[string]*string{"owner": aws.String("me")}))
	assert.NoError(t, set("g"), "with the tag")
	assert.Empty(t, cmp.Diff([]string{name}, s.Permitted()), "permitted (-want +got)")
	wantAPIError(t, set("gone"), "ValidationError", "")
}

func TestGroupOfAConsoleIsChecked(t *testing.T) {
	for pattern, allowed := range map[string]bool{"*": true, "g": true, "other": false} {
		s, c := overHTTP(t, under(oneGroup(withDesired(1)), allowing("ec2:GetConsoleOutput", "arn:aws:ec2:*:*:instance/*",
			`"StringLike": {"aws:ResourceTag/aws:autoscaling:groupName": "`+pattern+`"}`)))
		g, _ := s.Group("g")
		_, err := c.ec2.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: &g.Instances[0].ID})
		assert.Equalf(t, allowed, err == nil, "of group g under %q: %v", pattern, err)
	}
}

func TestExplicitDenyIsNamed(t *testing.T) {
	_, c := overHTTP(t, under(oneGroup(), `{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}`))
	wantAPIError(t, describeAll(t, c), "AccessDenied", caller+"autoscaling:DescribeAutoScalingGroups with an explicit deny in an identity-based policy")
}

func TestPolicyThatIsNotEvaluatedIsAnError(t *testing.T) {
	bad := allowing("*", "*", `"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}`)
	_, err := New(under(oneGroup(), bad))
	assert.Error(t, err, "a Server starts with a condition that it does not evaluate")
	s, c := overHTTP(t, oneGroup())
	if err := s.SetPolicies(bad); err == nil || describeAll(t, c) != nil {
		t.Errorf("SetPolicies: %v, and the call after it: %v", err, describeAll(t, c))
	}
}
