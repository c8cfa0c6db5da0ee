package simulate

import (
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

func TestMain(m *testing.M) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard) // the core logs each thing it does
	os.Exit(m.Run())
}

func TestRunEndsWhenRunnablePodsHaveNodes(t *testing.T) {
	for _, tt := range []struct {
		name, mix string
		want      map[string]int // nodes
		unplaced  int
	}{
		{
			name: "each pod where it fits",
			mix:  `{"types": ["m5.large", "r5.large"], "pods": [{"count": 3, "cpu": "1500m"}, {"count": 2, "memory": "13Gi"}]}`,
			want: map[string]int{"m5.large": 1, "r5.large": 2},
		},
		{
			name: "a pod that fits nowhere is unplaced",
			mix:  `{"types": ["m5.large"], "pods": [{"cpu": 1}, {"cpu": 64}]}`,
			want: map[string]int{"m5.large": 1}, unplaced: 1,
		},
		{
			name: "and so are those beyond the limit of the only group",
			mix:  `{"groups": [{"type": "m5.large", "max": 2}], "pods": [{"count": 5, "cpu": "1500m"}]}`,
			want: map[string]int{"m5.large": 2}, unplaced: 3,
		},
		{
			name: "one pod a node where they keep apart",
			mix:  `{"types": ["m5.2xlarge", "m5.large"], "pods": [{"count": 4, "cpu": "100m", "onePerNode": true}]}`,
			want: map[string]int{"m5.large": 4},
		},
		{
			name: "one pod a node where several workloads take one port",
			mix: `{"types": ["m5.2xlarge", "m5.large"], "pods": [{"name": "a", "count": 2, "cpu": "100m", "hostPort": 80},
				{"name": "b", "count": 2, "cpu": "100m", "hostPort": 80}, {"name": "c", "count": 2, "cpu": "100m", "hostPort": 81}]}`,
			want: map[string]int{"m5.large": 4},
		},
		{
			name: "one pod a node where several workloads keep off each other",
			mix: `{"types": ["m5.2xlarge", "m5.large"], "pods": [{"name": "a", "count": 2, "cpu": "100m", "exclusive": "disk"},
				{"name": "b", "count": 1, "cpu": "100m", "exclusive": "disk"}, {"name": "c", "count": 2, "cpu": "100m", "exclusive": "net"}]}`,
			want: map[string]int{"m5.large": 3},
		},
		{
			name: "four GPUs a node where they are claimed",
			mix:  `{"types": ["g4dn.12xlarge"], "pods": [{"count": 10, "cpu": 1, "claims": 1}]}`,
			want: map[string]int{"g4dn.12xlarge": 3},
		},
		{
			name: "25 volumes a node",
			mix:  `{"types": ["m5.4xlarge"], "pods": [{"count": 30, "cpu": "10m", "volumes": 2}]}`,
			want: map[string]int{"m5.4xlarge": 3},
		},
		{
			name: "DaemonSets take their part of each node",
			mix:  `{"types": ["m5.xlarge"], "pods": [{"count": 6, "cpu": 1}], "daemonSets": [{"cpu": 1}]}`,
			want: map[string]int{"m5.xlarge": 3},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := mix.Parse([]byte(tt.mix))
			require.NoError(t, err)
			got, err := Run(t.Context(), m, "least-cost")
			require.NoError(t, err)
			assert.Empty(t, cmp.Diff(tt.want, got.Count), "nodes (-want +got)")
			assert.Equal(t, tt.unplaced, got.Unplaced, "pods unplaced")
		})
	}
}
