package monitoring

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the generated files of manifests/monitoring")

const (
	root       = "../../.."
	monitoring = root + "/manifests/monitoring"
)

// ruleFile is a file of rules in Prometheus's format.
type ruleFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

type rule struct {
	Record      string            `json:"record"`
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Keep        string            `json:"keep_firing_for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// read returns the content of a file below the root of the repository.
func read(t *testing.T, path string) string {
	content, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(content)
}

func rules(t *testing.T) (records, alerts []rule) {
	var file ruleFile
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, "manifests/monitoring/rules.yaml")), &file))
	for _, group := range file.Groups {
		for _, r := range group.Rules {
			if r.Alert != "" {
				alerts = append(alerts, r)
			} else {
				records = append(records, r)
			}
		}
	}
	require.Truef(t, len(records) != 0 && len(alerts) != 0, "%d recording rules, %d alerts", len(records), len(alerts))
	return records, alerts
}

// program returns the path of a program of Debian's package prometheus.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err, "it is in Debian's package prometheus: apt-get install --no-install-recommends prometheus")
	return path
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		promtool := exec.CommandContext(t.Context(), program(t, "promtool"), args...)
		promtool.Dir = monitoring
		if out, err := promtool.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestEveryAlertHasARunbookAndATest(t *testing.T) {
	_, alerts := rules(t)
	document, tests := read(t, "docs/alerts.md"), read(t, "manifests/monitoring/rules_test.yaml")
	for _, a := range alerts {
		assert.Truef(t, strings.Contains(document, "\n## "+a.Alert+"\n"), "docs/alerts.md has no section %s", a.Alert)
		if want := "/docs/alerts.md#" + strings.ToLower(a.Alert); !strings.HasSuffix(a.Annotations["runbook_url"], want) {
			t.Errorf("%s: runbook_url %q, want one that ends in %s", a.Alert, a.Annotations["runbook_url"], want)
		}
		assert.Truef(t, a.Annotations["summary"] != "" && a.Labels["severity"] != "", "%s lacks a summary or a severity", a.Alert)
		assert.Truef(t, strings.Contains(tests, `alertname="`+a.Alert+`",`), "rules_test.yaml does not make %s fire", a.Alert)
	}
	sections := strings.Count(document, "\n## ")
	assert.Truef(t, sections == len(alerts), "docs/alerts.md has %d sections for %d alerts", sections, len(alerts))
}

var reasonsOfRule = regexp.MustCompile(`reason(?:=~|!~)"([^"]+)"`)

// A renamed reason would be missed in silence.
func TestReasonsOfAlertsExist(t *testing.T) {
	_, alerts := rules(t)
	documents := read(t, "docs/troubleshooting.md") + read(t, "docs/metrics.md")
	found := 0
	for _, a := range alerts {
		for _, match := range reasonsOfRule.FindAllStringSubmatch(a.Expr, -1) {
			for reason := range strings.SplitSeq(match[1], "|") {
				assert.Containsf(t, documents, "`"+reason+"`", "%s: no document explains the reason", a.Alert)
				found++
			}
		}
	}
	assert.NotZero(t, found)
}

// The operator's object and the chart's values have the rules of rules.yaml.
func TestGeneratedFiles(t *testing.T) {
	source := read(t, "manifests/monitoring/rules.yaml")
	groups := source[strings.Index(source, "groups:\n"):]
	const head = "# Generated from rules.yaml: make monitoring\n"
	generated(t, "prometheusrule.yaml", head+`apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: cluster-autoscaler
  namespace: kube-system
  labels:
    app: cluster-autoscaler
spec:
`+indent(groups))
	generated(t, "chart-values.yaml", head+`# Values of the Helm chart for the Prometheus Operator. Change namespace and labels to the ones that your Prometheus selects.
serviceMonitor:
  enabled: true
  namespace: monitoring
  selector: {release: prometheus-operator}
prometheusRule:
  enabled: true
  namespace: monitoring
  additionalLabels: {release: prometheus-operator}
  rules:
`+chartRules(groups))
}

// indent moves the lines of a text two columns to the right.
func indent(text string) string {
	var moved strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			line = "  " + line
		}
		moved.WriteString(line)
	}
	return moved.String()
}

var (
	aroundRules = regexp.MustCompile(`(?m)^(groups:|- name: .*|  rules:)?\n`)
	template    = regexp.MustCompile(`\{\{.*?\}\}`)
)

// chartRules returns the rules of all groups as one list. The chart takes rules as templates, so that templates of Prometheus stand in
// back quotes. helm breaks long lines, also within them.
func chartRules(groups string) string {
	return template.ReplaceAllString(aroundRules.ReplaceAllString(groups, ""), "{{ `$0` }}")
}

func generated(t *testing.T, name, want string) {
	path := filepath.Join(monitoring, name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Emptyf(t, cmp.Diff(string(got), want), "manifests/monitoring/%s is stale, run: make monitoring (-file +rules.yaml)", name)
}
