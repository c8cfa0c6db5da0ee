package spotprice

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

func TestInUseCoversTypesOfSpotGroupsAndAllZones(t *testing.T) {
	launch := func(spot bool, types ...string) *launchspec.LaunchSpec {
		l := &launchspec.LaunchSpec{Spot: spot}
		for _, name := range types {
			l.Types = append(l.Types, launchspec.Type{Name: name})
		}
		return l
	}
	got := InUse([]*group.Group{
		{Name: "template", Zones: []string{"z-1b", "z-1a"}, LaunchSpec: launch(true, "m5.large")},
		{Name: "mixed", Zones: []string{"z-1a"}, LaunchSpec: launch(false, "g5.xlarge", "g4dn.xlarge"),
			Source:    launchspec.Source{Mixed: true, OnDemandPercentageAboveBase: 50},
			Instances: []group.Instance{{Type: "g5.2xlarge", Zone: "z-1c"}, {}}},
		{Name: "on-demand", Zones: []string{"z-1d"}, LaunchSpec: launch(false, "c5.large")},
		{Name: "mixed, on-demand only", Zones: []string{"z-1d"}, LaunchSpec: launch(true, "c5.large"),
			Source: launchspec.Source{Mixed: true, OnDemandPercentageAboveBase: 100}},
		{Name: "not known yet", Zones: []string{"z-1d"}, Source: launchspec.Source{Mixed: true}},
	})
	want := Pools{Types: []string{"g4dn.xlarge", "g5.2xlarge", "g5.xlarge", "m5.large"}, Zones: []string{"z-1a", "z-1b", "z-1c", "z-1d"}}
	assert.Empty(t, cmp.Diff(want, got), "pools (-want +got)")
}
