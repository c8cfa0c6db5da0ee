package launchspec

import (
	"cmp"
	"fmt"
	"slices"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Spec assembles what g launches from the fetched answers. Without a LaunchSpec, a Problem says why.
func (r *Resolver) Spec(g *Group) (*LaunchSpec, []Problem) {
	launch, problems := r.fromSource(g)
	if slices.Contains(g.SuspendedProcesses, "Launch") {
		problems = append(problems, Problem{Reason: ReasonLaunchSuspended, Blocks: true,
			Message: "its Launch process is suspended, so AWS launches nothing in it",
			Remedy:  shellword.ResumeProcess(g.Name, "Launch")})
	}
	key := g.ManagedNodegroup()
	if launch == nil || key.Name == "" {
		return launch, problems
	}
	found, err := r.nodegroups.get(key)
	if found != nil {
		launch.Nodegroup = &found.Nodegroup
		problems = append(problems, found.problems...)
	}
	launch.Unread = launch.Unread || found == nil
	if err != nil {
		problems = append(problems, unread(err, ReasonNodegroupUnread, fmt.Sprintf("EKS node group %q of cluster %q", key.Name, key.Cluster),
			"eks:DescribeNodegroup", "or write the labels and taints as node-template tags"))
	}
	if r.nodegroups.unsure(key) {
		return nil, problems // it may have taints
	}
	return launch, problems
}

func (r *Resolver) fromSource(g *Group) (*LaunchSpec, []Problem) {
	switch {
	case g.Source.ConfigurationName != "":
		return r.fromConfiguration(g.Source.ConfigurationName)
	case !g.Source.Template.IsZero() || g.Source.NamesTypes():
		return r.fromTemplates(g)
	}
	return nil, []Problem{{Reason: ReasonLaunchSourceMissing, Blocks: true,
		Message: "the group has neither a launch template nor a launch configuration", Remedy: "give it a launch template"}}
}

func (r *Resolver) fromConfiguration(name string) (*LaunchSpec, []Problem) {
	found, err := r.configurations.get(name)
	var problems []Problem
	if err != nil {
		problems = append(problems, unread(err, ReasonLaunchSourceUnread, fmt.Sprintf("launch configuration %q", name),
			"autoscaling:DescribeLaunchConfigurations", "or give the group a launch template"))
	}
	if found == nil {
		return nil, problems
	}
	launch := new(found.LaunchSpec)
	launch.Origins, launch.Next = []string{name}, []string{name}
	launch.Image, _ = r.image(launch.ImageID)
	if found.instanceType != "" {
		launch.Types = []Type{{Name: found.instanceType, Weight: 1}}
	}
	return launch, problems
}

func (r *Resolver) fromTemplates(g *Group) (*LaunchSpec, []Problem) {
	var problems []Problem
	var origins []string
	complete, named, instead := !g.Source.Template.IsZero(), g.Source.NamesTypes(), "or point the group at a template that exists"
	if named {
		instead = "or write the labels and taints of its nodes as node-template tags"
	}
	for _, ref := range g.Source.templates() {
		found, err := r.templates.get(ref)
		complete, named = complete && found != nil, named && (found != nil || !isGone(err) && !r.templates.unsure(ref))
		if err != nil {
			p := unread(err, ReasonLaunchSourceUnread, "launch template "+ref.String(), "ec2:DescribeLaunchTemplateVersions", instead)
			if p.Reason == ReasonLaunchSourceMissing {
				p.Message, p.Remedy = missing(g, ref, err)
			}
			problems = append(problems, p)
		}
		if found != nil && !isAlias(found.ImageID) && !g.Source.replacesImageOf(ref) {
			origins = append(origins, TemplateOrigin(found.id, found.version))
			if ref.floats() {
				origins = append(origins, TemplateOrigin(found.id, ref.Version))
			}
		}
	}
	switch {
	case !complete && named: // stock reads no template of such a group either
		for at := range problems {
			problems[at].Message += ", so only the instance types in the policy are known of its nodes"
		}
		return &LaunchSpec{Types: g.Source.namedTypes(), Unread: true}, problems
	case !complete:
		return nil, problems
	}
	base, _ := r.templates.get(g.Source.Template)
	used := r.used(g.Source, base)
	launch := new(used[0].LaunchSpec)
	launch.Origins = known(origins)
	r.addNext(launch, g.Source, used)
	launch.Image, _ = r.image(launch.ImageID)
	for _, t := range used[1:] {
		image, _ := r.image(t.ImageID)
		launch.Others = append(launch.Others, OtherTemplate{UserData: t.UserData, BlockDevices: t.BlockDevices, Image: image})
		launch.PaidAhead, launch.Reserved = launch.PaidAhead || t.PaidAhead, launch.Reserved || t.Reserved
		launch.OwnCapacity = launch.OwnCapacity || t.OwnCapacity
		if t.OnHost() || !launch.OwnHardware() {
			launch.Tenancy = t.Tenancy
		}
	}
	if err := r.addTypes(launch, g.Source, base); err != nil {
		return nil, append(problems, Problem{Reason: ReasonNoInstanceType, Message: err.Error(),
			Remedy: "name an instance type in the launch template or in an override, or allow " +
				"ec2:GetInstanceTypesFromInstanceRequirements and ec2:DescribeImages"})
	}
	return launch, append(problems, r.assumedArchitecture(g.Source, base)...)
}

// addNext says what new instances start from. The launch templates must have been read.
func (r *Resolver) addNext(launch *LaunchSpec, source Source, used []*template) {
	for _, ref := range source.launched() {
		found, _ := r.templates.get(ref)
		launch.Next = append(launch.Next, TemplateOrigin(found.id, found.version))
		launch.Floats = launch.Floats || ref.floats()
	}
	launch.Next = known(launch.Next)
	if r.apis.NextImages {
		launch.NextImages = r.nextImages(source, used)
	}
}

// known returns the origins, or none if one is unknown, because any instance may have that one.
func known(origins []string) []string {
	if slices.Contains(origins, "") {
		return nil
	}
	return origins
}

// nextImages returns LaunchSpec's NextImages. used has the launch templates with the images of overrides.
func (r *Resolver) nextImages(source Source, used []*template) (images []string) {
	named := slices.ContainsFunc(source.Overrides, func(o Override) bool { return o.ImageID != "" })
	for _, t := range used {
		id := t.ImageID
		if isAlias(id) {
			resolved, err := r.aliases.get(id)
			if err != nil || resolved == nil {
				return nil // the last answer may be old, and AWS launches by the parameter as it is now
			}
			id, named = *resolved, true
		}
		images = append(images, id)
	}
	if !named {
		return nil
	}
	return images
}

// used returns the launch templates that instances start from, each once: as launched, with the images of overrides. All have been read.
func (r *Resolver) used(source Source, base *template) []*template {
	var used, others []*template
	for _, o := range source.entries() {
		t := r.templateOf(o, base)
		same := func(other *template) bool {
			return other.id == t.id && other.version == t.version && other.ImageID == t.ImageID
		}
		switch {
		case t == base:
			used = []*template{base}
		case !slices.ContainsFunc(others, same):
			others = append(others, t)
		}
	}
	return append(used, others...)
}

// templateOf returns the launch template of an override, with the override's image, or nil while the template is unread.
func (r *Resolver) templateOf(o Override, base *template) *template {
	used := base
	if !o.Template.IsZero() {
		used, _ = r.templates.get(o.Template)
	}
	if used == nil || o.ImageID == "" {
		return used
	}
	its := *used
	its.ImageID = o.ImageID
	return &its
}

// assumedArchitecture returns the Problem of a group whose types depend on an architecture that nobody could resolve: requirements select the types,
// and the image is assumable. Elsewhere an unread image does no harm.
func (r *Resolver) assumedArchitecture(source Source, base *template) []Problem {
	for _, o := range source.entries() {
		used := r.templateOf(o, base)
		found, err := r.image(used.ImageID)
		if used.requirementsFor(o) == "" || found != nil || !r.assumable(used.ImageID, err) {
			continue
		}
		what, actions, instead := "the image behind %q", "ec2:DescribeImages and ssm:GetParameters", "or name the image by its ID in the launch template"
		if !isAlias(used.ImageID) {
			what, actions, instead = "image %q", "ec2:DescribeImages", "or name the instance types"
		}
		p := unread(err, ReasonImageUnread, fmt.Sprintf(what, used.ImageID), actions, instead)
		p.Message += ", so that the group's instance types are taken to be those for x86_64"
		return []Problem{p}
	}
	return nil
}

// addTypes lists the types that the policy can launch: the overrides' where there are any, else the template's.
func (r *Resolver) addTypes(launch *LaunchSpec, source Source, base *template) error {
	var image *Image
	vcpus := base.vcpus
	add := func(name string, weight int, search *ec2types.InstanceRequirementsRequest) {
		known := slices.ContainsFunc(launch.Types, func(t Type) bool { return t.Name == name })
		if name != "" && !known {
			launch.Types = append(launch.Types, Type{Name: name, Weight: weight, VCPUs: vcpus, Image: image, Search: search})
		}
	}
	for i, o := range source.entries() {
		used := r.templateOf(o, base)
		image = nil
		if used != base {
			if image, _ = r.image(used.ImageID); image == nil {
				image = &Image{ID: used.ImageID} // it may be for another architecture than the base's
			}
		}
		vcpus = used.vcpus
		if i == 0 || used.EFAInterfaces < launch.EFAInterfaces {
			launch.EFAInterfaces = used.EFAInterfaces
		}
		if json := used.requirementsFor(o); json == "" {
			add(cmp.Or(o.InstanceType, used.instanceType), o.Weight, nil)
		} else if err := r.addMatching(json, used.ImageID, o.Weight, add); err != nil {
			return err
		}
	}
	if len(launch.Types) == 0 {
		return fmt.Errorf("launch template %s names no instance type, and neither does an override", source.Template)
	}
	return nil
}

func (r *Resolver) addMatching(json, imageID string, weight int, add func(string, int, *ec2types.InstanceRequirementsRequest)) error {
	architecture, err := r.architecture(imageID)
	if err != nil {
		return fmt.Errorf("the instance types that meet the group's requirements are not known: image %q: %s", imageID, awsclient.Brief(err))
	}
	names, err := r.requirements.get(requirementsKey{json, architecture})
	if names == nil {
		return fmt.Errorf("the instance types that meet the group's requirements are not known: %s", awsclient.Brief(err))
	}
	search := requested(json)
	for _, name := range *names {
		add(name, weight, search)
	}
	return nil
}
