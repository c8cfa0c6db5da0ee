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
