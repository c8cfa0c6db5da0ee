package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// Views returns the zonal views of a group of the reading, one node group for each zone, where the autoscaler would scale it
// zone by zone. There are none if the group is one node group itself. AWS's refusals to the autoscaler at run time are unknown
// here, and so are the zones where an instance type is offered.
func (r *Reading) Views(g *group.Group) []*group.Group {
	if views := r.nodeGroups[g.Name]; len(views) > 0 && views[0].Zone != "" {
		return views
	}
	return nil
}

// Find returns the group of that name or the zonal view of that ID. The error names the reason if there is none.
func (r *Reading) Find(id string) (*group.Group, error) {
	var whole *group.Group // the group whose zone the ID names
	zone := ""
	for _, g := range r.Groups {
		if g.Name == id {
			return g, nil
		}
		if of, ok := strings.CutPrefix(id, group.ZoneGroupID(g.Name, "")); ok && !strings.Contains(of, "/") {
			whole, zone = g, of
		}
	}
	if whole == nil {
		return nil, fmt.Errorf("no Auto Scaling group %q: asgctl groups lists those there are", id)
	}
	views := r.Views(whole)
	if at := slices.IndexFunc(views, func(v *group.Group) bool { return v.Zone == zone }); at >= 0 {
		return views[at], nil
	}
	return nil, fmt.Errorf("no node group %q: %s", id, r.noView(whole, zone))
}

// noView explains why the group has no zonal view in the zone.
func (r *Reading) noView(g *group.Group, zone string) string {
	switch problems := r.undivided[g.Name]; {
	case !slices.Contains(g.Zones, zone):
		return fmt.Sprintf("Auto Scaling group %q has no zone %q", g.Name, zone)
	case len(problems) > 0:
		return fmt.Sprintf("Auto Scaling group %q: %s; %s", g.Name, problems[0].Message, problems[0].Remedy)
	case len(g.Zones) == 1:
		return fmt.Sprintf("Auto Scaling group %q has one zone, and is one node group", g.Name)
	case g.LaunchSpec == nil:
		return fmt.Sprintf("what Auto Scaling group %q launches is not known", g.Name)
	}
	return fmt.Sprintf("Auto Scaling group %q is one node group. Its tag %s=true, or --asg-zonal-groups=all, would ask for one per zone", g.Name, asg.TagZonal)
}
