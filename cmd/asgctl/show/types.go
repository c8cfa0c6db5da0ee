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
	Name         string `json:"name"`
	VCPU         int    `json:"vcpu"`
	Architecture string `json:"architecture"`
	// MemoryBytes is EC2's figure. NodeMemoryBytes is the capacity a node reports at least, measured on a node of the type or
	// estimated.
	MemoryBytes        int64         `json:"memoryBytes"`
	NodeMemoryBytes    int64         `json:"nodeMemoryBytes"`
	NodeMemoryMeasured bool          `json:"nodeMemoryMeasured"`
	Accelerators       []Accelerator `json:"accelerators"`
	// Resources are those under which a node publishes its accelerators once their device plugin runs.
	Resources map[string]int `json:"resources"`
	// EFAInterfaces can be had as vpc.amazonaws.com/efa, PodENIs as vpc.amazonaws.com/pod-eni (ENABLE_POD_ENI).
	EFAInterfaces  int   `json:"efaInterfaces"`
	MaxENIs        int   `json:"maxENIs"`
	IPv4PerENI     int   `json:"ipv4PerENI"`
	ENIMaxPods     int   `json:"eniMaxPods"`
	PodENIs        int   `json:"podENIs"`
	LocalNVMeBytes int64 `json:"localNVMeBytes"`
	BareMetal      bool  `json:"bareMetal"`
	// Source names the source of the facts and its date.
	Source string `json:"source"`
}

// Accelerator is a kind of accelerator that a type has.
type Accelerator struct {
	Vendor      string  `json:"vendor"`
	Model       string  `json:"model,omitempty"`
	Count       int     `json:"count"`
	MemoryBytes int64   `json:"memoryBytes,omitempty"` // of each
	Fraction    float64 `json:"fraction,omitempty"`    // of a card that each is, none for whole cards
	Cores       int     `json:"cores,omitempty"`       // of all together
}

// TypesOf lists the named types of the catalogue, sorted, or all without names. A name may be a pattern such as g4dn.*. Unknown
// are the names that match nothing, in their order.
func TypesOf(c *instancetypes.Catalogue, names []string) (list Types, unknown []string) {
	list = Types{Version: Version, Source: c.Source(), Date: c.Date().Format("2006-01-02"), Types: []Type{}}
	found := map[string]bool{}
	all := c.Names()
	for _, name := range names {
		matched := false
		for _, candidate := range all {
			if ok, err := path.Match(name, candidate); candidate == name || err == nil && ok {
				found[candidate], matched = true, true
			}
		}
		if !matched {
			unknown = append(unknown, name)
		}
	}
	if len(names) > 0 {
		all = slices.Sorted(maps.Keys(found))
	}
	for _, name := range all {
		t, _ := c.Lookup(name)
		list.Types = append(list.Types, typeFrom(t))
	}
	return list, unknown
}

func typeFrom(t instancetypes.Type) Type {
	memory, measured := t.MemoryCapacity()
	out := Type{
		Name: t.Name, VCPU: t.VCPU, Architecture: t.Architecture, MemoryBytes: t.MemoryBytes,
		NodeMemoryBytes: memory, NodeMemoryMeasured: measured, Accelerators: accelerators(t), Resources: map[string]int{},
		EFAInterfaces: t.EFAInterfaces, MaxENIs: t.MaxENIs, IPv4PerENI: t.IPv4PerENI, ENIMaxPods: t.ENIMaxPods(), PodENIs: t.PodENIs,
		LocalNVMeBytes: t.LocalNVMeBytes, BareMetal: t.BareMetal, Source: t.Source,
	}
	for _, r := range t.Accelerators() {
		out.Resources[r.Name] = r.Count
	}
	return out
}

func accelerators(t instancetypes.Type) []Accelerator {
	list := []Accelerator{}
	if g := t.GPU; g.Count > 0 {
		list = append(list, Accelerator{Vendor: g.Manufacturer, Model: g.Name, Count: g.Count, MemoryBytes: g.MemoryBytes, Fraction: g.Fraction})
	}
	if t.NeuronDevices > 0 {
		list = append(list, Accelerator{Vendor: "AWS", Model: neuronModel(t.Name), Count: t.NeuronDevices, Cores: t.NeuronCores})
	}
	return list
}

// neuronModel follows from the family, for the catalogue keeps no name of Neuron devices.
func neuronModel(name string) string {
	family, _, _ := strings.Cut(name, ".")
	switch {
	case strings.HasPrefix(family, "inf1"):
		return "Inferentia"
	case strings.HasPrefix(family, "inf2"):
		return "Inferentia2"
	case strings.HasPrefix(family, "trn1"):
		return "Trainium"
	case strings.HasPrefix(family, "trn2"):
		return "Trainium2"
	case strings.HasPrefix(family, "trn3"):
		return "Trainium3"
	}
	return ""
}

// Table returns the list for people.
func (l Types) Table() string {
	rows := make([][]string, 0, len(l.Types))
	sources := map[string]int{}
	for _, t := range l.Types {
		sources[t.Source]++
		basis := "estimated"
		if t.NodeMemoryMeasured {
			basis = "measured"
		}
		rows = append(rows, []string{
			t.Name, strconv.Itoa(t.VCPU), t.Architecture, gib(t.MemoryBytes), gib(t.NodeMemoryBytes), basis,
			describe(t.Accelerators), resources(t.Resources), Count(t.EFAInterfaces), enis(t), Count(t.ENIMaxPods), Count(t.PodENIs), disks(t.LocalNVMeBytes), yes(t.BareMetal),
		})
	}
	header := []string{"TYPE", "VCPU", "ARCH", "MEMORY", "ON-NODE", "BASIS", "ACCELERATORS", "PUBLISHES", "EFA", "ENIS", "ENI-PODS", "POD-ENIS", "NVME", "METAL"}
	text := Columns(header, rows) + "\n"
	for _, source := range slices.Sorted(maps.Keys(sources)) {
		text += fmt.Sprintf("Source of %d: %s\n", sources[source], Clean(source))
	}
	return text
}

func describe(list []Accelerator) string {
	var words []string
	for _, a := range list {
		s := fmt.Sprintf("%d x %s", a.Count, strings.TrimSpace(a.Vendor+" "+a.Model))
		if a.Fraction > 0 {
			s = fmt.Sprintf("%d x %g of %s", a.Count, a.Fraction, strings.TrimSpace(a.Vendor+" "+a.Model))
		}
		if a.MemoryBytes > 0 {
			s += " " + gib(a.MemoryBytes)
		}
		if a.Cores > 0 {
			s += fmt.Sprintf(", %d cores", a.Cores)
		}
		words = append(words, s)
	}
	return strings.Join(words, "; ")
}

func resources(list map[string]int) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(list)) {
		words = append(words, name+"="+strconv.Itoa(list[name]))
	}
	return strings.Join(words, ",")
}

// gib writes an amount in GiB, with two decimals where they matter.
func gib(bytes int64) string {
	return strconv.FormatFloat(float64(bytes/(1<<20)*100/1024)/100, 'f', -1, 64) + "Gi"
}

func disks(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return strconv.FormatInt(bytes/1e9, 10) + "G"
}

func enis(t Type) string {
	if t.MaxENIs == 0 {
		return ""
	}
	return fmt.Sprintf("%dx%d", t.MaxENIs, t.IPv4PerENI)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
