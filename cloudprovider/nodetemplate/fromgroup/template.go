package fromgroup

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/userdata"
)

const gib = 1 << 30

// Template is a group's template with its inputs. It is immutable.
type Template struct {
	nodetemplate.Template
	Problems []nodetemplate.Problem
	// UnknownTypes are the instance types of the group without facts.
	UnknownTypes []string
	// Seen holds the cluster's facts at the time.
	Seen Seen

	key key
}

// key is all that a template is built from: equal keys give equal templates. Launch, catalogue and observed facts are compared by
// identity, since their owners publish another pointer for another value.
type key struct {
	launch                     *launchspec.LaunchSpec
	catalogue                  *instancetypes.Catalogue
	seen                       Seen
	region, zone, capacityType string
	zones                      []string
	tags                       map[string]string
}

func (k key) equal(o key) bool {
	return k.launch == o.launch && k.catalogue == o.catalogue && k.seen == o.seen && k.region == o.region && k.zone == o.zone &&
		k.capacityType == o.capacityType && slices.Equal(k.zones, o.zones) && maps.Equal(k.tags, o.tags)
}

// Known reports whether enough is known of the group to simulate a node of it.
func (t *Template) Known() bool { return t.key.launch != nil && t.Usable() }

// Seen holds the facts that the cluster, rather than AWS, knows about a group's next node, or the zero value without a cluster.
// If two are equal, a template built with one is right for the other.
type Seen struct {
	CNI    nodetemplate.CNI
	Learnt *nodetemplate.Learnt // from the group's real nodes, the same pointer while the facts are the same, or nil
}

// Build makes the template of g in the region from the facts of AWS and of the cluster. It returns the template before if that was built
// from the same. A nil one was built from nothing.
func (s Seen) Build(before *Template, g *group.Group, region string, catalogue *instancetypes.Catalogue) *Template {
	k := key{launch: g.LaunchSpec, catalogue: catalogue, seen: s, region: region, zone: g.Zone, capacityType: capacityType(g), zones: g.Zones, tags: g.Tags}
	if before != nil && before.key.equal(k) {
		return before
	}
	t := &Template{Seen: s, key: k}
	in := nodetemplate.Input{Group: g.Name, Tags: g.Tags, Region: region, Zones: g.Zones, CapacityType: k.capacityType,
		PinnedZone: g.Zone, CNI: s.CNI, Learnt: s.Learnt}
	if l := g.LaunchSpec; l != nil {
		facts := Facts(l, catalogue)
		for _, lt := range l.Types {
			if facts, ok := facts(lt.Name); ok {
				image := cmp.Or(lt.Image, l.Image, &launchspec.Image{})
				in.Members = append(in.Members, nodetemplate.Member{Type: facts, ImageArchitecture: architectures[image.Architecture],
					ImageForbids: !image.Allows(lt.Name), LabelsGPUs: labelsGPUs.MatchString(image.Name)})
			} else {
				in.UnknownTypes = append(in.UnknownTypes, lt.Name)
			}
		}
		in.EFAInterfaces, in.WindowsRelease = l.EFAInterfaces, windowsRelease(l)
		in.Nodegroup = nodegroupInput(l.Nodegroup)
		t.Problems = addUserData(&in, l)
		in.RootVolumeBytes, in.RootVolumeOfImage = leastVolumeBytes(l, in.Family())
	}
	t.UnknownTypes = in.UnknownTypes
	built, problems := nodetemplate.Build(in)
	t.Template, t.Problems = built, append(hinted(problems, g.LaunchSpec), t.Problems...)
	return t
}

// Facts returns the catalogue's facts of an instance type, less the CPUs that the launch template disables. l may be nil.
func Facts(l *launchspec.LaunchSpec, catalogue *instancetypes.Catalogue) func(instanceType string) (instancetypes.Type, bool) {
	return func(name string) (instancetypes.Type, bool) {
		facts, ok := catalogue.Lookup(name)
		for _, t := range cmp.Or(l, &launchspec.LaunchSpec{}).Types {
			if t.Name == name && t.VCPUs > 0 {
				facts.VCPU = min(facts.VCPU, t.VCPUs)
			}
		}
		return facts, ok
	}
}

// hinted says in a problem of mixed architectures how the image could settle it, where the image could not be read.
func hinted(problems []nodetemplate.Problem, l *launchspec.LaunchSpec) []nodetemplate.Problem {
	for i := range problems {
		if problems[i].Reason == nodetemplate.ReasonMixedTypes && l.ImageID != "" && l.Image == nil {
			problems[i].Expected += ". If the image runs on one of them only, allow ec2:DescribeImages (and ssm:GetParameters, if a parameter names it) in the autoscaler's IAM policy to have the others left out"
		}
	}
	return problems
}

// addUserData adds the facts of image and user data. If there are several launch templates, it adds the facts that all share. If
// neither EKS nor the image's name identifies the family, the form of the user data does.
func addUserData(in *nodetemplate.Input, l *launchspec.LaunchSpec) []nodetemplate.Problem {
	if in.Nodegroup == nil || in.Nodegroup.AMIFamily() == "" {
		in.AMIFamily = familyOfImage(l.Image)
	}
	family := in.Family()
	facts, problems := userdata.Parse(l.UserData, family)
	named := facts.AMIFamily()
	for _, o := range l.Others {
		other, unclear := userdata.Parse(o.UserData, cmp.Or(familyOfImage(o.Image), family))
		named = cmp.Or(named, familyOfImage(o.Image), other.AMIFamily())
		var differing []nodetemplate.Problem
		facts, differing = userdata.Common(facts, other)
		for _, p := range slices.Concat(unclear, differing) {
			if !slices.Contains(problems, p) {
				problems = append(problems, p)
			}
		}
	}
	ofNodegroup := cmp.Or(in.Nodegroup, &nodetemplate.Nodegroup{}).Tags
	for _, key := range slices.AppendSeq(slices.Collect(maps.Keys(in.Tags)), maps.Keys(ofNodegroup)) {
		_, resource, _ := strings.Cut(key, "node-template/resources/")
		problems = slices.DeleteFunc(problems, func(p nodetemplate.Problem) bool {
			return p.Key == userdata.HugePages && strings.HasPrefix(resource, "hugepages-") ||
				strings.HasPrefix(p.Key, "nvidia.com/") && p.Key == resource
		})
	}
	for i := range problems {
		problems[i].Group = in.Group
	}
	if facts.Form != "" {
		in.UserData, in.InstanceStore, in.Mirrored = &facts.UserData, facts.InstanceStore, facts.Mirrored
		if family == "" {
			in.AMIFamily = named
		}
	}
	return problems
}

// capacityType returns the one capacity type of all the group's instances, or "" where it is unknown or both can come.
func capacityType(g *group.Group) string {
	if g.LaunchSpec == nil || g.PaidAhead() {
		return ""
	}
	return g.CapacityType()
}

func nodegroupInput(n *launchspec.Nodegroup) *nodetemplate.Nodegroup {
	if n == nil {
		return nil
	}
	out := &nodetemplate.Nodegroup{Name: n.Name, Labels: n.Labels, Tags: n.Tags,
		CapacityType: n.CapacityType, AMIType: n.AMIType}
	for _, t := range n.Taints {
		out.Taints = append(out.Taints, nodetemplate.NodegroupTaint(t))
	}
	return out
}
