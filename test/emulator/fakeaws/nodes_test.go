package fakeaws

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// TestAllocatableMatchesRealNodes compares with the figures of real nodes of EKS (AL2023).
func TestAllocatableMatchesRealNodes(t *testing.T) {
	catalogue, err := newCatalogue(nil)
	require.NoError(t, err)
	for _, tt := range []struct {
		name                                    string
		rootGiB                                 int
		cpu, memory, pods, storage, freeStorage string
	}{
		{"t3.medium", 20, "1930m", "3376720Ki", "17", "20893676Ki", "18181869946"},
		{"t3.large", 50, "1930m", "7248300Ki", "35", "52350956Ki", "47172899146"},
		{"g4dn.xlarge", 20, "3920m", "15474676Ki", "29", "20893676Ki", "18181869946"},
		{"p4d.24xlarge", 300, "95690m", "1167634920Ki", "737", "314494956Ki", "288764809146"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			it, _ := catalogue.lookup(tt.name)
			capacity := nodeCapacity(it, 0, tt.rootGiB)
			got := allocatable(it, capacity)
			assert.Equal(t, tt.cpu, got.Cpu().String(), "CPU")
			assert.Equal(t, tt.memory, got.Memory().String(), "memory")
			assert.Equal(t, tt.pods, got.Pods().String(), "pods")
			assert.Equal(t, tt.storage, capacity.StorageEphemeral().String(), "storage")
			assert.Equal(t, tt.freeStorage, got.StorageEphemeral().String(), "allocatable storage")
		})
	}
}

func TestNodesOfAnEarlierRunAreTakenOver(t *testing.T) {
	s, _ := overHTTP(t, oneGroup(withDesired(1)))
	group, _ := s.Group("g")
	client := fake.NewClientset(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: group.Instances[0].Node},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	})
	require.NoError(t, s.Attach(client))
	awaitEvent(t, s, NodeReady, "g")
	assert.Error(t, s.Attach(client), "a second cluster was accepted")
}

func TestNodesBecomeReadyAfterTheirTime(t *testing.T) {
	s, _ := overHTTP(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.ReadyAfter = Duration(200 * time.Millisecond) }))
	client := fake.NewClientset()
	watch, err := client.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	defer watch.Stop()
	begun := time.Now() // before the node, whose first event may be read late
	require.NoError(t, s.Attach(client))
	var kept []bool
	for range 2 {
		node := (<-watch.ResultChan()).Object.(*corev1.Node)
		_, has := node.Annotations[keptNotReady]
		kept = append(kept, has)
		assert.Truef(t, len(node.Status.Conditions) == 1 && node.Status.Conditions[0].Status == corev1.ConditionFalse,
			"conditions %v, want not Ready", node.Status.Conditions)
	}
	if took := time.Since(begun); !kept[0] || kept[1] || took < 200*time.Millisecond {
		t.Errorf("kept from being Ready: %v, the second after %v, want true, then false after 200ms", kept, took)
	}
}

func TestNextNodeIsTheNodeThatRegisters(t *testing.T) {
	cfg, err := LoadConfig("testdata/s0.yaml")
	require.NoError(t, err)
	s, c := overHTTP(t, cfg)
	const group = "g4dn-spot"
	next, err := s.NextNode(group)
	require.NoError(t, err)
	_, err = s.NextNode("none")
	assert.Error(t, err, "a group that does not exist has a next node")
	setDesired(t, c, group, 1)
	awaitEvent(t, s, Launched, group)
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.groups[group].instances[0]
	spec := a.nodeSpec(i)
	delete(spec.node.Labels, corev1.LabelHostname)
	for name, q := range spec.devices {
		spec.node.Status.Allocatable[name] = q
	}
	assert.Empty(t, cmp.Diff([]any{spec.node.Labels, spec.node.Spec.Taints, spec.node.Status.Allocatable},
		[]any{next.Labels, next.Spec.Taints, next.Status.Allocatable}), "(-registered +next)")
}

func TestDividedGPUsArePublishedUnderOtherNames(t *testing.T) {
	catalogue, err := newCatalogue(nil)
	require.NoError(t, err)
	it, _ := catalogue.lookup("g4dn.12xlarge") // four GPUs
	parts := map[string]int{"1g.10gb": 7}
	for _, tt := range []struct {
		name   string
		config NodeConfig
		want   map[corev1.ResourceName]int64
	}{
		{name: "whole", want: map[corev1.ResourceName]int64{"nvidia.com/gpu": 4}},
		{name: "MIG off", config: NodeConfig{MIG: &MIG{Strategy: "none", Devices: parts}}, want: map[corev1.ResourceName]int64{"nvidia.com/gpu": 4}},
		{name: "MIG single", config: NodeConfig{MIG: &MIG{Strategy: "single", Devices: parts}}, want: map[corev1.ResourceName]int64{"nvidia.com/gpu": 28}},
		{name: "MIG mixed", config: NodeConfig{MIG: &MIG{Strategy: "mixed", Devices: parts}},
			want: map[corev1.ResourceName]int64{"nvidia.com/mig-1g.10gb": 28, "nvidia.com/gpu": 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := map[corev1.ResourceName]int64{}
			for name, q := range devices(it, tt.config) {
				got[name] = q.Value()
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "resources (-want +got)")
		})
	}
}
