package aws

import (
	"maps"
	"slices"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/grouptemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// view is what the core sees during one loop. It is immutable.
type view struct {
	snapshot   *asg.Snapshot
	catalogue  *instancetypes.Catalogue
	cni        nodetemplate.CNI
	templates  map[string]*grouptemplate.Template
	nodeGroups []cloudprovider.NodeGroup
	byName     map[string]*NodeGroup
}

func emptyView() *view { return &view{snapshot: &asg.Snapshot{}} }

// nextView is the view of a newer Snapshot. What did not change is taken over from the view before.
func (p *Provider) nextView(before *view, snapshot *asg.Snapshot, catalogue *instancetypes.Catalogue, cni nodetemplate.CNI) *view {
	v := &view{
		snapshot: snapshot, catalogue: catalogue, cni: cni,
		templates: make(map[string]*grouptemplate.Template, len(snapshot.Groups())),
		byName:    make(map[string]*NodeGroup, len(snapshot.Groups())),
	}
	for _, g := range snapshot.Groups() {
		if g.Deleting {
			continue
		}
		t := before.templates[g.Name]
		seen := grouptemplate.Seen{CNI: cni, Learnt: p.lessons.of(g.Name)}
		if t == nil || before.catalogue != catalogue || t.Seen != seen || !t.Current(g) {
			t = seen.Build(g, p.region, catalogue)
		}
		ng := before.byName[g.Name]
		if ng == nil {
			ng = &NodeGroup{provider: p, name: g.Name}
		}
		v.templates[g.Name], v.byName[g.Name] = t, ng
		v.nodeGroups = append(v.nodeGroups, ng)
	}
	v.nodeGroups = slices.Clip(v.nodeGroups)
	return v
}

// with is the same view with one group replaced; a group it does not have changes nothing.
func (v *view) with(g *asg.Group) *view {
	if v.snapshot.Group(g.Name) == nil {
		return v
	}
	next := *v
	next.snapshot = v.snapshot.With(g)
	return &next
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
	for _, g := range v.snapshot.Groups() {
		for _, p := range g.Problems {
			found = append(found, finding{group: g.Name, reason: p.Reason,
				message: "Auto Scaling group \"" + g.Name + "\": " + p.Message + "; to mend it, " + p.Remedy})
		}
		t := v.templates[g.Name]
		if t == nil || g.Launch == nil && len(g.Problems) > 0 {
			continue // that it cannot be launched is said already
		}
		for _, p := range t.Problems {
			found = append(found, finding{group: g.Name, reason: string(p.Reason), message: p.String()})
		}
	}
	return found
}
