package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	header = "instance_type,vcpu,memory_mib,architecture,gpu_count,gpu_manufacturer,gpu_name,gpu_memory_mib_each," +
		"neuron_devices,efa_interfaces,max_enis,ipv4_per_eni,max_pods_default,bare_metal,local_nvme_gb\n"
	types    = header + "m5.large,2,8192,amd64,0,,,,0,0,3,10,29,false,0\ng4dn.xlarge,4,16384,amd64,1,NVIDIA,T4,16384,0,0,3,10,29,false,125\n"
	measured = "instance_type,ec2_memory_mib,kubelet_capacity_memory_ki_2023_07,overhead_mib_2023_08\n" +
		"m5.large,8192,7816000,559\ng4dn.xlarge,16384,16061312,\nt9.large,8,,1\n"
)

// tableHeader is the header of the written table.
const tableHeader = "instance_type,vcpu,memory_mib,architecture,gpu_count,gpu_manufacturer,gpu_name,gpu_memory_mib_each,gpu_fraction," +
	"neuron_devices,neuron_cores,efa_interfaces,max_enis,ipv4_per_eni,pod_enis,bare_metal,local_nvme_gb,measured_memory_kib\n"

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunJoinsTheSmallestMeasuredMemoryAndSorts(t *testing.T) {
	o := options{
		table: filepath.Join(t.TempDir(), "table.csv"), types: write(t, "types.csv", types),
		measured: write(t, "measured.csv", measured), source: "a test", date: "2026-08-02",
	}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(o.table)
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(got), "measured_memory_kib\n")
	want := "g4dn.xlarge,4,16384,amd64,1,NVIDIA,T4,16384,,,,,3,10,,,125,16061312\nm5.large,2,8192,amd64,,,,,,,,,3,10,,,,7816000\n"
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}

	if err := run(options{table: o.table}); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(o.table); string(again) != string(got) {
		t.Errorf("a second run changed the table:\n%s", cmp.Diff(string(got), string(again)))
	}
}

func TestBadFactsLeaveTableUnchanged(t *testing.T) {
	for _, tt := range []struct {
		name, types, date, want string
	}{
		{name: "no date", types: types, want: "-types needs"},
		{name: "not a number", types: header + "m5.large,two,1,amd64,0,,,,0,0,3,10,29,false,0\n", date: "2026-08-02", want: "m5.large: column vcpu"},
		{name: "not a machine", types: header + "m5.large,0,1,amd64,0,,,,0,0,3,10,29,false,0\n", date: "2026-08-02", want: "does not parse"},
		{name: "ragged", types: header + "m5.large\n", date: "2026-08-02", want: "wrong number of fields"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := write(t, "table.csv", "as it was")
			err := run(options{table: table, types: write(t, "types.csv", tt.types), source: "a test", date: tt.date})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run() error = %v, want one with %q", err, tt.want)
			}
			if got, _ := os.ReadFile(table); string(got) != "as it was" {
				t.Errorf("table = %q, want it untouched", got)
			}
		})
	}
}

// dump is output of the AWS CLI: m5.large with another network, and a type that the table lacks.
const dump = `{
    "InstanceTypes": [
        {"InstanceType": "m5.large", "VCpuInfo": {"DefaultVCpus": 2}, "MemoryInfo": {"SizeInMiB": 8192},
         "NetworkInfo": {"MaximumNetworkInterfaces": 4, "Ipv4AddressesPerInterface": 20}},
        {"InstanceType": "m9z.large", "VCpuInfo": {"DefaultVCpus": 2}, "MemoryInfo": {"SizeInMiB": 8192}}
    ]
}
`

func TestDumpsAreLaidOverTheTable(t *testing.T) {
	const rows = "m5.large,2,8192,amd64,,,,,,,,,4,20,9,,,7816000\nm9z.large,2,8192,amd64,,,,,,,,,,,,,,\n"
	const kept = "g4dn.xlarge,4,16384,amd64,1,NVIDIA,T4,16384,,,,,3,10,,,125,16061312\n"
	present := "# source: x\n# date: 2026-01-02\n" + tableHeader + kept + "m5.large,2,8192,amd64,,,,,,,,,3,10,9,,,7816000\n"
	for _, tt := range []struct {
		name string
		only bool
		want string
	}{{"types the dump lacks stay", false, kept + rows}, {"only those of the dump", true, rows}} {
		t.Run(tt.name, func(t *testing.T) {
			table := write(t, "table.csv", present)
			o := options{table: table, dumps: []string{write(t, "us-east-1.json", dump)}, date: "2026-11-20", only: tt.only}
			for range 2 {
				if err := run(o); err != nil {
					t.Fatal(err)
				}
				got, _ := os.ReadFile(table)
				if diff := cmp.Diff("# source: EC2 DescribeInstanceTypes\n# date: 2026-11-20\n"+tableHeader+tt.want, string(got)); diff != "" {
					t.Errorf("table (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestABadDumpLeavesTheTableAlone(t *testing.T) {
	table := write(t, "table.csv", "# source: x\n"+tableHeader+"m5.large,2,8192,amd64,,,,,,,,,3,10,9,,,7816000\n")
	before, _ := os.ReadFile(table)
	bad := write(t, "bad.json", strings.Replace(dump, `"SizeInMiB": 8192}}`, `"SizeInMiB": -1}}`, 1))
	err := run(options{table: table, dumps: []string{write(t, "good.json", dump), bad}, date: "2026-11-20"})
	if err == nil || !strings.Contains(err.Error(), "bad.json") || !strings.Contains(err.Error(), "line 5") {
		t.Errorf("run() error = %v, want one with the file and line 5", err)
	}
	if after, _ := os.ReadFile(table); string(after) != string(before) {
		t.Errorf("table = %q, want it untouched", after)
	}
}
