package simulate

import (
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

func TestMain(m *testing.M) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard) // the core logs each thing it does
	os.Exit(m.Run())
}

// Nodes that small mixes get, when they are requested and in the end.
func TestRunEndsWhenRunnablePodsHaveNodes(t *testing.T) {
	for _, tt := range []struct {
		name, mix, expander string
		asked, settled      map[string]int
		unplaced            int
	}{
		{
			name:     "each pod where it fits",
			mix:      `{"types": ["m5.large", "r5.large"], "pods": [{"count": 3, "cpu": "1500m"}, {"count": 2, "memory": "13Gi"}]}`,
			expander: "least-cost", asked: map[string]int{"m5.large": 1, "r5.large": 2}, settled: map[string]int{"m5.large": 1, "r5.large": 2},
		},
		{
			name:     "a pod that fits nowhere is unplaced",
			mix:      `{"types": ["m5.large"], "pods": [{"cpu": 1}, {"cpu": 64}]}`,
			expander: "least-cost", asked: map[string]int{"m5.large": 1}, settled: map[string]int{"m5.large": 1}, unplaced: 1,
		},
		{
			name:     "and so are those beyond the limit of the only group",
			mix:      `{"groups": [{"type": "m5.large", "max": 2}], "pods": [{"count": 5, "cpu": "1500m"}]}`,
			expander: "least-cost", asked: map[string]int{"m5.large": 2}, settled: map[string]int{"m5.large": 2}, unplaced: 3,
		},
		{
			name:     "one pod a node where they keep apart",
			mix:      `{"types": ["m5.2xlarge", "m5.large"], "pods": [{"count": 4, "cpu": "100m", "onePerNode": true}]}`,
			expander: "least-cost", asked: map[string]int{"m5.large": 4}, settled: map[string]int{"m5.large": 4},
		},
		{
			name: "one pod a node where several workloads take one port",
			mix: `{"types": ["m5.2xlarge", "m5.large"], "pods": [{"name": "a", "count": 2, "cpu": "100m", "hostPort": 80},
				{"name": "b", "count": 2, "cpu": "100m", "hostPort": 80}, {"name": "c", "count": 2, "cpu": "100m", "hostPort": 81}]}`,
			expander: "least-cost", asked: map[string]int{"m5.large": 4}, settled: map[string]int{"m5.large": 4},
		},
		{
			name: "one pod a node where several workloads keep off each other",
			mix: `{"types": ["m5.2xlarge", "m5.large"], "pods": [{"name": "a", "count": 2, "cpu": "100m", "exclusive": "disk"},
				{"name": "b", "count": 1, "cpu": "100m", "exclusive": "disk"}, {"name": "c", "count": 2, "cpu": "100m", "exclusive": "net"}]}`,
			expander: "least-cost", asked: map[string]int{"m5.large": 3}, settled: map[string]int{"m5.large": 3},
		},
		{
			name: "small pods that the scheduler puts in the room of a large one cost a node more",
			// One node for the large pod and two small ones, one for the other four. The scheduler spreads the small ones.
			mix: `{"types": [{"name": "n", "cpu": "4100m", "memory": "64Gi", "price": 1}],
				"pods": [{"name": "small", "count": 5, "cpu": 1, "memory": "1Gi"}, {"name": "large", "cpu": 3, "memory": "1Gi"}]}`,
			expander: "least-cost", asked: map[string]int{"n": 2}, settled: map[string]int{"n": 3},
		},
		{
			name:     "four GPUs a node where they are claimed",
			mix:      `{"types": [{"name": "four", "cpu": 48, "memory": "192Gi", "gpu": 4, "price": 4}], "pods": [{"count": 10, "cpu": 1, "claims": 1}]}`,
			expander: "least-cost", asked: map[string]int{"four": 3}, settled: map[string]int{"four": 3},
		},
		{
			name:     "25 volumes a node",
			mix:      `{"types": ["m5.4xlarge"], "pods": [{"count": 30, "cpu": "10m", "volumes": 2}]}`,
			expander: "least-cost", asked: map[string]int{"m5.4xlarge": 3}, settled: map[string]int{"m5.4xlarge": 3},
		},
		{
			name: "DaemonSets take their part of each node",
			mix: `{"types": [{"name": "n", "cpu": "4100m", "memory": "64Gi", "price": 1}], "pods": [{"count": 6, "cpu": 1}],
				"daemonSets": [{"cpu": 1}]}`,
			expander: "least-cost", asked: map[string]int{"n": 2}, settled: map[string]int{"n": 2},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := mix.Parse([]byte(tt.mix))
			require.NoError(t, err)
			got, err := Run(t.Context(), m, tt.expander)
			require.NoError(t, err)
			assert.Empty(t, cmp.Diff(tt.asked, got.Asked.Count), "asked for (-want +got)")
			assert.Empty(t, cmp.Diff(tt.settled, got.Settled.Count), "in the end (-want +got)")
			assert.Equal(t, tt.unplaced, got.Unplaced, "pods unplaced")
		})
	}
}

// The large node scores higher for every pod, but the pods are spread.
func TestSchedulerSpreadsPods(t *testing.T) {
	m, err := mix.Parse([]byte(`{"types": [{"name": "large", "cpu": 64, "memory": "256Gi", "price": 1}, {"name": "small", "cpu": 4, "memory": "16Gi", "price": 1}],
		"pods": [{"count": 4, "cpu": 1, "memory": "4Gi", "spread": "node"}]}`))
	require.NoError(t, err)
	s := newScheduler(m.Pods)
	for _, g := range m.Groups {
		g.Node.Name = g.Name
		g.Node.Labels[corev1.LabelHostname] = g.Name
		s.add(g.Node, g.Offers(), nil)
	}
	if left := s.bind(m.Pods); len(left) > 0 || len(s.nodes[0].pods) != 2 || len(s.nodes[1].pods) != 2 {
		t.Errorf("%d pods pending, %d on the large node and %d on the small one, want 2 on each", len(left), len(s.nodes[0].pods), len(s.nodes[1].pods))
	}
}
