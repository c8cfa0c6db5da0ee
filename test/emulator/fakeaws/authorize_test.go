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

var groupARN = "arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:" + uuidOf("group", "g") + ":autoScalingGroupName/g"

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

func TestTagsOfTheGroupDecideWrites(t *testing.T) {
	const name = "autoscaling:SetDesiredCapacity"
	for _, key := range []string{"aws", "autoscaling"} {
		s, c := overHTTP(t, under(oneGroup(), allowing("autoscaling:*", "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/*",
			`"StringEquals": {"`+key+`:ResourceTag/owner": "me"}`)))
		set := func() error {
			_, err := c.autoscaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{
				AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(0)})
			return err
		}
		wantAPIError(t, set(), "AccessDenied", caller+name+" on resource: "+groupARN+" because no identity-based policy allows the "+name+" action")
		require.NoError(t, s.SetTags("g", map[string]*string{"owner": aws.String("me")}))
		assert.NoErrorf(t, set(), "under %s:ResourceTag, with the tag", key)
		assert.Empty(t, cmp.Diff([]string{name}, s.Permitted()), "permitted (-want +got)")
		_, err := c.autoscaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{
			AutoScalingGroupName: aws.String("gone"), DesiredCapacity: aws.Int32(0)})
		wantAPIError(t, err, "ValidationError", "")
	}
}

func TestGroupOfAnInstanceIsChecked(t *testing.T) {
	s, c := overHTTP(t, under(oneGroup(withDesired(1)), allowing("autoscaling:Describe*", "*", "")))
	g, _ := s.Group("g")
	_, err := terminate(t, c, true, &g.Instances[0].ID)
	wantAPIError(t, err, "AccessDenied", "")
	assert.Empty(t, cmp.Diff([]Denial{{"autoscaling:TerminateInstanceInAutoScalingGroup", groupARN}}, s.Denials()), "denials (-want +got)")
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

func TestBatchNeedsThePermissionForOne(t *testing.T) {
	cfg := oneGroup()
	cfg.Queues = []Queue{{Name: "q"}}
	s, c := overHTTP(t, under(cfg, allowing("sqs:GetQueueUrl", "*", ""), allowing("sqs:SendMessage", "*", "")))
	url, err := c.sqs.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
	require.NoError(t, err)
	_, err = c.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: aws.String("x")})
	require.NoError(t, err)
	_, err = c.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl})
	wantAPIError(t, err, "AccessDenied", "")
	assert.Empty(t, cmp.Diff([]string{"sqs:GetQueueUrl", "sqs:SendMessage"}, s.Permitted()), "permitted (-want +got)")
}

// AWS checks the calls that it makes for a caller against the caller's own policies, and says that it is in between.
func TestLaunchNeedsTheFleetToo(t *testing.T) {
	launching := allowing("autoscaling:LaunchInstances", "*", "")
	for _, tt := range []struct {
		name, fleet string
		allowed     bool
	}{
		{"without", allowing("ec2:DescribeImages", "*", ""), false},
		{"by AWS alone", allowing("ec2:CreateFleet", "*", `"Bool": {"aws:ViaAWSService": "true"}`), true},
		{"not by AWS", allowing("ec2:CreateFleet", "*", `"Bool": {"aws:ViaAWSService": "false"}`), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := overHTTP(t, under(oneGroup(), launching, tt.fleet))
			_, err := c.autoscaling.LaunchInstances(t.Context(), &autoscaling.LaunchInstancesInput{AutoScalingGroupName: aws.String("g"),
				ClientToken: aws.String("token"), RequestedCapacity: aws.Int32(1), AvailabilityZones: []string{"us-west-2a"}})
			g, _ := s.Group("g")
			if tt.allowed {
				assert.Truef(t, err == nil && len(g.Instances) == 1, "%d instances, error %v; want one", len(g.Instances), err)
				return
			}
			wantAPIError(t, err, "AccessDenied", caller+"ec2:CreateFleet on resource: arn:aws:ec2:us-west-2:123456789012:fleet/* "+
				"because no identity-based policy allows the ec2:CreateFleet action")
			assert.Empty(t, g.Instances, "a denied launch made instances")
		})
	}
}

func TestCallerMustReadTheParameterOfAnImage(t *testing.T) {
	cfg := oneGroup()
	cfg.SSMParameters = map[string]string{"/aws/service/ami": "ami-1", "/own": "ami-2"}
	cfg.LaunchTemplates = []LaunchTemplate{{ID: "lt-1", Name: "t", Versions: []LaunchTemplateVersion{{InstanceType: "m5.large", ImageID: "resolve:ssm:/aws/service/ami"},
		{InstanceType: "m5.large", ImageID: "resolve:ssm:/own"}}}}
	s, c := overHTTP(t, under(cfg, allowing("*", "*", "")))
	resolve := func(version string, resolve bool) error {
		_, err := c.ec2.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{
			LaunchTemplateId: aws.String("lt-1"), Versions: []string{version}, ResolveAlias: aws.Bool(resolve)})
		return err
	}
	others := []string{allowing("ec2:*", "*", ""), allowing("autoscaling:*", "*", "")}
	require.NoError(t, s.SetPolicies(append(others, allowing("ssm:GetParameters", "arn:aws:ssm:*::parameter/aws/service/*", ""))...))
	assert.NoError(t, resolve("1", true), "public parameter")
	assert.NoError(t, resolve("2", false), "parameter that nobody asks for")
	wantAPIError(t, resolve("2", true), "UnauthorizedOperation", ec2NotAuthorized+caller+"ssm:GetParameters on resource: "+
		"arn:aws:ssm:us-west-2:123456789012:parameter/own because no identity-based policy allows the ssm:GetParameters action")
	_, err := c.autoscaling.LaunchInstances(t.Context(), &autoscaling.LaunchInstancesInput{AutoScalingGroupName: aws.String("g"),
		ClientToken: aws.String("token"), RequestedCapacity: aws.Int32(1), AvailabilityZones: []string{"us-west-2a"}})
	wantAPIError(t, err, "SsmAccessDenied", "Access denied to SSM")
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
