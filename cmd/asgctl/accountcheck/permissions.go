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
	if response, answered := errors.AsType[*awshttp.ResponseError](err); answered {
		c.RequestID = response.ServiceRequestID()
	}
	c.Outcome, c.Code = awsclient.Reason(err), awsclient.Code(err)
	c.Meaning = awsclient.Brief(err)
	return c, nil
}

// asked is try with the effect on the autoscaler where AWS refuses the call.
func asked[In, Out, Options any](ctx context.Context, action, without string,
	do func(context.Context, *In, ...func(*Options)) (*Out, error), in *In) Call {
	c, _ := try(ctx, action, do, in)
	if c.err != nil {
		c.Meaning += ". Effect: " + without
	}
	return c
}

func required(c Call) Call { c.needed = true; return c }

func untried(action, why string) Call { return Call{Action: action, Outcome: notTried, Meaning: why} }

// noDryRun is the reason why a write is not tried.
const noDryRun = "it changes the account, and Auto Scaling has no dry run"

// Permissions makes one read-only call for each action of manifests/iam/policy-*.json that can be tried so, one after the other. Actions that cannot
// are among the answers, too.
func Permissions(ctx context.Context, c *awsclient.Clients) []Call {
	fewRecords, few, less := aws.Int32(1), aws.Int32(fewest), "less is known of instances that do not become nodes"
	return []Call{
		required(asked(ctx, "autoscaling:DescribeAutoScalingGroups", "the autoscaler does not start",
			c.AutoScaling.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: fewRecords})),
		required(asked(ctx, "ec2:DescribeLaunchTemplateVersions", "groups with a launch template do not scale from zero",
			c.EC2.DescribeLaunchTemplateVersions, &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}, MaxResults: few})),
		untried("autoscaling:SetDesiredCapacity", noDryRun),
		untried("autoscaling:TerminateInstanceInAutoScalingGroup", noDryRun+". --launch tries it"),
		untried("autoscaling:LaunchInstances", noDryRun+". --launch tries it"),
		untried("ec2:RebootInstances", "it is asked only where --asg-repair reboots an instance"),
		untried("ec2:CreateFleet", "Auto Scaling makes this call for LaunchInstances. --launch tries it"),
		asked(ctx, "autoscaling:DescribeLaunchConfigurations", "groups with a launch configuration do not scale from zero",
			c.AutoScaling.DescribeLaunchConfigurations, &autoscaling.DescribeLaunchConfigurationsInput{MaxRecords: fewRecords}),
		asked(ctx, "autoscaling:DescribeScalingActivities", "the reasons of failed launches are unknown",
			c.AutoScaling.DescribeScalingActivities, &autoscaling.DescribeScalingActivitiesInput{MaxRecords: fewRecords}),
		asked(ctx, "ec2:DescribeInstances", "nodes of instances that left their group stay until Kubernetes removes them",
			c.EC2.DescribeInstances, &ec2.DescribeInstancesInput{MaxResults: few}),
		asked(ctx, "ec2:DescribeImages", "the operating system, architecture and disk of a group's nodes come from other facts",
			c.EC2.DescribeImages, &ec2.DescribeImagesInput{Owners: []string{"self"}, MaxResults: few}),
		untried("ssm:GetParameters", "EC2 makes this call, for launch templates that name their image by a parameter"),
		untried("eks:DescribeNodegroup", "it is asked only for groups of a managed node group of EKS. asgctl groups tries it for them"),
		untried("autoscaling:DescribeInstanceRefreshes", "it is asked only where instances of a group are replaced"),
		asked(ctx, "autoscaling:DescribeScheduledActions", "scheduled actions of groups are not seen ahead",
			c.AutoScaling.DescribeScheduledActions, &autoscaling.DescribeScheduledActionsInput{MaxRecords: fewRecords}),
		asked(ctx, "ec2:GetInstanceTypesFromInstanceRequirements", "groups that select types by requirements do not scale from zero",
			c.EC2.GetInstanceTypesFromInstanceRequirements, &ec2.GetInstanceTypesFromInstanceRequirementsInput{
				ArchitectureTypes: []ec2types.ArchitectureType{ec2types.ArchitectureTypeX8664}, VirtualizationTypes: []ec2types.VirtualizationType{ec2types.VirtualizationTypeHvm},
				InstanceRequirements: &ec2types.InstanceRequirementsRequest{
					VCpuCount: &ec2types.VCpuCountRangeRequest{Min: aws.Int32(2)}, MemoryMiB: &ec2types.MemoryMiBRequest{Min: aws.Int32(1024)},
				}, MaxResults: few}),
		asked(ctx, "ec2:DescribeInstanceTypes", "instance types that the built-in list lacks are unknown",
			c.EC2.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{MaxResults: few}),
		asked(ctx, "ec2:DescribeInstanceTypeOfferings", "every instance type counts as offered in every zone",
			c.EC2.DescribeInstanceTypeOfferings, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: ec2types.LocationTypeAvailabilityZone, MaxResults: few}),
		asked(ctx, "ec2:DescribeAvailabilityZones", "pods that ask for a zone by its ID wait, and a zonal shift is not seen",
			c.EC2.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{}),
		asked(ctx, "arc-zonal-shift:ListManagedResources", "a zonal shift is not seen",
			c.ZonalShifts.ListManagedResources, &arczonalshift.ListManagedResourcesInput{}),
		asked(ctx, "ec2:DescribeInstanceStatus", less, c.EC2.DescribeInstanceStatus, &ec2.DescribeInstanceStatusInput{MaxResults: few}),
		asked(ctx, "ec2:DescribeRouteTables", less, c.EC2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{MaxResults: few}),
		asked(ctx, "ec2:DescribeSubnets", less, c.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{MaxResults: few}),
		asked(ctx, "ec2:DescribeSecurityGroups", less, c.EC2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{MaxResults: few}),
		untried("eks:ListAccessEntries", "it is asked only where an instance does not become a node"),
		untried("ec2:GetConsoleOutput", "it is asked only where an instance does not become a node"),
		asked(ctx, "ec2:DescribeSpotPriceHistory", "no --asg-spot-prices=live",
			c.EC2.DescribeSpotPriceHistory, &ec2.DescribeSpotPriceHistoryInput{MaxResults: few}),
	}
}
