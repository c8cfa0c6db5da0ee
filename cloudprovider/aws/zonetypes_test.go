package aws_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
)

func TestOfferedTypesKeepTheirSlice(t *testing.T) {
	offerings := lookup.NewOfferings(nil, clock.RealClock{})
	offerings.Learn(map[string][]string{"m5.large": {"a", "b"}, "m5.xlarge": {"b"}})
	launchTypes := func(names ...string) []launchspec.Type {
		var types []launchspec.Type
		for _, name := range names {
			types = append(types, launchspec.Type{Name: name, Weight: 1})
		}
		return types
	}
	types := launchTypes("m5.large", "m5.xlarge", "c5.large")
	got := aws.OfferedIn("b", offerings.Known(), types)
	assert.Truef(t, &got[0] == &types[0] && len(got) == 3, "%v is not the slice it was", got)
	assert.Empty(t, cmp.Diff(launchTypes("m5.large", "c5.large"), aws.OfferedIn("a", offerings.Known(), types)), "in a (-want +got)")
	assert.Empty(t, cmp.Diff(launchTypes("m5.large", "m5.xlarge", "c5.large"), types), "the slice handed in has changed (-want +got)")
}
