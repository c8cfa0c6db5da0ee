package asg

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// Launch is what a group's next instances would be, put together from its policy, launch template or configuration,
// image and EKS node group. It is immutable, and the same pointer for as long as nothing in it changed.
type Launch struct {
	// Types are what the policy may launch, in its order of preference, each once.
	Types []LaunchType
	// ImageID, UserData, BlockDevices and Image are of the launch configuration, or of the first launch template that any of the
	// types starts from.
	ImageID  string
	UserData string // base64, as AWS keeps it
	// Origins name the launch template versions, or the launch configuration, that instances start from: by number, and as the
	// group refers to them. Instance.Origin is one of them if the instance started from this very description. A version whose
	// image is named by a parameter of Systems Manager, or replaced by an override, is not among them, for it starts another image
	// tomorrow.
	Origins      []string
	BlockDevices []BlockDevice
	// Image is the machine image; nil where it has nothing to tell that is not known without it, or could not be read.
	Image *Image
	// Others are the further launch templates that types start from: those of overrides that name one of their own.
	Others []OtherTemplate
	// EFAInterfaces is how many Elastic Fabric Adapters every instance gets attached.
	EFAInterfaces int
	// Spot tells that the launch template itself asks for spot instances. A mixed instances policy says otherwise.
	Spot bool
	// Nodegroup is the EKS node group the Auto Scaling group belongs to, or nil.
	Nodegroup *Nodegroup

	stated []Statement // by a launch configuration
}

// LaunchType is one instance type a group may launch.
type LaunchType struct {
	Name   string
	Weight int // in capacity units
	VCPUs  int // that the launch template leaves turned on; 0: all of them
	// Image is named by the override of this type, or by the override's launch template. It is nil where neither names an image, and
	// where the image could not be read.
	Image *Image
}

// OtherTemplate is a launch template beside the first one of a group, as far as it decides what a node will be.
type OtherTemplate struct {
	UserData     string // base64
	BlockDevices []BlockDevice
	Image        *Image // as in Launch
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
	ReasonImageUnread         = "image-unread"
	ReasonLaunchSuspended     = "launch-suspended"
)

// sameSource reports whether two readings of a group launch from the same place.
func sameSource(a, b *Group) bool {
	return a != nil && b != nil && reflect.DeepEqual(a.Source, b.Source) && nodegroupOf(a) == nodegroupOf(b) &&
		slices.Equal(a.SuspendedProcesses, b.SuspendedProcesses)
}

// resolveLaunches brings the Launch of every group up to date. Calls are made only for what is not known yet, has
// changed, or may have. One resolve runs at a time.
func (c *Cache) resolveLaunches(ctx context.Context) {
	groups := c.all()
	c.launches.fetch(ctx, groups)
	changed := false
	c.mu.Lock()
	for _, g := range groups {
		e := c.entries[g.Name]
		if e == nil || !sameSource(e.group, g) {
			continue // gone, or a newer source waits for the next round
		}
		before := e.group.Launch
		changed = e.restate(c.launches.statements(g)) || changed
		changed = e.learn(c.launches.assemble(g)) || changed
		if e.group.Launch != before {
			c.rests.changed(g.Name)
			c.refusals.forget(g.Name)
		}
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

// learn enters what the group launches and reports whether that is news. What was good stays where nothing better is known,
// unless the group can launch nothing at all.
func (e *entry) learn(launch *Launch, problems []Problem) (news bool) {
	g := *e.group
	g.Problems = problems
	if launch == nil && !g.Blocked() || launch != nil && reflect.DeepEqual(launch, g.Launch) {
		launch = g.Launch
	}
	if launch == e.group.Launch && slices.Equal(problems, e.group.Problems) {
		return false
	}
	g.Launch = launch
	e.group = &g
	return true
}

// assemble puts together what g launches from what was fetched. Without a Launch there is a Problem that says why.
func (l *launches) assemble(g *Group) (*Launch, []Problem) {
	launch, problems := l.fromSource(g)
	if slices.Contains(g.SuspendedProcesses, "Launch") {
		problems = append(problems, Problem{Reason: ReasonLaunchSuspended, Blocks: true,
			Message: "its Launch process is suspended, so AWS launches nothing in it",
			Remedy:  "resume it: aws autoscaling resume-processes --scaling-processes Launch --auto-scaling-group-name " + g.Name})
	}
	key := nodegroupOf(g)
	if launch == nil || key == (nodegroupKey{}) {
		return launch, problems
	}
	found, err := l.nodegroups.get(key)
	launch.Nodegroup = found
	if err != nil {
		problems = append(problems, unread(err, ReasonNodegroupUnread, fmt.Sprintf("EKS node group %q of cluster %q", key.name, key.cluster),
			"eks:DescribeNodegroup", "or write the labels and taints as node-template tags"))
	}
	return launch, problems
}

func (l *launches) fromSource(g *Group) (*Launch, []Problem) {
	switch {
	case g.Source.ConfigurationName != "":
		return l.fromConfiguration(g.Source.ConfigurationName)
	case !g.Source.Template.isZero():
		return l.fromTemplates(g)
	}
	return nil, []Problem{{Reason: ReasonLaunchSourceMissing, Blocks: true,
		Message: "the group has neither a launch template nor a launch configuration", Remedy: "give it a launch template"}}
}

func (l *launches) fromConfiguration(name string) (*Launch, []Problem) {
	found, err := l.configurations.get(name)
	var problems []Problem
	if err != nil {
		problems = append(problems, unread(err, ReasonLaunchSourceUnread, fmt.Sprintf("launch configuration %q", name),
			"autoscaling:DescribeLaunchConfigurations", "or give the group a launch template"))
	}
	if found == nil {
		return nil, problems
	}
	launch := *found
	launch.Origins = []string{name}
	launch.Image, _ = l.image(launch.ImageID)
	return &launch, problems
}

func (l *launches) fromTemplates(g *Group) (*Launch, []Problem) {
	var problems []Problem
	var origins []string
	complete := true
	for _, ref := range g.Source.templates() {
		found, err := l.templates.get(ref)
		complete = complete && found != nil
		if err != nil {
			problems = append(problems, unread(err, ReasonLaunchSourceUnread, "launch template "+ref.String(),
				"ec2:DescribeLaunchTemplateVersions", "or point the group at a template that exists"))
		}
		if found != nil && !isAlias(found.imageID) && !g.Source.replacesImageOf(ref) {
			origins = append(origins, templateOrigin(found.id, found.version))
			if ref.floats() {
				origins = append(origins, templateOrigin(found.id, ref.Version))
			}
		}
	}
	if !complete {
		return nil, problems
	}
	base, _ := l.templates.get(g.Source.Template)
	used := l.used(g.Source, base)
	launch := used[0].launch()
	launch.Origins = origins
	launch.Image, _ = l.image(launch.ImageID)
	for _, t := range used[1:] {
		image, _ := l.image(t.imageID)
		launch.Others = append(launch.Others, OtherTemplate{UserData: t.userData, BlockDevices: t.blockDevices, Image: image})
	}
	if err := l.addTypes(launch, g.Source, base); err != nil {
		return nil, append(problems, Problem{Reason: ReasonNoInstanceType, Message: err.Error(),
			Remedy: "name an instance type in the launch template or in an override, or allow " +
				"ec2:GetInstanceTypesFromInstanceRequirements and ec2:DescribeImages"})
	}
	return launch, append(problems, l.assumedArchitecture(g, base)...)
}

// used are the launch templates that instances of the group start from, each once: its own, unless every override names
// another, and those of the overrides. All of them must have been read.
func (l *launches) used(source LaunchSource, base *template) []*template {
	var used, others []*template
	if len(source.Overrides) == 0 {
		used = append(used, base)
	}
	for _, o := range source.Overrides {
		t := l.templateOf(o, base)
		same := func(other *template) bool { return other.like(t) }
		switch {
		case t == base:
			used = []*template{base}
		case !slices.ContainsFunc(others, same):
			others = append(others, t)
		}
	}
	return append(used, slices.DeleteFunc(others, func(t *template) bool { return slices.Contains(used, t) })...)
}

// templateOf is the launch template of an override, with the override's image. It is nil where the template has not been read.
func (l *launches) templateOf(o Override, base *template) *template {
	used := base
	if !o.Template.isZero() {
		used, _ = l.templates.get(o.Template)
	}
	if used == nil || o.ImageID == "" {
		return used
	}
	its := *used
	its.imageID = o.ImageID
	return &its
}

// like reports whether instances that start from the templates are the same.
func (t *template) like(other *template) bool {
	return t == other || t.id == other.id && t.version == other.version && t.imageID == other.imageID
}

// assumedArchitecture is the problem of a group whose types are found by requirements, for an architecture that only a
// parameter of Systems Manager tells which could not be resolved. Elsewhere an unread image does no harm.
func (l *launches) assumedArchitecture(g *Group, base *template) []Problem {
	asksForTypes := base.requirements != nil ||
		slices.ContainsFunc(g.Source.Overrides, func(o Override) bool { return o.Requirements != nil && o.ImageID == "" })
	found, err := l.image(base.imageID)
	if !asksForTypes || !isAlias(base.imageID) || found != nil {
		return nil
	}
	p := unread(err, ReasonImageUnread, fmt.Sprintf("the image behind %q", base.imageID), "ec2:DescribeImages and ssm:GetParameters",
		"or name the image by its ID in the launch template")
	p.Message += ", so that the group's instance types are taken to be those for x86_64"
	return []Problem{p}
}

// addTypes lists what the policy can launch: the overrides where there are any, else what the template says.
func (l *launches) addTypes(launch *Launch, source LaunchSource, base *template) error {
	var image *Image
	vcpus := base.vcpus
	add := func(name string, weight int) {
		known := slices.ContainsFunc(launch.Types, func(t LaunchType) bool { return t.Name == name })
		if name != "" && !known {
			launch.Types = append(launch.Types, LaunchType{Name: name, Weight: weight, VCPUs: vcpus, Image: image})
		}
	}
	for i, o := range source.Overrides {
		used := l.templateOf(o, base)
		image = nil
		if used != base {
			image, _ = l.image(used.imageID)
		}
		vcpus = used.vcpus
		if i == 0 || used.efaInterfaces < launch.EFAInterfaces {
			launch.EFAInterfaces = used.efaInterfaces
		}
		switch {
		case o.InstanceType != "":
			add(o.InstanceType, o.Weight)
		case o.Requirements != nil:
			if err := l.addMatching(requirementsJSON(o), used.imageID, o.Weight, add); err != nil {
				return err
			}
		default:
			add(used.instanceType, o.Weight)
		}
	}
	if len(source.Overrides) == 0 {
		if base.requirements != nil {
			if err := l.addMatching(base.requirementsJSON, base.imageID, 1, add); err != nil {
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

func (l *launches) addMatching(json, imageID string, weight int, add func(string, int)) error {
	image, err := l.machineImage(imageID)
	if err != nil {
		return fmt.Errorf("the instance types that meet the group's requirements are not known: image %q: %s", imageID, awsclient.Brief(err))
	}
	names, err := l.requirements.get(requirementsKey{json: json, image: image})
	if names == nil {
		return fmt.Errorf("the instance types that meet the group's requirements are not known: %s", awsclient.Brief(err))
	}
	for _, name := range *names {
		add(name, weight)
	}
	return nil
}

// template is one version of a launch template, as far as we use it.
type template struct {
	id, version      string // the version's number
	instanceType     string
	imageID          string
	userData         string
	blockDevices     []BlockDevice
	spot             bool
	vcpus            int
	efaInterfaces    int
	requirements     *ec2types.InstanceRequirements
	requirementsJSON string
	instanceTags     map[string]string
	stated           []Statement
}

func (t *template) launch() *Launch {
	return &Launch{ImageID: t.imageID, UserData: t.userData, BlockDevices: t.blockDevices, Spot: t.spot, EFAInterfaces: t.efaInterfaces}
}

// templateFrom turns AWS's description into a template. Every field of it may be missing.
func templateFrom(v ec2types.LaunchTemplateVersion) *template {
	t := &template{id: aws.ToString(v.LaunchTemplateId), version: strconv.FormatInt(aws.ToInt64(v.VersionNumber), 10),
		instanceTags: map[string]string{}}
	d := v.LaunchTemplateData
	if d == nil {
		return t
	}
	t.instanceType, t.imageID, t.userData = string(d.InstanceType), aws.ToString(d.ImageId), aws.ToString(d.UserData)
	if d.InstanceMarketOptions != nil {
		t.spot = d.InstanceMarketOptions.MarketType == ec2types.MarketTypeSpot
	}
	if d.CpuOptions != nil {
		t.vcpus = int(aws.ToInt32(d.CpuOptions.CoreCount) * aws.ToInt32(d.CpuOptions.ThreadsPerCore))
	}
	for _, b := range d.BlockDeviceMappings {
		if b.Ebs != nil {
			t.blockDevices = addDevice(t.blockDevices, b.DeviceName, b.Ebs.VolumeSize)
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
			t.efaInterfaces++
		}
	}
	if d.InstanceRequirements != nil {
		t.requirements = d.InstanceRequirements
		t.requirementsJSON = canonical(requirementsRequest(d.InstanceRequirements))
	}
	return t
}

// addDevice adds a volume whose size is stated; without one it has that of the image.
func addDevice(devices []BlockDevice, name *string, sizeGiB *int32) []BlockDevice {
	if sizeGiB == nil {
		return devices
	}
	return append(devices, BlockDevice{Device: aws.ToString(name), SizeGiB: int(*sizeGiB)})
}
