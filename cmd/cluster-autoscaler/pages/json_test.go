package pages_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// get returns the report that the path and query give, with its status code.
func get(t *testing.T, url string) (decision.Report, *http.Response) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var report decision.Report
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
			t.Fatal(err)
		}
	}
	return report, response
}

func TestReportIsServed(t *testing.T) {
	server, r := served(t)
	got, response := get(t, server.URL)
	if diff := cmp.Diff(*r.Report(), got); diff != "" {
		t.Errorf("served report (-record +got):\n%s", diff)
	}
	if kind, cached := response.Header.Get("Content-Type"), response.Header.Get("Cache-Control"); kind != "application/json" || cached != "no-store" {
		t.Errorf("served as %q with %q", kind, cached)
	}
}

func TestReportIsNarrowed(t *testing.T) {
	server, _ := served(t)
	for _, tt := range []struct{ query, want string }{
		{"pod=y/p", "groups b c, pods y/p of search 0, searches b, nodes , launches c b, timeline c b"},
		{"pod=x/p", "groups a, pods x/p of search 0, searches a, nodes , launches a, timeline a"},
		{"pod=z/p", "groups , pods , searches , nodes , launches , timeline "},
		{"node=n2", "groups b, pods , searches , nodes n2, launches b, timeline b"},
		{"node=i-1", "groups a, pods , searches , nodes n1, launches a, timeline a"},
		{"node=other", "groups , pods , searches , nodes , launches , timeline "},
	} {
		t.Run(tt.query, func(t *testing.T) {
			r, _ := get(t, server.URL+"?"+tt.query)
			got := fmt.Sprintf("groups %s, pods %s, searches %s, nodes %s, launches %s, timeline %s",
				words(r.Groups, func(g decision.Group) string { return g.Name }),
				words(r.Pods, func(p decision.Pod) string { return fmt.Sprintf("%s/%s of search %d", p.Namespace, p.Name, p.Search) }),
				words(r.Searches, func(s decision.Search) string { return s.Answers[0].Group }),
				words(r.Nodes, func(n decision.Node) string { return n.Name }),
				words(r.Launches, func(l decision.Launch) string { return l.Group }),
				words(r.Timeline, func(e decision.Entry) string { return e.Group }))
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if r.Version != decision.Version || r.Loop.Number != 3 || !r.Process.Leader || r.Spend.PerHour != 2 {
				t.Errorf("report %+v lacks its head", r)
			}
		})
	}
}

func words[T any](list []T, word func(T) string) string {
	var all []string
	for _, element := range list {
		all = append(all, word(element))
	}
	return strings.Join(all, " ")
}

func TestWrongQuestionsAreRefused(t *testing.T) {
	server, _ := served(t)
	for _, query := range []string{"pod=p", "pod=x/p&node=n1"} {
		if _, response := get(t, server.URL+"?"+query); response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s gives %s", query, response.Status)
		}
	}
	response, err := http.Post(server.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST gives %s", response.Status)
	}
}

func TestReportIsCompressedOnRequest(t *testing.T) {
	server, r := served(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip") // by hand, so that the client leaves the answer as it is
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if got := response.Header.Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("encoded as %q", got)
	}
	plain, err := gzip.NewReader(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	var report decision.Report
	if err := json.Unmarshal(text, &report); err != nil || !report.At.Equal(r.Report().At) {
		t.Errorf("report of %v, error %v", report.At, err)
	}
}

func TestProcessWithoutLeaseSaysSo(t *testing.T) {
	r := decision.New(decision.Process{Version: "1", Started: time.Unix(1, 0)}, clock.RealClock{})
	server := httptest.NewServer(pages.NewJSON(r))
	t.Cleanup(server.Close)
	got, _ := get(t, server.URL)
	if got.Process.Leader || got.Process.Version != "1" || got.Groups == nil || len(got.Groups) > 0 {
		t.Errorf("report %+v, want an empty one without a leader", got)
	}
}
