// Package grouptemplate builds the node template of an Auto Scaling group: it hands what asg knows of a group, and what
// the catalogue knows of its instance types, to nodetemplate.
//
// It makes no call and starts no goroutines, and neither knows the Cluster Autoscaler's core, so that the autoscaler and
// asgctl show the same template.
package grouptemplate

import (
	"maps"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
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

	launch       *asg.Launch
	tags         map[string]string
	zones        []string
	capacityType string
}

// Current reports whether building the template of g again, with the same catalogue, could not give another.
func (t *Template) Current(g *asg.Group) bool {
	return t.launch == g.Launch && t.capacityType == capacityType(g) && slices.Equal(t.zones, g.Zones) && maps.Equal(t.tags, g.Tags)
}

// Known reports whether enough is known of the group to simulate a node of it.
func (t *Template) Known() bool { return t.launch != nil && t.Usable() }

// Build makes the template of g in the region.
func Build(g *asg.Group, region string, catalogue *instancetypes.Catalogue) *Template {
	t := &Template{launch: g.Launch, tags: g.Tags, zones: g.Zones, capacityType: capacityType(g)}
	in := nodetemplate.Input{Group: g.Name, Tags: g.Tags, Region: region, Zones: g.Zones, CapacityType: t.capacityType}
	if l := g.Launch; l != nil {
		for _, lt := range l.Types {
			if facts, ok := catalogue.Lookup(lt.Name); ok {
				in.Members = append(in.Members, nodetemplate.Member{Type: facts, Weight: lt.Weight})
			} else {
				in.UnknownTypes = append(in.UnknownTypes, lt.Name)
			}
		}
		in.RootVolumeBytes = rootVolumeBytes(l)
		in.Nodegroup = nodegroupInput(l.Nodegroup)
		t.Problems = addUserData(&in, l.UserData)
	}
	t.UnknownTypes = in.UnknownTypes
	built, problems := nodetemplate.Build(in)
	t.Template, t.Problems = built, append(t.Problems, problems...)
	return t
}

// addUserData adds what the user data tells of the node. The image is taken for the one it is written for, unless EKS
// names another.
func addUserData(in *nodetemplate.Input, text string) []nodetemplate.Problem {
	if text == "" {
		return nil
	}
	family := nodetemplate.AMIFamily("")
	if in.Nodegroup != nil {
		family = in.Nodegroup.AMIFamily()
	}
	facts, problems := userdata.Parse(text, family)
	for i := range problems {
		problems[i].Group = in.Group
	}
	if facts.Found() {
		in.UserData, in.InstanceStore = &facts.UserData, facts.InstanceStore
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
	case g.Launch == nil:
		return ""
	case s.Mixed && s.OnDemandPercentageAboveBase == 100, !s.Mixed && !g.Launch.Spot:
		return "on-demand"
	case !s.Mixed, s.OnDemandBase == 0 && s.OnDemandPercentageAboveBase == 0:
		return "spot"
	}
	return ""
}

// rootVolumeBytes is the size of the volume that holds the pods' data, 0 where the template does not say: the root
// volume, or Bottlerocket's second one (Bottlerocket image layout: /dev/xvda is its operating system, /dev/xvdb its data).
func rootVolumeBytes(l *asg.Launch) int64 {
	size := func(device string) int64 {
		for _, b := range l.BlockDevices {
			if b.Device == device {
				return int64(b.SizeGiB) * gib
			}
		}
		return 0
	}
	if data, root := size("/dev/xvdb"), size("/dev/xvda"); data > 0 && root > 0 && root <= 4*gib {
		return data
	}
	for _, device := range []string{"/dev/xvda", "/dev/sda1"} {
		if root := size(device); root > 0 {
			return root
		}
	}
	if l.Nodegroup != nil {
		return int64(l.Nodegroup.DiskSizeGiB) * gib
	}
	return 0
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
