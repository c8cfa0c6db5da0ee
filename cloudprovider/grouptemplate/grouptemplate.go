// Package grouptemplate builds the node template of an Auto Scaling group: it hands what asg knows of a group, and what
// the catalogue knows of its instance types, to nodetemplate.
//
// It makes no call and starts no goroutines, and neither knows the Cluster Autoscaler's core, so that the autoscaler and
// asgctl show the same template.
package grouptemplate

import (
	"cmp"
	"maps"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/userdata"
)

const gib = 1 << 30

// Template is a group's template with what it was built from. It is immutable.
type Template struct {
	nodetemplate.Template
	Problems []nodetemplate.Problem
	// UnknownTypes are the instance types of the group without facts.
	UnknownTypes []string
	// Seen is what the cluster told when it was built.
	Seen Seen

	launch       *asg.Launch
	tags         map[string]string
	zone         string
	zones        []string
	capacityType string
}

// Current reports whether building the template of g again, with the same catalogue and the same Seen, could not give another.
func (t *Template) Current(g *asg.Group) bool {
	return t.launch == g.Launch && t.zone == g.Zone && t.capacityType == capacityType(g) && slices.Equal(t.zones, g.Zones) && maps.Equal(t.tags, g.Tags)
}

// Known reports whether enough is known of the group to simulate a node of it.
func (t *Template) Known() bool { return t.launch != nil && t.Usable() }

// Build makes the template of g in the region out of what AWS tells.
func Build(g *asg.Group, region string, catalogue *instancetypes.Catalogue) *Template {
	return Seen{}.Build(g, region, catalogue)
}

// Seen is what the cluster, rather than AWS, tells of a group's next node; the zero value where there is no cluster to look at.
// Two are equal if a template built with the one is right for the other.
type Seen struct {
	CNI    nodetemplate.CNI
	Learnt *nodetemplate.Learnt // from the group's real nodes, the same pointer for as long as they tell the same; or nil
}

// Build makes the template of g in the region out of what AWS and the cluster tell.
func (s Seen) Build(g *asg.Group, region string, catalogue *instancetypes.Catalogue) *Template {
	t := &Template{Seen: s, launch: g.Launch, tags: g.Tags, zone: g.Zone, zones: g.Zones, capacityType: capacityType(g)}
	in := nodetemplate.Input{Group: g.Name, Tags: g.Tags, Region: region, Zones: g.Zones, CapacityType: t.capacityType,
		NextZone: g.Zone, PinnedZone: g.Zone != "", CNI: s.CNI, Learnt: s.Learnt}
	if l := g.Launch; l != nil {
		facts := Facts(l, catalogue)
		for _, lt := range l.Types {
			if facts, ok := facts(lt.Name); ok {
				in.Members = append(in.Members, nodetemplate.Member{Type: facts, Weight: lt.Weight,
					ImageArchitecture: architectureOf(cmp.Or(lt.Image, l.Image))})
			} else {
				in.UnknownTypes = append(in.UnknownTypes, lt.Name)
			}
		}
		in.EFAInterfaces, in.WindowsRelease = l.EFAInterfaces, windowsRelease(l)
		in.Nodegroup = nodegroupInput(l.Nodegroup)
		t.Problems = addUserData(&in, l)
		in.RootVolumeBytes, in.RootVolumeOfImage = leastVolumeBytes(l, familyOf(&in))
	}
	t.UnknownTypes = in.UnknownTypes
	built, problems := nodetemplate.Build(in)
	t.Template, t.Problems = built, append(t.Problems, hinted(problems, g.Launch)...)
	return t
}

// Facts returns what is known of an instance type as l launches it: what the catalogue states, less the CPUs that the launch
// template turns off. A nil l launches it as it is.
func Facts(l *asg.Launch, catalogue *instancetypes.Catalogue) func(instanceType string) (instancetypes.Type, bool) {
	return func(name string) (instancetypes.Type, bool) {
		facts, ok := catalogue.Lookup(name)
		if l != nil && ok {
			if i := slices.IndexFunc(l.Types, func(t asg.LaunchType) bool { return t.Name == name }); i >= 0 && l.Types[i].VCPUs > 0 {
				facts.VCPU = min(facts.VCPU, l.Types[i].VCPUs)
			}
		}
		return facts, ok
	}
}

// hinted says in a problem of mixed architectures how the image could settle it, where the image could not be read.
func hinted(problems []nodetemplate.Problem, l *asg.Launch) []nodetemplate.Problem {
	for i := range problems {
		if problems[i].Reason == nodetemplate.ReasonMixedTypes && l.ImageID != "" && l.Image == nil {
			problems[i].Expected += "; if the image runs on one of them only, allow ec2:DescribeImages (and ssm:GetParameters, if a parameter names it) in the autoscaler's IAM policy to have the others left out"
		}
	}
	return problems
}

// familyOf is the family of the image, by EKS or what was found out; "" if nothing tells.
func familyOf(in *nodetemplate.Input) nodetemplate.AMIFamily {
	if in.Nodegroup != nil {
		return cmp.Or(in.Nodegroup.AMIFamily(), in.AMIFamily)
	}
	return in.AMIFamily
}

// addUserData adds what image and user data tell of the node; of several launch templates, what all of them do. An image that
// neither EKS nor its name tells apart is taken for the one that the user data is written for.
func addUserData(in *nodetemplate.Input, l *asg.Launch) []nodetemplate.Problem {
	if in.Nodegroup == nil || in.Nodegroup.AMIFamily() == "" {
		in.AMIFamily = familyOfImage(l.Image)
	}
	family := familyOf(in)
	facts, problems := userdata.Parse(l.UserData, family)
	for _, o := range l.Others {
		other, unclear := userdata.Parse(o.UserData, cmp.Or(familyOfImage(o.Image), family))
		var differing []nodetemplate.Problem
		facts, differing = userdata.Common(facts, other)
		for _, p := range slices.Concat(unclear, differing) {
			if !slices.Contains(problems, p) {
				problems = append(problems, p)
			}
		}
	}
	for i := range problems {
		problems[i].Group = in.Group
	}
	if facts.Found() {
		in.UserData, in.InstanceStore, in.Mirrored = &facts.UserData, facts.InstanceStore, facts.Mirrored
		if family == "" {
			in.AMIFamily = facts.AMIFamily
		}
	}
	return problems
}

// capacityType is that of all instances of the group, or "" where it is not known or both kinds can come.
func capacityType(g *asg.Group) string {
	s := g.Source
	switch {
	case g.Launch == nil, s.PaidAhead():
		return ""
	case s.Mixed && s.OnDemandPercentageAboveBase == 100, !s.Mixed && !g.Launch.Spot:
		return awsmessage.OnDemand
	case !s.Mixed, s.OnDemandBase == 0 && s.OnDemandPercentageAboveBase == 0:
		return awsmessage.Spot
	}
	return ""
}

func nodegroupInput(n *asg.Nodegroup) *nodetemplate.Nodegroup {
	if n == nil {
		return nil
	}
	out := &nodetemplate.Nodegroup{Cluster: n.Cluster, Name: n.Name, Labels: n.Labels, Tags: n.Tags,
		CapacityType: n.CapacityType, AMIType: n.AMIType}
	for _, t := range n.Taints {
		out.Taints = append(out.Taints, nodetemplate.NodegroupTaint(t))
	}
	return out
}
