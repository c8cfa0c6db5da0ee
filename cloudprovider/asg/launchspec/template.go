package launchspec

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// template is one version of a launch template, or a launch configuration. A launch configuration has no version and no requirements.
type template struct {
	LaunchSpec              // the part that it states itself
	id, version      string // version is a number. Each is "" while it is unknown
	instanceType     string
	vcpus            int
	requirementsJSON string // empty where the template names a type
	instanceTags     map[string]string
	stated           []Statement
}

func templateFrom(v ec2types.LaunchTemplateVersion) *template {
	t := &template{id: aws.ToString(v.LaunchTemplateId), instanceTags: map[string]string{}}
	if number := aws.ToInt64(v.VersionNumber); number > 0 {
		t.version = strconv.FormatInt(number, 10)
	}
	d := v.LaunchTemplateData
	if d == nil {
		return t
	}
	t.instanceType, t.ImageID, t.UserData = string(d.InstanceType), aws.ToString(d.ImageId), aws.ToString(d.UserData)
	if m := d.InstanceMarketOptions; m != nil {
		t.Spot = m.MarketType == ec2types.MarketTypeSpot
		t.PaidAhead = !t.Spot && m.MarketType != "" && m.MarketType != ec2types.MarketTypeOnDemand
	}
	if c := d.CapacityReservationSpecification; c != nil {
		only := ec2types.CapacityReservationPreferenceCapacityReservationsOnly
		target := c.CapacityReservationTarget
		t.Reserved = target != nil && *target != ec2types.CapacityReservationTargetResponse{} || c.CapacityReservationPreference == only
	}
	if d.Placement != nil {
		t.Tenancy = string(d.Placement.Tenancy)
		if aws.ToString(d.Placement.HostResourceGroupArn) != "" { // the template may leave the tenancy out
			t.Tenancy = string(ec2types.TenancyHost)
		}
		t.OwnCapacity = aws.ToString(d.Placement.GroupName)+aws.ToString(d.Placement.GroupId) != ""
	}
	if p := d.IamInstanceProfile; p != nil {
		t.Profile = cmp.Or(aws.ToString(p.Name), aws.ToString(p.Arn))
	}
	if d.CpuOptions != nil {
		t.vcpus = int(aws.ToInt32(d.CpuOptions.CoreCount) * aws.ToInt32(d.CpuOptions.ThreadsPerCore))
	}
	for _, b := range d.BlockDeviceMappings {
		if b.Ebs != nil {
			t.BlockDevices = addDevice(t.BlockDevices, b.DeviceName, b.Ebs.VolumeSize)
		}
	}
	for _, spec := range d.TagSpecifications {
		for _, tag := range spec.Tags {
			if spec.ResourceType == ec2types.ResourceTypeInstance {
				t.instanceTags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
			}
		}
	}
	for _, n := range d.NetworkInterfaces {
		if kind := aws.ToString(n.InterfaceType); kind == "efa" || kind == "efa-only" {
			t.EFAInterfaces++
		}
	}
	if d.InstanceRequirements != nil && t.instanceType == "" { // another endpoint may write an empty element beside the type
		t.requirementsJSON = requirementsJSON(d.InstanceRequirements)
	}
	return t
}

const ofVersion = " version "

// TemplateOrigin names a version of a launch template, "" where the ID or the version is unknown.
func TemplateOrigin(id, version string) string {
	if id == "" || version == "" {
		return ""
	}
	return id + ofVersion + version
}

// fetchTemplates reads the versions: many with one call where many are due, the rest one by one.
func (r *Resolver) fetchTemplates(ctx context.Context, refs []TemplateRef) {
	if len(refs) >= manyTemplates {
		start := r.clock.Now()
		if err := r.fetchAllTemplates(ctx, min(len(refs)/manyTemplates, maxTemplatePages)); err != nil {
			klog.FromContext(ctx).V(2).Info("Could not read all launch templates at once, reading them one by one", "reason", awsclient.Reason(err), "err", err)
		}
		refs = slices.DeleteFunc(refs, func(ref TemplateRef) bool { return !r.templates.entries[ref].readAt.Before(start) })
	}
	r.templates.fetch(ctx, refs, func(ctx context.Context, ref TemplateRef) (*template, error) {
		return r.describeTemplate(ctx, ref, nil)
	})
}

// describeTemplate reads one version. With resolve, which needs a permission of its own, AWS replaces a parameter by the image. Another endpoint may
// know the template by its name alone. Once neither has found it, one look-up in ten asks by the name again.
func (r *Resolver) describeTemplate(ctx context.Context, ref TemplateRef, resolve *bool) (*template, error) {
	in := &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{ref.Version}, ResolveAlias: resolve}
	if ref.ID == "" {
		in.LaunchTemplateName = aws.String(ref.Name)
		return r.describeVersion(ctx, in, ref)
	}
	in.LaunchTemplateId = aws.String(ref.ID)
	found, err := r.describeVersion(ctx, in, ref)
	e := r.templates.entries[ref]
	missed := e != nil && misses(e.err)
	if ref.Name == "" || resolve != nil || !misses(err) || missed && e.failed%10 != 0 {
		return found, err
	}
	in.LaunchTemplateId, in.LaunchTemplateName = nil, aws.String(ref.Name)
	named, again := r.describeVersion(ctx, in, ref)
	if misses(again) || again != nil && missed { // a throttled question is no answer, so the known one stays
		return found, err
	}
	return named, again
}

// describeVersion does not take the version of a template with another ID for the one that ref names.
func (r *Resolver) describeVersion(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput, ref TemplateRef) (*template, error) {
	out, err := r.apis.EC2.DescribeLaunchTemplateVersions(ctx, in)
	switch {
	case in.ResolveAlias == nil && awsclient.IsNotFound(err) && !strings.Contains(awsclient.Code(err), "LaunchTemplate"): // not AWS's code
		return nil, fmt.Errorf("%w: %s", errUnlisted, awsclient.Brief(err))
	case err != nil:
		return nil, fmt.Errorf("describe launch template %s: %w", ref, err)
	}
	at := slices.IndexFunc(out.LaunchTemplateVersions, func(v ec2types.LaunchTemplateVersion) bool {
		return ref.ID == "" || cmp.Or(aws.ToString(v.LaunchTemplateId), ref.ID) == ref.ID
	})
	if at < 0 {
		return nil, errUnlisted
	}
	t := r.read(out.LaunchTemplateVersions[at])
	t.id = cmp.Or(t.id, ref.ID)
	if !ref.floats() {
		t.version = cmp.Or(t.version, ref.Version)
	}
	return t, nil
}

// fetchAllTemplates reads the newest and default versions of all templates of the account, by most calls of 200 each.
func (r *Resolver) fetchAllTemplates(ctx context.Context, most int) error {
	newest := map[string]ec2types.LaunchTemplateVersion{}
	pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(r.apis.EC2, &ec2.DescribeLaunchTemplateVersionsInput{
		Versions: []string{"$Latest", "$Default"}, MaxResults: aws.Int32(maxTemplatesPerPage)})
	for n := 0; pages.HasMorePages() && n < most; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("describe all launch templates: %w", err)
		}
		for _, v := range page.LaunchTemplateVersions {
			r.putVersion(v, strconv.FormatInt(aws.ToInt64(v.VersionNumber), 10))
			if aws.ToBool(v.DefaultVersion) {
				r.putVersion(v, "$Default")
			}
			if id := aws.ToString(v.LaunchTemplateId); aws.ToInt64(v.VersionNumber) > aws.ToInt64(newest[id].VersionNumber) {
				newest[id] = v
			}
		}
	}
	if pages.HasMorePages() {
		return nil // a newer version may be on an unread page
	}
	for _, v := range newest {
		r.putVersion(v, "$Latest")
	}
	return nil
}

func (r *Resolver) putVersion(v ec2types.LaunchTemplateVersion, version string) {
	id, name := aws.ToString(v.LaunchTemplateId), aws.ToString(v.LaunchTemplateName)
	for _, ref := range []TemplateRef{{id, name, version}, {ID: id, Version: version}, {Name: name, Version: version}} {
		if r.templates.entries[ref] != nil {
			r.templates.put(ref, r.read(v), nil)
		}
	}
}

func (r *Resolver) read(v ec2types.LaunchTemplateVersion) *template {
	t := templateFrom(v)
	t.stated = r.stated(t.UserData, t.instanceTags)
	return t
}

func (r *Resolver) describeConfigurations(ctx context.Context, names []string) (map[string]*template, error) {
	found := make(map[string]*template, len(names))
	pages := autoscaling.NewDescribeLaunchConfigurationsPaginator(r.autoscaling, &autoscaling.DescribeLaunchConfigurationsInput{
		LaunchConfigurationNames: names, MaxRecords: aws.Int32(maxConfigurationsPerCall)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range page.LaunchConfigurations {
			t := &template{instanceType: aws.ToString(c.InstanceType), LaunchSpec: LaunchSpec{ImageID: aws.ToString(c.ImageId), UserData: aws.ToString(c.UserData),
				Profile: aws.ToString(c.IamInstanceProfile), Spot: aws.ToString(c.SpotPrice) != "", Tenancy: aws.ToString(c.PlacementTenancy)}}
			for _, b := range c.BlockDeviceMappings {
				if b.Ebs != nil {
					t.BlockDevices = addDevice(t.BlockDevices, b.DeviceName, b.Ebs.VolumeSize)
				}
			}
			t.stated = r.stated(t.UserData, nil)
			found[aws.ToString(c.LaunchConfigurationName)] = t
		}
	}
	return found, nil
}
