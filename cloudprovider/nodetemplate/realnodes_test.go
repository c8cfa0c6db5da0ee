package nodetemplate

import (
	stdcmp "cmp"
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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// realNode is one line of testdata/real_nodes.csv. A zero was not printed.
type realNode struct {
	instanceType, image, kubernetes, volume, note                   string
	pods, memoryKiB, allocCPUMillis, allocMemoryKiB, allocDiskBytes int64

	adapters        int64 // EFA's, that the launch template attaches
	maxPods         int64 // in the kubelet's configuration, 0 for the number that follows from the type
	ownReservations bool  // the kubelet reserves more than EKS's images do, and no template can know
}

func readRealNodes(t *testing.T) []realNode {
	t.Helper()
	f, err := os.Open("testdata/real_nodes.csv")
	require.NoError(t, err)
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	var nodes []realNode
	for _, l := range lines[1:] {
		number := func(s string) int64 {
			n, err := strconv.ParseInt(s, 10, 64)
			require.False(t, s != "" && err != nil, err)
			return n
		}
		nodes = append(nodes, realNode{
			instanceType: l[0], image: l[1], kubernetes: l[2], pods: number(l[3]), maxPods: number(l[4]), memoryKiB: number(l[5]),
			allocCPUMillis: number(l[6]), allocMemoryKiB: number(l[7]), volume: l[8], allocDiskBytes: number(l[9]),
			ownReservations: l[10] == "yes", adapters: number(l[11]), note: l[12],
		})
	}
	return nodes
}

// template builds the template of a group with exactly this node's type, image and volume, and with observed facts.
func (n realNode) template(t *testing.T, learnt *Learnt) Template {
	t.Helper()
	typ, ok := instancetypes.Embedded().Lookup(n.instanceType)
	require.Truef(t, ok, "%s is not in the catalogue", n.instanceType)
	in := Input{Group: "g", Region: "us-east-1", Members: []Member{{Type: typ}}, AMIFamily: AMIFamily(n.image), Learnt: learnt, EFAInterfaces: int(n.adapters)}
	if n.maxPods > 0 {
		in.UserData = &UserData{MaxPods: int(n.maxPods)}
	}
	if gib64, err := strconv.ParseInt(n.volume, 10, 64); err == nil {
		in.RootVolumeBytes = gib64 * gib
	}
	in.InstanceStore = n.volume == "local"
	template, problems := Build(in)
	assert.Emptyf(t, problems, "%s: problems", n.instanceType)
	return template
}

func value(list corev1.ResourceList, name corev1.ResourceName) int64 {
	q := list[name]
	return q.Value()
}

// errorPercent is how far ours lies from the real one, negative below it.
func errorPercent(real, ours int64) float64 { return 100 * float64(ours-real) / float64(real) }

func of(template Template) realNode {
	cpu := template.Allocatable[corev1.ResourceCPU]
	return realNode{
		pods:           value(template.Capacity, corev1.ResourcePods),
		memoryKiB:      value(template.Capacity, corev1.ResourceMemory) / kib,
		allocCPUMillis: cpu.MilliValue(),
		allocMemoryKiB: value(template.Allocatable, corev1.ResourceMemory) / kib,
		allocDiskBytes: value(template.Allocatable, corev1.ResourceEphemeralStorage),
	}
}

// excess is what ours promises above the real node, in words.
func (n realNode) excess(ours realNode) []string {
	var found []string
	for _, figure := range []struct {
		name       string
		real, ours int64
	}{
		{"KiB of memory", n.memoryKiB, ours.memoryKiB},
		{"KiB of allocatable memory", n.allocMemoryKiB, ours.allocMemoryKiB},
		{"allocatable milli-CPUs", n.allocCPUMillis, ours.allocCPUMillis},
		{"bytes of allocatable disk", n.allocDiskBytes, ours.allocDiskBytes},
	} {
		if figure.real > 0 && figure.ours > figure.real {
			found = append(found, fmt.Sprintf("%d %s, the real node %d", figure.ours, figure.name, figure.real))
		}
	}
	return found
}

func TestTemplatesNeverPromiseMoreThanRealNodesHave(t *testing.T) {
	var golden strings.Builder
	table := tabwriter.NewWriter(&golden, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "type\timage\tpods\tours\tCPU m\tours\tcapacity KiB\tours\terror\tallocatable KiB\tours\terror\tdisk MiB\tours\terror\tnote")
	var errors []float64
	derived := 0 // nodes whose number of pods follows from their type
	for _, n := range readRealNodes(t) {
		ours := of(n.template(t, nil))
		excess := n.excess(ours)
		assert.Falsef(t, len(excess) > 0 && !n.ownReservations,
			"%s %s promises %s", n.instanceType, n.kubernetes, strings.Join(excess, "; "))
		if n.allocMemoryKiB > 0 {
			errors = append(errors, -errorPercent(n.allocMemoryKiB, ours.allocMemoryKiB))
		}
		pods := []string{fmt.Sprint(n.pods), "told"}
		if n.maxPods == 0 {
			pods = pair(n.pods, ours.pods)
			assert.Falsef(t, n.pods > 0 && n.pods != ours.pods,
				"%s %s: %d pods, the real node %d", n.instanceType, n.kubernetes, ours.pods, n.pods)
			derived += int(min(n.pods, 1))
		}
		fmt.Fprintln(table, strings.Join(slices.Concat(
			[]string{n.instanceType, stdcmp.Or(n.image, "-")}, pods, pair(n.allocCPUMillis, ours.allocCPUMillis),
			triple(n.memoryKiB, ours.memoryKiB), triple(n.allocMemoryKiB, ours.allocMemoryKiB),
			triple(n.allocDiskBytes/mib, ours.allocDiskBytes/mib), []string{n.note},
		), "\t"))
	}
	table.Flush() //nolint:errcheck // it writes into memory
	slices.Sort(errors)
	median := errors[len(errors)/2]
	fmt.Fprintf(&golden, "\nAllocatable memory of %d nodes: never above the real one, median error %.2f %%, largest %.2f %%.\n",
		len(errors), median, errors[len(errors)-1])
	fmt.Fprintf(&golden, "CPU and disk: never above the real ones, but for a kubelet with reservations of its own. Pods of %d nodes: as derived from the type.\n", derived)
	assert.Truef(t, median < 3, "median error of allocatable memory is %.2f %%, want below 3 %%", median)
	compareGolden(t, "testdata/real_nodes.golden", golden.String())
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

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Emptyf(t, cmp.Diff(string(want), got), "%s differs, -update rewrites it (-want +got)", path)
}
