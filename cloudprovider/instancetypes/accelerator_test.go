package instancetypes

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
)

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
	for name, want := range map[string]map[string]int{
		"m5.large":      {},
		"g5.48xlarge":   {"nvidia.com/gpu": 8},
		"g6f.large":     {"nvidia.com/gpu": 1},
		"g4ad.xlarge":   {"amd.com/gpu": 1},
		"dl1.24xlarge":  {"habana.ai/gaudi": 8},
		"inf1.6xlarge":  {"aws.amazon.com/neuron": 4, "aws.amazon.com/neuroncore": 16},
		"inf2.24xlarge": {"aws.amazon.com/neuron": 6, "aws.amazon.com/neuroncore": 12},
		"trn1.32xlarge": {"aws.amazon.com/neuron": 16, "aws.amazon.com/neuroncore": 32},
		"trn2.48xlarge": {"aws.amazon.com/neuron": 16, "aws.amazon.com/neuroncore": 64},
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
