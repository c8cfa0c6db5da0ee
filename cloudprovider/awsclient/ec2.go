package awsclient

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// EC2 makes the calls of EC2 that this program needs.
//
// The SDK's client has some 800 calls. The linker keeps all exported methods of a type whose value an interface may hold, because the program
// calls methods by reflection (text/template). They were a third of the program. So no interface may hold an *ec2.Client, nor a struct with one.
type EC2 struct {
	availabilityZones call[ec2.DescribeAvailabilityZonesInput, ec2.DescribeAvailabilityZonesOutput]
	consoleOutput     call[ec2.GetConsoleOutputInput, ec2.GetConsoleOutputOutput]
	images            call[ec2.DescribeImagesInput, ec2.DescribeImagesOutput]
	instances         call[ec2.DescribeInstancesInput, ec2.DescribeInstancesOutput]
	reboots           call[ec2.RebootInstancesInput, ec2.RebootInstancesOutput]
	offerings         call[ec2.DescribeInstanceTypeOfferingsInput, ec2.DescribeInstanceTypeOfferingsOutput]
	requirements      call[ec2.GetInstanceTypesFromInstanceRequirementsInput, ec2.GetInstanceTypesFromInstanceRequirementsOutput]
	routeTables       call[ec2.DescribeRouteTablesInput, ec2.DescribeRouteTablesOutput]
	securityGroups    call[ec2.DescribeSecurityGroupsInput, ec2.DescribeSecurityGroupsOutput]
	spotPrices        call[ec2.DescribeSpotPriceHistoryInput, ec2.DescribeSpotPriceHistoryOutput]
	statuses          call[ec2.DescribeInstanceStatusInput, ec2.DescribeInstanceStatusOutput]
	subnets           call[ec2.DescribeSubnetsInput, ec2.DescribeSubnetsOutput]
	templateVersions  call[ec2.DescribeLaunchTemplateVersionsInput, ec2.DescribeLaunchTemplateVersionsOutput]
	types             call[ec2.DescribeInstanceTypesInput, ec2.DescribeInstanceTypesOutput]
}

type call[In, Out any] func(context.Context, *In, ...func(*ec2.Options)) (*Out, error)

func NewEC2(c *ec2.Client) *EC2 {
	return &EC2{
		availabilityZones: c.DescribeAvailabilityZones,
		consoleOutput:     c.GetConsoleOutput,
		images:            c.DescribeImages,
		instances:         c.DescribeInstances,
		reboots:           c.RebootInstances,
		offerings:         c.DescribeInstanceTypeOfferings,
		requirements:      c.GetInstanceTypesFromInstanceRequirements,
		routeTables:       c.DescribeRouteTables,
		securityGroups:    c.DescribeSecurityGroups,
		spotPrices:        c.DescribeSpotPriceHistory,
		statuses:          c.DescribeInstanceStatus,
		subnets:           c.DescribeSubnets,
		templateVersions:  c.DescribeLaunchTemplateVersions,
		types:             c.DescribeInstanceTypes,
	}
}

func (e *EC2) DescribeAvailabilityZones(ctx context.Context, in *ec2.DescribeAvailabilityZonesInput, o ...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error) {
	return e.availabilityZones(ctx, in, o...)
}

func (e *EC2) GetConsoleOutput(ctx context.Context, in *ec2.GetConsoleOutputInput, o ...func(*ec2.Options)) (*ec2.GetConsoleOutputOutput, error) {
	return e.consoleOutput(ctx, in, o...)
}

func (e *EC2) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput, o ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	return e.images(ctx, in, o...)
}

func (e *EC2) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, o ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	return e.instances(ctx, in, o...)
}

func (e *EC2) DescribeInstanceTypeOfferings(ctx context.Context, in *ec2.DescribeInstanceTypeOfferingsInput, o ...func(*ec2.Options)) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	return e.offerings(ctx, in, o...)
}

func (e *EC2) GetInstanceTypesFromInstanceRequirements(ctx context.Context, in *ec2.GetInstanceTypesFromInstanceRequirementsInput, o ...func(*ec2.Options)) (*ec2.GetInstanceTypesFromInstanceRequirementsOutput, error) {
	return e.requirements(ctx, in, o...)
}

func (e *EC2) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, o ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	return e.routeTables(ctx, in, o...)
}

func (e *EC2) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput, o ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	return e.securityGroups(ctx, in, o...)
}

func (e *EC2) DescribeSpotPriceHistory(ctx context.Context, in *ec2.DescribeSpotPriceHistoryInput, o ...func(*ec2.Options)) (*ec2.DescribeSpotPriceHistoryOutput, error) {
	return e.spotPrices(ctx, in, o...)
}

func (e *EC2) DescribeInstanceStatus(ctx context.Context, in *ec2.DescribeInstanceStatusInput, o ...func(*ec2.Options)) (*ec2.DescribeInstanceStatusOutput, error) {
	return e.statuses(ctx, in, o...)
}

func (e *EC2) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, o ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return e.subnets(ctx, in, o...)
}

func (e *EC2) DescribeLaunchTemplateVersions(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput, o ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	return e.templateVersions(ctx, in, o...)
}

func (e *EC2) RebootInstances(ctx context.Context, in *ec2.RebootInstancesInput, o ...func(*ec2.Options)) (*ec2.RebootInstancesOutput, error) {
	return e.reboots(ctx, in, o...)
}

func (e *EC2) DescribeInstanceTypes(ctx context.Context, in *ec2.DescribeInstanceTypesInput, o ...func(*ec2.Options)) (*ec2.DescribeInstanceTypesOutput, error) {
	return e.types(ctx, in, o...)
}
