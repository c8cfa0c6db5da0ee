package aws

import (
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// zoneLaunch is the key of a launch description, compared by identity, that is cut down to the types of one zone.
type zoneLaunch struct {
	launch *launchspec.LaunchSpec
	zone   string
}

// offeredOnly returns a zone group without the instance types that its zone does not offer, and any other group as it is. The launch
// description keeps its pointer from the view before while nothing in it changes, because templates and prices are cached by it.
func (v *View) offeredOnly(g *group.Group, before *View) *group.Group {
	if g.Zone == "" || g.LaunchSpec == nil {
		return g
	}
	types := v.offeredIn(g.Zone, g.LaunchSpec.Types)
	if len(types) == len(g.LaunchSpec.Types) {
		return g
	}
	cut := *g
	key := zoneLaunch{g.LaunchSpec, g.Zone}
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

// offeredIn returns the types that the zone offers, or may offer for all that is known. It is the same slice if those are all.
func (v *View) offeredIn(zone string, types []launchspec.Type) []launchspec.Type {
	absent := func(t launchspec.Type) bool {
		zones, known := v.offered.Of(t.Name)
		return known && !slices.Contains(zones, zone)
	}
	if !slices.ContainsFunc(types, absent) {
		return types
	}
	return slices.DeleteFunc(slices.Clone(types), absent)
}

const reasonNotOffered = "not-offered-in-zone"

// zonalTypes returns the instance types of the zone groups, each once for every group that has it.
func (v *View) zonalTypes() (types []string) {
	for _, g := range v.groups {
		if g.Zone == "" || g.LaunchSpec == nil {
			continue
		}
		for _, t := range g.LaunchSpec.Types {
			types = append(types, t.Name)
		}
	}
	return types
}
