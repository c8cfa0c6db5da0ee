package instancetypes

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

const head = "instance_type,vcpu,memory_mib,architecture,gpu_count,gpu_manufacturer,gpu_name,gpu_memory_mib_each,gpu_fraction," +
	"neuron_devices,neuron_cores,efa_interfaces,max_enis,ipv4_per_eni,pod_enis,bare_metal,local_nvme_gb,measured_memory_kib\n"

var (
	update = flag.Bool("update", false, "rewrite the embedded table in its one format")
	dump   = flag.String("dump", "", "with -update: a file of aws ec2 describe-instance-types --output json, whose types replace or join the table's")
)

// Types that a dump lacks stay, for no region has all. So do facts that EC2 does not publish.
func TestFormatReproducesEmbeddedTable(t *testing.T) {
	c := Embedded()
	got := Format(c.Types(), c.Source(), c.Date())
	if *update {
		if *dump != "" {
			newer, err := ReadFile(*dump)
			if err != nil {
				t.Fatal(err)
			}
			got = Format(c.With(newer.Types()...).Types(), "EC2 DescribeInstanceTypes", newer.Date())
		}
		if _, err := Parse(got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("data/instance_types.csv", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(embeddedTable, got); diff != "" {
		t.Errorf("run make generate (-embedded +formatted):\n%s", diff)
	}
}

func TestParseAcceptsAnyRowOrderAndLineEnds(t *testing.T) {
	c, err := Parse("# source: here\r\n# date: 2026-01-02\r\n\n# note\n" + head +
		"b.large,2,2048,arm64,,,,,,,,,,,,,,\r\na.large,1,1024,amd64,,,,,,,,,,,,true,,900000")
	if err != nil {
		t.Fatal(err)
	}
	want := []Type{
		{Name: "a.large", VCPU: 1, MemoryBytes: 1024 * mib, Architecture: "amd64", BareMetal: true, MeasuredMemoryBytes: 900000 * kib},
		{Name: "b.large", VCPU: 2, MemoryBytes: 2048 * mib, Architecture: "arm64"},
	}
	for i := range want {
		want[i].Source = "here, 2026-01-02"
	}
	if diff := cmp.Diff(want, c.Types()); diff != "" {
		t.Errorf("types differ (-want +got):\n%s", diff)
	}
}

func TestParseNamesTheLineAndTheFault(t *testing.T) {
	for _, tt := range []struct{ name, table, want string }{
		{name: "empty", table: "", want: "no rows"},
		{name: "header only", table: head, want: "no rows"},
		{name: "other columns", table: "type,cpu\n", want: `line 1: header "type,cpu"`},
		{name: "bad date", table: "# date: yesterday\n", want: "line 1: parsing time"},
		{name: "field missing", table: head + "a.large,1,1024,amd64,,,,,,,,,,,,,\n", want: `line 2: type "a.large": line does not have 18 fields`},
		{name: "field too many", table: head + "a.large,1,1024,amd64,,,,,,,,,,,,,,,\n", want: "line does not have 18 fields"},
		{name: "not a number", table: head + "a.large,one,1024,amd64,,,,,,,,,,,,,,\n", want: `column "vcpu" has "one"`},
		{name: "negative", table: head + "a.large,1,-1,amd64,,,,,,,,,,,,,,\n", want: `column "memory_mib" has "-1"`},
		{name: "absurd", table: head + "a.large,1,1024,amd64,,,,,,,,,,,,,9999999999999,\n", want: `column "local_nvme_gb"`},
		{name: "no vCPU", table: head + "a.large,,1024,amd64,,,,,,,,,,,,,,\n", want: "are not a machine"},
		{name: "no name", table: head + ",1,1024,amd64,,,,,,,,,,,,,,\n", want: "without a name"},
		{name: "architecture", table: head + "a.large,1,1024,x86_64,,,,,,,,,,,,,,\n", want: `architecture "x86_64"`},
		{name: "fraction", table: head + "a.large,1,1024,amd64,1,NVIDIA,L4,1,1.5,,,,,,,,,\n", want: `column "gpu_fraction" has "1.5"`},
		{name: "bare metal", table: head + "a.large,1,1024,amd64,,,,,,,,,,,,yes,,\n", want: `column "bare_metal" has "yes"`},
		{name: "measured above EC2", table: head + "a.large,1,1,amd64,,,,,,,,,,,,,,1025\n", want: "above EC2's"},
		{name: "twice", table: head + strings.Repeat("a.large,1,1024,amd64,,,,,,,,,,,,,,\n", 2), want: `"a.large" twice`},
		{name: "too large", table: strings.Repeat("#\n", maxTableBytes), want: "larger than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse(tt.table); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse() error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(head + "a.large,1,1024,amd64,,,,,,,,,,,,,,\n")
	f.Add(embeddedTable[:2000])
	f.Add("# date: x\n,,,,\n")
	f.Add(head + strings.Repeat(",", 60_000))
	f.Add(head + strings.Repeat("\"\n", 30_000))
	f.Fuzz(func(t *testing.T, table string) {
		var c *Catalogue
		var err error
		costlimit.Check(t, func() { c, err = Parse(table) })
		if err != nil {
			return
		}
		for _, typ := range c.Types() {
			if bytes, _ := typ.MemoryCapacity(); bytes < 0 || bytes > typ.MemoryBytes {
				t.Errorf("%q: MemoryCapacity() = %d with %d of memory", typ.Name, bytes, typ.MemoryBytes)
			}
			typ.Accelerator()
			_ = typ.ENIMaxPods()
		}
	})
}

// BenchmarkParse loads the embedded table, as the first call of Embedded does:
// go test -bench Parse ./cloudprovider/instancetypes
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(embeddedTable)))
	for b.Loop() {
		if _, err := Parse(embeddedTable); err != nil {
			b.Fatal(err)
		}
	}
}
