package instancetypes

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEmbeddedCatalogueKnowsEveryTypeOfTheTable(t *testing.T) {
	c := Embedded()
	assert.Len(t, c.Types(), 1397, "types: say so in the package documentation and in data/SOURCES.md")
	names := c.Names()
	assert.Falsef(t, len(names) != len(c.Types()) || !slices.IsSorted(names),
		"Names() gives %d names, sorted %v, want %d sorted", len(names), slices.IsSorted(names), len(c.Types()))
	assert.Truef(t, strings.HasSuffix(c.Types()[0].Source, ", 2026-08-02"), "source %q, want the list's and its date", c.Types()[0].Source)
}

func TestLookupGivesTheFactsOfOneType(t *testing.T) {
	const gib = 1024 * mib
	for _, want := range []Type{
		{Name: "g4dn.xlarge", VCPU: 4, MemoryBytes: 16 * gib, Architecture: "amd64",
			GPU:     GPU{Count: 1, Manufacturer: "NVIDIA", Name: "T4", MemoryBytes: 16 * gib},
			MaxENIs: 3, IPv4PerENI: 10, PodENIs: 39, LocalNVMeBytes: 125e9, MeasuredMemoryBytes: 16060416 * kib},
		{Name: "trn1.32xlarge", VCPU: 128, MemoryBytes: 512 * gib, Architecture: "amd64",
			NeuronDevices: 16, NeuronCores: 32, EFAInterfaces: 8, MaxENIs: 5, IPv4PerENI: 50, PodENIs: 82, LocalNVMeBytes: 7600e9},
		{Name: "m6g.metal", VCPU: 64, MemoryBytes: 256 * gib, Architecture: "arm64",
			MaxENIs: 15, IPv4PerENI: 50, PodENIs: 107, BareMetal: true, MeasuredMemoryBytes: 263398400 * kib},
	} {
		t.Run(want.Name, func(t *testing.T) {
			got, ok := Embedded().Lookup(want.Name)
			want.Source = got.Source
			require.Truef(t, ok && got.Source != "", "Lookup(%q) = %+v, %v, want the type with a source", want.Name, got, ok)
			assert.Emptyf(t, cmp.Diff(want, got), "Lookup(%q) differs (-want +got)", want.Name)
		})
	}
	for _, name := range []string{"", "m5", "m5.larg", "m5.largee", "zz9.metal"} {
		got, ok := Embedded().Lookup(name)
		assert.Falsef(t, ok, "Lookup(%q) = %+v, want nothing", name, got)
	}
}

func TestENIMaxPodsIsTheFormulaOfTheVPCCNI(t *testing.T) {
	for name, want := range map[string]int{"m5.large": 29, "t3.medium": 17, "m5.4xlarge": 234, "p4d.24xlarge": 737, "p5.48xlarge": 100} {
		typ, _ := Embedded().Lookup(name)
		assert.Equalf(t, want, typ.ENIMaxPods(), "%s: ENIMaxPods()", name)
	}
	assert.Equal(t, 0, (Type{Name: "x1.new", VCPU: 2}).ENIMaxPods(), "ENIMaxPods() without interface limits")
}

func TestWithReplacesAndAddsWithoutTouchingTheOriginal(t *testing.T) {
	base := Embedded()
	before := base.Types()
	known, _ := base.Lookup("m5.large")
	newer := known
	newer.MeasuredMemoryBytes, newer.PodENIs, newer.EFAInterfaces, newer.Source = 0, 0, 7, "DescribeInstanceTypes"
	resized := newer
	resized.Name, resized.MemoryBytes = "m5.xlarge", 99*mib

	c := base.With(newer, Type{Name: "zz9.plural", VCPU: 1}, Type{Name: "zz9.plural", VCPU: 2}, resized)

	got, _ := c.Lookup("m5.large")
	want := known
	want.EFAInterfaces, want.Source = 7, newer.Source
	assert.Equal(t, want, got, "m5.large, want the new facts, and those that EC2 does not publish")
	got, _ = c.Lookup("m5.xlarge")
	assert.EqualValuesf(t, 0, got.MeasuredMemoryBytes, "m5.xlarge = %+v, want no measured memory, for it was measured on another size", got)
	got, ok := c.Lookup("zz9.plural")
	assert.Truef(t, ok && got.VCPU == 2, "zz9.plural = %+v, %v, want the last of the two given", got, ok)
	names := c.Names()
	assert.Falsef(t, !slices.IsSorted(names) || len(names) != len(base.Types())+1,
		"%d names, sorted %v, want %d sorted", len(names), slices.IsSorted(names), len(base.Types())+1)
	assert.Empty(t, cmp.Diff(before, base.Types()), "the original catalogue changed (-before +after)")
	assert.True(t, base.With() == base, "With() of nothing made a copy, want the catalogue itself")
}

// BenchmarkLookup finds one type among 1,397: go test -bench Lookup ./cloudprovider/instancetypes
func BenchmarkLookup(b *testing.B) {
	c := Embedded()
	b.ReportAllocs()
	for b.Loop() {
		_, ok := c.Lookup("m6i.2xlarge")
		require.True(b, ok, "m6i.2xlarge is missing")
	}
}

var (
	update = flag.Bool("update", false, "rewrite the embedded list in its one format")
	dump   = flag.String("dump", "", "with -update: a file of aws ec2 describe-instance-types --output json, whose types replace or join the list's")
)

// format writes types as parse reads them, a line each, sorted by name.
func format(t *testing.T, c *Catalogue, source, date string) string {
	var lines []string
	for _, each := range c.Types() {
		line, err := json.Marshal(each)
		require.NoError(t, err)
		lines = append(lines, string(line))
	}
	return fmt.Sprintf("{\"Source\":%q,\"Date\":%q,\"Types\":[\n%s\n]}\n", source, date, strings.Join(lines, ",\n"))
}

// Types that a dump lacks stay, for no region has all. So do facts that EC2 does not publish.
func TestFormatReproducesEmbeddedList(t *testing.T) {
	c := Embedded()
	source := strings.Split(strings.SplitN(embeddedList, "\n", 2)[0], `"`)
	got := format(t, c, source[3], source[7])
	if *update {
		if *dump != "" {
			newer, err := ReadFile(*dump)
			require.NoError(t, err)
			info, err := os.Stat(*dump)
			require.NoError(t, err)
			got = format(t, c.With(newer...), "EC2 DescribeInstanceTypes", info.ModTime().UTC().Format(time.DateOnly))
		}
		_, err := parse(got)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("data/instance_types.json", []byte(got), 0o644))
		return
	}
	assert.Empty(t, cmp.Diff(embeddedList, got), "run make generate (-embedded +formatted)")
}

// BenchmarkParse loads the embedded list, as the first call of Embedded does: go test -bench Parse ./cloudprovider/instancetypes
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(embeddedList)))
	for b.Loop() {
		_, err := parse(embeddedList)
		require.NoError(b, err)
	}
}

func TestMemoryCapacityIsMeasuredOrEstimated(t *testing.T) {
	for _, tt := range []struct {
		name         string
		typ          Type
		wantKiB      int64
		wantMeasured bool
	}{
		{
			name:    "measured, a quarter percent less",
			typ:     Type{MemoryBytes: 16384 * mib, MeasuredMemoryBytes: 16060416 * kib},
			wantKiB: 16018472, wantMeasured: true, // 40.96 MiB less, whole KiB
		},
		{name: "measured, small, 8 MiB less", typ: Type{MemoryBytes: 512 * mib, MeasuredMemoryBytes: 433152 * kib},
			wantKiB: 433152 - 8*1024, wantMeasured: true},
		{name: "estimated, 5 % and 230 MiB less", typ: Type{MemoryBytes: 1000 * mib}, wantKiB: (1000 - 50 - 230) * 1024},
		{name: "too small to estimate", typ: Type{MemoryBytes: 200 * mib}, wantKiB: 0},
	} {
		bytes, measured := tt.typ.MemoryCapacity()
		assert.Truef(t, bytes == tt.wantKiB*kib && measured == tt.wantMeasured,
			"%s: MemoryCapacity() = %d KiB, %v, want %d KiB, %v", tt.name, bytes/kib, measured, tt.wantKiB, tt.wantMeasured)
	}
}

// The estimate has to hold for types to come, so it is held against all that were measured.
func TestEstimateStaysBelowEveryMeasuredTypeButVT1(t *testing.T) {
	measured := 0
	for _, typ := range Embedded().Types() {
		if typ.MeasuredMemoryBytes == 0 {
			continue
		}
		measured++
		real := typ.MeasuredMemoryBytes
		typ.MeasuredMemoryBytes = 0
		estimate, _ := typ.MemoryCapacity()
		assert.Falsef(t, estimate > real && !strings.HasPrefix(typ.Name, "vt1."),
			"%s: estimated %d KiB, measured %d KiB", typ.Name, estimate/kib, real/kib)
	}
	assert.Truef(t, measured >= 600, "%d types were measured, want the 600 and more of the table", measured)
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
