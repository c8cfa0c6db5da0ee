package karpenter

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/stretchr/testify/require"
)

// The program itself takes minutes to build, so this test does its part. The API server judges our pools by Karpenter's definitions.
func TestPoolsAreValidAndClaimsAreSeen(t *testing.T) {
	cluster := controlplane.StartFor(t, controlplane.Options{WithoutKWOK: true})
	node := &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1930m")}}}
	node.Labels = map[string]string{corev1.LabelTopologyZone: "us-east-1a"}
	require.NoError(t, prepare(t.Context(), Options{
		Dir: t.TempDir(), Cluster: cluster, BootTime: 3 * time.Second, ConsolidateAfter: 10 * time.Second,
		Pools: []Pool{{Name: "web", Labels: map[string]string{"group": "web"}, Offers: []Offer{{InstanceType: "m5.large", Node: node}}}},
	}))
	claims, err := watchClaims(t.Context(), cluster.RESTConfig())
	require.NoError(t, err)
	if _, err := cluster.RunKubectl(t.Context(), `
apiVersion: karpenter.sh/v1
kind: NodeClaim
metadata: {name: web-1, labels: {karpenter.sh/nodepool: web}}
spec:
  nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}
  requirements: [{key: node.kubernetes.io/instance-type, operator: In, values: [m5.large]}]
`, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	wait(t, "one claim of the pool", func() bool {
		seen := claims.Seen()
		return len(seen) == 1 && seen[0].Pool == "web" && !seen[0].Created.IsZero() && seen[0].Deleted.IsZero()
	})
	_, err = cluster.RunKubectl(t.Context(), "", "delete", "nodeclaim", "web-1")
	require.NoError(t, err)
	wait(t, "its deletion", func() bool { return !claims.Seen()[0].Deleted.IsZero() })
}

func wait(t *testing.T, what string, so func() bool) {
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		require.Falsef(t, time.Now().After(end), "no %s", what)
	}
}

func TestTypesHaveTheRoomOfTheirPools(t *testing.T) {
	node := &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1930m"), corev1.ResourceMemory: resource.MustParse("7Gi"), "nvidia.com/gpu": resource.MustParse("1"),
	}}}
	offers := []Offer{{InstanceType: "m5.large", Node: node}}
	types := instanceTypes([]Pool{{Name: "a", Offers: offers}, {Name: "b", Offers: offers}, {Name: "c", CapacityType: "spot", Offers: offers}})
	require.Len(t, types, 1, "types, want one for all pools")
	if got := types[0].(map[string]any)["offerings"].([]any); len(got) != 2 {
		t.Errorf("%v, want one offering on-demand and one of spot", got)
	}
	got := types[0].(map[string]any)["resources"].(corev1.ResourceList)
	for name, want := range map[corev1.ResourceName]string{corev1.ResourceCPU: "2030m", corev1.ResourceMemory: "7178Mi", "nvidia.com/gpu": "1"} {
		if amount := got[name]; amount.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s is %s, want %s, of which the KWOK provider takes its share", name, amount.String(), want)
		}
	}
}
