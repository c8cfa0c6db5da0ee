package userdata

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// describe writes Facts and Problems as text, for comparison.
func describe(f Facts, problems []nodetemplate.Problem) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("form %q, family %q, cluster %q", f.Form, f.AMIFamily, f.ClusterName)
	for _, key := range slices.Sorted(maps.Keys(f.Labels)) {
		line("label %s=%s", key, f.Labels[key])
	}
	for _, t := range f.Taints {
		line("taint %s", t.ToString())
	}
	if f.MaxPods != 0 || f.IgnoreAddresses || f.InstanceStore {
		line("pods %d, ignore addresses %v, instance store %v", f.MaxPods, f.IgnoreAddresses, f.InstanceStore)
	}
	for _, r := range []struct {
		name string
		nodetemplate.Reservation
	}{{"kube-reserved", f.KubeReserved}, {"system-reserved", f.SystemReserved}} {
		for _, key := range slices.Sorted(maps.Keys(r.Resources)) {
			q := r.Resources[key]
			line("%s %s=%s, whole %v", r.name, key, q.String(), r.Whole)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.EvictionHard.Signals)) {
		t := f.EvictionHard.Signals[key]
		line("eviction-hard %s<%s or %.2f, whole %v", key, t.Quantity.String(), t.Ratio, f.EvictionHard.Whole)
	}
	var list []string
	for _, p := range problems {
		list = append(list, fmt.Sprintf("problem %s: %s", p.Reason, strings.TrimPrefix(p.String(), `Auto Scaling group "": `)))
	}
	slices.Sort(list) // those of two branches have no order
	for _, p := range list {
		line("%s", p)
	}
	return b.String()
}

func samples(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("samples %v, %v", files, err)
	}
	return files
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSamplesOfEachForm(t *testing.T) {
	for _, file := range samples(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			golden := strings.TrimSuffix(file, ".txt") + ".golden"
			got := describe(Parse(read(t, file), ""))
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(read(t, golden), got); diff != "" {
				t.Errorf("facts differ (-want +got):\n%s", diff)
			}
		})
	}
}
