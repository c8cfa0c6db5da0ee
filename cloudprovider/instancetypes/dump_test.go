package instancetypes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

const dumpFile = "testdata/describe-instance-types.json"

func readDump(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(dumpFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDumpMatchesTable(t *testing.T) {
	c, err := ParseDump([]byte(readDump(t)))
	if err != nil {
		t.Fatal(err)
	}
	embedded := []string{"d2.xlarge", "g6f.2xlarge", "inf1.6xlarge", "m7g.metal", "p5.48xlarge", "trn2.48xlarge"}
	if diff := cmp.Diff(embedded, c.Names()); diff != "" {
		t.Fatalf("names (-want +got):\n%s", diff)
	}
	for _, got := range c.Types() {
		want, _ := Embedded().Lookup(got.Name)
		if got.MaxENIs == 0 { // the file leaves the network out
			want.MaxENIs, want.IPv4PerENI, want.EFAInterfaces = 0, 0, 0
		}
		if got.LocalNVMeBytes == 0 { // and the disks
			want.LocalNVMeBytes = 0
		}
		want.MeasuredMemoryBytes, want.PodENIs, want.Source = 0, 0, got.Source // EC2 does not publish these
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-table +dump):\n%s", got.Name, diff)
		}
	}
}

func TestADumpMayHaveSeveralPages(t *testing.T) {
	page := readDump(t)
	one := `{"InstanceTypes": [{"InstanceType": "m9z.large", "VCpuInfo": {"DefaultVCpus": 2}, "MemoryInfo": {"SizeInMiB": 8192}}], "NextToken": "x"}`
	for _, tt := range []struct {
		name, dump string
		want       int
	}{
		{name: "one", dump: page, want: 6},
		{name: "one after the other", dump: one + "\n" + page, want: 7},
		{name: "as a list", dump: "[" + page + "," + one + "]", want: 7},
		{name: "the list of types alone", dump: page[strings.Index(page, "["):strings.LastIndex(page, "}")], want: 6},
		{name: "one twice", dump: page + page, want: 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseDump([]byte(tt.dump))
			if err != nil || len(c.Types()) != tt.want {
				t.Errorf("ParseDump() = %v types, %v, want %d", c, err, tt.want)
			}
		})
	}
}

func TestAFaultInADumpHasItsLine(t *testing.T) {
	page := readDump(t)
	for _, tt := range []struct{ name, dump, want string }{
		{name: "cut off", dump: page[:900], want: "the file ends in the middle"},
		{name: "no types", dump: `{"InstanceTypes": []}`, want: "no instance types"},
		{name: "something else", dump: "\n\n{\"AutoScalingGroups\": []}", want: `line 3: an object with neither "InstanceTypes"`},
		{name: "no object", dump: `"x"`, want: `"x" is not a page`},
		{name: "lists in lists", dump: `[[[[[]]]]]`, want: "lists within lists"},
		{name: "a text for a number", dump: strings.Replace(page, `"DefaultVCpus": 8}`, `"DefaultVCpus": "8"}`, 1), want: "line 30: type \"g6f.2xlarge\""},
		{name: "no memory", dump: strings.Replace(page, `"SizeInMiB": 262144`, `"SizeInMiB": 0`, 1), want: "line 51: type \"m7g.metal\": 64 vCPU and 0 bytes"},
		{name: "absurd", dump: strings.Replace(page, `"TotalSizeInGB": 30400`, `"TotalSizeInGB": 9000000000000000000`, 1), want: "an amount of -1 bytes"},
		{name: "two that differ", dump: page + strings.Replace(page, `"Count": 8,`, `"Count": 4,`, 1), want: `"p5.48xlarge" is there twice with different facts`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseDump([]byte(tt.dump)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseDump() error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestAUsersFileMayBeATableOrADump(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		day := time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC)
		if err := os.Chtimes(path, day, day); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		path, source string
		types        int
	}{
		{write("types.csv", Format(Embedded().Types()[:3], "mine", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))), "mine, 2026-01-02", 3},
		{write("types.json", "\ufeff\n"+readDump(t)), "ec2:DescribeInstanceTypes in types.json, 2026-11-20", 6},
	} {
		c, err := ReadFile(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Types()) != tt.types || c.Types()[0].Source != tt.source {
			t.Errorf("%s: %d types of %q, want %d of %q", tt.path, len(c.Types()), c.Types()[0].Source, tt.types, tt.source)
		}
	}
	for _, tt := range []struct{ path, want string }{
		{filepath.Join(dir, "none.json"), "none.json: no such file"},
		{write("empty.json", " \n"), `empty.json": the file is empty`},
		{write("bad.csv", "# date: 2026-01-02\n"+head+"a.large,x\n"), `bad.csv": instance type table, line 3`},
		{write("bad.json", "{\n\"InstanceTypes\": [{}]}"), `bad.json": DescribeInstanceTypes dump, line 2`},
	} {
		if _, err := ReadFile(tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ReadFile(%q) error = %v, want one with %q", tt.path, err, tt.want)
		}
	}
}

func TestWhatEC2DoesNotTellSurvivesANewerList(t *testing.T) {
	dump, err := ParseDump([]byte(readDump(t)))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := Embedded().With(dump.Types()...).Lookup("m7g.metal")
	want, _ := Embedded().Lookup("m7g.metal")
	if got.MeasuredMemoryBytes != want.MeasuredMemoryBytes || got.PodENIs != want.PodENIs || want.PodENIs == 0 {
		t.Errorf("m7g.metal = %+v, want the measured memory and the pod interfaces of %+v", got, want)
	}
}

func FuzzParseDump(f *testing.F) {
	f.Add([]byte(`{"InstanceTypes": [{"InstanceType": "a", "VCpuInfo": {"DefaultVCpus": 2}, "MemoryInfo": {"SizeInMiB": 8192}}]}`))
	f.Add([]byte(`[[[[`))
	f.Add([]byte(`{"InstanceTypes": [` + strings.Repeat("{},", 20_000) + "{}]}"))
	f.Add([]byte(strings.Repeat(`{"InstanceTypes": []}`, 3_000)))
	f.Fuzz(func(t *testing.T, dump []byte) {
		var c *Catalogue
		var err error
		costlimit.Check(t, func() { c, err = ParseDump(dump) })
		if err != nil {
			return
		}
		if _, err := Parse(Format(c.Types(), "fuzz", time.Time{}.AddDate(2000, 0, 0))); err != nil {
			t.Errorf("the table of a dump that was taken does not parse: %v", err)
		}
	})
}
