package show

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Types are what asgctl types prints.
type Types struct {
	Version string `json:"version"`
	// Source and Date (YYYY-MM-DD) describe the built-in list.
	Source string `json:"source"`
	Date   string `json:"date"`
	Types  []Type `json:"types"`
}

// Type is one instance type.
type Type struct {
	Name         string `json:"name" table:"TYPE"`
	VCPU         int    `json:"vcpu"`
	Architecture string `json:"architecture" table:"ARCH"`
	// MemoryBytes is EC2's figure. NodeMemoryBytes is the capacity a node reports at least, measured on a node of the type or
	// estimated.
	MemoryBytes        GiB    `json:"memoryBytes" table:"MEMORY"`
	NodeMemoryBytes    GiB    `json:"nodeMemoryBytes" table:"ON-NODE"`
	NodeMemoryMeasured bool   `json:"nodeMemoryMeasured" table:"BASIS,measured|estimated"`
	Accelerators       string `json:"accelerators"` // such as 1 x NVIDIA T4 16Gi
	// Resources are those under which a node publishes its accelerators once their device plugin runs.
	Resources Resources `json:"resources" table:"PUBLISHES"`
	// EFAInterfaces can be had as vpc.amazonaws.com/efa, PodENIs as vpc.amazonaws.com/pod-eni (ENABLE_POD_ENI).
	EFAInterfaces  Count `json:"efaInterfaces" table:"EFA"`
	ENIMaxPods     Count `json:"eniMaxPods" table:"ENI-PODS"`
	PodENIs        Count `json:"podENIs" table:"POD-ENIS"`
	LocalNVMeBytes Disks `json:"localNVMeBytes" table:"NVME"`
	BareMetal      bool  `json:"bareMetal" table:"METAL,yes"`
	// Source names the source of the facts and its date.
	Source string `json:"source" table:"-"`
}

// TypesOf lists the named types of the catalogue, sorted, or all without names. A name may be a pattern such as g4dn.*. Unknown
// are the names that match nothing, in their order.
func TypesOf(c *instancetypes.Catalogue, names []string) (list Types, unknown []string) {
	list = Types{Version: Version, Source: c.Source(), Date: c.Date().Format("2006-01-02")}
	list.Types, unknown = matching(names, c.Names(), func(name string) (Type, bool) {
		t, ok := c.Lookup(name)
		return typeFrom(t), ok
	})
	return list, unknown
}

// matching returns the values of the names that match one of the patterns, sorted by name, or of all known names without a pattern. A
// pattern may be a name that is not known. Unknown are the patterns without a value, in their order.
func matching[T any](patterns, known []string, look func(name string) (T, bool)) (values []T, unknown []string) {
	all := len(patterns) == 0
	if all {
		patterns = []string{"*"}
	}
	found := map[string]T{}
	for _, pattern := range patterns {
		matched := all
		for _, name := range append([]string{pattern}, known...) {
			if ok, err := path.Match(pattern, name); name != pattern && (err != nil || !ok) {
				continue
			}
			if value, ok := look(name); ok {
				found[name], matched = value, true
			}
		}
		if !matched {
			unknown = append(unknown, pattern)
		}
	}
	values = []T{} // not null in JSON
	for _, name := range slices.Sorted(maps.Keys(found)) {
		values = append(values, found[name])
	}
	return values, unknown
}

func typeFrom(t instancetypes.Type) Type {
	memory, measured := t.MemoryCapacity()
	out := Type{
		Name: t.Name, VCPU: t.VCPU, Architecture: t.Architecture, MemoryBytes: GiB(t.MemoryBytes),
		NodeMemoryBytes: GiB(memory), NodeMemoryMeasured: measured, Accelerators: accelerators(t), Resources: Resources{},
		EFAInterfaces: Count(t.EFAInterfaces), ENIMaxPods: Count(t.ENIMaxPods()), PodENIs: Count(t.PodENIs),
		LocalNVMeBytes: Disks(t.LocalNVMeBytes), BareMetal: t.BareMetal, Source: t.Source,
	}
	for _, r := range t.Accelerators() {
		out.Resources[r.Name] = r.Count
	}
	return out
}

func accelerators(t instancetypes.Type) string {
	switch g := t.GPU; {
	case t.NeuronDevices > 0:
		return fmt.Sprintf("%d x AWS Neuron, %d cores", t.NeuronDevices, t.NeuronCores)
	case g.Count > 0 && g.Fraction > 0:
		return fmt.Sprintf("%d x %g of %s %s %s", g.Count, g.Fraction, g.Manufacturer, g.Name, GiB(g.MemoryBytes))
	case g.Count > 0:
		return fmt.Sprintf("%d x %s %s %s", g.Count, g.Manufacturer, g.Name, GiB(g.MemoryBytes))
	}
	return ""
}

// Table returns the list for people.
func (l Types) Table() string {
	sources := map[string]int{}
	for _, t := range l.Types {
		sources[t.Source]++
	}
	text := Rows(l.Types) + "\n"
	for _, source := range slices.Sorted(maps.Keys(sources)) {
		text += fmt.Sprintf("Source of %d: %s\n", sources[source], Clean(source))
	}
	return text
}

// Resources are numbers by resource name.
type Resources map[string]int

// String returns for example "nvidia.com/gpu=1".
func (r Resources) String() string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		words = append(words, name+"="+strconv.Itoa(r[name]))
	}
	return strings.Join(words, ",")
}

// GiB is an amount of bytes, shown in GiB.
type GiB int64

// String has two decimals where they matter.
func (b GiB) String() string {
	return figure(float64(b/(1<<20)*100/1024)/100) + "Gi"
}

// Disks is an amount of bytes, shown in GB.
type Disks int64

// String returns for example "125G", and nothing for none.
func (b Disks) String() string {
	if b == 0 {
		return ""
	}
	return strconv.FormatInt(int64(b)/1e9, 10) + "G"
}
