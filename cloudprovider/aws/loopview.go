package aws

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
)

// basis is what a view is made from. While it stays the same, so does the view, but for facts about nodes.
type basis struct {
	snapshot  *group.Snapshot
	catalogue *instancetypes.Catalogue
	cni       nodetemplate.CNI
	offered   *lookup.Answers[[]string]
	starts    *lookup.Answers[lookup.Start]
}

// View is everything that the core sees of the groups during one loop, the loop view. It is immutable. Its maps are keyed by node group ID.
type View struct {
	basis
	groups     map[string]*group.Group         // Auto Scaling groups, or their zone groups
	zones      map[string][]launchspec.Problem // what keeps a group from having zone groups, or endangers them, by Auto Scaling group
	divisible  map[string]bool                 // a group that will have zone groups once a pod needs one of its zones
	zonal      bool                            // there are zone groups
	launches   map[zoneLaunch]*launchspec.LaunchSpec
	region     string
	templates  map[string]*fromgroup.Template
	unserved   map[string]*fromgroup.Template // last ones of groups that left the readings, which show the pods that need such a group
	declared   *sync.Map                      // NodeInfos of the templates without observed facts, made when they are wanted
	nodeGroups []cloudprovider.NodeGroup
	byID       map[string]*NodeGroup
	late       map[string]Late // by instance
}

// NodeGroups returns the node groups, by name of their Auto Scaling groups. Callers must not change the slice.
func (v *View) NodeGroups() []cloudprovider.NodeGroup { return v.nodeGroups }

func (v *View) NodeGroup(id string) *NodeGroup { return v.byID[id] }

// Group returns the facts of a node group, or nil. The group of a zone group covers that zone alone.
func (v *View) Group(id string) *group.Group { return v.groups[id] }

// AutoScalingGroup returns the facts of a whole Auto Scaling group, or nil.
func (v *View) AutoScalingGroup(name string) *group.Group { return v.snapshot.Group(name) }

func (v *View) Snapshot() *group.Snapshot { return v.snapshot }

func (v *View) Template(id string) *fromgroup.Template { return v.templates[id] }

func (v *View) Catalogue() *instancetypes.Catalogue { return v.catalogue }

// Divisible reports whether the node group is a whole group that will be scaled zone by zone once a pod needs one of its zones.
func (v *View) Divisible(id string) bool { return v.divisible[id] }

func (v *View) HasZoneGroups() bool { return v.zonal }

// Instance returns the instance behind a node and its Auto Scaling group, or nil and nil.
func (v *View) Instance(node *corev1.Node) (*group.Instance, *group.Group) {
	return v.snapshot.Instance(nodemeta.InstanceOf(node))
}

// Former reports whether the node's instance started from another launch template version or configuration than its group's next one will.
func (v *View) Former(node *corev1.Node) bool {
	i, g := v.Instance(node)
	if i == nil || i.Origin == "" || g.LaunchSpec == nil {
		return false
	}
	origins := g.LaunchSpec.Origins
	return len(origins) > 0 && !slices.Contains(origins, i.Origin) && !slices.Contains(g.LaunchSpec.Next, i.Origin)
}

// DeclaredNodeInfo returns the NodeInfo of the template that the node group would have if nobody had observed its nodes, with a static kube-proxy
// wherever there is Linux: callers compare such NodeInfos with each other. It makes one
// for all callers, who must not change it: the core compares each group that may grow with all groups. The error is
// cloudprovider.ErrNotImplemented where the group cannot be simulated.
func (v *View) DeclaredNodeInfo(id string) (*framework.NodeInfo, error) {
	t, g := cmp.Or(v.templates[id], v.unserved[id]), v.groups[id]
	if t == nil {
		return nodeInfo(nil, true)
	}
	if made, known := v.declared.Load(id); known {
		return made.(*framework.NodeInfo), nil
	}
	if t.Seen.Learnt != nil && g != nil {
		t = fromgroup.Seen{CNI: t.Seen.CNI}.Build(nil, g, v.region, v.catalogue)
	}
	info, err := nodeInfo(t, true)
	if err == nil {
		v.declared.Store(id, info)
	}
	return info, err
}

// nextView returns the view of a newer Snapshot. It takes unchanged parts over from the view before.
func (p *Provider) nextView(before *View, now basis) *View {
	count := len(now.snapshot.Groups())
	v := &View{
		basis: now, region: p.region,
		groups:    make(map[string]*group.Group, count),
		zones:     map[string][]launchspec.Problem{},
		divisible: map[string]bool{},
		launches:  map[zoneLaunch]*launchspec.LaunchSpec{},
		templates: make(map[string]*fromgroup.Template, count),
		unserved:  map[string]*fromgroup.Template{},
		declared:  &sync.Map{},
		byID:      make(map[string]*NodeGroup, count),
	}
	for _, g := range now.snapshot.Groups() {
		if g.Deleting {
			continue
		}
		groups, divisible, problems := p.cache.NodeGroups(g)
		v.zones[g.Name], v.divisible[g.Name] = problems, divisible
		for _, g := range groups {
			p.add(v, before, v.offeredOnly(g, before))
		}
		p.had[g.Name] = true
	}
	for _, g := range now.snapshot.Foreign() {
		v.unserved[g.Name] = cmp.Or(before.templates[g.Name], before.unserved[g.Name])
	}
	v.nodeGroups = slices.Clip(v.nodeGroups)
	return v
}

func (p *Provider) add(v, before *View, g *group.Group) {
	id := g.ID()
	t := fromgroup.Seen{CNI: v.cni, Learnt: p.facts.of(g.Name)}.Build(before.templates[id], g, p.region, v.catalogue)
	ng := before.byID[id]
	if ng == nil || ng.name != g.Name { // a zone group may have had the name of this group
		ng = &NodeGroup{provider: p, id: id, name: g.Name, zone: g.Zone, since: p.clock.Now()}
		if before.snapshot.ReadAt.IsZero() || !p.had[g.Name] { // no removal began before, and the clock may step back
			ng.since = time.Time{}
		}
	}
	v.groups[id], v.templates[id], v.byID[id] = g, t, ng
	v.zonal = v.zonal || g.Zone != ""
	v.nodeGroups = append(v.nodeGroups, ng)
}

// with returns the view with one group replaced, in the form that the group has in this view. An unknown group changes nothing.
func (v *View) with(g *group.Group) *View {
	if v.snapshot.Group(g.Name) == nil {
		return v
	}
	next := *v
	next.snapshot, next.groups, next.launches = v.snapshot.With(g), maps.Clone(v.groups), maps.Clone(v.launches)
	if v.groups[g.Name] != nil {
		next.groups[g.Name] = g
		return &next
	}
	for _, zonal := range g.ByZone() {
		if id := zonal.ID(); v.groups[id] != nil {
			next.groups[id] = next.offeredOnly(zonal, v)
		}
	}
	return &next
}
