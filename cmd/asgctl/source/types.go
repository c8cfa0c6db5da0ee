package source

import (
	"context"
	"maps"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// lookUp adds to the catalogue the types that the groups launch and it lacks. The catalogue is of use even with an error.
func lookUp(ctx context.Context, api lookup.TypesAPI, groups []*group.Group, catalogue *instancetypes.Catalogue) (*instancetypes.Catalogue, error) {
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
	found, err := lookup.DescribeTypes(ctx, api, slices.Sorted(maps.Keys(unknown)))
	return catalogue.With(found...), err
}
