package aws

import (
	"maps"
	"slices"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/grouptemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// view is what the core sees during one loop. It is immutable. Its maps are by node group ID.
type view struct {
	snapshot   *asg.Snapshot
	groups     map[string]*asg.Group           // Auto Scaling groups, and zonal views in place of those that are scaled zone by zone
	refused    map[string][]launchspec.Problem // why groups are not that are asked to be, by Auto Scaling group
	zonal      bool                            // there are zonal views
	offered    *offered
	launches   map[zonalLaunch]*launchspec.LaunchSpec
	catalogue  *instancetypes.Catalogue
	cni        nodetemplate.CNI
	templates  map[string]*grouptemplate.Template
	nodeGroups []cloudprovider.NodeGroup
	byID       map[string]*NodeGroup
}

func emptyView() *view { return &view{snapshot: &asg.Snapshot{}} }

// nextView is the view of a newer Snapshot. What did not change is taken over from the view before.
func (p *Provider) nextView(before *view, snapshot *asg.Snapshot, catalogue *instancetypes.Catalogue, cni nodetemplate.CNI,
	offered *offered) *view {
	count := len(snapshot.Groups())
	v := &view{
		snapshot: snapshot, catalogue: catalogue, cni: cni, offered: offered,
		groups:    make(map[string]*asg.Group, count),
		refused:   map[string][]launchspec.Problem{},
		launches:  map[zonalLaunch]*launchspec.LaunchSpec{},
		templates: make(map[string]*grouptemplate.Template, count),
		byID:      make(map[string]*NodeGroup, count),
	}
	for _, g := range snapshot.Groups() {
		if g.Deleting {
			continue
		}
		groups, refused := p.cache.NodeGroups(g)
		if len(refused) > 0 {
			v.refused[g.Name] = refused
		}
		for _, g := range groups {
			p.add(v, before, v.offeredOnly(g, before))
		}
	}
	v.nodeGroups = slices.Clip(v.nodeGroups)
	return v
}

// add adds a node group to the view v.
func (p *Provider) add(v, before *view, g *asg.Group) {
	id := g.ID()
	t := before.templates[id]
	seen := grouptemplate.Seen{CNI: v.cni, Learnt: p.lessons.of(g.Name)}
	if t == nil || before.catalogue != v.catalogue || t.Seen != seen || !t.Current(g) {
		t = seen.Build(g, p.region, v.catalogue)
	}
	ng := before.byID[id]
	if ng == nil || ng.name != g.Name { // a view may have the name that a group has now
		ng = &NodeGroup{provider: p, id: id, name: g.Name, zone: g.Zone}
	}
	v.groups[id], v.templates[id], v.byID[id] = g, t, ng
	v.zonal = v.zonal || g.Zone != ""
	v.nodeGroups = append(v.nodeGroups, ng)
}

// with is the same view with one group replaced, in the form that it has in this view; a group it does not have changes nothing.
func (v *view) with(g *asg.Group) *view {
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

// nodeGroupOf is the node group that an instance of g is in, or nil.
func (v *view) nodeGroupOf(i *asg.Instance, g *asg.Group) *NodeGroup {
	if ng := v.byID[g.Name]; ng != nil && ng.zone == "" {
		return ng
	}
	return v.byID[asg.ZoneGroupID(g.Name, i.Zone)]
}

// zonalLaunch is what a group launches in one of its zones.
type zonalLaunch struct {
	launch *launchspec.LaunchSpec
	zone   string
}

// offeredOnly is a node group without the instance types that are not offered in its zone, if it is a zonal view; before is a
// view made earlier. What it launches is the same pointer for as long as nothing in it changed.
func (v *view) offeredOnly(g *asg.Group, before *view) *asg.Group {
	if g.Zone == "" || g.LaunchSpec == nil {
		return g
	}
	types := v.offered.in(g.Zone, g.LaunchSpec.Types)
	if len(types) == len(g.LaunchSpec.Types) {
		return g
	}
	cut := *g
	key := zonalLaunch{g.LaunchSpec, g.Zone}
	if known := before.launches[key]; known != nil && len(known.Types) == len(types) && before.offered == v.offered {
		cut.LaunchSpec = known
	} else {
		launch := *g.LaunchSpec
		launch.Types = types
		cut.LaunchSpec = &launch
	}
	v.launches[key] = cut.LaunchSpec
	if len(types) == 0 {
		cut.Problems = append(slices.Clip(g.Problems), launchspec.Problem{Reason: reasonNotOffered, Blocks: true,
			Message: "none of its instance types is offered in zone " + g.Zone + ", so nothing is launched there",
			Remedy:  "allow a type that is, or take the zone's subnet out of the group"})
	}
	return &cut
}

// reasonNotOffered is that of a zonal view in whose zone nothing can be launched.
const reasonNotOffered = "not-offered-in-zone"

// zonalTypes are the instance types of the zonal views.
func (v *view) zonalTypes() []string {
	types := map[string]bool{}
	for _, g := range v.groups {
		if g.Zone == "" || g.LaunchSpec == nil {
			continue
		}
		for _, t := range g.LaunchSpec.Types {
			types[t.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(types))
}

// unknownTypes are the instance types in use of which nothing is known.
func (v *view) unknownTypes() []string {
	unknown := map[string]bool{}
	for _, t := range v.templates {
		for _, name := range t.UnknownTypes {
			unknown[name] = true
		}
	}
	return slices.Sorted(maps.Keys(unknown))
}

// findings are the problems of all groups.
func (v *view) findings() []finding {
	var found []finding
	say := func(g *asg.Group, problems []launchspec.Problem) {
		for _, p := range problems {
			found = append(found, finding{group: g.Name, reason: p.Reason,
				message: "Auto Scaling group \"" + g.Name + "\": " + p.Message + "; to mend it, " + p.Remedy})
		}
	}
	for _, g := range v.snapshot.Foreign() {
		say(g, g.Problems)
	}
	for _, ng := range v.nodeGroups {
		g := v.groups[ng.Id()]
		say(g, g.Problems)
		say(g, v.refused[ng.Id()])
		t := v.templates[ng.Id()]
		if t == nil || len(g.Problems) > 0 && (g.LaunchSpec == nil || len(g.LaunchSpec.Types) == 0) {
			continue // that it cannot be launched is said already
		}
		for _, p := range t.Problems {
			found = append(found, finding{group: g.Name, reason: string(p.Reason), message: p.String()})
		}
	}
	return found
}
