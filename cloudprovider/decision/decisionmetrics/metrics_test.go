package decisionmetrics

import (
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

var update = flag.Bool("update", false, "rewrite the goldens of testdata")

var _ decision.Observer = (*Metrics)(nil)

// newMetrics returns metrics of a report that the test sets, and their registry.
func newMetrics(t *testing.T, perNodeGroup bool) (*Metrics, **decision.Report, *prometheus.Registry) {
	registry, report := prometheus.NewPedanticRegistry(), new(*decision.Report)
	return New(Options{Registerer: registry, Report: func() *decision.Report { return *report }, PerNodeGroup: perNodeGroup}), report, registry
}

// samples returns the samples of the registry, one a line, without the common beginning of the names and without histograms.
func samples(t *testing.T, registry *prometheus.Registry) string {
	families, err := registry.Gather()
	require.NoError(t, err)
	var page, kept strings.Builder
	for _, family := range families {
		if family.GetType() != dto.MetricType_HISTOGRAM {
			_, err := expfmt.MetricFamilyToText(&page, family)
			require.NoError(t, err)
		}
	}
	for line := range strings.Lines(page.String()) {
		if sample, ok := strings.CutPrefix(line, "asg_autoscaler_"); ok {
			kept.WriteString(sample)
		}
	}
	return kept.String()
}

func matchesGolden(t *testing.T, name, got string) {
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Emptyf(t, cmp.Diff(string(want), got), "%s (-want +got)", name)
}

func because(code decision.Code) decision.Reason { return decision.Reason{Code: code} }

func TestReportsBecomeGauges(t *testing.T) {
	_, report, registry := newMetrics(t, true)
	got := samples(t, registry)
	assert.Truef(t, got == "", "before the first report:\n%s", got)
	*report = &decision.Report{
		Pods: []decision.Pod{{Cause: because(decision.CodeMaxSize)}, {Cause: because(decision.CodeMaxSize)}, {},
			{State: decision.PodIgnored, Cause: because(decision.CodeScheduling)}, {State: decision.PodIgnored, Cause: because(decision.CodePriority)}},
		PodsLeft: 5,
		Groups: []decision.Group{
			{Name: "a", State: decision.GroupReady, Ready: 3, Starting: 1, CoolDowns: []decision.CoolDown{
				{Type: "m5.large", Cause: decision.Reason{Code: decision.CodeResources, Remedy: "asgctl group a"}}, // of all groups
				{Group: "a", Cause: because(decision.CodeDenied)}}},
			{Name: "b/eu-central-1a", State: decision.GroupCoolDown, CoolDowns: []decision.CoolDown{
				{Type: "m5.large", Cause: because(decision.CodeResources)}, {Group: "b", Cause: because(decision.CodeDenied)}}},
		},
	}
	matchesGolden(t, "busy.txt", samples(t, registry))

	*report = &decision.Report{}
	matchesGolden(t, "gone.txt", samples(t, registry)) // all groups and pods are gone
}

func TestNodeGroupsHaveSeriesOnlyOnDemand(t *testing.T) {
	_, report, registry := newMetrics(t, false)
	*report = &decision.Report{Groups: []decision.Group{{Name: "a"}}}
	assert.NotContains(t, samples(t, registry), `"a"`, "a series names a group")
}

func TestDecisionsAreCounted(t *testing.T) {
	m, _, registry := newMetrics(t, false)
	m.Decided(decision.Entry{Kind: decision.ScaleUp})
	m.Decided(decision.Entry{Kind: decision.LaunchFailed, Reason: because(decision.CodeQuota)})
	m.Decided(decision.Entry{Kind: decision.LaunchFailed, Reason: because(decision.CodeQuota)})
	m.Launched(decision.Launch{Mode: "SetDesiredCapacity", Duration: time.Second})
	m.Launched(decision.Launch{Mode: "SetDesiredCapacity", Outcome: because(decision.CodeQuota)})
	want := `decisions_total{kind="launch-failed",reason="quota"} 2
decisions_total{kind="scale-up",reason="none"} 1
launches_total{mode="SetDesiredCapacity",outcome="quota"} 1
launches_total{mode="SetDesiredCapacity",outcome="success"} 1
`
	assert.Empty(t, cmp.Diff(want, samples(t, registry)), "(-want +got)")
}

// Prometheus sees no rise in a series that begins with its first launch.
func TestCallsHaveSeriesBeforeTheFirstLaunch(t *testing.T) {
	_, _, registry := newMetrics(t, false)
	families, err := registry.Gather()
	require.NoError(t, err)
	var calls []string
	for _, family := range families {
		for _, series := range family.GetMetric() {
			if family.GetName() == "asg_autoscaler_launch_duration_seconds" && series.GetHistogram().GetSampleCount() == 0 {
				calls = append(calls, series.GetLabel()[0].GetValue())
			}
		}
	}
	assert.Equal(t, []string{"LaunchInstances", "SetDesiredCapacity"}, calls)
}

// The scheduler's verdict has the time of a clock that may be ahead.
func TestWaitsAreNeverNegative(t *testing.T) {
	m, _, registry := newMetrics(t, false)
	m.PodAsked(-time.Minute)
	m.PodReady(-time.Minute)
	families, err := registry.Gather()
	require.NoError(t, err)
	waits := 0
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "asg_autoscaler_pending_to_") {
			h := family.GetMetric()[0].GetHistogram()
			assert.Truef(t, h.GetSampleCount() == 1 && h.GetSampleSum() == 0, "%s: %v", family.GetName(), h)
			waits++
		}
	}
	assert.Equal(t, 2, waits, "histograms of waits")
}

// Prometheus gets native histograms in protobuf, and buckets in text.
func TestHistogramsAreNativeAndClassic(t *testing.T) {
	m, _, registry := newMetrics(t, false)
	m.Launched(decision.Launch{Mode: "CreateFleet", Duration: 3 * time.Second})
	m.PodAsked(time.Second)
	m.PodReady(time.Minute)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()

	response := get(t, server.URL, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	defer response.Body.Close()
	decoder, histograms := expfmt.NewDecoder(response.Body, expfmt.ResponseFormat(response.Header)), 0
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if family.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		histograms++
		h := family.GetMetric()[0].GetHistogram()
		assert.Truef(t, h.GetSampleCount() == 1 && len(h.GetPositiveSpan()) != 0 && len(h.GetBucket()) >= 10,
			"%s: %d observations, %d native spans, %d classic buckets", family.GetName(), h.GetSampleCount(), len(h.GetPositiveSpan()), len(h.GetBucket()))
	}
	assert.Equal(t, 3, histograms, "histograms")

	response = get(t, server.URL, "text/plain")
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	for _, want := range []string{
		`launch_duration_seconds_bucket{mode="CreateFleet",le="5"} 1`,
		`pending_to_call_duration_seconds_bucket{le="1"} 1`,
		`pending_to_ready_duration_seconds_bucket{le="45"} 0`,
	} {
		assert.Containsf(t, string(page), "asg_autoscaler_"+want, "the text lacks %s", want)
	}
}

func get(t *testing.T, url, accept string) *http.Response {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	return response
}
