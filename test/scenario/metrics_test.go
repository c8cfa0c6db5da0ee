package scenario

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const metricsPage = `# HELP cluster_autoscaler_scaled_up_nodes_total Nodes added.
# TYPE cluster_autoscaler_scaled_up_nodes_total counter
cluster_autoscaler_scaled_up_nodes_total{gpu_name="none",node_group="a"} 2
cluster_autoscaler_scaled_up_nodes_total{gpu_name="t4",node_group="b"} 3
# HELP cluster_autoscaler_aws_request_duration_seconds Calls.
# TYPE cluster_autoscaler_aws_request_duration_seconds histogram
cluster_autoscaler_aws_request_duration_seconds_bucket{endpoint="x",status="success",le="+Inf"} 7
cluster_autoscaler_aws_request_duration_seconds_sum{endpoint="x",status="success"} 0.5
cluster_autoscaler_aws_request_duration_seconds_count{endpoint="x",status="success"} 7
# HELP go_goroutines Not ours.
# TYPE go_goroutines gauge
go_goroutines 10
`

// scrapePage serves the page as an autoscaler would and scrapes it.
func scrapePage(t *testing.T) *Autoscaler {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(metricsPage)) //nolint:errcheck // a test's own server
	}))
	t.Cleanup(server.Close)
	return &Autoscaler{Address: strings.TrimPrefix(server.URL, "http://")}
}

func TestMetricSumAddsSamplesThatCarryTheLabels(t *testing.T) {
	families, err := scrapePage(t).Metrics(context.Background())
	require.NoError(t, err)
	for _, tt := range []struct {
		selector string
		want     float64
	}{
		{"cluster_autoscaler_scaled_up_nodes_total", 5},
		{`cluster_autoscaler_scaled_up_nodes_total{node_group="b"}`, 3},
		{`cluster_autoscaler_scaled_up_nodes_total{node_group="b",gpu_name="none"}`, 0},
		{`cluster_autoscaler_aws_request_duration_seconds{status="success"}`, 7},
		{"cluster_autoscaler_never_seen", 0},
	} {
		name, labels, err := parseSelector(tt.selector)
		require.NoError(t, err)
		assert.Equalf(t, tt.want, MetricSum(families, name, labels), "%s", tt.selector)
	}
}

func TestMetricNamesShowNoValues(t *testing.T) {
	families, err := scrapePage(t).Metrics(context.Background())
	require.NoError(t, err)
	want := "cluster_autoscaler_aws_request_duration_seconds histogram endpoint status\n" +
		"cluster_autoscaler_scaled_up_nodes_total counter gpu_name node_group\n"
	assert.Empty(t, cmp.Diff(want, metricNames(families)), "names (-want +got)")
}

func TestParseSelectorRefusesALabelWithoutValue(t *testing.T) {
	_, _, err := parseSelector("name{label}")
	assert.Error(t, err, "accepted name{label}")
}
