package fakeaws

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// A catalogue knows the properties of instance types. It does not change.
type catalogue struct{ types map[string]InstanceType }

// newCatalogue is the built-in list plus more types.
func newCatalogue(more []InstanceType) (*catalogue, error) {
	c := &catalogue{types: map[string]InstanceType{}}
	for _, t := range builtinTypes() {
		c.types[t.Name] = t
	}
	for _, t := range more {
		if t.Name == "" || t.VCPU <= 0 || t.MemoryMiB <= 0 {
			return nil, fmt.Errorf("fakeaws config: instance type %q: name, vcpu and memoryMiB are needed", t.Name)
		}
		t.Architecture = first(t.Architecture, "amd64")
		t.MaxENIs, t.IPv4PerENI = first(t.MaxENIs, 3), first(t.IPv4PerENI, 10)
		c.types[t.Name] = t
	}
	return c, nil
}

func (c *catalogue) lookup(name string) (InstanceType, bool) {
	t, ok := c.types[name]
	return t, ok
}

// names of all types, sorted.
func (c *catalogue) names() []string { return slices.Sorted(maps.Keys(c.types)) }

// awsArchitecture is EC2's word for it.
func (t InstanceType) awsArchitecture() string {
	if t.Architecture == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

func (t InstanceType) accelerators() int { return t.GPUs + t.NeuronDevices }

// acceleratorMaker is EC2's word in instance requirements.
func (t InstanceType) acceleratorMaker() string {
	if t.NeuronDevices > 0 {
		return "amazon-web-services"
	}
	return strings.ToLower(t.GPUManufacturer)
}

func (t InstanceType) burstable() bool {
	return len(t.Name) > 2 && t.Name[0] == 't' && t.Name[1] >= '1' && t.Name[1] <= '9'
}

// cpuMaker follows the family's letters: a for AMD, g for AWS, Intel otherwise.
func (t InstanceType) cpuMaker() string {
	family, _, _ := strings.Cut(t.Name, ".")
	options := family[strings.IndexAny(family+"0", "0123456789"):]
	switch {
	case t.Architecture == "arm64":
		return "amazon-web-services"
	case strings.Contains(options, "a"):
		return "amd"
	}
	return "intel"
}

// matching are the types that meet the requirements on one of the architectures (all if none is given), in the order of size,
// and so of price.
func (c *catalogue) matching(r InstanceRequirements, architectures []string) []string {
	var out []string
	for _, name := range c.names() {
		t := c.types[name]
		if (len(architectures) == 0 || slices.Contains(architectures, t.awsArchitecture())) && r.met(t) {
			out = append(out, name)
		}
	}
	slices.SortStableFunc(out, func(x, y string) int {
		a, b := c.types[x], c.types[y]
		if a.accelerators() != b.accelerators() {
			return a.accelerators() - b.accelerators()
		}
		if a.VCPU != b.VCPU {
			return a.VCPU - b.VCPU
		}
		return a.MemoryMiB - b.MemoryMiB
	})
	return out
}

func (r InstanceRequirements) met(t InstanceType) bool {
	return r.VCPUs.holds(t.VCPU) && r.MemoryMiB.holds(t.MemoryMiB) &&
		r.acceleratorsMet(t) &&
		(len(r.CPUManufacturers) == 0 || slices.Contains(r.CPUManufacturers, t.cpuMaker())) &&
		(len(r.AllowedInstanceTypes) == 0 || anyMatch(r.AllowedInstanceTypes, t.Name)) &&
		!anyMatch(r.ExcludedInstanceTypes, t.Name) &&
		optionMet(r.BareMetal, t.BareMetal) && optionMet(r.BurstablePerformance, t.burstable())
}

func (r InstanceRequirements) acceleratorsMet(t InstanceType) bool {
	if r.AcceleratorCount != nil && !r.AcceleratorCount.holds(t.accelerators()) {
		return false
	}
	asked := r.AcceleratorCount != nil && r.AcceleratorCount.Min > 0 ||
		len(r.AcceleratorManufacturers)+len(r.AcceleratorNames)+len(r.AcceleratorTypes) > 0
	if !asked {
		return true
	}
	kind := "gpu"
	if t.NeuronDevices > 0 {
		kind = "inference"
	}
	name := strings.ToLower(strings.ReplaceAll(t.GPUName, " ", "-"))
	return t.accelerators() > 0 &&
		(len(r.AcceleratorManufacturers) == 0 || slices.Contains(r.AcceleratorManufacturers, t.acceleratorMaker())) &&
		(len(r.AcceleratorNames) == 0 || slices.Contains(r.AcceleratorNames, name)) &&
		(len(r.AcceleratorTypes) == 0 || slices.Contains(r.AcceleratorTypes, kind))
}

func (r Range) holds(n int) bool { return n >= r.Min && (r.Max == nil || n <= *r.Max) }

// optionMet judges included, required and excluded, which is the default.
func optionMet(option string, has bool) bool {
	switch option {
	case "included":
		return true
	case "required":
		return has
	}
	return !has
}

func anyMatch(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// builtinTypes are the product's own facts about types. The node is computed here again, without the product's formulas.
func builtinTypes() []InstanceType {
	var out []InstanceType
	for _, t := range instancetypes.Embedded().Types() {
		out = append(out, InstanceType{
			Name: t.Name, VCPU: t.VCPU, MemoryMiB: int(t.MemoryBytes / mib), Architecture: t.Architecture,
			GPUs: t.GPU.Count, GPUManufacturer: t.GPU.Manufacturer, GPUName: t.GPU.Name, GPUMemoryMiB: int(t.GPU.MemoryBytes / mib),
			NeuronDevices: t.NeuronDevices, EFAInterfaces: t.EFAInterfaces, MaxENIs: t.MaxENIs, IPv4PerENI: t.IPv4PerENI,
			MeasuredMemoryKiB: t.MeasuredMemoryBytes / kib, BareMetal: t.BareMetal, LocalNVMeGB: int(t.LocalNVMeBytes / 1_000_000_000),
		})
	}
	return out
}
