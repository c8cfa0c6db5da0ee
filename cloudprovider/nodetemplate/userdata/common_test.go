package userdata

import (
	"fmt"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kubelet takes the listed CPUs for both of its reservations, and no more pods than the cores allow.
func TestCPUsOfKubelet(t *testing.T) {
	const script, cpus = "#!/bin/bash\n/etc/eks/bootstrap.sh c --kubelet-extra-args ", "'--kube-reserved=cpu=500m --system-reserved=cpu=1 --max-pods=100 "
	const config = "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {config: {maxPods: 100, kubeReserved: {cpu: 500m}, "
	compute, ok := instancetypes.Embedded().Lookup("c5.4xlarge") // 16 vCPUs
	require.True(t, ok, "c5.4xlarge is not in the catalogue")
	for _, tt := range []struct {
		data         string
		millis, pods int64
		problems     int
	}{
		{data: script + cpus + "--reserved-cpus=0-2,8 --pods-per-core=4'", millis: 12_000, pods: 64},
		{data: config + `reservedSystemCPUs: "0-3", podsPerCore: 4}}}`, millis: 12_000, pods: 64},
		{data: config + "reservedSystemCPUs: 1, podsPerCore: 10}}}", millis: 15_000, pods: 100},
		{data: script + "\ncat >f <<E\nkind: KubeletConfiguration\nreservedSystemCPUs: 0-3\npodsPerCore: 4\nmaxPods: 100\nE\n", millis: 12_000, pods: 64},
		{data: script + cpus + "'", millis: 14_500, pods: 100},
		{data: script + cpus + "--pods-per-core=0'", millis: 14_500, pods: 100},
		{data: script + cpus + "--reserved-cpus=3-0 --pods-per-core=-1'", millis: 14_500, pods: 100, problems: 2},
		{data: script + cpus + "--reserved-cpus=0-99999999 --pods-per-core=a'", millis: 14_500, pods: 100, problems: 2},
		{data: script + cpus + "--reserved-cpus='$(x)' --pods-per-core='$(y)", millis: 14_500, pods: 100, problems: 2},
	} {
		f, problems := Parse(tt.data, "")
		assert.Lenf(t, problems, tt.problems, "%s: problems", tt.data)
		built, _ := nodetemplate.Build(nodetemplate.Input{Group: "g", UserData: &f.UserData, Members: []nodetemplate.Member{{Type: compute}}})
		assert.Equalf(t, []int64{tt.millis, tt.pods}, []int64{built.Allocatable.Cpu().MilliValue(), built.Allocatable.Pods().Value()},
			"%s: CPU and pods", tt.data)
	}
}

// The next node may start from either launch template, so it has no more than either of them gives.
func TestTheSmallerFigureOfTwoLaunchTemplatesCounts(t *testing.T) {
	large, ok := instancetypes.Embedded().Lookup("m5.large") // 29 pods by its interfaces
	require.True(t, ok, "m5.large is not in the catalogue")
	for _, tt := range []struct {
		args []string // of kubelet, in each launch template
		pods int64
	}{
		{args: []string{"--max-pods=10", "--max-pods=20"}, pods: 10},
		{args: []string{"--max-pods=10", ""}, pods: 10},
		{args: []string{"", "--max-pods=10"}, pods: 10},
		{args: []string{"--max-pods=110", ""}, pods: 29},
		{args: []string{"", "--max-pods=10", "--max-pods=20"}, pods: 10},
		{args: []string{"--max-pods=20", "", "--max-pods=10"}, pods: 10},
		{args: []string{"--pods-per-core=10", "--pods-per-core=5"}, pods: 10},
		{args: []string{"--pods-per-core=0", "--pods-per-core=5"}, pods: 10},
		{args: []string{"--pods-per-core=5", ""}, pods: 10},
		{args: []string{"--kube-reserved=memory=100Mi", ""}, pods: 29},
		{args: []string{"", "--kube-reserved=memory=100Mi"}, pods: 29},
		{args: []string{"--kube-reserved=cpu=100m", "--kube-reserved=cpu=200m"}, pods: 29},
		{args: []string{"--system-reserved=memory=1Gi", "", "--system-reserved=memory=2Gi"}, pods: 29},
		{args: []string{"--eviction-hard=memory.available<500Mi", ""}, pods: 29},
		{args: []string{"--eviction-hard=memory.available<500Mi", "--eviction-hard=memory.available<10%"}, pods: 29},
		{args: []string{"--eviction-hard=memory.available<10%,nodefs.available<2Gi", "--eviction-hard=memory.available<500Mi"}, pods: 29},
		{args: []string{"--eviction-hard=memory.available<1Mi", ""}, pods: 29},
		{args: []string{"--eviction-hard=nodefs.available<1Gi", "--eviction-hard=memory.available<1Mi"}, pods: 29},
		{args: []string{"", "--eviction-hard=nodefs.available<1Gi", "--eviction-hard=memory.available<500Mi"}, pods: 29},
	} {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			template := func(f Facts) nodetemplate.Template {
				built, _ := nodetemplate.Build(nodetemplate.Input{Group: "g", AMIFamily: nodetemplate.AL2, UserData: &f.UserData,
					Members: []nodetemplate.Member{{Type: large}}})
				return built
			}
			var both Facts
			var least nodetemplate.Template
			for at, args := range tt.args {
				f, problems := Parse("#!/bin/bash\n/etc/eks/bootstrap.sh c --kubelet-extra-args '"+args+"'\n", nodetemplate.AL2)
				require.Empty(t, problems)
				alone := template(f)
				if at == 0 {
					both, least = f, alone
					continue
				}
				both, problems = Common(both, f)
				assert.Truef(t, len(problems) == 1 && problems[0].Used, "problems %v, want one that says that a figure is used", problems)
				for name, q := range alone.Allocatable {
					if q.Cmp(least.Allocatable[name]) < 0 {
						least.Allocatable[name] = q
					}
				}
			}
			got := template(both)
			for name, want := range least.Allocatable {
				q := got.Allocatable[name]
				assert.Equalf(t, 0, q.Cmp(want), "%s of %s, want %s, the least that any of them leaves", q.String(), name, want.String())
			}
			assert.Equal(t, tt.pods, got.Allocatable.Pods().Value(), "pods")
		})
	}
}
