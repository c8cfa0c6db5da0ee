package fakeaws

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
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

// kwok makes every node Ready, as KWOK does.
func kwok(ctx context.Context, client kubernetes.Interface) {
	watch, err := client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-watch.ResultChan():
			node, ok := e.Object.(*corev1.Node)
			if !ok || e.Type != "ADDED" {
				continue
			}
			node = node.DeepCopy()
			node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			_, _ = client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
		}
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
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := s.WaitFor(ctx, func(e Event) bool { return e.Kind == NodeReady })
	assert.NoErrorf(t, err, "%v", s.Events())
	assert.Error(t, s.Attach(client), "a second cluster was accepted")
}

func TestSpotNodesCanDifferFromOnDemandNodes(t *testing.T) {
	half := 50
	cfg := oneGroup(withDesired(2), mixed(Distribution{OnDemandPercentageAboveBaseCapacity: &half}), func(g *AutoScalingGroup) {
		g.NodeLabels = map[string]string{"lifecycle": "OnDemand"}
		g.SpotNodeLabels = map[string]string{"lifecycle": "Ec2Spot"}
		g.SpotNodeTaints = []string{"spot:PreferNoSchedule"}
	})
	s, _ := overHTTP(t, cfg)
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, i := range a.groups["g"].instances {
		node := a.nodeSpec(i).node
		isSpot := i.pool.capacityType == spot
		assert.Truef(t, (node.Labels["lifecycle"] == "Ec2Spot") == isSpot && (len(node.Spec.Taints) == 1) == isSpot,
			"%s node has label %q and taints %v", i.pool.capacityType, node.Labels["lifecycle"], node.Spec.Taints)
	}
}

func TestInstancesJoinTheClusterOfTheirGroup(t *testing.T) {
	cfg := oneGroup(withDesired(1))
	other := cfg.AutoScalingGroups[0]
	other.Name, other.Cluster, other.Desired = "other", "b", 2
	alone := cfg.AutoScalingGroups[0]
	alone.Name, alone.Cluster = "alone", "nowhere"
	cfg.AutoScalingGroups = append(cfg.AutoScalingGroups, other, alone)
	s, c := overHTTP(t, cfg)
	ours, theirs := fake.NewClientset(), fake.NewClientset()
	for cluster, client := range map[string]kubernetes.Interface{"": ours, "b": theirs} {
		require.NoError(t, s.AttachCluster(cluster, client))
	}
	assert.Error(t, s.AttachCluster("b", ours), "a second cluster of the same name was attached")
	nodesAre := func(when string, client kubernetes.Interface, group string, want int) {
		t.Helper()
		var names []string
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			names = nil
			list, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			for _, node := range list.Items {
				names = append(names, node.Name)
			}
			g, _ := s.Group(group)
			if len(names) == want && len(g.Instances) == want {
				return
			}
		}
		t.Errorf("%s: nodes %v, want %d of group %q", when, names, want, group)
	}
	nodesAre("at first", ours, "g", 1)
	nodesAre("at first", theirs, "other", 2)
	g, _ := s.Group("other")
	_, err := terminate(t, c, true, &g.Instances[0].ID)
	require.NoError(t, err)
	nodesAre("when one was terminated", theirs, "other", 1)
	nodesAre("when one was terminated", ours, "g", 1)
}

func TestNodesBecomeReadyAfterTheirTime(t *testing.T) {
	s, _ := overHTTP(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.ReadyAfter = Duration(200 * time.Millisecond) }))
	client := fake.NewClientset()
	watch, err := client.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	defer watch.Stop()
	require.NoError(t, s.Attach(client))
	var kept []bool
	var at []time.Time
	for range 2 {
		node := (<-watch.ResultChan()).Object.(*corev1.Node)
		_, has := node.Annotations[keptNotReady]
		kept, at = append(kept, has), append(at, time.Now())
		assert.Truef(t, len(node.Status.Conditions) == 1 && node.Status.Conditions[0].Status == corev1.ConditionFalse,
			"conditions %v, want not Ready", node.Status.Conditions)
	}
	if took := at[1].Sub(at[0]); !kept[0] || kept[1] || took < 150*time.Millisecond {
		t.Errorf("kept from being Ready: %v, with %v between, want true, then false after 200ms", kept, took)
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
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = s.WaitFor(ctx, func(e Event) bool { return e.Kind == Launched && e.Group == group })
	require.NoError(t, err)
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

func TestAgentsLiftStartupTaints(t *testing.T) {
	s, _ := overHTTP(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) {
		g.NodeTaints = []string{"team=a:NoSchedule"}
		g.StartupTaints = []string{"ebs.csi.aws.com/agent-not-ready:NoExecute"}
		g.StartupTaintsAfterReady = Duration(100 * time.Millisecond)
	}))
	client := fake.NewClientset()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go kwok(ctx, client)
	require.NoError(t, s.Attach(client))
	lifted, err := s.WaitFor(ctx, func(e Event) bool { return e.Kind == TaintsLifted })
	require.NoErrorf(t, err, "%v", s.Events())
	next, err := s.NextNode("g")
	require.NoError(t, err)
	node, err := client.CoreV1().Nodes().Get(ctx, lifted.Node, metav1.GetOptions{})
	require.NoError(t, err)
	for _, n := range []*corev1.Node{next, node} {
		assert.Truef(t, len(n.Spec.Taints) == 1 && n.Spec.Taints[0].Key == "team",
			"taints %v of %s are left, want the one of the team", n.Spec.Taints, n.Name)
	}
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	assert.Len(t, s.account.nodeSpec(s.account.groups["g"].instances[0]).node.Spec.Taints, 2, "the node registers with taints, want two")
}

func TestNodesReportVolumeLimits(t *testing.T) {
	s, c := overHTTP(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.VolumeLimit = 25 }))
	client := fake.NewClientset()
	require.NoError(t, s.Attach(client))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	group, _ := s.Group("g")
	node := group.Instances[0].Node
	_, err := s.WaitFor(ctx, func(e Event) bool { return e.Kind == NodeRegistered })
	require.NoError(t, err)
	told, err := client.StorageV1().CSINodes().Get(ctx, node, metav1.GetOptions{})
	require.NoError(t, err)
	if d := told.Spec.Drivers[0]; d.Name != ebsDriver || d.NodeID != group.Instances[0].ID || *d.Allocatable.Count != 25 {
		t.Errorf("driver %+v, want the EBS driver with 25 volumes", d)
	}
	_, err = terminate(t, c, true, &group.Instances[0].ID)
	require.NoError(t, err)
	_, err = s.WaitFor(ctx, func(e Event) bool { return e.Kind == NodeDeleted })
	require.NoError(t, err)
	_, err = client.StorageV1().CSINodes().Get(ctx, node, metav1.GetOptions{})
	assert.Truef(t, apierrors.IsNotFound(err), "error %v, want that the CSINode is gone with its Node", err)
}
