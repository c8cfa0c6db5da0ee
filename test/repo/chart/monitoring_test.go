package chart

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// ruleGroups is the part of a file of rules, or of a PrometheusRule's spec, that both have.
type ruleGroups struct {
	Groups []struct {
		Rules []map[string]any `json:"rules"`
	} `json:"groups"`
}

func (g ruleGroups) rules() []map[string]any {
	var all []map[string]any
	for _, group := range g.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// The chart renders rules as templates, so that templates of Prometheus must survive that.
func TestMonitoringValuesRenderTheShippedRules(t *testing.T) {
	const dir = root + "/manifests/monitoring/"
	raw, err := os.ReadFile(dir + "rules.yaml")
	require.NoError(t, err)
	var shipped ruleGroups
	require.NoError(t, yaml.Unmarshal(raw, &shipped))
	out := mustHelm(t, "v4", "template", "test", chartDir, "--namespace", namespace, "--values", image, "--values", renderings["s0"], "--values", dir+"chart-values.yaml")
	rendered := objects(t, out)
	assert.Equal(t, 1, len(ofKind(rendered, "ServiceMonitor")), "the values make no ServiceMonitor")
	var made struct {
		Spec ruleGroups `json:"spec"`
	}
	for _, o := range ofKind(rendered, "PrometheusRule") {
		raw, err := yaml.Marshal(o)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(raw, &made))
	}
	diff := cmp.Diff(shipped.rules(), made.Spec.rules())
	assert.Truef(t, diff == "" && len(made.Spec.rules()) != 0, "rules (-shipped +rendered):\n%s", diff)
}

// Helm reads no file outside the chart, so the chart has a copy. Write it by: go test ./test/repo/chart -run Dashboard -update
func TestDashboardOfTheChartIsTheShippedOne(t *testing.T) {
	shipped, err := os.ReadFile(root + "/manifests/monitoring/dashboard.json")
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(chartDir+"/files/dashboard.json", shipped, 0o644))
	}
	var made corev1.ConfigMap
	find(t, mustRender(t, "autoDiscovery: {clusterName: c}\ndashboard: {enabled: true, namespace: grafana}"), "ConfigMap", &made)
	if diff := cmp.Diff(strings.TrimSpace(string(shipped)), strings.TrimSpace(made.Data["cluster-autoscaler.json"])); diff != "" || made.Namespace != "grafana" || made.Labels["grafana_dashboard"] != "1" {
		t.Errorf("ConfigMap %s with labels %v (-shipped +rendered):\n%s", made.Namespace, made.Labels, diff)
	}
}

// The community's dashboard and alerts select job="cluster-autoscaler", whatever the release is called.
func TestMonitorsSetTheJob(t *testing.T) {
	const values = "autoDiscovery: {clusterName: c}\nserviceMonitor: {enabled: true, job: cluster-autoscaler, relabelings: [{action: keep}]}\npodMonitor: {enabled: true}"
	rendered := mustRender(t, values)
	for kind, want := range map[string]string{
		"ServiceMonitor": "spec: {endpoints: [{relabelings: [{targetLabel: job, replacement: cluster-autoscaler}, {action: keep}]}]}",
		"PodMonitor":     "spec: {podMetricsEndpoints: [{port: http, path: /metrics, relabelings: [{targetLabel: job, replacement: cluster-autoscaler}]}]}",
	} {
		found := ofKind(rendered, kind)
		assert.Truef(t, len(found) == 1 && holds(map[string]any(found[0]), map[string]any(objects(t, want)[0])),
			"%s without %s:\n%s", kind, want, text(t, found))
	}
}

// Only Prometheus reaches the port with the metrics and the page.
func TestNetworkPolicyAdmitsPrometheus(t *testing.T) {
	const base = "autoDiscovery: {clusterName: c}\n"
	assert.Empty(t, ofKind(mustRender(t, base), "NetworkPolicy"), "without a value there")
	for values, want := range map[string]string{
		"networkPolicy: {enabled: true}": "spec: {podSelector: {matchLabels: {app.kubernetes.io/instance: test}}, policyTypes: [Ingress], " +
			"ingress: [{ports: [{port: 8085}], from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}]}",
		"networkPolicy: {enabled: true}\npodMonitor: {enabled: true, namespace: observability}": "spec: {ingress: [" +
			"{ports: [{port: 8085}], from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: observability}}}]}]}",
		"networkPolicy: {enabled: true, from: [{ipBlock: {cidr: 10.0.0.0/8}}], extraIngress: [{ports: [{port: 8087}]}]}": "spec: {ingress: [" +
			"{ports: [{port: 8085}], from: [{ipBlock: {cidr: 10.0.0.0/8}}]}, {ports: [{port: 8087}]}]}",
	} {
		found := ofKind(mustRender(t, base+values), "NetworkPolicy")
		assert.Truef(t, len(found) == 1 && holds(map[string]any(found[0]), map[string]any(objects(t, want)[0])),
			"%s makes\n%s", values, text(t, found))
	}
}
