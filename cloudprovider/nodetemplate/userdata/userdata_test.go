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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

func describe(f Facts, problems []nodetemplate.Problem) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("form %q, family %q, cluster %q", f.Form, f.AMIFamily(), show(f.ClusterName))
	for _, key := range slices.Sorted(maps.Keys(f.Labels)) {
		line("label %s=%s", key, f.Labels[key])
	}
	for _, t := range f.Taints {
		line("taint %s", t.ToString())
	}
	if f.MaxPods != 0 || f.IgnoreAddresses || f.InstanceStore {
		line("pods %d, ignore addresses %v, instance store %v", f.MaxPods, f.IgnoreAddresses, f.InstanceStore)
	}
	if f.PodsPerCore != 0 {
		line("pods per core %d", f.PodsPerCore)
	}
	for _, r := range []struct {
		name string
		nodetemplate.Reservation
	}{{"kube-reserved", f.KubeReserved}, {"system-reserved", f.SystemReserved}} {
		for _, of := range append([]nodetemplate.Reservation{r.Reservation}, r.Others...) {
			for _, key := range slices.Sorted(maps.Keys(of.Amounts)) {
				q := of.Amounts[key].Quantity
				line("%s %s=%s, whole %v", r.name, key, q.String(), of.Whole)
			}
		}
	}
	for _, thresholds := range append([]nodetemplate.Reservation{f.EvictionHard}, f.EvictionHard.Others...) {
		for _, key := range slices.Sorted(maps.Keys(thresholds.Amounts)) {
			t := thresholds.Amounts[key]
			line("eviction-hard %s<%s or %.2f, whole %v", key, t.Quantity.String(), t.Ratio, thresholds.Whole)
		}
	}
	var list []string
	for _, p := range problems {
		list = append(list, fmt.Sprintf("problem %s: %s", p.Reason, strings.TrimPrefix(p.String(), `Auto Scaling group "": `)))
	}
	slices.Sort(list) // the problems of two branches have no order
	for _, p := range list {
		line("%s", p)
	}
	return b.String()
}

func samples(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	require.Truef(t, err == nil && len(files) != 0, "samples %v, %v", files, err)
	return files
}

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(b)
}

func TestSamplesOfEachForm(t *testing.T) {
	for _, file := range samples(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			golden := strings.TrimSuffix(file, ".txt") + ".golden"
			got := describe(Parse(sample(t, file), ""))
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			assert.Empty(t, cmp.Diff(sample(t, golden), got), "facts differ (-want +got)")
		})
	}
}

func TestClusterIsNamedByUserData(t *testing.T) {
	for _, tt := range []struct {
		name, data, want string
	}{
		{name: "bootstrap.sh", data: "#!/bin/bash\n/etc/eks/bootstrap.sh prod --use-max-pods false\n", want: "prod"},
		{name: "a variable of the script", data: "#!/bin/bash\nCLUSTER=prod\n/etc/eks/bootstrap.sh \"$CLUSTER\"\n", want: "prod"},
		{name: "what only the node knows", data: "#!/bin/bash\n/etc/eks/bootstrap.sh $(curl http://169.254.169.254/x)\n"},
		{name: "branches that differ", data: "#!/bin/bash\nif test -e /a; then /etc/eks/bootstrap.sh a; else /etc/eks/bootstrap.sh b; fi\n"},
		{name: "NodeConfig", data: "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  cluster:\n    name: prod\n", want: "prod"},
		{name: "other case", data: "#!/bin/bash\n/etc/eks/bootstrap.sh Prod\n", want: "Prod"},
		{name: "no name at all", data: "#!/bin/bash\necho prod\n"},
		{name: "a placeholder", data: "#!/bin/bash\n/etc/eks/bootstrap.sh __CLUSTER__\n"},
	} {
		assert.Equalf(t, tt.want, Cluster(tt.data), "%s: Cluster", tt.name)
	}
}
