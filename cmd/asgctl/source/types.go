package source

import (
	"context"
	"maps"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/typelookup"
)

// lookUp adds to the catalogue the types that the groups launch and it lacks. The catalogue is of use even with an error.
func lookUp(ctx context.Context, api typelookup.API, groups []*asg.Group, catalogue *instancetypes.Catalogue) (*instancetypes.Catalogue, error) {
	unknown := map[string]bool{}
	for _, g := range groups {
		if g.LaunchSpec == nil {
			continue
		}
		for _, t := range g.LaunchSpec.Types {
			if _, ok := catalogue.Lookup(t.Name); !ok {
				unknown[t.Name] = true
			}
		}
	}
	found, err := typelookup.Describe(ctx, api, slices.Sorted(maps.Keys(unknown)))
	return catalogue.With(found...), err
}
