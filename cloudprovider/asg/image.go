package asg

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// maxImagesPerCall is the most images asked for in one call. An image never changes, so that each is asked for once.
	maxImagesPerCall = 100
	// imagesTimeout bounds one call, its retries included: what images tell is good to know, and nothing waits for it.
	imagesTimeout = 5 * time.Second
	// goneImageRecheck is how long an image that does not exist is left alone.
	goneImageRecheck = 10 * time.Minute
)

// Image is a machine image, as far as it decides what a node will be. Every field but ID may be empty. It is immutable.
type Image struct {
	ID             string
	Name           string
	Description    string
	Architecture   string // as EC2 spells it: x86_64, arm64
	Virtualization string // hvm or paravirtual
	Windows        bool
	RootDevice     string // the device name of its root volume
	BlockDevices   []BlockDevice
}

// isAlias reports whether a launch template names its image by a parameter of Systems Manager.
func isAlias(imageID string) bool { return strings.HasPrefix(imageID, "resolve:") }

// image returns what is known of the image that a launch template names, or nil and why nothing is.
func (l *launches) image(imageID string) (*Image, error) {
	if isAlias(imageID) {
		resolved, err := l.aliases.get(imageID)
		if resolved == nil {
			return nil, err
		}
		imageID = *resolved
	}
	return l.images.get(imageID)
}

// imageUser is a launch template with its reference. A launch configuration, and an image of an override, have none.
type imageUser struct {
	ref TemplateRef
	*template
}

// imageUsers are the sources of g's launches whose image tells something that the source does not, and the images of overrides.
// Their launch templates and configurations must have been fetched.
func (l *launches) imageUsers(g *Group) []imageUser {
	var users []imageUser
	if name := g.Source.ConfigurationName; name != "" {
		if c, _ := l.configurations.get(name); c != nil {
			users = append(users, imageUser{template: &template{imageID: c.ImageID, userData: c.UserData, blockDevices: c.BlockDevices}})
		}
	}
	for _, ref := range g.Source.templates() {
		if t, _ := l.templates.get(ref); t != nil {
			users = append(users, imageUser{ref: ref, template: t})
		}
	}
	users = slices.DeleteFunc(users, func(u imageUser) bool { return u.imageID == "" || !l.imageMatters(g, u.template) })
	for _, o := range g.Source.Overrides {
		if o.ImageID != "" {
			users = append(users, imageUser{template: &template{imageID: o.ImageID}})
		}
	}
	return users
}

// imageMatters reports whether the image tells anything of g's nodes that is not known without: the operating system from
// user data or EKS, the volume from the template, the architecture from a single type. The release of Windows stands in the
// image's name alone, or in EKS's type of image.
func (l *launches) imageMatters(g *Group, t *template) bool {
	asksForTypes := func(o Override) bool { return o.Requirements != nil }
	if t.requirements != nil || slices.ContainsFunc(g.Source.Overrides, asksForTypes) {
		return true
	}
	if n, _ := l.nodegroups.get(nodegroupOf(g)); n != nil && n.AMIType != "" && n.AMIType != "CUSTOM" {
		return len(t.blockDevices) == 0 && n.DiskSizeGiB == 0
	}
	return t.userData == "" || len(t.blockDevices) == 0 || len(g.Source.Overrides) > 1 || forWindows(t.userData)
}

// forWindows reports whether user data, in base64, is what Windows runs.
func forWindows(userData string) bool {
	text, err := base64.StdEncoding.DecodeString(userData)
	return err == nil && bytes.Contains(bytes.ToLower(text), []byte("<powershell>"))
}

// fetchImages reads the images the groups use, and first which images those are that are named by a parameter. Images
// that cannot be read stay unknown: no group depends on them but one whose types are found by requirements.
func (l *launches) fetchImages(ctx context.Context, groups []*Group) {
	users := map[string]imageUser{}
	for _, g := range groups {
		for _, u := range l.imageUsers(g) {
			if isAlias(u.imageID) && !u.ref.isZero() {
				l.aliases.want(u.imageID)
			}
			if _, ok := users[u.imageID]; !ok {
				users[u.imageID] = u
			}
		}
	}
	l.resolveAliases(ctx, users)
	for id := range users {
		if isAlias(id) {
			resolved, _ := l.aliases.get(id)
			if resolved == nil {
				continue
			}
			id = *resolved
		}
		if strings.HasPrefix(id, "ami-") {
			l.images.want(id)
		}
	}
	due := l.images.due(l.clock.Now())
	slices.Sort(due)
	batches := slices.Collect(slices.Chunk(due, maxImagesPerCall))
	found := make([]map[string]*Image, len(batches))
	errs := make([]error, len(batches))
	each(len(batches), func(i int) { found[i], errs[i] = l.describeImages(ctx, batches[i]) })
	for i, batch := range batches {
		if errs[i] != nil {
			klog.FromContext(ctx).V(2).Info("Could not read machine images, what they would tell is assumed", "reason", awsclient.Reason(errs[i]), "err", errs[i])
		}
		for _, id := range batch {
			failure := errs[i]
			if failure == nil && found[i][id] == nil {
				failure = fmt.Errorf("image %q: %w", id, errGone)
			}
			l.images.put(id, found[i][id], failure, l.clock.Now())
		}
	}
}

// resolveAliases asks which images stand behind the parameters, each through one launch template that names it.
func (l *launches) resolveAliases(ctx context.Context, users map[string]imageUser) {
	due := l.aliases.due(l.clock.Now())
	found := make([]*string, len(due))
	errs := make([]error, len(due))
	each(len(due), func(i int) {
		ctx, cancel := context.WithTimeout(ctx, imagesTimeout)
		defer cancel()
		t, err := l.describeTemplate(ctx, users[due[i]].ref, true)
		switch {
		case err != nil:
			errs[i] = err
		case isAlias(t.imageID):
			errs[i] = fmt.Errorf("%s was not resolved to an image", due[i])
		default:
			found[i] = aws.String(t.imageID)
		}
	})
	for i, alias := range due {
		l.aliases.put(alias, found[i], errs[i], l.clock.Now())
	}
}

// describeImages reads images, by ID. Those that do not exist are not in it.
func (l *launches) describeImages(ctx context.Context, ids []string) (map[string]*Image, error) {
	ctx, cancel := context.WithTimeout(ctx, imagesTimeout)
	defer cancel()
	out, err := l.apis.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: ids, IncludeDeprecated: aws.Bool(true)})
	if isGone(err) && len(ids) > 1 {
		// One that is gone fails the call for all. A filter passes over it, but takes EC2 longer.
		out, err = l.apis.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{IncludeDeprecated: aws.Bool(true),
			Filters: []ec2types.Filter{{Name: aws.String("image-id"), Values: ids}}})
	}
	if err != nil {
		return nil, fmt.Errorf("describe images: %w", err)
	}
	found := make(map[string]*Image, len(ids))
	for _, i := range out.Images {
		found[aws.ToString(i.ImageId)] = imageFrom(i)
	}
	return found, nil
}

// imageFrom turns AWS's description into an Image. Every field of it may be missing.
func imageFrom(in ec2types.Image) *Image {
	i := &Image{
		ID: aws.ToString(in.ImageId), Name: aws.ToString(in.Name), Description: aws.ToString(in.Description), RootDevice: aws.ToString(in.RootDeviceName),
		Architecture: string(in.Architecture), Virtualization: string(in.VirtualizationType),
		Windows: strings.EqualFold(string(in.Platform), "windows"),
	}
	for _, b := range in.BlockDeviceMappings {
		if b.Ebs != nil {
			i.BlockDevices = addDevice(i.BlockDevices, b.DeviceName, b.Ebs.VolumeSize)
		}
	}
	return i
}
