package fakeaws

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLaunchTemplatesThatAreGoneAreErrors(t *testing.T) {
	s, c := overHTTP(t, Config{LaunchTemplates: []LaunchTemplate{
		{ID: "lt-0a", Name: "alpha", Versions: []LaunchTemplateVersion{{}, {}}}, {ID: "lt-0b", Name: "beta", Versions: []LaunchTemplateVersion{{}}}}})
	require.NoError(t, s.DeleteLaunchTemplate("beta"))
	for _, tt := range []struct {
		input ec2.DescribeLaunchTemplateVersionsInput
		code  string
	}{
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0b")}, "InvalidLaunchTemplateId.NotFound"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("beta")}, "InvalidLaunchTemplateName.NotFoundException"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0a"), Versions: []string{"7"}}, "InvalidLaunchTemplateId.VersionNotFound"},
		{ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"1"}}, "InvalidParameterCombination"},
		{ec2.DescribeLaunchTemplateVersionsInput{}, "MissingParameter"},
		{ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}, MaxResults: aws.Int32(201)}, "InvalidParameterValue"},
	} {
		_, err := c.ec2.DescribeLaunchTemplateVersions(t.Context(), &tt.input)
		wantAPIError(t, err, tt.code, "")
	}
	out, err := c.ec2.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0a")})
	require.NoError(t, err)
	assert.Len(t, out.LaunchTemplateVersions, 2, "all versions of a template that is there")
}

func TestTypesAreFoundByRequirements(t *testing.T) {
	_, c := overHTTP(t, Config{})
	for _, tt := range []struct {
		name         string
		requirements types.InstanceRequirementsRequest
		want         []string
	}{
		{"by size", types.InstanceRequirementsRequest{
			VCpuCount: &types.VCpuCountRangeRequest{Min: aws.Int32(4), Max: aws.Int32(8)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(1)},
			AllowedInstanceTypes: []string{"g4dn.*"},
		}, []string{"g4dn.2xlarge", "g4dn.xlarge"}},
		{"burstable only if asked for", types.InstanceRequirementsRequest{
			VCpuCount: &types.VCpuCountRangeRequest{Min: aws.Int32(2)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(1)},
			AllowedInstanceTypes: []string{"t3.micro"},
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := c.ec2.GetInstanceTypesFromInstanceRequirements(t.Context(), &ec2.GetInstanceTypesFromInstanceRequirementsInput{
				ArchitectureTypes: []types.ArchitectureType{"x86_64"}, VirtualizationTypes: []types.VirtualizationType{"hvm"}, InstanceRequirements: &tt.requirements,
			})
			require.NoError(t, err)
			var got []string
			for _, info := range out.InstanceTypes {
				got = append(got, *info.InstanceType)
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "types (-want +got)")
		})
	}
}

func TestWrongQuestionAboutSpotPricesIsRefused(t *testing.T) {
	_, c := overHTTP(t, Config{})
	_, err := c.ec2.DescribeSpotPriceHistory(t.Context(), &ec2.DescribeSpotPriceHistoryInput{InstanceTypes: []types.InstanceType{"m5.huge"}})
	wantAPIError(t, err, "InvalidParameterValue", "Invalid instance type: [m5.huge]")
	_, err = c.ec2.DescribeSpotPriceHistory(t.Context(), &ec2.DescribeSpotPriceHistoryInput{NextToken: aws.String("x")})
	wantAPIError(t, err, "InvalidNextToken", "")
}

// offerings is an account with a group in three zones, where m5.large is offered in b alone and c5.large in none.
func offerings(change ...func(*AutoScalingGroup)) Config {
	cfg := oneGroup(change...)
	cfg.Offerings = map[string][]string{"m5.large": {"us-west-2b"}, "c5.large": {}}
	return cfg
}

func byFilter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

func TestWrongQuestionAboutOfferingsIsRefused(t *testing.T) {
	_, c := overHTTP(t, offerings())
	ask := func(in ec2.DescribeInstanceTypeOfferingsInput) error {
		_, err := c.ec2.DescribeInstanceTypeOfferings(t.Context(), &in)
		return err
	}
	many := slices.Repeat([]string{"m5.large"}, 200)
	assert.NoError(t, ask(ec2.DescribeInstanceTypeOfferingsInput{Filters: []types.Filter{byFilter("instance-type", many...)}}), "200 values")
	for _, tt := range []struct {
		in            ec2.DescribeInstanceTypeOfferingsInput
		code, message string
	}{
		{ec2.DescribeInstanceTypeOfferingsInput{Filters: []types.Filter{byFilter("instance-type", many...), byFilter("location", "us-west-2")}},
			"FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200"},
		{ec2.DescribeInstanceTypeOfferingsInput{Filters: []types.Filter{byFilter("zone", "us-west-2a")}}, "InvalidParameterValue", "The filter 'zone' is invalid"},
		{ec2.DescribeInstanceTypeOfferingsInput{MaxResults: aws.Int32(4)}, "InvalidParameterValue", ""},
		{ec2.DescribeInstanceTypeOfferingsInput{LocationType: types.LocationTypeOutpost}, "InvalidParameterValue", ""},
		{ec2.DescribeInstanceTypeOfferingsInput{NextToken: aws.String("x")}, "InvalidNextToken", ""},
	} {
		wantAPIError(t, ask(tt.in), tt.code, tt.message)
	}
}

func inZoneA(in *autoscaling.LaunchInstancesInput) { in.AvailabilityZones = []string{"us-west-2a"} }

const notInA = "Your requested instance type (m5.large) is not supported in your requested Availability Zone (us-west-2a). " +
	"Please retry your request by not specifying an Availability Zone or choosing us-west-2b."

// byZone counts the instances of group g by type and zone.
func byZone(s *Server) map[string]int {
	out := map[string]int{}
	g, _ := s.Group("g")
	for _, i := range g.Instances {
		out[i.InstanceType+" "+i.Zone]++
	}
	return out
}

func TestDesiredInstanceGoesWhereTypeIsOffered(t *testing.T) {
	inBubble(t, offerings(), func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 2)
		pass(time.Minute)
		assert.Empty(t, cmp.Diff(map[string]int{"m5.large us-west-2b": 2}, byZone(s)), "instances (-want +got)")
		acts := activities(t, c, "g")
		if first := acts[len(acts)-1]; aws.ToString(first.StatusMessage) != notInA+" Launching EC2 instance failed." {
			t.Errorf("status message %q, want %q", aws.ToString(first.StatusMessage), notInA)
		}
	})
}

func TestDesiredInstanceHasTypeOfferedInZone(t *testing.T) {
	inBubble(t, offerings(mixed(Distribution{})), func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 3)
		pass(time.Minute)
		want := map[string]int{"m5.xlarge us-west-2a": 1, "m5.large us-west-2b": 1, "m5.xlarge us-west-2c": 1}
		diff := cmp.Diff(want, byZone(s))
		assert.Truef(t, diff == "" && count(s, LaunchFailed) == 0, "%d failures, instances (-want +got):\n%s", count(s, LaunchFailed), diff)
	})
}

func TestSynchronousLaunchFailsWithoutOfferedType(t *testing.T) {
	inBubble(t, offerings(), func(t *testing.T, s *Server, c clients) {
		out, err := launch(t.Context(), c, "token", 1, inZoneA)
		require.NoError(t, err)
		assert.Truef(t, len(out.Instances) == 0 && len(out.Errors) == 1 && *out.Errors[0].ErrorCode == "Unsupported" && *out.Errors[0].ErrorMessage == notInA,
			"instances %v, errors %+v; want none, and one that says %q", out.Instances, out.Errors, notInA)
		g, _ := s.Group("g")
		assert.Equal(t, 0, g.Desired, "desired")
	})
}
