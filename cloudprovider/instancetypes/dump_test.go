package instancetypes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

const dumpFile = "testdata/describe-instance-types.json"

func readDump(t *testing.T) string {
	text, err := os.ReadFile(dumpFile)
	require.NoError(t, err)
	return string(text)
}

func TestDumpMatchesTable(t *testing.T) {
	dump, err := ParseDump([]byte(readDump(t)))
	require.NoError(t, err)
	c := (&Catalogue{}).With(dump...)
	embedded := []string{"d2.xlarge", "g6f.2xlarge", "inf1.6xlarge", "m7g.metal", "p5.48xlarge", "trn2.48xlarge"}
	require.Empty(t, cmp.Diff(embedded, c.Names()), "names (-want +got)")
	for _, got := range c.Types() {
		want, _ := Embedded().Lookup(got.Name)
		if got.MaxENIs == 0 { // the file leaves the network out
			want.MaxENIs, want.IPv4PerENI, want.EFAInterfaces = 0, 0, 0
		}
		if got.LocalNVMeBytes == 0 { // and the disks
			want.LocalNVMeBytes = 0
		}
		want.MeasuredMemoryBytes, want.PodENIs, want.Source = 0, 0, got.Source // EC2 does not publish these
		assert.Emptyf(t, cmp.Diff(want, got), "%s (-table +dump)", got.Name)
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
	} {
		types, err := ParseDump([]byte(tt.dump))
		assert.Truef(t, err == nil && len(types) == tt.want, "%s: ParseDump() = %v types, %v, want %d", tt.name, types, err, tt.want)
	}
}

func TestAFaultInADumpIsNamed(t *testing.T) {
	page := readDump(t)
	for _, tt := range []struct{ name, dump, want string }{
		{name: "empty", dump: " \n", want: "no instance types"},
		{name: "cut off", dump: page[:900], want: "unexpected EOF"},
		{name: "no types", dump: `{"InstanceTypes": []}`, want: "no instance types"},
		{name: "something else", dump: "{\"AutoScalingGroups\": []}", want: "no instance types"},
		{name: "no object", dump: `"x"`, want: "cannot unmarshal string"},
		{name: "a text for a number", dump: strings.Replace(page, `"DefaultVCpus": 8}`, `"DefaultVCpus": "8"}`, 1), want: "DefaultVCPUs"},
		{name: "no memory", dump: strings.Replace(page, `"SizeInMiB": 262144`, `"SizeInMiB": 0`, 1), want: "type \"m7g.metal\": 64 vCPU and 0 bytes"},
		{name: "negative", dump: strings.Replace(page, `"TotalSizeInGB": 30400`, `"TotalSizeInGB": -1`, 1), want: "below zero"},
	} {
		_, err := ParseDump([]byte(tt.dump))
		assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want), "%s: ParseDump() error = %v, want one with %q", tt.name, err, tt.want)
	}
}

func TestAUsersFileIsADump(t *testing.T) {
	path := filepath.Join(t.TempDir(), "types.json")
	require.NoError(t, os.WriteFile(path, []byte("\ufeff\n"+readDump(t)), 0o600))
	day := time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC)
	require.NoError(t, os.Chtimes(path, day, day))
	types, err := ReadFile(path)
	require.NoError(t, err)
	assert.Falsef(t, len(types) != 6 || types[0].Source != "ec2:DescribeInstanceTypes in types.json, 2026-11-20",
		"%d types of %q", len(types), types[0].Source)
	_, err = ReadFile(path + "x")
	assert.ErrorContains(t, err, "types.jsonx: no such file", "error, want the file's name")
}

func FuzzParseDump(f *testing.F) {
	f.Add([]byte(`{"InstanceTypes": [{"InstanceType": "a", "VCpuInfo": {"DefaultVCpus": 2}, "MemoryInfo": {"SizeInMiB": 8192}}]}`))
	f.Add([]byte(`{"InstanceTypes": [` + strings.Repeat("{},", 20_000) + "{}]}"))
	f.Add([]byte(strings.Repeat(`{"InstanceTypes": []}`, 3_000)))
	f.Fuzz(func(t *testing.T, dump []byte) { costlimit.Check(t, func() { _, _ = ParseDump(dump) }) })
}
