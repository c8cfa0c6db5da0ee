package instancetypes

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAcceleratorIsPublishedUnderItsVendorsName(t *testing.T) {
	for _, tt := range []struct {
		name, resource string
		count          int
		label          string
	}{
		{name: "g4dn.xlarge", resource: "nvidia.com/gpu", count: 1},
		{name: "p4d.24xlarge", resource: "nvidia.com/gpu", count: 8},
		{name: "p5.48xlarge", resource: "nvidia.com/gpu", count: 8},
		{name: "g5.xlarge", resource: "nvidia.com/gpu", count: 1},
		{name: "g6f.large", resource: "nvidia.com/gpu", count: 1},
		{name: "g7e.2xlarge", resource: "nvidia.com/gpu", count: 1},
		{name: "g4ad.xlarge", resource: "amd.com/gpu", count: 1},
		{name: "dl1.24xlarge", resource: "habana.ai/gaudi", count: 8},
		{name: "trn1.32xlarge", resource: "aws.amazon.com/neuron", count: 16},
		{name: "inf2.xlarge", resource: "aws.amazon.com/neuron", count: 1},
		{name: "m5.large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			typ, ok := Embedded().Lookup(tt.name)
			require.True(t, ok, "type is missing")
			if resource, count := typ.Accelerator(); resource != tt.resource || count != tt.count {
				t.Errorf("Accelerator() = %q, %d, want %q, %d", resource, count, tt.resource, tt.count)
			}
		})
	}
}

func TestEveryGPUHasAResource(t *testing.T) {
	for _, typ := range Embedded().Types() {
		if typ.GPU.Count == 0 {
			continue
		}
		resource, _ := typ.Accelerator()
		assert.Truef(t, resource != "", "%s: no resource for %+v", typ.Name, typ.GPU)
	}
}

func TestNeuronDevicesAndTheirCoresArePublishedBoth(t *testing.T) {
	for name, want := range map[string][]Resource{
		"m5.large":      nil,
		"g5.48xlarge":   {{"nvidia.com/gpu", 8}},
		"dl1.24xlarge":  {{"habana.ai/gaudi", 8}},
		"inf1.6xlarge":  {{"aws.amazon.com/neuron", 4}, {"aws.amazon.com/neuroncore", 16}},
		"inf2.24xlarge": {{"aws.amazon.com/neuron", 6}, {"aws.amazon.com/neuroncore", 12}},
		"trn1.32xlarge": {{"aws.amazon.com/neuron", 16}, {"aws.amazon.com/neuroncore", 32}},
		"trn2.48xlarge": {{"aws.amazon.com/neuron", 16}, {"aws.amazon.com/neuroncore", 64}},
	} {
		typ, _ := Embedded().Lookup(name)
		assert.Emptyf(t, cmp.Diff(want, typ.Accelerators()), "%s: resources (-want +got)", name)
	}
}

func TestUnknownVendorPublishesNothing(t *testing.T) {
	typ := Type{GPU: GPU{Count: 2, Manufacturer: "Acme", Name: "One (rev. 2)"}}
	resource, count := typ.Accelerator()
	assert.Truef(t, resource == "" && count == 0, "Accelerator() = %q, %d, want nothing", resource, count)
}
