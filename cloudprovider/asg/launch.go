package asg

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"
)

// Launch is what a group's next instances would be, put together from its policy, launch template or configuration,
// image and EKS node group. It is immutable, and the same pointer for as long as nothing in it changed.
type Launch struct {
	// Types are what the policy may launch, in its order of preference, each once.
	Types        []LaunchType
	ImageID      string
	UserData     string // base64, as AWS keeps it
	BlockDevices []BlockDevice
	// Spot tells that the launch template itself asks for spot instances. A mixed instances policy says otherwise.
	Spot bool
	// InstanceTags are those the template puts on its instances.
	InstanceTags map[string]string
	// Nodegroup is the EKS node group the Auto Scaling group belongs to, or nil.
	Nodegroup *Nodegroup
}

// LaunchType is one instance type a group may launch.
type LaunchType struct {
	Name   string
	Weight int // in capacity units
}

// BlockDevice is a volume the template asks for.
type BlockDevice struct {
	Device  string
	SizeGiB int
}

// Problem reasons of this package.
const (
	ReasonLaunchSourceMissing = "launch-source-missing"
	ReasonLaunchSourceUnread  = "launch-source-unread"
	ReasonNoInstanceType      = "no-instance-type"
	ReasonNodegroupUnread     = "nodegroup-unread"
	ReasonLaunchFailed        = "launch-failed"
)

// sameSource reports whether two readings of a group launch from the same place.
func sameSource(a, b *Group) bool {
	return a != nil && b != nil && reflect.DeepEqual(a.Source, b.Source) && nodegroupOf(a) == nodegroupOf(b)
}

// resolveLaunches brings the Launch of every group up to date. Calls are made only for what is not known yet, has
// changed, or may have: none per group. One resolve runs at a time.
func (c *Cache) resolveLaunches(ctx context.Context) {
	groups := c.Snapshot().Groups()
	c.launches.fetch(ctx, groups)
	changed := false
	c.mu.Lock()
	for _, g := range groups {
		e := c.entries[g.Name]
		if e == nil || !sameSource(e.group, g) {
			continue // gone, or a newer source waits for the next round
		}
		launch, problems := c.launches.assemble(g)
		if launch == nil {
			launch = e.group.Launch // what was good stays
		} else if reflect.DeepEqual(launch, e.group.Launch) {
			launch = e.group.Launch
		}
		if launch == e.group.Launch && slices.Equal(problems, e.group.Problems) {
			continue
		}
		copied := *e.group
		copied.Launch, copied.Problems = launch, problems
		e.group, changed = &copied, true
	}
	if changed {
		c.publish()
	}
	c.mu.Unlock()
	if changed {
		klog.FromContext(ctx).V(4).Info("What the groups launch has changed")
		signal(c.changed)
	}
}

// assemble puts together what g launches from what was fetched. Without a Launch there is a Problem that says why.
func (l *launches) assemble(g *Group) (*Launch, []Problem) {
	var problems []Problem
	launch, problem := l.fromSource(g)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	if key := nodegroupOf(g); key != (nodegroupKey{}) {
		found, err := l.nodegroups.get(key)
		launch.Nodegroup = found
		if err != nil {
			problems = append(problems, unread(err, ReasonNodegroupUnread, fmt.Sprintf("EKS node group %q of cluster %q", key.name, key.cluster),
				"eks:DescribeNodegroup", "or write the labels and taints as node-template tags"))
		}
	}
	return launch, problems
}

func (l *launches) fromSource(g *Group) (*Launch, *Problem) {
	switch {
	case g.Source.ConfigurationName != "":
		found, err := l.configurations.get(g.Source.ConfigurationName)
		if found == nil {
			p := unread(err, ReasonLaunchSourceUnread, fmt.Sprintf("launch configuration %q", g.Source.ConfigurationName),
				"autoscaling:DescribeLaunchConfigurations", "or give the group a launch template")
			return nil, &p
		}
		launch := *found
		return &launch, nil
	case !g.Source.Template.isZero():
		return l.fromTemplates(g)
	}
	return nil, &Problem{Reason: ReasonLaunchSourceMissing, Message: "the group has neither a launch template nor a launch configuration",
		Remedy: "give it a launch template"}
}

func (l *launches) fromTemplates(g *Group) (*Launch, *Problem) {
	for _, ref := range g.Source.templates() {
		if found, err := l.templates.get(ref); found == nil {
			p := unread(err, ReasonLaunchSourceUnread, "launch template "+ref.String(), "ec2:DescribeLaunchTemplateVersions", "or point the group at a template that exists")
			return nil, &p
		}
	}
	base, _ := l.templates.get(g.Source.Template)
	launch := base.launch()
	if err := l.addTypes(launch, g.Source, base); err != nil {
		return nil, &Problem{Reason: ReasonNoInstanceType, Message: err.Error(),
			Remedy: "name an instance type in the launch template or in an override, or allow ec2:GetInstanceTypesFromInstanceRequirements and ec2:DescribeImages"}
	}
	return launch, nil
}

// addTypes lists what the policy can launch: the overrides where there are any, else what the template says.
func (l *launches) addTypes(launch *Launch, source LaunchSource, base *template) error {
	add := func(name string, weight int) {
		known := slices.ContainsFunc(launch.Types, func(t LaunchType) bool { return t.Name == name })
		if name != "" && !known {
			launch.Types = append(launch.Types, LaunchType{Name: name, Weight: weight})
		}
	}
	for _, o := range source.Overrides {
		used := base
		if !o.Template.isZero() {
			used, _ = l.templates.get(o.Template)
		}
		switch {
		case o.InstanceType != "":
			add(o.InstanceType, o.Weight)
		case o.Requirements != nil:
			if err := l.addMatching(requirementsOf(o, used.imageID), o.Weight, add); err != nil {
				return err
			}
		default:
			add(used.instanceType, o.Weight)
		}
	}
	if len(source.Overrides) == 0 {
		if base.requirements != nil {
			if err := l.addMatching(requirementsKey{json: base.requirementsJSON, image: base.imageID}, 1, add); err != nil {
				return err
			}
		}
		add(base.instanceType, 1)
	}
	if len(launch.Types) == 0 {
		return fmt.Errorf("launch template %s names no instance type, and neither does an override", source.Template)
	}
	return nil
}

func (l *launches) addMatching(key requirementsKey, weight int, add func(string, int)) error {
	names, err := l.requirements.get(key)
	if names == nil {
		return fmt.Errorf("the instance types that meet the group's requirements are not known: %w", err)
	}
	for _, name := range *names {
		add(name, weight)
	}
	return nil
}

// template is one version of a launch template, as far as we use it.
type template struct {
	instanceType     string
	imageID          string
	userData         string
	blockDevices     []BlockDevice
	instanceTags     map[string]string
	spot             bool
	requirements     *ec2types.InstanceRequirements
	requirementsJSON string
}

func (t *template) launch() *Launch {
	return &Launch{ImageID: t.imageID, UserData: t.userData, BlockDevices: t.blockDevices, InstanceTags: t.instanceTags, Spot: t.spot}
}

// templateFrom turns AWS's description into a template. Every field of it may be missing.
func templateFrom(d *ec2types.ResponseLaunchTemplateData) *template {
	if d == nil {
		return &template{}
	}
	t := &template{instanceType: string(d.InstanceType), imageID: aws.ToString(d.ImageId), userData: aws.ToString(d.UserData)}
	if d.InstanceMarketOptions != nil {
		t.spot = d.InstanceMarketOptions.MarketType == ec2types.MarketTypeSpot
	}
	for _, b := range d.BlockDeviceMappings {
		if b.Ebs != nil && b.Ebs.VolumeSize != nil {
			t.blockDevices = append(t.blockDevices, BlockDevice{Device: aws.ToString(b.DeviceName), SizeGiB: int(*b.Ebs.VolumeSize)})
		}
	}
	for _, s := range d.TagSpecifications {
		if s.ResourceType == ec2types.ResourceTypeInstance {
			t.instanceTags = map[string]string{}
			for _, tag := range s.Tags {
				t.instanceTags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
			}
		}
	}
	if d.InstanceRequirements != nil {
		t.requirements = d.InstanceRequirements
		t.requirementsJSON = canonical(requirementsRequest(d.InstanceRequirements))
	}
	return t
}
