package whycases

import (
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/pages"
)

var update = flag.Bool("update", false, "rewrite want.txt of every case")

// text is an outcome as the golden has it, without the time of day.
func text(o Outcome) string {
	s := fmt.Sprintf("%s\nstate: %s\ncode: %s\n", o.Reason.Message, o.State, o.Reason.Code)
	if o.Reason.Remedy != "" {
		s += "remedy: " + o.Reason.Remedy + "\n"
	}
	return WithoutClock(s)
}

func TestFirstLineNamesTheCause(t *testing.T) {
	cases, err := All()
	require.NoError(t, err)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			o := c.Run(t)
			got := text(o)
			if *update {
				file := filepath.Join("testdata", c.Name+".txtar")
				before, err := os.ReadFile(file)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file, c.withWant(before, got), 0o644))
				return
			}
			assert.Emptyf(t, cmp.Diff(string(c.Files[WantFile]), got), "%s (-want +got)", c.About)
			event := "Normal NotTriggerScaleUp pod didn't trigger scale-up: " + o.Reason.Message
			assert.Truef(t, o.State != string(decision.PodHelpless) || slices.Contains(o.Events, event),
				"the events %q do not say %q", o.Events, event)
			checkReaders(t, c, o)
		})
	}
}

// checkReaders asks all readers of the record for the cause, as the running autoscaler serves them.
func checkReaders(t *testing.T, c *Case, o Outcome) {
	t.Helper()
	paths := http.NewServeMux()
	paths.Handle(pages.Path, pages.NewPage(o.Record.Report, clock.RealClock{}))
	paths.Handle(pages.Path+".json", pages.NewJSON(o.Record))
	server := httptest.NewServer(paths)
	defer server.Close()
	kind, name := c.Asked()

	var report decision.Report
	require.NoError(t, json.Unmarshal(get(t, server.URL+pages.Path+".json"), &report))
	var served []decision.Reason
	for _, pod := range report.Pods {
		if kind == "pod" && pod.Namespace+"/"+pod.Name == name {
			served = append(served, pod.Cause)
		}
	}
	for _, node := range report.Nodes {
		if kind == "node" && node.Name == name {
			served = append(served, node.Reason)
		}
	}
	want := o.Reason
	want.About, want.Passes = "", false // the process keeps them to itself
	assert.Empty(t, cmp.Diff([]decision.Reason{want}, served), "causes in the JSON (-want +got)")

	page := html.UnescapeString(string(get(t, server.URL+pages.Path)))
	assert.Contains(t, page, "<bdi>"+o.Reason.Message+"</bdi>", "the cause is not on the page")

	var stdout, stderr strings.Builder
	command.Run(t.Context(), "asgctl", append(c.Explain(), "--url", server.URL), &stdout, &stderr, "")
	line, _, _ := strings.Cut(stdout.String(), "\n")
	if kind == "node" {
		line, _, _ = strings.Cut(line, " ("+o.State) // and since when
	}
	assert.Truef(t, line == o.Reason.Message, "asgctl begins %q, want %q\n%s", line, o.Reason.Message, stderr.String())
}

// get returns the body of a page.
func get(t *testing.T, address string) []byte {
	response, err := http.Get(address)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.Truef(t, err == nil && response.StatusCode == http.StatusOK, "%s answers %s, %v: %s", address, response.Status, err, body)
	return body
}
