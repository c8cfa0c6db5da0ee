package accountcheck

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/arczonalshift"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// Outcomes of a call, beside the reasons of awsclient.Reason.
const (
	allowed  = "allowed"
	notTried = "not-tried"
	denied   = "denied" // awsclient.Reason's word
)

// fewest is the smallest page that all calls of EC2 allow.
const fewest = 5

// Call is AWS's answer to one call.
type Call struct {
	Action string `json:"action"` // as in a policy
	// Outcome is allowed, not-tried, or the kind of the error: denied, unsupported, throttled, not-found, invalid, timeout, unreachable or error.
	Outcome string `json:"outcome"`
	Code    string `json:"code,omitempty"` // AWS's error code
	// RequestID is AWS's. Its support asks for it.
	RequestID    string `json:"requestID,omitempty"`
	Milliseconds int64  `json:"milliseconds"` // until the answer, the SDK's own repetitions included
	// Meaning is the effect on the autoscaler, or the reason why the call was not tried. It is empty where all is well.
	Meaning string `json:"meaning,omitempty"`

	err    error
	needed bool // to start
}

// Fault reports whether somebody must put the permission right: AWS denies the call, or does not answer one that the autoscaler needs to start.
func (c Call) Fault() bool { return c.err != nil && (c.needed || c.Outcome == denied) }

// Denied reports whether AWS denies the call. Then a policy helps.
func (c Call) Denied() bool { return c.Outcome == denied }

// try makes a call of an SDK client and describes its answer.
func try[In, Out, Options any](ctx context.Context, action string, do func(context.Context, *In, ...func(*Options)) (*Out, error), in *In) (Call, *Out) {
	began := time.Now()
	out, err := do(ctx, in)
	c := Call{Action: action, Outcome: allowed, Milliseconds: time.Since(began).Milliseconds(), err: err}
	if err == nil {
		metadata := reflect.ValueOf(out).Elem().FieldByName("ResultMetadata")
		c.RequestID, _ = awsmiddleware.GetRequestIDMetadata(metadata.Interface().(middleware.Metadata))
		return c, out
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		c.RequestID = response.ServiceRequestID()
	}
	c.Outcome, c.Code = awsclient.Reason(err), awsclient.Code(err)
	c.Meaning = awsclient.Brief(err)
	return c, nil
}

// ask is try for later, without the action.
func ask[In, Out, Options any](do func(context.Context, *In, ...func(*Options)) (*Out, error), in *In) func(context.Context) Call {
	return func(ctx context.Context) Call {
		c, _ := try(ctx, "", do, in)
		return c
	}
}

// A permission is an action of the policy, its effect on the autoscaler where AWS refuses it, and the call that tries it. Without a
// call, untried is the reason.
type permission struct {
	action, without string
	needed          bool // to start
	ask             func(context.Context) Call
	untried         string
}

// noDryRun is the reason why a write is not tried.
const noDryRun = "it changes the account, and Auto Scaling has no dry run"

// permissions are the actions of manifests/iam/policy-*.json.
func permissions(c *awsclient.Clients) []permission {
	fewRecords, few, less := aws.Int32(1), aws.Int32(fewest), "less is known of instances that do not become nodes"
	return []permission{
		{action: "autoscaling:DescribeAutoScalingGroups", needed: true, without: "the autoscaler does not start",
			ask: ask(c.AutoScaling.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: fewRecords})},
		{action: "ec2:DescribeLaunchTemplateVersions", needed: true, without: "groups with a launch template do not scale",
			ask: ask(c.EC2.DescribeLaunchTemplateVersions, &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}, MaxResults: few})},
		{action: "autoscaling:SetDesiredCapacity", untried: noDryRun},
		{action: "autoscaling:TerminateInstanceInAutoScalingGroup", untried: noDryRun + ". --launch tries it"},
		{action: "autoscaling:LaunchInstances", untried: noDryRun + ". --launch tries it"},
		{action: "ec2:CreateFleet", untried: "Auto Scaling makes this call for LaunchInstances. --launch tries it"},
		{action: "autoscaling:DescribeLaunchConfigurations", without: "groups with a launch configuration do not scale",
			ask: ask(c.AutoScaling.DescribeLaunchConfigurations, &autoscaling.DescribeLaunchConfigurationsInput{MaxRecords: fewRecords})},
		{action: "autoscaling:DescribeScalingActivities", without: "the reasons of failed launches are unknown",
			ask: ask(c.AutoScaling.DescribeScalingActivities, &autoscaling.DescribeScalingActivitiesInput{MaxRecords: fewRecords})},
		{action: "ec2:DescribeInstances", without: "nodes of instances that left their group stay until Kubernetes removes them",
			ask: ask(c.EC2.DescribeInstances, &ec2.DescribeInstancesInput{MaxResults: few})},
		{action: "ec2:DescribeImages", without: "the operating system, architecture and disk of a group's nodes come from other facts",
			ask: ask(c.EC2.DescribeImages, &ec2.DescribeImagesInput{Owners: []string{"self"}, MaxResults: few})},
		{action: "ssm:GetParameters", untried: "EC2 makes this call, for launch templates that name their image by a parameter"},
		{action: "eks:DescribeNodegroup", untried: "it is asked only for groups of a managed node group of EKS. asgctl groups tries it for them"},
		{action: "autoscaling:DescribeInstanceRefreshes", untried: "it is asked only where instances of a group are replaced"},
		{action: "autoscaling:DescribeScheduledActions", without: "scheduled actions of groups are not seen ahead",
			ask: ask(c.AutoScaling.DescribeScheduledActions, &autoscaling.DescribeScheduledActionsInput{MaxRecords: fewRecords})},
		{action: "ec2:GetInstanceTypesFromInstanceRequirements", without: "groups that select types by requirements do not scale from zero",
			ask: ask(c.EC2.GetInstanceTypesFromInstanceRequirements, &ec2.GetInstanceTypesFromInstanceRequirementsInput{
				ArchitectureTypes: []ec2types.ArchitectureType{ec2types.ArchitectureTypeX8664}, VirtualizationTypes: []ec2types.VirtualizationType{ec2types.VirtualizationTypeHvm},
				InstanceRequirements: &ec2types.InstanceRequirementsRequest{
					VCpuCount: &ec2types.VCpuCountRangeRequest{Min: aws.Int32(2)}, MemoryMiB: &ec2types.MemoryMiBRequest{Min: aws.Int32(1024)},
				}, MaxResults: few})},
		{action: "ec2:DescribeInstanceTypes", without: "instance types that the built-in list lacks are unknown",
			ask: ask(c.EC2.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{MaxResults: few})},
		{action: "ec2:DescribeInstanceTypeOfferings", without: "every instance type counts as offered in every zone",
			ask: ask(c.EC2.DescribeInstanceTypeOfferings, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: ec2types.LocationTypeAvailabilityZone, MaxResults: few})},
		{action: "ec2:DescribeAvailabilityZones", without: "pods that ask for a zone by its ID wait, and a zonal shift is not seen",
			ask: ask(c.EC2.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{})},
		{action: "arc-zonal-shift:ListManagedResources", without: "a zonal shift is not seen",
			ask: ask(c.ZonalShifts.ListManagedResources, &arczonalshift.ListManagedResourcesInput{})},
		{action: "ec2:DescribeInstanceStatus", without: less, ask: ask(c.EC2.DescribeInstanceStatus, &ec2.DescribeInstanceStatusInput{MaxResults: few})},
		{action: "ec2:DescribeRouteTables", without: less, ask: ask(c.EC2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{MaxResults: few})},
		{action: "ec2:DescribeSubnets", without: less, ask: ask(c.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{MaxResults: few})},
		{action: "ec2:DescribeSecurityGroups", without: less, ask: ask(c.EC2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{MaxResults: few})},
		{action: "eks:ListAccessEntries", untried: "it is asked only where an instance does not become a node"},
		{action: "ec2:GetConsoleOutput", untried: "it is asked only where an instance does not become a node"},
		{action: "ec2:DescribeSpotPriceHistory", without: "no --asg-spot-prices=live",
			ask: ask(c.EC2.DescribeSpotPriceHistory, &ec2.DescribeSpotPriceHistoryInput{MaxResults: few})},
	}
}

// Permissions makes one read-only call for each action of the shipped policy that can be tried so, one after the other. Actions that cannot are
// among the answers, too.
func Permissions(ctx context.Context, c *awsclient.Clients) []Call {
	var calls []Call
	for _, p := range permissions(c) {
		if p.ask == nil {
			calls = append(calls, Call{Action: p.action, Outcome: notTried, Meaning: p.untried})
			continue
		}
		answer := p.ask(ctx)
		answer.Action, answer.needed = p.action, p.needed
		if answer.err != nil {
			answer.Meaning += ". Effect: " + p.without
		}
		calls = append(calls, answer)
	}
	return calls
}
