package peers

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testdata/report.json has figures that nobody measured.
func TestReportIsPrintedInEveryForm(t *testing.T) {
	for _, form := range []string{"table", "markdown", "svg"} {
		var stdout, stderr bytes.Buffer
		require.Zerof(t, Main(t.Context(), []string{"-from", "testdata/report.json", "-o", form}, &stdout, &stderr), "exit code: %s", &stderr)
		golden := filepath.Join("testdata", "report."+form)
		if *update {
			require.NoError(t, os.WriteFile(golden, stdout.Bytes(), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		assert.Truef(t, stdout.String() == string(want), "%s differs from %s:\n%s", form, golden, stdout.String())
	}
}

func TestDocumentHasTheFiguresOfItsReport(t *testing.T) {
	docs := filepath.Join("..", "..", "..", "docs")
	for form, name := range map[string]string{"markdown": "benchmarks.md", "svg": "benchmarks.svg"} {
		var stdout, stderr bytes.Buffer
		require.Zerof(t, Main(t.Context(), []string{"-from", filepath.Join(docs, "benchmarks.json"), "-o", form}, &stdout, &stderr),
			"exit code: %s", &stderr)
		have, err := os.ReadFile(filepath.Join(docs, name))
		require.NoError(t, err)
		assert.Truef(t, stdout.String() == string(have), "%s is not of benchmarks.json: run make benchmarks", name)
	}
}

func TestReportKeepsEarlierCases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	some := func(repeats int, of string, measured ...string) error {
		r := newReport([]peer{{name: of}}, repeats)
		if err := r.resume(path); err != nil {
			return err
		}
		for _, name := range measured {
			r.add(benchCase{name: name}, []peer{{name: of}})
		}
		return r.save(path)
	}
	require.NoError(t, errors.Join(some(5, stockPlain, "reaction-20", "down-30"), some(5, ours, "down-30", "groups-10")))
	r, err := readReport(path)
	require.NoError(t, err)
	var got []string
	for _, c := range r.Cases {
		got = append(got, c.Name+" with "+strings.Join(c.Peers, " "))
	}
	want := []string{"reaction-20 with stock", "groups-10 with ours", "down-30 with ours"}
	assert.Truef(t, slices.Equal(got, want) && r.Peers[0].Name == ours && r.Peers[1].Name == stockPlain,
		"cases %q of peers %v, want %q, each in the bench's order", got, r.Peers, want)
	r.add(cases[0].atDefaultRates(), []peer{{name: ours}})
	if first := r.Cases[0].Name; first != cases[0].name+defaultRates || !strings.Contains(r.exception(), defaultRates) {
		t.Errorf("the first case is %s, want the bench's first one, at the default rates", first)
	}
	if err := some(3, ours, "down-30"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that says why fewer repeats do not fit into the file", err)
	}
}

func TestBestIsEveryPeerWithLowestMedian(t *testing.T) {
	f := figureReport{Values: map[string]values{ours: {3, 1, 9}, stockPlain: {3}, stockTuned: {4, 3.5}}}
	if got := strings.Join(f.best(), " "); got != "ours stock" {
		t.Errorf("best are %s, want ours and stock, whose medians are both 3", got)
	}
	f.Values[karpenters] = values{-0.5}
	if got := strings.Join(f.best(), " "); got != karpenters {
		t.Errorf("best is %s, want the one before the verdict", got)
	}
}

func TestOnlyTakesKindsOfCases(t *testing.T) {
	got, err := chosen("several,reaction-20")
	assert.Truef(t, err == nil && strings.Join(got, " ") == "several-2 several-5 several-2000 several-hang reaction-20",
		"%q, %v: want the four kinds of several, and reaction-20 without reaction-200", got, err)
	if _, err := chosen("reactions"); err == nil {
		t.Error("a name that no case has is accepted")
	}
}

func TestLoopQuantilesLeaveOutEarlierLoops(t *testing.T) {
	histogram := func(sum float64, cumulative ...uint64) *dto.MetricFamily {
		h := &dto.Histogram{SampleCount: &cumulative[len(cumulative)-1], SampleSum: &sum}
		for n := range cumulative {
			h.Bucket = append(h.Bucket, &dto.Bucket{CumulativeCount: &cumulative[n], UpperBound: new([]float64{1, 2, 4}[n])})
		}
		return &dto.MetricFamily{Metric: []*dto.Metric{{Histogram: h}}}
	}
	// One loop of up to 4 s before, then four: two of up to 1 s, and two of up to 2 s.
	l := durationsSince(histogram(4, 0, 0, 1), histogram(9, 2, 4, 5), "", "")
	assert.Truef(t, l.count == 4 && l.sum == 5 && l.quantile(0.25) == 0.5 && l.quantile(0.5) == 1 && l.quantile(1) == 2,
		"%v loops of %v s, quantiles %v, %v and %v, want 4 of 5 s, and 0.5, 1 and 2", l.count, l.sum, l.quantile(0.25), l.quantile(0.5), l.quantile(1))
}
