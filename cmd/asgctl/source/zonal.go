package source

import (
	"fmt"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// Views returns the zonal views of a group of the reading, one node group for each zone, where the autoscaler would scale it
// zone by zone. There are none if the group is one node group itself. AWS's refusals to the autoscaler at run time are unknown
// here, and so are the zones where an instance type is offered.
func (r *Reading) Views(g *group.Group) []*group.Group {
	if views := r.nodeGroups[g.Name]; g.Zone == "" && len(views) > 0 && views[0].Zone != "" {
		return views
	}
	return nil
}

// Find returns the group of that name or the zonal view of that ID.
func (r *Reading) Find(id string) (*group.Group, error) {
	for _, g := range r.Groups {
		if g.Name == id {
			return g, nil
		}
		for _, view := range r.Views(g) {
			if view.ID() == id {
				return view, nil
			}
		}
	}
	return nil, fmt.Errorf("no Auto Scaling group or zonal view %q: asgctl groups lists those there are, and says why a group is not scaled by zone", id)
}
