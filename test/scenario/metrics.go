package scenario

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// corePrefix begins the names of the core's metrics, ourPrefix those of ours.
const (
	corePrefix = "cluster_autoscaler_"
	ourPrefix  = "asg_autoscaler_"
)

// Metrics scrapes the autoscaler and returns its families by name.
func (a *Autoscaler) Metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	page, err := a.Get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("parse /metrics: %w", err)
	}
	return families, nil
}

// Memory returns a figure of the process's memory in bytes, by its name in Linux's /proc/PID/status: VmHWM is the most resident memory so far,
// RssAnon the part that no file holds.
func (a *Autoscaler) Memory(figure string) (bytes uint64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if kib, found := strings.CutPrefix(line, figure+":"); found {
			_, err := fmt.Sscanf(kib, "%d kB", &bytes)
			return bytes << 10, err
		}
	}
	return 0, fmt.Errorf("memory: no %s in %q", figure, status)
}

// MetricSum adds up the samples of a family that carry all the labels: counters and gauges by value, histograms by their count.
// A missing family is 0, like a counter that never counted.
func MetricSum(families map[string]*dto.MetricFamily, name string, labels map[string]string) float64 {
	var sum float64
	for _, metric := range families[name].GetMetric() {
		if !carries(metric, labels) {
			continue
		}
		sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount()) +
			metric.GetUntyped().GetValue()
	}
	return sum
}

func carries(metric *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, pair := range metric.GetLabel() {
		if value, asked := labels[pair.GetName()]; asked && value == pair.GetValue() {
			found++
		}
	}
	return found == len(labels)
}

// metricNames lists the autoscaler's metrics, one a line, sorted: name, type and label names, without the volatile values.
func metricNames(families map[string]*dto.MetricFamily) string {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !strings.HasPrefix(name, corePrefix) && !strings.HasPrefix(name, ourPrefix) {
			continue
		}
		labels := map[string]bool{}
		for _, metric := range families[name].GetMetric() {
			for _, pair := range metric.GetLabel() {
				labels[pair.GetName()] = true
			}
		}
		kind := strings.ToLower(families[name].GetType().String())
		fmt.Fprintln(&lines, strings.Join(append([]string{name, kind}, slices.Sorted(maps.Keys(labels))...), " "))
	}
	return lines.String()
}

// parseSelector splits name{label="value",…} as Prometheus writes it.
func parseSelector(text string) (name string, labels map[string]string, err error) {
	name, rest, braces := strings.Cut(text, "{")
	labels = map[string]string{}
	if !braces {
		return name, labels, nil
	}
	for pair := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
		label, value, ok := strings.Cut(pair, "=")
		if !ok {
			return "", nil, fmt.Errorf("metric %q: write labels as name{label=\"value\"}", text)
		}
		labels[label] = strings.Trim(value, `"`)
	}
	return name, labels, nil
}
