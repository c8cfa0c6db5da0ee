package nodetemplate

import (
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// realNode is one line of testdata/real_nodes.csv; a zero was not printed.
type realNode struct {
	instanceType, image, kubernetes, volume, note                   string
	pods, memoryKiB, allocCPUMillis, allocMemoryKiB, allocDiskBytes int64
}

func readRealNodes(t *testing.T) []realNode {
	t.Helper()
	f, err := os.Open("testdata/real_nodes.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var nodes []realNode
	for _, l := range lines[1:] {
		number := func(s string) int64 {
			n, err := strconv.ParseInt(s, 10, 64)
			if s != "" && err != nil {
				t.Fatal(err)
			}
			return n
		}
		nodes = append(nodes, realNode{
			instanceType: l[0], image: l[1], kubernetes: l[2], pods: number(l[3]), memoryKiB: number(l[4]),
			allocCPUMillis: number(l[5]), allocMemoryKiB: number(l[6]), volume: l[7], allocDiskBytes: number(l[8]), note: l[9],
		})
	}
	return nodes
}

// template builds the template of a group with just this node's type, image and volume.
func (n realNode) template(t *testing.T) Template {
	t.Helper()
	typ, ok := instancetypes.Embedded().Lookup(n.instanceType)
	if !ok {
		t.Fatalf("%s is not in the catalogue", n.instanceType)
	}
	in := Input{Group: "g", Region: "us-east-1", Members: []Member{{Type: typ}}, AMIFamily: AMIFamily(n.image)}
	if n.pods > 0 && n.pods != int64(typ.ENIMaxPods()) {
		in.UserData = &UserData{MaxPods: int(n.pods)}
	}
	if gib64, err := strconv.ParseInt(n.volume, 10, 64); err == nil {
		in.RootVolumeBytes = gib64 * gib
	}
	in.InstanceStore = n.volume == "local"
	template, problems := Build(in)
	if len(problems) > 0 {
		t.Errorf("%s: problems %v", n.instanceType, problems)
	}
	return template
}

func value(list corev1.ResourceList, name corev1.ResourceName) int64 {
	q := list[name]
	return q.Value()
}

// errorPercent is how far ours lies from the real one, negative below it.
func errorPercent(real, ours int64) float64 { return 100 * float64(ours-real) / float64(real) }

func TestTemplatesNeverPromiseMoreMemoryThanRealNodesHave(t *testing.T) {
	var golden strings.Builder
	table := tabwriter.NewWriter(&golden, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "type\timage\tpods\tours\tCPU m\tours\tcapacity KiB\tours\terror\tallocatable KiB\tours\terror\tdisk MiB\tours\terror\tnote")
	var errors []float64
	for _, n := range readRealNodes(t) {
		template := n.template(t)
		cpu := template.Allocatable[corev1.ResourceCPU]
		ours := realNode{
			pods:           value(template.Capacity, corev1.ResourcePods),
			memoryKiB:      value(template.Capacity, corev1.ResourceMemory) / kib,
			allocCPUMillis: cpu.MilliValue(),
			allocMemoryKiB: value(template.Allocatable, corev1.ResourceMemory) / kib,
			allocDiskBytes: value(template.Allocatable, corev1.ResourceEphemeralStorage),
		}
		if n.memoryKiB > 0 && ours.memoryKiB > n.memoryKiB {
			t.Errorf("%s %s: capacity %d KiB is above the real %d KiB", n.instanceType, n.kubernetes, ours.memoryKiB, n.memoryKiB)
		}
		if n.allocMemoryKiB > 0 {
			if ours.allocMemoryKiB > n.allocMemoryKiB {
				t.Errorf("%s %s: allocatable memory %d KiB is above the real %d KiB", n.instanceType, n.kubernetes, ours.allocMemoryKiB, n.allocMemoryKiB)
			}
			errors = append(errors, -errorPercent(n.allocMemoryKiB, ours.allocMemoryKiB))
		}
		if n.pods > 0 && n.pods != ours.pods {
			t.Errorf("%s %s: %d pods, the real node %d", n.instanceType, n.kubernetes, ours.pods, n.pods)
		}
		fmt.Fprintln(table, strings.Join(slices.Concat(
			[]string{n.instanceType, dash(n.image)}, pair(n.pods, ours.pods), pair(n.allocCPUMillis, ours.allocCPUMillis),
			triple(n.memoryKiB, ours.memoryKiB), triple(n.allocMemoryKiB, ours.allocMemoryKiB),
			triple(n.allocDiskBytes/mib, ours.allocDiskBytes/mib), []string{n.note},
		), "\t"))
	}
	table.Flush()
	slices.Sort(errors)
	median := errors[len(errors)/2]
	fmt.Fprintf(&golden, "\nAllocatable memory of %d nodes: never above the real one, median error %.2f %%, largest %.2f %%.\n",
		len(errors), median, errors[len(errors)-1])
	if median >= 3 {
		t.Errorf("median error of allocatable memory is %.2f %%, want below 3 %%", median)
	}
	compareGolden(t, "testdata/real_nodes.golden", golden.String())
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func pair(real, ours int64) []string {
	if real == 0 {
		return []string{"-", fmt.Sprint(ours)}
	}
	return []string{fmt.Sprint(real), fmt.Sprint(ours)}
}

func triple(real, ours int64) []string {
	if real == 0 {
		return append(pair(real, ours), "-")
	}
	return append(pair(real, ours), fmt.Sprintf("%.2f %%", errorPercent(real, ours)))
}

// compareGolden compares got with the file at path, or rewrites that with -update.
func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs, -update rewrites it (-want +got):\n%s", path, diff)
	}
}
