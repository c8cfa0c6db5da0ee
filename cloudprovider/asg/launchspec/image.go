package launchspec

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// isAlias reports whether a launch template names its image by a parameter of Systems Manager.
func isAlias(imageID string) bool { return strings.HasPrefix(imageID, "resolve:") }

func (r *Resolver) image(imageID string) (*Image, error) {
	if isAlias(imageID) {
		resolved, err := r.aliases.get(imageID)
		if resolved == nil {
			return nil, err
		}
		imageID = *resolved
	}
	return r.images.get(imageID)
}

// fetchImages resolves the parameters that name images, and reads the images of the groups. One that cannot be read stays unknown.
func (r *Resolver) fetchImages(ctx context.Context, groups []*Group) {
	users := map[string]TemplateRef{}
	for _, g := range groups {
		for id, ref := range r.imageUsers(g) {
			if isAlias(id) && !ref.IsZero() {
				r.aliases.want(id)
			}
			users[id] = cmp.Or(users[id], ref)
		}
	}
	r.resolveAliases(ctx, users)
	for id := range users {
		if resolved, _ := r.aliases.get(id); resolved != nil {
			id = *resolved
		}
		if strings.HasPrefix(id, "ami-") {
			r.images.want(id)
		}
	}
	r.images.fetchBatches(ctx, r.images.due(), maxImagesPerCall, r.describeImages)
}

// resolveAliases resolves the parameters to images, each through one launch template that names it.
func (r *Resolver) resolveAliases(ctx context.Context, users map[string]TemplateRef) {
	r.aliases.fetch(ctx, r.aliases.due(), func(ctx context.Context, alias string) (*string, error) {
		ctx, cancel := context.WithTimeout(ctx, optionalTimeout)
		defer cancel()
		t, err := r.describeTemplate(ctx, users[alias], aws.Bool(true))
		if err != nil {
			return nil, err
		}
		if read, _ := r.templates.get(users[alias]); t.version != read.version { // which may name another parameter
			r.templates.expire(users[alias])
			return nil, fmt.Errorf("launch template %s has moved on to version %s", users[alias], t.version)
		}
		if isAlias(t.ImageID) {
			return nil, fmt.Errorf("%s was not resolved to an image: %w", alias, errGone)
		}
		return &t.ImageID, nil
	})
}

func (r *Resolver) describeImages(ctx context.Context, ids []string) (map[string]*Image, error) {
	ctx, cancel := context.WithTimeout(ctx, optionalTimeout)
	defer cancel()
	found, err := r.imagesOf(ctx, &ec2.DescribeImagesInput{ImageIds: ids})
	if isGone(err) && len(ids) > 1 {
		// One image that is missing, or has no proper ID, fails the call for all. A filter passes over it, but takes EC2 longer.
		found, err = r.imagesOf(ctx, &ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("image-id"), Values: ids}}})
	}
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Could not read machine images, assuming their facts", "reason", awsclient.Reason(err), "err", err)
	}
	return found, err
}

func (r *Resolver) imagesOf(ctx context.Context, in *ec2.DescribeImagesInput) (map[string]*Image, error) {
	in.IncludeDeprecated = aws.Bool(true)
	found := map[string]*Image{}
	for pages := ec2.NewDescribeImagesPaginator(r.apis.EC2, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe images: %w", err)
		}
		for _, i := range page.Images {
			found[aws.ToString(i.ImageId)] = imageFrom(i)
		}
	}
	return found, nil
}

func imageFrom(in ec2types.Image) *Image {
	i := &Image{
		ID: aws.ToString(in.ImageId), Name: aws.ToString(in.Name), Description: aws.ToString(in.Description), RootDevice: aws.ToString(in.RootDeviceName),
		Architecture: string(in.Architecture), Windows: strings.EqualFold(string(in.Platform), "windows"),
	}
	// AWS charges for neither Linux/UNIX nor the owner's own licence (BYOL, EC2 User Guide, "AMI billing information fields", read 2026-11).
	details := cmp.Or(aws.ToString(in.PlatformDetails), string(in.Platform))
	if !strings.HasPrefix(details, "Linux/UNIX") && !strings.Contains(details, "BYOL") {
		i.Licence = details
	}
	for _, b := range in.BlockDeviceMappings {
		if b.Ebs != nil {
			i.BlockDevices = addDevice(i.BlockDevices, b.DeviceName, b.Ebs.VolumeSize)
		}
	}
	if lists := in.InstanceTypeSpecification; lists != nil {
		i.Supported, i.Unsupported = namesOf(lists.SupportedInstanceTypes), namesOf(lists.UnsupportedInstanceTypes)
	}
	return i
}

func namesOf(types []ec2types.InstanceTypeItem) (names []string) {
	for _, t := range types {
		names = append(names, aws.ToString(t.InstanceType))
	}
	return names
}

// Allows reports whether EC2 starts the image on the instance type (EC2 User Guide, "AMI allowed instance types", read 2026-11).
func (i *Image) Allows(instanceType string) bool {
	match := func(pattern string) bool { matches, _ := path.Match(pattern, instanceType); return matches }
	return (len(i.Supported) == 0 || slices.ContainsFunc(i.Supported, match)) && !slices.ContainsFunc(i.Unsupported, match)
}

// imageUsers returns the images that the read launch sources of g and its overrides name, with the launch template that names each. A launch
// configuration, and an override, have none.
func (r *Resolver) imageUsers(g *Group) map[string]TemplateRef {
	users := map[string]TemplateRef{}
	if c, _ := r.configurations.get(g.Source.ConfigurationName); c != nil {
		users[c.ImageID] = TemplateRef{}
	}
	for _, o := range g.Source.Overrides {
		users[o.ImageID] = TemplateRef{}
	}
	for _, ref := range g.Source.templates() {
		if t, _ := r.templates.get(ref); t != nil {
			users[t.ImageID] = ref
		}
	}
	delete(users, "")
	return users
}
