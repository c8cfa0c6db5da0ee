package show

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// status is a report of a cluster in which something of every kind happens.
func status(t *testing.T) *decision.Report {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "status.json"))
	require.NoError(t, err)
	report := &decision.Report{}
	require.NoError(t, json.Unmarshal(text, report))
	return report
}

func TestEstimatesAreMarked(t *testing.T) {
	r := status(t)
	r.Spend.About, r.Groups[0].AboutSpend = true, true
	text := ReportTable(r)
	for _, want := range []string{"  about 4.51 USD/h\n", "   about 1.84   "} {
		assert.Truef(t, strings.Contains(text, want), "no %q in:\n%s", want, text)
	}
}

func TestOldFactsStandFirst(t *testing.T) {
	r := status(t)
	r.Reading = decision.Reading{At: r.At.Add(-time.Hour), Failure: decision.Reason{Message: "denied"}}
	assert.Regexp(t, "^These facts are 60m old: denied\n", ReportTable(r))
}

func TestReportWithoutALoop(t *testing.T) {
	for want, process := range map[string]decision.Process{
		"no loop yet": {Leader: true},
		"this replica stands by, other holds the lease": {Holder: "other"},
	} {
		assert.Containsf(t, ReportTable(&decision.Report{Process: process}), "\n"+want+"\n", "no %q", want)
	}
}
