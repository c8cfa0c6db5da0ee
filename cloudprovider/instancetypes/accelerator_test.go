package instancetypes

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAcceleratorIsPublishedUnderItsVendorsName(t *testing.T) {
	for _, tt := range []struct {
		name, resource string
		count          int
		label          string
	}{
		{name: "g4dn.xlarge", resource: "nvidia.com/gpu", count: 1, label: "nvidia-tesla-t4"},
		{name: "p4d.24xlarge", resource: "nvidia.com/gpu", count: 8, label: "nvidia-tesla-a100"},
		{name: "p5.48xlarge", resource: "nvidia.com/gpu", count: 8, label: "nvidia-h100"},
		{name: "g5.xlarge", resource: "nvidia.com/gpu", count: 1, label: "nvidia-a10g"},
		{name: "g6f.large", resource: "nvidia.com/gpu", count: 1, label: "nvidia-l4"},
		{name: "g7e.2xlarge", resource: "nvidia.com/gpu", count: 1, label: "nvidia-rtx-pro-server-6000"},
		{name: "g4ad.xlarge", resource: "amd.com/gpu", count: 1, label: "amd-radeon-pro-v520"},
		{name: "dl1.24xlarge", resource: "habana.ai/gaudi", count: 8, label: "habana-gaudi"},
		{name: "trn1.32xlarge", resource: "aws.amazon.com/neuron", count: 16},
		{name: "inf2.xlarge", resource: "aws.amazon.com/neuron", count: 1},
		{name: "m5.large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			typ, ok := Embedded().Lookup(tt.name)
			if !ok {
				t.Fatal("type is missing")
			}
			if resource, count := typ.Accelerator(); resource != tt.resource || count != tt.count {
				t.Errorf("Accelerator() = %q, %d, want %q, %d", resource, count, tt.resource, tt.count)
			}
			if got := typ.GPU.LabelValue(); got != tt.label {
				t.Errorf("LabelValue() = %q, want %q", got, tt.label)
			}
		})
	}
}

func TestEveryGPUHasResourceAndLabelValue(t *testing.T) {
	for _, typ := range Embedded().Types() {
		if typ.GPU.Count == 0 {
			continue
		}
		if resource, _ := typ.Accelerator(); resource == "" || typ.GPU.LabelValue() == "" {
			t.Errorf("%s: resource %q, label value %q for %+v", typ.Name, resource, typ.GPU.LabelValue(), typ.GPU)
		}
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
		if diff := cmp.Diff(want, typ.Accelerators()); diff != "" {
			t.Errorf("%s: resources (-want +got):\n%s", name, diff)
		}
	}
}

func TestUnknownVendorPublishesNothing(t *testing.T) {
	typ := Type{GPU: GPU{Count: 2, Manufacturer: "Acme", Name: "One (rev. 2)"}}
	if resource, count := typ.Accelerator(); resource != "" || count != 0 {
		t.Errorf("Accelerator() = %q, %d, want nothing", resource, count)
	}
	if got := typ.GPU.LabelValue(); got != "acme-one-rev-2" {
		t.Errorf("LabelValue() = %q, want a slug of the model", got)
	}
}

func TestLabelValuesHoldThoseOfTheStockAutoscaler(t *testing.T) {
	values := Embedded().AcceleratorLabelValues()
	if !slices.IsSorted(values) {
		t.Errorf("values are not sorted: %q", values)
	}
	for _, want := range []string{ // p100 is left out: no EC2 type ever had one
		"nvidia-tesla-k80", "nvidia-tesla-v100", "nvidia-tesla-t4", "nvidia-tesla-a100", "nvidia-a10g", "nvidia-l4", "nvidia-l40s",
	} {
		if !slices.Contains(values, want) {
			t.Errorf("%q is missing in %q", want, values)
		}
	}
}
