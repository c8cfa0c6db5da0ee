package fakeaws

import (
	"fmt"
	"maps"
	"path"
	"slices"

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

func (t InstanceType) burstable() bool {
	return len(t.Name) > 2 && t.Name[0] == 't' && t.Name[1] >= '1' && t.Name[1] <= '9'
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
		(len(r.AllowedInstanceTypes) == 0 || anyMatch(r.AllowedInstanceTypes, t.Name)) && !t.BareMetal && !t.burstable()
}

func (r Range) holds(n int) bool { return n >= r.Min && (r.Max == nil || n <= *r.Max) }

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
