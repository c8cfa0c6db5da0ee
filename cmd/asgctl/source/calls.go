package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/arczonalshift"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// Answer has the account answer all reads of a client. Nothing leaves the process.
func (a *Account) Answer(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Account",
		func(_ context.Context, in middleware.InitializeInput, _ middleware.InitializeHandler) (out middleware.InitializeOutput, _ middleware.Metadata, err error) {
			out.Result, err = a.answer(in.Parameters)
			return out, middleware.Metadata{}, err
		}), middleware.Before)
}

func (a *Account) answer(in any) (any, error) {
	switch in := in.(type) {
	case *autoscaling.DescribeAutoScalingGroupsInput:
		return a.DescribeAutoScalingGroups(in)
	case *autoscaling.DescribeScalingActivitiesInput:
		return &autoscaling.DescribeScalingActivitiesOutput{}, nil // they are not recorded
	case *autoscaling.DescribeInstanceRefreshesInput:
		return &autoscaling.DescribeInstanceRefreshesOutput{}, nil // as above
	case *autoscaling.DescribeScheduledActionsInput:
		return &autoscaling.DescribeScheduledActionsOutput{}, nil // as above
	case *arczonalshift.ListManagedResourcesInput:
		return &arczonalshift.ListManagedResourcesOutput{}, nil // as above
	case *autoscaling.DescribeLaunchConfigurationsInput:
		return a.DescribeLaunchConfigurations(in)
	case *ec2.DescribeLaunchTemplateVersionsInput:
		return a.DescribeLaunchTemplateVersions(in)
	case *ec2.DescribeImagesInput:
		return a.DescribeImages(in)
	case *ec2.GetInstanceTypesFromInstanceRequirementsInput:
		return a.typesThatMeet(in)
	case *eks.DescribeNodegroupInput:
		return a.DescribeNodegroup(in)
	case *ec2.DescribeInstanceTypeOfferingsInput:
		return &ec2.DescribeInstanceTypeOfferingsOutput{InstanceTypeOfferings: a.offerings}, nil // the caller passes over what it did not ask for
	case *ec2.DescribeSpotPriceHistoryInput:
		return &ec2.DescribeSpotPriceHistoryOutput{SpotPriceHistory: a.spotPrices}, nil // as above
	}
	return nil, &smithy.GenericAPIError{Code: "AccessDenied", Message: "the files have no answer to this"}
}

// DescribeAutoScalingGroups answers with the groups that are named and match all filters, in one page.
func (a *Account) DescribeAutoScalingGroups(in *autoscaling.DescribeAutoScalingGroupsInput) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	groups := named(a.groups, in.AutoScalingGroupNames, func(g astypes.AutoScalingGroup) *string { return g.AutoScalingGroupName })
	return &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: slices.DeleteFunc(groups, func(g astypes.AutoScalingGroup) bool {
		return slices.ContainsFunc(in.Filters, func(f astypes.Filter) bool { return !matches(g.Tags, f) })
	})}, nil
}

// named returns the objects with these names, all if there is no name, in a slice of its own.
func named[T any](all []T, names []string, name func(T) *string) []T {
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool { return len(names) > 0 && !slices.Contains(names, aws.ToString(name(one))) })
}

// matches reports whether a tag is as the filter wants it: one with the key (tag-key), or with one of the values under the key (tag:<key>).
func matches(tags []astypes.TagDescription, f astypes.Filter) bool {
	name := aws.ToString(f.Name)
	key, keyed := strings.CutPrefix(name, "tag:")
	return slices.ContainsFunc(tags, func(t astypes.TagDescription) bool {
		return name == "tag-key" && slices.Contains(f.Values, aws.ToString(t.Key)) ||
			keyed && aws.ToString(t.Key) == key && slices.Contains(f.Values, aws.ToString(t.Value))
	})
}

func (a *Account) DescribeLaunchConfigurations(in *autoscaling.DescribeLaunchConfigurationsInput) (*autoscaling.DescribeLaunchConfigurationsOutput, error) {
	if err := a.recorded(configurationsFile); err != nil {
		return nil, err
	}
	found := named(a.configurations, in.LaunchConfigurationNames, func(c astypes.LaunchConfiguration) *string { return c.LaunchConfigurationName })
	return &autoscaling.DescribeLaunchConfigurationsOutput{LaunchConfigurations: found}, nil
}

// DescribeLaunchTemplateVersions answers with the versions asked for, of one template or of all. $Latest is the newest that
// was recorded.
func (a *Account) DescribeLaunchTemplateVersions(in *ec2.DescribeLaunchTemplateVersionsInput) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	if err := a.recorded(templatesFile); err != nil {
		return nil, err
	}
	id, name := aws.ToString(in.LaunchTemplateId), aws.ToString(in.LaunchTemplateName)
	found := slices.DeleteFunc(slices.Clone(a.templates), func(v ec2types.LaunchTemplateVersion) bool {
		return id != "" && aws.ToString(v.LaunchTemplateId) != id || name != "" && aws.ToString(v.LaunchTemplateName) != name
	})
	newest := map[string]int64{}
	for _, v := range found {
		newest[aws.ToString(v.LaunchTemplateId)] = max(newest[aws.ToString(v.LaunchTemplateId)], aws.ToInt64(v.VersionNumber))
	}
	if len(found) == 0 && id+name != "" {
		return nil, notRecorded("InvalidLaunchTemplateId.NotFound", "launch template "+id+name, templatesFile)
	}
	found = slices.DeleteFunc(found, func(v ec2types.LaunchTemplateVersion) bool {
		latest := aws.ToInt64(v.VersionNumber) == newest[aws.ToString(v.LaunchTemplateId)]
		return len(in.Versions) > 0 && !slices.Contains(in.Versions, strconv.FormatInt(aws.ToInt64(v.VersionNumber), 10)) &&
			!(latest && slices.Contains(in.Versions, "$Latest")) && !(aws.ToBool(v.DefaultVersion) && slices.Contains(in.Versions, "$Default"))
	})
	if len(found) == 0 && id+name != "" {
		return nil, notRecorded("InvalidLaunchTemplateId.VersionNotFound",
			fmt.Sprintf("version %s of launch template %s", strings.Join(in.Versions, ", "), id+name), templatesFile)
	}
	return &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: found}, nil
}

// DescribeImages answers with the requested images. Without a file it only knows that they exist.
func (a *Account) DescribeImages(in *ec2.DescribeImagesInput) (*ec2.DescribeImagesOutput, error) {
	out := &ec2.DescribeImagesOutput{Images: named(a.images, in.ImageIds, func(i ec2types.Image) *string { return i.ImageId })}
	if a.missing[imagesFile] {
		for _, id := range in.ImageIds {
			out.Images = append(out.Images, ec2types.Image{ImageId: &id})
		}
		return out, nil
	}
	if len(out.Images) == 0 && len(in.ImageIds) > 0 {
		return nil, notRecorded("InvalidAMIID.NotFound", "image "+strings.Join(in.ImageIds, ", "), imagesFile)
	}
	return out, nil
}

func (a *Account) DescribeNodegroup(in *eks.DescribeNodegroupInput) (*eks.DescribeNodegroupOutput, error) {
	if err := a.recorded(nodegroupsFile); err != nil {
		return nil, err
	}
	for i, n := range a.nodegroups {
		if aws.ToString(n.NodegroupName) == aws.ToString(in.NodegroupName) && aws.ToString(n.ClusterName) == aws.ToString(in.ClusterName) {
			return &eks.DescribeNodegroupOutput{Nodegroup: &a.nodegroups[i]}, nil
		}
	}
	return nil, notRecorded("ResourceNotFoundException",
		fmt.Sprintf("node group %s of cluster %s", aws.ToString(in.NodegroupName), aws.ToString(in.ClusterName)), nodegroupsFile)
}

// typesMet is the answer to one request for the types that meet requirements, as a loop records it. An answer that the AWS CLI prints does not
// say what was asked.
type typesMet struct {
	Request string // as JSON
	ec2.GetInstanceTypesFromInstanceRequirementsOutput
}

func (a *Account) typesThatMeet(in *ec2.GetInstanceTypesFromInstanceRequirementsInput) (*ec2.GetInstanceTypesFromInstanceRequirementsOutput, error) {
	request, _ := json.Marshal(in) // a request always has a JSON form
	for _, t := range a.typesMet {
		if t.Request == string(request) {
			return &t.GetInstanceTypesFromInstanceRequirementsOutput, nil
		}
	}
	return nil, errors.New("the files do not say which instance types meet the requirements")
}

// recorded returns the error of a call whose file is missing.
func (a *Account) recorded(file string) error {
	if a.missing[file] {
		return fmt.Errorf("there is no %s in %s", file, a.name)
	}
	return nil
}

// notRecorded returns AWS's own error for an object that is missing in the file.
func notRecorded(code, what, file string) error {
	return &smithy.GenericAPIError{Code: code, Message: what + " is not in " + file}
}
