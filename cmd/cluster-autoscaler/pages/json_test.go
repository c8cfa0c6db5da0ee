package pages_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/pages"
)

// served is a server with a record of two groups, two pods and two nodes.
func served(t *testing.T) (*httptest.Server, *decision.Record) {
	t.Helper()
	r := decision.New(decision.Process{Version: "1", Leader: true}, clock.RealClock{})
	server := httptest.NewServer(pages.NewJSON(r))
	t.Cleanup(server.Close)
	r.Looped(decision.Loop{Number: 3}, func() decision.Words {
		return decision.Words{
			Groups:   []decision.Group{{Name: "a"}, {Name: "b"}, {Name: "c"}},
			Pods:     []decision.Pod{{Namespace: "x", Name: "p", Search: 0}, {Namespace: "y", Name: "p", Search: 1, Group: "c"}},
			Searches: []decision.Search{{Answers: []decision.Answer{{Group: "a"}}}, {Answers: []decision.Answer{{Group: "b"}}}},
			Nodes:    []decision.Node{{Name: "n1", InstanceID: "i-1", Group: "a"}, {Name: "n2", InstanceID: "i-2", Group: "b"}},
		}
	})
	for _, group := range []string{"a", "b", "c"} {
		r.Launched(decision.Launch{Group: group})
		r.Decided(decision.Entry{Group: group})
	}
	r.Spent(decision.Spend{Currency: "USD", PerHour: 2})
	return server, r
}

func get(t *testing.T, url string) (report decision.Report, response *http.Response) {
	t.Helper()
	response, text := ask(t, url, "identity")
	require.NoError(t, json.Unmarshal(text, &report))
	return report, response
}

// ask leaves the answer as it is encoded.
func ask(t *testing.T, url, encoding string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("Accept-Encoding", encoding)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, text
}

func TestReportIsServed(t *testing.T) {
	server, r := served(t)
	got, response := get(t, server.URL)
	assert.Empty(t, cmp.Diff(*r.Report(), got), "served report (-record +got)")
	kind, cached := response.Header.Get("Content-Type"), response.Header.Get("Cache-Control")
	assert.Truef(t, kind == "application/json" && cached == "no-store", "served as %q with %q", kind, cached)
}

func TestReportIsCompressedOnRequest(t *testing.T) {
	server, r := served(t)
	response, packed := ask(t, server.URL, "gzip")
	require.Equal(t, "gzip", response.Header.Get("Content-Encoding"), "encoded as")
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	text, err := io.ReadAll(plain)
	require.NoError(t, err)
	var report decision.Report
	err = json.Unmarshal(text, &report)
	assert.Truef(t, err == nil && report.At.Equal(r.Report().At), "report of %v, error %v", report.At, err)
}

func TestReportThatJSONCannotSayIsNoEmptyAnswer(t *testing.T) {
	server, r := served(t)
	r.Spent(decision.Spend{PerHour: math.NaN()})
	for _, encoding := range []string{"gzip", "identity"} {
		response, text := ask(t, server.URL, encoding)
		assert.Equal(t, http.StatusInternalServerError, response.StatusCode, encoding)
		assert.Equal(t, "the report could not be encoded, see the log\n", string(text), encoding)
		assert.Empty(t, response.Header.Get("Content-Encoding"), encoding)
	}
}

func TestProcessWithoutLeaseSaysSo(t *testing.T) {
	r := decision.New(decision.Process{Version: "1", Started: time.Unix(1, 0)}, clock.RealClock{})
	server := httptest.NewServer(pages.NewJSON(r))
	t.Cleanup(server.Close)
	got, _ := get(t, server.URL)
	assert.Truef(t, !got.Process.Leader && got.Process.Version == "1" && got.Groups != nil && len(got.Groups) == 0,
		"report %+v, want an empty one without a leader", got)
}
