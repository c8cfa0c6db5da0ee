package launchspec

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestElasticFabricAdaptersOfTemplate(t *testing.T) {
	interfaces := func(kinds ...string) *ec2types.ResponseLaunchTemplateData {
		d := &ec2types.ResponseLaunchTemplateData{}
		for _, kind := range kinds {
			d.NetworkInterfaces = append(d.NetworkInterfaces, ec2types.LaunchTemplateInstanceNetworkInterfaceSpecification{InterfaceType: aws.String(kind)})
		}
		return d
	}
	missing := interfaces("efa")
	missing.NetworkInterfaces[0].InterfaceType = nil
	for _, tt := range []struct {
		name string
		data *ec2types.ResponseLaunchTemplateData
		want int
	}{
		{name: "no data"},
		{name: "none", data: interfaces()},
		{name: "plain", data: interfaces("interface")},
		{name: "kind missing", data: missing},
		{name: "both kinds", data: interfaces("efa", "efa-only", "interface"), want: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, templateFrom(ec2types.LaunchTemplateVersion{LaunchTemplateData: tt.data}).EFAInterfaces, "adapters")
		})
	}
}

func TestPolicyPromisesFewestAdapters(t *testing.T) {
	r := New(nil, APIs{}, nil, nil)
	base, other := TemplateRef{ID: "lt-1", Version: "1"}, TemplateRef{ID: "lt-2", Version: "1"}
	r.templates.entries[base] = &memoEntry[template]{value: &template{LaunchSpec: LaunchSpec{EFAInterfaces: 4}}}
	r.templates.entries[other] = &memoEntry[template]{value: &template{LaunchSpec: LaunchSpec{EFAInterfaces: 1}}}
	for _, tt := range []struct {
		name      string
		overrides []Override
		want      int
	}{
		{name: "the policy's template alone", overrides: []Override{{InstanceType: "p4d.24xlarge"}}, want: 4},
		{name: "another for some", overrides: []Override{{InstanceType: "p4d.24xlarge"}, {InstanceType: "g5.8xlarge", Template: other}}, want: 1},
		{name: "another for all", overrides: []Override{{InstanceType: "g5.8xlarge", Template: other}}, want: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			launch, problems := r.fromTemplates(&Group{Source: Source{Template: base, Mixed: true, Overrides: tt.overrides}})
			assert.Truef(t, launch != nil && launch.EFAInterfaces == tt.want,
				"launches %+v with problems %+v, want %d adapters", launch, problems, tt.want)
		})
	}
}

// halfNamed is EC2 that answers with one version, as it is.
type halfNamed struct {
	EC2API
	version ec2types.LaunchTemplateVersion
}

func (h halfNamed) DescribeLaunchTemplateVersions(context.Context, *ec2.DescribeLaunchTemplateVersionsInput, ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	return &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: []ec2types.LaunchTemplateVersion{h.version}}, nil
}

func TestOriginsOfHalfNamedTemplate(t *testing.T) {
	id, number := aws.String("lt-1"), aws.Int64(3)
	third := []string{"lt-1 version 3"}
	for _, tt := range []struct {
		name   string
		ref    TemplateRef
		answer ec2types.LaunchTemplateVersion
		want   []string
	}{
		{name: "whole answer", ref: TemplateRef{Name: "workers", Version: "3"}, answer: ec2types.LaunchTemplateVersion{LaunchTemplateId: id, VersionNumber: number}, want: third},
		{name: "no echo", ref: TemplateRef{ID: "lt-1", Version: "3"}, want: third},
		{name: "no echo for a name", ref: TemplateRef{Name: "workers", Version: "3"}},
		{name: "no number of a floating version", ref: TemplateRef{ID: "lt-1", Version: "$Latest"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.answer.LaunchTemplateData = &ec2types.ResponseLaunchTemplateData{InstanceType: "m5.large"}
			r := New(nil, APIs{EC2: halfNamed{version: tt.answer}}, nil, nil)
			found, err := r.describeTemplate(t.Context(), tt.ref, nil)
			require.NoError(t, err)
			r.templates.entries[tt.ref] = &memoEntry[template]{value: found}
			launch, problems := r.fromTemplates(&Group{Source: Source{Template: tt.ref}})
			require.NotNilf(t, launch, "problems %+v", problems)
			assert.Equal(t, tt.want, launch.Origins, "origins of alike instances")
			assert.Equal(t, tt.want, launch.Next, "origins of new instances")
		})
	}
}

func TestDisabledCPUsAreNotCounted(t *testing.T) {
	data := func(o *ec2types.LaunchTemplateCpuOptions) ec2types.LaunchTemplateVersion {
		return ec2types.LaunchTemplateVersion{LaunchTemplateData: &ec2types.ResponseLaunchTemplateData{InstanceType: "m5.2xlarge", CpuOptions: o}}
	}
	r := New(nil, APIs{}, nil, nil)
	plain, halved := TemplateRef{ID: "lt-1", Version: "1"}, TemplateRef{ID: "lt-2", Version: "1"}
	one := templateFrom(data(&ec2types.LaunchTemplateCpuOptions{CoreCount: aws.Int32(4), ThreadsPerCore: aws.Int32(1)}))
	r.templates.entries[plain] = &memoEntry[template]{value: templateFrom(data(nil))}
	r.templates.entries[halved] = &memoEntry[template]{value: one}
	for _, tt := range []struct {
		name   string
		source Source
		want   []Type
	}{
		{name: "all turned on", source: Source{Template: plain}, want: []Type{{Name: "m5.2xlarge", Weight: 1}}},
		{name: "one thread for each core", source: Source{Template: halved}, want: []Type{{Name: "m5.2xlarge", Weight: 1, VCPUs: 4}}},
		{name: "by the template of an override", source: Source{Template: plain, Mixed: true, Overrides: []Override{
			{InstanceType: "m5a.2xlarge", Weight: 1, Template: halved}, {InstanceType: "m5.2xlarge", Weight: 1}}},
			want: []Type{{Name: "m5a.2xlarge", Weight: 1, VCPUs: 4, Image: &Image{}}, {Name: "m5.2xlarge", Weight: 1}}},
		{name: "by the template of the policy", source: Source{Template: halved, Mixed: true, Overrides: []Override{{InstanceType: "m5.2xlarge", Weight: 1}}},
			want: []Type{{Name: "m5.2xlarge", Weight: 1, VCPUs: 4}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			launch, problems := r.fromTemplates(&Group{Source: tt.source})
			assert.Truef(t, launch != nil && assert.ObjectsAreEqual(tt.want, launch.Types),
				"launches %+v with problems %+v, want %+v", launch, problems, tt.want)
		})
	}
	for _, odd := range []*ec2types.LaunchTemplateCpuOptions{{}, {CoreCount: aws.Int32(4)}, {ThreadsPerCore: aws.Int32(1)}, {AmdSevSnp: "enabled"}} {
		assert.Equal(t, 0, templateFrom(data(odd)).vcpus, "CPUs of incomplete options, want none stated")
	}
}

func TestTypeOfTemplateOutdoesEmptyRequirements(t *testing.T) {
	for instanceType, want := range map[ec2types.InstanceType]string{"m5.large": "", "": "{}"} {
		data := &ec2types.ResponseLaunchTemplateData{InstanceType: instanceType, InstanceRequirements: &ec2types.InstanceRequirements{}}
		got := templateFrom(ec2types.LaunchTemplateVersion{LaunchTemplateData: data}).requirementsJSON
		assert.Equalf(t, want == "", got == "", "requirements %q beside the type %q", got, instanceType)
	}
}

func TestMarketOfTemplate(t *testing.T) {
	for market, want := range map[ec2types.MarketType]LaunchSpec{
		"":                               {},
		ec2types.MarketTypeOnDemand:      {},
		ec2types.MarketTypeSpot:          {Spot: true},
		ec2types.MarketTypeCapacityBlock: {PaidAhead: true},
		ec2types.MarketTypeInterruptibleCapacityReservation: {PaidAhead: true},
	} {
		data := &ec2types.ResponseLaunchTemplateData{InstanceMarketOptions: &ec2types.LaunchTemplateInstanceMarketOptions{MarketType: market}}
		assert.Equalf(t, &want, &templateFrom(ec2types.LaunchTemplateVersion{LaunchTemplateData: data}).LaunchSpec, "market %q", market)
	}
}

func TestOwnCapacityOfTemplate(t *testing.T) {
	target := &ec2types.CapacityReservationTargetResponse{CapacityReservationId: aws.String("cr-1")}
	for _, tt := range []struct {
		tenancy    ec2types.Tenancy
		placement  string // the name of a placement group
		hosts      string // the ARN of a host resource group
		preference ec2types.CapacityReservationPreference
		target     *ec2types.CapacityReservationTargetResponse
		want       bool
		unreserved bool // though it is its own
	}{
		{tenancy: ec2types.TenancyDefault},
		{tenancy: ec2types.TenancyDedicated, want: true, unreserved: true},
		{tenancy: ec2types.TenancyHost, want: true},
		{hosts: "arn:aws:resource-groups:us-east-1:123456789012:group/hosts", want: true},
		{preference: ec2types.CapacityReservationPreferenceOpen},
		{preference: ec2types.CapacityReservationPreferenceCapacityReservationsOnly, want: true},
		{target: target, want: true},
		{target: &ec2types.CapacityReservationTargetResponse{}}, // an empty element of another endpoint
		{placement: "near", want: true, unreserved: true},
	} {
		data := &ec2types.ResponseLaunchTemplateData{Placement: &ec2types.LaunchTemplatePlacement{Tenancy: tt.tenancy, GroupName: &tt.placement,
			HostResourceGroupArn: &tt.hosts},
			CapacityReservationSpecification: &ec2types.LaunchTemplateCapacityReservationSpecificationResponse{
				CapacityReservationPreference: tt.preference, CapacityReservationTarget: tt.target}}
		spec := &templateFrom(ec2types.LaunchTemplateVersion{LaunchTemplateData: data}).LaunchSpec
		assert.Equalf(t, tt.want, spec.Reserved || spec.OwnCapacity || spec.OwnHardware(), "%+v", tt)
		assert.Equalf(t, tt.want && !tt.unreserved, spec.Reserved || spec.OnHost(), "reserved: %+v", tt)
	}
}

// Any instance of the group may start from the template of an override.
func TestCapacityOfOneTemplateCountsForTheGroup(t *testing.T) {
	plain, special := TemplateRef{ID: "lt-1", Version: "1"}, TemplateRef{ID: "lt-2", Version: "1"}
	for _, tt := range []struct{ first, other, want LaunchSpec }{
		{},
		{other: LaunchSpec{Reserved: true}, want: LaunchSpec{Reserved: true}},
		{other: LaunchSpec{PaidAhead: true}, want: LaunchSpec{PaidAhead: true}},
		{other: LaunchSpec{OwnCapacity: true}, want: LaunchSpec{OwnCapacity: true}},
		{first: LaunchSpec{Reserved: true, PaidAhead: true, OwnCapacity: true}, want: LaunchSpec{Reserved: true, PaidAhead: true, OwnCapacity: true}},
		{first: LaunchSpec{Tenancy: "default"}, other: LaunchSpec{}, want: LaunchSpec{}},
		{first: LaunchSpec{Tenancy: "default"}, other: LaunchSpec{Tenancy: "dedicated"}, want: LaunchSpec{Tenancy: "dedicated"}},
		{first: LaunchSpec{Tenancy: "dedicated"}, other: LaunchSpec{Tenancy: "default"}, want: LaunchSpec{Tenancy: "dedicated"}},
		{first: LaunchSpec{Tenancy: "dedicated"}, other: LaunchSpec{Tenancy: "host"}, want: LaunchSpec{Tenancy: "host"}},
		{first: LaunchSpec{Tenancy: "host"}, other: LaunchSpec{Tenancy: "dedicated"}, want: LaunchSpec{Tenancy: "host"}},
	} {
		r := New(nil, APIs{}, nil, nil)
		r.templates.entries[plain] = &memoEntry[template]{value: &template{LaunchSpec: tt.first, id: "lt-1", version: "1"}}
		r.templates.entries[special] = &memoEntry[template]{value: &template{LaunchSpec: tt.other, id: "lt-2", version: "1"}}
		capacity := func(overrides ...Override) LaunchSpec {
			launch, problems := r.fromTemplates(&Group{Source: Source{Template: plain, Mixed: true, Overrides: overrides}})
			require.NotNilf(t, launch, "problems %+v", problems)
			return LaunchSpec{Reserved: launch.Reserved, PaidAhead: launch.PaidAhead, OwnCapacity: launch.OwnCapacity, Tenancy: launch.Tenancy}
		}
		own, others := Override{InstanceType: "m5.large", Weight: 1}, Override{InstanceType: "p5.48xlarge", Weight: 1, Template: special}
		assert.Equalf(t, tt.want, capacity(own, others), "the templates have %+v and %+v", tt.first, tt.other)
		assert.Equalf(t, tt.other, capacity(others), "no instance starts from the template with %+v", tt.first)
		assert.Equal(t, tt.first, r.templates.entries[plain].value.LaunchSpec, "what is known of the first template")
	}
}

func TestLicenceOfImage(t *testing.T) {
	for details, charged := range map[string]bool{"Linux/UNIX": false, "Red Hat BYOL Linux": false, "Windows BYOL": false,
		"Windows": true, "SUSE Linux": true, "Red Hat Enterprise Linux with SQL Server Web": true, "Ubuntu Pro": true} {
		want := ""
		if charged {
			want = details
		}
		assert.Equalf(t, want, imageFrom(ec2types.Image{PlatformDetails: aws.String(details)}).Licence, "licence of %q", details)
	}
	assert.Equal(t, "Windows", imageFrom(ec2types.Image{Platform: ec2types.PlatformValuesWindows}).Licence, "licence without details")
	assert.Empty(t, imageFrom(ec2types.Image{}).Licence, "licence of an image without a platform")
}

// configurations answers with one launch configuration.
type configurations struct {
	AutoScalingAPI
	one astypes.LaunchConfiguration
}

func (c configurations) DescribeLaunchConfigurations(context.Context, *autoscaling.DescribeLaunchConfigurationsInput,
	...func(*autoscaling.Options)) (*autoscaling.DescribeLaunchConfigurationsOutput, error) {
	return &autoscaling.DescribeLaunchConfigurationsOutput{LaunchConfigurations: []astypes.LaunchConfiguration{c.one}}, nil
}

func TestTenancyOfBothSources(t *testing.T) {
	for _, placement := range []ec2types.LaunchTemplatePlacement{{Tenancy: ec2types.TenancyHost}, {HostResourceGroupArn: aws.String("arn")}} {
		data := &ec2types.ResponseLaunchTemplateData{Placement: &placement}
		assert.Equal(t, "host", templateFrom(ec2types.LaunchTemplateVersion{LaunchTemplateData: data}).Tenancy, "of a launch template")
	}
	old := astypes.LaunchConfiguration{LaunchConfigurationName: aws.String("old"), PlacementTenancy: aws.String("dedicated")}
	found, err := New(configurations{one: old}, APIs{}, nil, nil).describeConfigurations(t.Context(), []string{"old"})
	require.NoError(t, err)
	assert.Equal(t, "dedicated", found["old"].Tenancy, "of a launch configuration")
}

func TestTypesKnowTheSearchThatFoundThem(t *testing.T) {
	percent := aws.Int32(50)
	policys := &astypes.InstanceRequirements{SpotMaxPricePercentageOverLowestPrice: percent}
	templates := &ec2types.InstanceRequirements{MaxSpotPriceAsPercentageOfOptimalOnDemandPrice: percent}
	named, searching := TemplateRef{ID: "lt-1", Version: "1"}, TemplateRef{ID: "lt-2", Version: "1"}
	r := New(nil, APIs{}, nil, nil)
	r.templates.entries[named] = &memoEntry[template]{value: &template{instanceType: "m5.large"}}
	r.templates.entries[searching] = &memoEntry[template]{value: templateFrom(ec2types.LaunchTemplateVersion{
		LaunchTemplateData: &ec2types.ResponseLaunchTemplateData{InstanceRequirements: templates}})}
	architecture, err := r.architecture("")
	require.NoError(t, err)
	for _, requirements := range []any{policys, templates} {
		r.requirements.entries[requirementsKey{requirementsJSON(requirements), architecture}] = &memoEntry[[]string]{value: &[]string{"m5.large", "m5.xlarge"}}
	}
	for _, tt := range []struct {
		name   string
		source Source
		want   *ec2types.InstanceRequirementsRequest
	}{
		{"named", Source{Template: named}, nil},
		{"by the policy", Source{Template: named, Mixed: true, Overrides: []Override{{Requirements: policys}}},
			&ec2types.InstanceRequirementsRequest{SpotMaxPricePercentageOverLowestPrice: percent}},
		{"by the launch template", Source{Template: searching, Mixed: true},
			&ec2types.InstanceRequirementsRequest{MaxSpotPriceAsPercentageOfOptimalOnDemandPrice: percent}},
		{"by an override's launch template", Source{Template: named, Mixed: true, Overrides: []Override{{Template: searching}}},
			&ec2types.InstanceRequirementsRequest{MaxSpotPriceAsPercentageOfOptimalOnDemandPrice: percent}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			launch, problems := r.fromTemplates(&Group{Source: tt.source})
			require.NotNilf(t, launch, "problems %+v", problems)
			for _, found := range launch.Types {
				assert.Equal(t, tt.want, found.Search, "search of %s", found.Name)
				assert.Same(t, launch.Types[0].Search, found.Search)
			}
		})
	}
}

func TestUnreadImagesOfNewInstancesAreNoDifference(t *testing.T) {
	of := func(images ...string) *LaunchSpec {
		return &LaunchSpec{UserData: "x", NextImages: images}
	}
	assert.True(t, SameLaunch(of("ami-a"), of("ami-a")), "the same images")
	assert.True(t, SameLaunch(of("ami-a"), of()), "images that are unread now")
	assert.True(t, SameLaunch(of(), of("ami-a")), "images that are read again")
	assert.False(t, SameLaunch(of("ami-a"), of("ami-b")), "other images")
	assert.False(t, SameLaunch(of(), &LaunchSpec{UserData: "y"}), "other user data")
	assert.False(t, SameLaunch(nil, of("ami-a")), "a launch description that is read at last")
}
