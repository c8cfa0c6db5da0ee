package monitoring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
	"github.com/stretchr/testify/require"
)

// patience bounds each wait, on a busy machine.
const patience = 2 * time.Minute

// prometheus is a running Prometheus.
type prometheus struct{ url, log string }

// scraping is the shipped scrape configuration for the pods that the file lists.
func scraping(t *testing.T, pods string) map[string]any {
	var config map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "manifests/monitoring/scrape.yaml")), &config))
	for _, job := range config["scrape_configs"].([]any) {
		job := job.(map[string]any)
		delete(job, "kubernetes_sd_configs")
		job["file_sd_configs"] = []any{map[string]any{"files": []string{pods}}}
	}
	return config
}

// startPrometheus runs a Prometheus with the shipped scrape configuration and rules, which finds the pods that the file lists. It scrapes
// once a second.
func startPrometheus(t *testing.T, pods string, flags ...string) *prometheus {
	t.Helper()
	dir, config := t.TempDir(), scraping(t, pods)
	ruleFile, err := filepath.Abs(filepath.Join(monitoring, "rules.yaml"))
	require.NoError(t, err)
	config["rule_files"] = []string{ruleFile}
	config["global"] = map[string]string{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
	content, err := yaml.Marshal(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yaml"), content, 0o600))
	address, err := loopback.FreeAddress()
	require.NoError(t, err)
	p := &prometheus{url: "http://" + address, log: filepath.Join(dir, "log")}
	log, err := os.Create(p.log)
	require.NoError(t, err)
	defer log.Close()
	cmd := exec.CommandContext(t.Context(), program(t, "prometheus"), append(flags, "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = log, log, 10*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Wait() // the end of the test's context ends it
		if t.Failed() {
			content, _ := os.ReadFile(p.log)
			t.Logf("the log of Prometheus:\n%s", content)
		}
	})
	return p
}

// sample is one series of an answer.
type sample struct {
	Metric           map[string]string
	Value, Histogram []any
}

// float returns the value, and false if it is not a number or not a float.
func (s sample) float() (float64, bool) {
	if len(s.Value) != 2 {
		return 0, false
	}
	value, err := strconv.ParseFloat(s.Value[1].(string), 64)
	return value, err == nil && value == value
}

// query asks the HTTP API.
func (p *prometheus) query(ctx context.Context, expr string) ([]sample, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/query?query="+url.QueryEscape(expr), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result json.RawMessage }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	var samples []sample
	if !bytes.HasPrefix(answer.Data.Result, []byte("[{")) { // none, or a scalar
		return nil, nil
	}
	return samples, json.Unmarshal(answer.Data.Result, &samples)
}

// A want is an expression, and what a sample of its answer must have.
type want struct {
	expr string
	met  func(sample) bool
}

func number(expr string) want {
	return want{expr, func(s sample) bool { _, ok := s.float(); return ok }}
}

// positive wants a series above zero.
func positive(expr string) want {
	return want{expr, func(s sample) bool { value, ok := s.float(); return ok && value > 0 }}
}

// await waits until all expressions have what is wanted, and reports the last answers of the others.
func (p *prometheus) await(t *testing.T, wants ...want) {
	t.Helper()
	missing := map[string]string{}
	_ = wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		wants = slices.DeleteFunc(wants, func(w want) bool {
			samples, err := p.query(ctx, w.expr)
			missing[w.expr] = fmt.Sprint(samples, err)
			return slices.ContainsFunc(samples, w.met)
		})
		return len(wants) == 0, nil
	})
	for _, w := range wants {
		t.Errorf("%s: %s", w.expr, missing[w.expr])
	}
}

var (
	absence    = regexp.MustCompile(`(?s)\s+or absent_over_time\(.*$`)
	comparison = regexp.MustCompile(` (<|>) [0-9.]+$`)
	dashboards = strings.NewReplacer("$__rate_interval", "5m", "$cluster", ".*", "$node_group", ".*")
)

// expressions wants a series of every expression of the recording rules, of the alerts without their comparisons, and of the dashboard.
func expressions(t *testing.T) []want {
	var all []want
	records, alerts := rules(t)
	for _, r := range records {
		all = append(all, number(r.Record), number(r.Expr))
	}
	for _, a := range alerts {
		compared := absence.ReplaceAllString(a.Expr, "")
		expr := comparison.ReplaceAllString(compared, "")
		assert.Truef(t, expr != compared, "%s does not end in a comparison: %s", a.Alert, a.Expr)
		all = append(all, number(expr))
	}
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			all = append(all, number(dashboards.Replace(q.Expr)))
		}
	}
	return all
}
