package chart

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	if err != nil {
		t.Fatal(err)
	}
	var shipped ruleGroups
	if err := yaml.Unmarshal(raw, &shipped); err != nil {
		t.Fatal(err)
	}
	out := mustHelm(t, "v4", "template", "test", chartDir, "--namespace", namespace, "--values", renderings["s0"], "--values", dir+"chart-values.yaml")
	rendered := objects(t, out)
	if len(ofKind(rendered, "ServiceMonitor")) != 1 {
		t.Error("the values make no ServiceMonitor")
	}
	var made struct {
		Spec ruleGroups `json:"spec"`
	}
	for _, o := range ofKind(rendered, "PrometheusRule") {
		raw, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(raw, &made); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(shipped.rules(), made.Spec.rules()); diff != "" || len(made.Spec.rules()) == 0 {
		t.Errorf("rules (-shipped +rendered):\n%s", diff)
	}
}
