package decisions_test

import (
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

var registerCoresMetrics = sync.OnceFunc(func() { metrics.RegisterAll(true) })

// metric is the sum of a metric's values, and how many it has. Those of one group alone count if the group is not "".
func metric(t *testing.T, from prometheus.Gatherer, name, group string) (sum float64, values int) {
	t.Helper()
	families, err := from.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && (group == "" || m.Label[0].GetValue() == group) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				values++
			}
		}
	}
	return sum, values
}

// counted is the sum of a counter of the core.
func counted(t *testing.T, name string) int {
	t.Helper()
	sum, _ := metric(t, legacyregistry.DefaultGatherer, name, "")
	return int(sum)
}

func TestReplacementCountsAsAScaleUp(t *testing.T) {
	const added, failed = "cluster_autoscaler_scaled_up_nodes_total", "cluster_autoscaler_failed_scale_ups_total"
	registerCoresMetrics()
	for _, tt := range []struct {
		name     string
		shortage []fakeaws.Shortage
	}{
		{name: "launched"},
		{name: "refused", shortage: []fakeaws.Shortage{{InstanceType: "m5.large"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, nodes := newRequestWorld(t, 3, "500m")
			for _, s := range tt.shortage {
				w.AWS.AddShortage(s)
			}
			addedBefore, failedBefore := counted(t, added), counted(t, failed)
			w.change(nodes[0], replacedFirst)
			w.loopTimes(3)
			assert.Equal(t, 1, counted(t, added)-addedBefore, "added nodes")
			assert.Equal(t, len(tt.shortage), counted(t, failed)-failedBefore, "failed scale-ups")
		})
	}
}
