package aws

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

const gib = 1 << 30

// groupTemplate is a group's template with the inputs it was built from.
type groupTemplate struct {
	nodetemplate.Template
	problems []nodetemplate.Problem
	unknown  []string // instance types without facts

	launch       *asg.Launch
	tags         map[string]string
	zones        []string
	capacityType string
}

// current reports whether building the template again could not give another.
func (t *groupTemplate) current(g *asg.Group) bool {
	return t.launch == g.Launch && t.capacityType == capacityType(g) && slices.Equal(t.zones, g.Zones) && maps.Equal(t.tags, g.Tags)
}

func buildGroupTemplate(g *asg.Group, region string, catalogue *instancetypes.Catalogue) *groupTemplate {
	t := &groupTemplate{launch: g.Launch, tags: g.Tags, zones: g.Zones, capacityType: capacityType(g)}
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
	}
	t.unknown = in.UnknownTypes
	t.Template, t.problems = nodetemplate.Build(in)
	return t
}

// nodeInfo is a new NodeInfo of the template, or an error where the group cannot be simulated.
func (t *groupTemplate) nodeInfo() (*framework.NodeInfo, error) {
	if t == nil || t.launch == nil || !t.Usable() {
		// The core passes over a group with this error in silence; what is wrong with it has been reported.
		return nil, cloudprovider.ErrNotImplemented
	}
	node := t.Node(fmt.Sprintf("template-of-%s", t.Group))
	return framework.NewNodeInfo(node, nil, framework.NewPodInfo(cloudprovider.BuildKubeProxy(t.Group), nil)), nil
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
