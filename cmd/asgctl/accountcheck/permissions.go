package accountcheck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/arczonalshift"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/smithy-go/middleware"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// Outcomes of a call, beside the reasons of awsclient.Reason.
const (
	allowed  = "allowed"
	notTried = "not-tried"
	denied   = "denied" // awsclient.Reason's word
)

// actionFleet is the one action that Auto Scaling calls for the caller.
const actionFleet = "ec2:CreateFleet"

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
	Milliseconds int64  `json:"milliseconds"`    // until the answer, the SDK's own repetitions included
	Items        int    `json:"items,omitempty"` // on the first page
	// Meaning is the effect on the autoscaler, or the reason why the call was not tried. It is empty where all is well.
	Meaning string `json:"meaning,omitempty"`

	err    error
	needed bool // to start
}

// Fault reports whether somebody must put the permission right: AWS denies the call, or does not answer one that the autoscaler needs to start.
// The shipped policy does not allow ec2:CreateFleet to the caller itself.
func (c Call) Fault() bool {
	return c.err != nil && c.Action != actionFleet && (c.needed || c.Outcome == denied)
}

// try makes a call of an SDK client and describes its answer. Items are those of the answer's last list, or one where it has none.
func try[In, Out, Options any](ctx context.Context, action string, do func(context.Context, *In, ...func(*Options)) (*Out, error), in *In) (Call, *Out) {
	began := time.Now()
	out, err := do(ctx, in)
	c := Call{Action: action, Outcome: allowed, Milliseconds: time.Since(began).Milliseconds(), err: err}
	if err == nil {
		c.Items = 1
		answer := reflect.ValueOf(out).Elem()
		for _, member := range answer.Fields() {
			if member.Kind() == reflect.Slice {
				c.Items = member.Len()
			}
		}
		c.RequestID, _ = awsmiddleware.GetRequestIDMetadata(answer.FieldByName("ResultMetadata").Interface().(middleware.Metadata))
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

// permissions are the actions of manifests/iam/policy-*.json. The groups are the first page of the account's groups.
func permissions(c *awsclient.Clients, groups []autoscalingtypes.AutoScalingGroup) []permission {
	fewRecords, few := aws.Int32(1), aws.Int32(fewest)
	return []permission{
		{action: "ec2:DescribeLaunchTemplateVersions", needed: true, without: "groups with a launch template do not scale",
			ask: ask(c.EC2.DescribeLaunchTemplateVersions, &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}, MaxResults: few})},
		{action: "autoscaling:SetDesiredCapacity", untried: noDryRun},
		{action: "autoscaling:TerminateInstanceInAutoScalingGroup", untried: noDryRun + ". --launch tries it"},
		{action: "autoscaling:LaunchInstances", untried: noDryRun + ". --launch tries it"},
		{action: "autoscaling:DescribeLaunchConfigurations", without: "groups with a launch configuration do not scale",
			ask: ask(c.AutoScaling.DescribeLaunchConfigurations, &autoscaling.DescribeLaunchConfigurationsInput{MaxRecords: fewRecords})},
		{action: "autoscaling:DescribeScalingActivities", without: "the reasons of failed launches are unknown",
			ask: ask(c.AutoScaling.DescribeScalingActivities, &autoscaling.DescribeScalingActivitiesInput{MaxRecords: fewRecords})},
		{action: "ec2:DescribeInstances", without: "nodes of instances that left their group stay until Kubernetes removes them",
			ask: ask(c.EC2.DescribeInstances, &ec2.DescribeInstancesInput{MaxResults: few})},
		{action: "ec2:DescribeImages", without: "the operating system, architecture and disk of a group's nodes come from other facts",
			ask: ask(c.EC2.DescribeImages, &ec2.DescribeImagesInput{Owners: []string{"self"}, MaxResults: few})},
		{action: "ssm:GetParameters", untried: "EC2 makes this call, for launch templates that name their image by a parameter"},
		nodegroup(c, groups),
		{action: "autoscaling:DescribeInstanceRefreshes", untried: "it is asked only where instances of a group are replaced"},
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
		{action: "ec2:DescribeInstanceStatus", without: "less is known of instances that do not become nodes",
			ask: ask(c.EC2.DescribeInstanceStatus, &ec2.DescribeInstanceStatusInput{MaxResults: few})},
		{action: "eks:ListAccessEntries", untried: "it is asked only where an instance does not become a node"},
		{action: "ec2:GetConsoleOutput", untried: "it is asked only where an instance does not become a node"},
		{action: "ec2:DescribeSpotPriceHistory", without: "no --asg-spot-prices=live",
			ask: ask(c.EC2.DescribeSpotPriceHistory, &ec2.DescribeSpotPriceHistoryInput{MaxResults: few})},
	}
}

// nodegroup describes the node group of EKS that the first group belongs to.
func nodegroup(c *awsclient.Clients, groups []autoscalingtypes.AutoScalingGroup) permission {
	p := permission{action: "eks:DescribeNodegroup", without: "labels and taints of EKS node groups come from tags only",
		untried: "no group on the first page belongs to a managed node group of EKS"}
	for _, g := range groups {
		in := &eks.DescribeNodegroupInput{}
		for _, t := range g.Tags {
			switch aws.ToString(t.Key) {
			case "eks:cluster-name":
				in.ClusterName = t.Value
			case "eks:nodegroup-name":
				in.NodegroupName = t.Value
			}
		}
		if in.ClusterName != nil && in.NodegroupName != nil {
			p.ask = ask(c.EKS.DescribeNodegroup, in)
			break
		}
	}
	return p
}

// Permissions makes one read-only call for each action of the shipped policy that can be tried so, one after the other. Actions that cannot are
// among the answers, too.
func Permissions(ctx context.Context, c *awsclient.Clients) []Call {
	first, out := try(ctx, "autoscaling:DescribeAutoScalingGroups", c.AutoScaling.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{})
	groups := cmp.Or(out, &autoscaling.DescribeAutoScalingGroupsOutput{}).AutoScalingGroups
	first.needed = true
	calls := []Call{first.without("the autoscaler does not start")}
	for _, p := range permissions(c, groups) {
		if p.ask == nil {
			calls = append(calls, Call{Action: p.action, Outcome: notTried, Meaning: p.untried})
			continue
		}
		answer := p.ask(ctx)
		answer.Action, answer.needed = p.action, p.needed
		calls = append(calls, answer.without(p.without))
	}
	return append(calls, fleet(ctx, c, groups))
}

// without adds the effect of a call that failed.
func (c Call) without(effect string) Call {
	if c.err != nil {
		c.Meaning += ". Effect: " + effect
	}
	return c
}

// fleet asks EC2 whether the caller may call CreateFleet itself, as a dry run. By the shipped policy only Auto Scaling may, in the caller's
// name. If the caller may, too, then a launch does not show that the policy's condition holds.
func fleet(ctx context.Context, c *awsclient.Clients, groups []autoscalingtypes.AutoScalingGroup) Call {
	template := firstTemplate(groups)
	if template == nil {
		return Call{Action: actionFleet, Outcome: notTried, Meaning: "no group on the first page has a launch template"}
	}
	answer, _ := try(ctx, actionFleet, c.EC2.CreateFleet, &ec2.CreateFleetInput{
		DryRun: aws.Bool(true), Type: ec2types.FleetTypeInstant,
		LaunchTemplateConfigs: []ec2types.FleetLaunchTemplateConfigRequest{{LaunchTemplateSpecification: template}},
		TargetCapacitySpecification: &ec2types.TargetCapacitySpecificationRequest{
			TotalTargetCapacity: aws.Int32(1), DefaultTargetCapacityType: ec2types.DefaultTargetCapacityTypeOnDemand,
		},
	})
	switch {
	case answer.Code == "DryRunOperation":
		answer.Outcome = allowed
		answer.Meaning = "the caller may call it without Auto Scaling, so that a launch proves nothing about the policy's condition"
	case answer.Outcome == denied:
		answer.Meaning = "as the policy means it: only Auto Scaling may call it for the caller, which --launch tries"
	case answer.err == nil:
		answer.Meaning = fmt.Sprintf("a dry run was carried out: look for a fleet with %d instances", answer.Items)
	}
	return answer
}

// firstTemplate is the launch template of the first group that has one, or nil.
func firstTemplate(groups []autoscalingtypes.AutoScalingGroup) *ec2types.FleetLaunchTemplateSpecificationRequest {
	for _, g := range groups {
		found := g.LaunchTemplate
		if policy := g.MixedInstancesPolicy; policy != nil && policy.LaunchTemplate != nil {
			found = policy.LaunchTemplate.LaunchTemplateSpecification
		}
		if found != nil {
			version := aws.ToString(found.Version)
			if version == "" {
				version = "$Default"
			}
			return &ec2types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: found.LaunchTemplateId, Version: &version}
		}
	}
	return nil
}
