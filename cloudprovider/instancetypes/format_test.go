package instancetypes

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Format writes types as a table that parse reads, sorted by name, with the given source and date in its head.
func Format(types []Type, source string, date time.Time) string {
	types = slices.Clone(types)
	sortTypes(types)
	var b strings.Builder
	fmt.Fprintf(&b, "# source: %s\n# date: %s\n%s\n", source, date.Format(dateLayout), columns)
	for _, t := range types {
		b.WriteString(strings.Join([]string{
			t.Name, field(t.VCPU), field(t.MemoryBytes / mib), t.Architecture,
			field(t.GPU.Count), t.GPU.Manufacturer, t.GPU.Name, field(t.GPU.MemoryBytes / mib), field(t.GPU.Fraction),
			field(t.NeuronDevices), field(t.NeuronCores), field(t.EFAInterfaces),
			field(t.MaxENIs), field(t.IPv4PerENI), field(t.PodENIs),
			field(t.BareMetal), field(t.LocalNVMeBytes / 1e9), field(t.MeasuredMemoryBytes / kib),
		}, ","))
		b.WriteByte('\n')
	}
	return b.String()
}

// field writes a fact, and nothing for zero.
func field[T comparable](fact T) string {
	if fact == *new(T) {
		return ""
	}
	return fmt.Sprint(fact)
}
