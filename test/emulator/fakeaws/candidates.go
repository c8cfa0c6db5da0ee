package fakeaws

import (
	"maps"
	"strconv"
	"strings"
)

// A candidate is one form an instance of a group can take.
type candidate struct {
	instanceType    string
	weight          int
	override        *Override
	template        *LaunchTemplateRef // resolved
	config, imageID string
	tags            map[string]string
	spot            bool // requested by the template or configuration itself
}

// candidates are the group's possible launches, preferred first. A failure means that it cannot even ask EC2.
func (a *account) candidates(g *group) ([]candidate, *launchFailure) {
	all, failure := a.forms(g)
	for at := range all {
		switch t, _ := a.types.lookup(all[at].instanceType); g.DesiredCapacityType {
		case "vcpu":
			all[at].weight = max(1, t.VCPU)
		case "memory-mib":
			all[at].weight = max(1, t.MemoryMiB)
		}
	}
	return all, failure
}

// forms are the candidates with the weights of their overrides.
func (a *account) forms(g *group) ([]candidate, *launchFailure) {
	if g.LaunchConfiguration != "" {
		lc, ok := a.configs[g.LaunchConfiguration]
		if !ok {
			return nil, &launchFailure{code: "ValidationError", text: "Launch configuration " + g.LaunchConfiguration + " not found.", bare: true}
		}
		return []candidate{{instanceType: lc.InstanceType, weight: 1, config: lc.Name, imageID: lc.ImageID, spot: lc.SpotPrice != ""}}, nil
	}
	overrides := g.overrides()
	if len(overrides) == 0 {
		return a.fromTemplate(*g.baseRef(), nil)
	}
	var all []candidate
	for i := range overrides {
		ref := *g.baseRef()
		if overrides[i].LaunchTemplate != nil {
			ref = *overrides[i].LaunchTemplate
		}
		some, failure := a.fromTemplate(ref, &overrides[i])
		if failure != nil {
			return nil, failure
		}
		all = append(all, some...)
	}
	return all, nil
}

// fromTemplate are the candidates of one launch template under an override, if any.
func (a *account) fromTemplate(ref LaunchTemplateRef, o *Override) ([]candidate, *launchFailure) {
	t := a.template(ref)
	if t == nil {
		return nil, templateGone(ref)
	}
	number := t.number(ref.Version)
	if number == 0 {
		return nil, &launchFailure{
			code: "InvalidLaunchTemplateId.VersionNotFound", bare: true,
			text: "Could not find launch template version. The specified launch template version does not exist.",
		}
	}
	version := t.Versions[number-1]
	base := candidate{
		instanceType: version.InstanceType, weight: 1, override: o, imageID: version.ImageID, tags: version.Tags, spot: version.Spot,
		template: &LaunchTemplateRef{ID: t.ID, Name: t.Name, Version: strconv.Itoa(number)},
	}
	requirements := version.Requirements
	if o != nil {
		base.weight = first(o.WeightedCapacity, 1)
		base.imageID = first(o.ImageID, base.imageID)
		base.instanceType = first(o.InstanceType, base.instanceType)
		if o.Requirements != nil || o.InstanceType != "" {
			requirements = o.Requirements
		}
	}
	if requirements == nil {
		return []candidate{base}, nil
	}
	var out []candidate
	for _, name := range a.types.matching(*requirements, a.architectures(base.imageID)) {
		c := base
		c.instanceType = name
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, &launchFailure{
			code: "InvalidParameterValue", bare: true,
			text: "The attributes specified in InstanceRequirements do not match any available instance types.",
		}
	}
	return out, nil
}

// architectures of an image, all if it is unknown.
func (a *account) architectures(imageID string) []string {
	if path, ok := strings.CutPrefix(imageID, "resolve:ssm:"); ok {
		imageID = a.ssm[path]
	}
	if img, ok := a.images[imageID]; ok {
		return []string{first(img.Architecture, "x86_64")}
	}
	return nil
}

// templateGone is Auto Scaling's failure after the launch template was deleted.
func templateGone(ref LaunchTemplateRef) *launchFailure {
	if ref.ID != "" {
		return &launchFailure{
			code: "InvalidLaunchTemplateId.NotFound", bare: true,
			text: "The specified launch template, with template ID " + ref.ID + ", does not exist.",
		}
	}
	return &launchFailure{
		code: "InvalidLaunchTemplateName.NotFoundException", bare: true,
		text: "The specified launch template, with template name " + ref.Name + ", does not exist.",
	}
}

// tagsOf are the tags of an instance: the template's, and those Auto Scaling adds itself.
func tagsOf(g *group, c candidate) map[string]string {
	tags := maps.Clone(c.tags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, g.Tags)
	tags["aws:autoscaling:groupName"] = g.Name
	if c.template != nil {
		tags["aws:ec2launchtemplate:id"], tags["aws:ec2launchtemplate:version"] = c.template.ID, c.template.Version
	}
	return tags
}
