package pages

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	testclock "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func get(t testing.TB, report *decision.Report, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	page := NewPage(func() *decision.Report { return report }, testclock.NewFakeClock(now))
	page.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer
}

func TestFilesAreServed(t *testing.T) {
	for path, kind := range map[string]string{"/status": "text/html", "/status/style.css": "text/css", "/status/app.js": "text/javascript", "/status/icon.svg": "image/svg+xml"} {
		answer := get(t, busy(), path)
		if got := answer.Header().Get("Content-Type"); answer.Code != http.StatusOK || strings.TrimSuffix(got, "; charset=utf-8") != kind {
			t.Errorf("%s: %d %s, want %s", path, answer.Code, got, kind)
		}
		assert.Equal(t, policy, answer.Header().Get("Content-Security-Policy"), path)
	}
	for _, path := range []string{"/status/", "/status/page.html", "/status/../status", "/"} {
		assert.Truef(t, get(t, busy(), path).Code != http.StatusOK, "%s is served", path)
	}
}

func TestOnlyReadsAreAnswered(t *testing.T) {
	handler := NewPage(busy, testclock.NewFakeClock(now))
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, Path, nil))
		assert.Equalf(t, http.StatusMethodNotAllowed, answer.Code, "%s", method)
	}
}

// The page is served below a prefix by the API server's proxy, and its policy allows neither inline code nor other origins.
func TestAddressesAreRelative(t *testing.T) {
	page := get(t, busy(), Path).Body.String()
	addresses := regexp.MustCompile(`(?:href|src|action|data)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	require.Truef(t, len(addresses) >= 5, "%d addresses found", len(addresses))
	for _, a := range addresses {
		assert.Falsef(t, strings.HasPrefix(a[1], "/") || strings.Contains(a[1], ":"), "address %q is not relative", a[1])
	}
	assert.Equal(t, "", regexp.MustCompile(`(?i)\sstyle=|<style|\son\w+=|<script>|<script [^>]*>[^<]`).FindString(page),
		"the page has inline code or style")
}

// hostile is text as somebody would write it who may name a pod, a group or a tag.
var hostile = `<script>hacked=1</script><img src=x onerror=hacked=1>"' onfocus=hacked=1 autofocus x="` + "\u202e\u2066\u200f\x00\x1b[31m\u2028" + `{{.}}javascript:hacked=1` + strings.Repeat("é", 2000)

// fill writes the text into each string below a value, and gives empty lists three elements.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fill(v.Elem(), text)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[time.Time]() {
				fill(v.Field(i), text)
			}
		}
	case reflect.Slice:
		if v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		}
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.String:
		v.SetString(text)
	}
}

// hostileReport has the hostile text everywhere, even as states and kinds.
func hostileReport(groups, pods, nodes int) *decision.Report {
	r := large(groups, pods, nodes)
	states := map[int]decision.NodeState{}
	for i, n := range r.Nodes {
		states[i] = n.State
	}
	fill(reflect.ValueOf(r), hostile)
	for i := range r.Nodes {
		r.Nodes[i].State = states[i] // other states are not shown
	}
	for i := range r.Pods {
		r.Pods[i].Cause.Message = fmt.Sprint(i%100, r.Pods[i].Cause.Message)
		r.Pods[i].Search = 0
	}
	return r
}

func TestHostileTextIsEscaped(t *testing.T) {
	page := get(t, hostileReport(20, 100, 50), Path).Body.String()
	n := strings.Count(page, "&lt;script&gt;hacked=1")
	require.Truef(t, n >= 100, "the text is in %d places: the test proves nothing", n)
	for _, bad := range []string{"<script>hacked", "<img", ` x="`, "\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\u2028", strings.Repeat("é", longestMessage)} {
		assert.NotContainsf(t, page, bad, "the page contains %.20q", bad)
	}
}

func TestEstimatesAreMarked(t *testing.T) {
	for _, estimated := range []bool{false, true} {
		r := busy()
		r.Spend.About, r.Groups[0].AboutSpend = estimated, estimated
		page := get(t, r, Path).Body.String()
		for _, want := range []string{"about <b>", "about 3.04"} {
			assert.Truef(t, strings.Contains(page, want) == estimated, "estimated %v: %q is on the page: %v", estimated, want, !estimated)
		}
	}
}

func TestSpendCapsStandBesideTheSpend(t *testing.T) {
	r := busy()
	r.Spend.Caps = []decision.SpendCap{{Of: "cluster", PerHour: 60, Spent: 52.5}, {Of: "team=ml", PerHour: 60, Spent: 52.5, About: true}, {Of: "web", Group: "web", PerHour: 71.5}}
	r.Spend.Consolidation = &decision.Consolidation{Plans: []decision.ConsolidationPlan{{Saving: 1.25}, {Saving: 2}}}
	page := get(t, r, Path).Body.String()
	for _, want := range []string{"52.50 with new nodes, capped at 60.00 for <bdi>cluster</bdi>", "about 52.50 with new nodes, capped at 60.00 for <bdi>team=ml</bdi>", "3.25 less with fewer or cheaper nodes, see asgctl plan"} {
		assert.Containsf(t, page, want, "%q is not on the page", want)
	}
	assert.NotContains(t, page, "71.50", "the page has the cap of a group, of which there may be thousands")
}

// A group's reason names the cause of its cool-down, or its problem, and no row below repeats it.
func TestGroupSaysItsCauseOnce(t *testing.T) {
	for cause, report := range map[string]*decision.Report{
		"AWS has no capacity for g4dn.xlarge in zone cn-northwest-1b": busy(), "its nodes came up without nvidia.com/gpu": old(),
	} {
		_, groups, _ := strings.Cut(get(t, report, Path).Body.String(), `<section id="groups"`)
		groups, _, _ = strings.Cut(groups, "</section>")
		assert.Equalf(t, 1, strings.Count(groups, cause), "times %q stands among the groups", cause)
	}
}

func TestPauseIsShownWithItsEnd(t *testing.T) {
	pause := &decision.Pause{ScaleDown: true, Reason: decision.Reason{Code: decision.CodePaused, Message: "scale-down is paused until noon", Remedy: "delete the tag"}}
	for state, reason := range map[decision.GroupState]decision.Reason{decision.GroupReady: {}, decision.GroupPaused: pause.Reason} {
		r := quiet()
		p := *pause
		p.ScaleUp = state == decision.GroupPaused
		r.Groups[0].State, r.Groups[0].Reason, r.Groups[0].Paused = state, reason, &p
		if body := get(t, r, Path).Body.String(); strings.Count(body, pause.Reason.Message) != 1 || strings.Count(body, pause.Reason.Remedy) != 1 {
			t.Errorf("a group that is %s names its pause %d times", state, strings.Count(body, pause.Reason.Message))
		}
	}
}

func TestAllNodesAreListedDearestFirst(t *testing.T) {
	r := busy()
	last := "ip-10-0-1-5.cn-northwest-1.compute.internal"
	for i := range r.Nodes {
		if n := &r.Nodes[i]; n.Name == last {
			n.PerHour, n.Utilization = 0, -1
		}
	}
	for n := range mostEvery {
		r.Nodes = append(r.Nodes, decision.Node{Name: fmt.Sprintf("small-%03d", mostEvery-1-n), State: decision.NodeNeeded, PerHour: 0.01, Utilization: 0.5})
	}
	cells := func() (rows [][]string) {
		page := get(t, r, Path).Body.String()
		_, list, _ := strings.Cut(page, `data-key="every"`)
		list, _, _ = strings.Cut(list, "</section>")
		assert.Truef(t, strings.Contains(list, "All nodes: 106") && strings.Contains(list, "6 more in"),
			"the list does not say how many nodes there are: %.200s", list)
		for _, row := range regexp.MustCompile(`(?s)<tr role="row" data-key.*?</tr>`).FindAllString(list, -1) {
			var texts []string
			for _, cell := range regexp.MustCompile(`(?s)<t[hd] .*?</t[hd]>`).FindAllString(row, -1) {
				texts = append(texts, html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(cell, "")))
			}
			rows = append(rows, texts)
		}
		return rows
	}
	rows := cells()
	require.Equal(t, mostEvery, len(rows), "rows")
	want := [][]string{
		{"i-0a61e8f2b7c94d351g4dn-spot · g4dn.xlarge · spot · cn-northwest-1a", "starting 21 Nov 14:31:27", "-", "about 1,334 CNY", "the instance is launching"},
		{"ip-10-0-1-17.cn-northwest-1.compute.internalg4dn-spot · g4dn.xlarge · spot · cn-northwest-1a", "starting 21 Nov 14:31:56", "-", "about 1,334 CNY",
			"the device plugin has not published nvidia.com/gpu yet"},
		{"ip-10-0-3-77.cn-northwest-1.compute.internalweb · c5.xlarge · spot · cn-northwest-1a", "blocked 21 Nov 11:32:08", "9 %", "about 378 CNY",
			"a disruption budget allows no eviction pod shop/cart-0Next stepkubectl -n shop get poddisruptionbudget cart "},
	}
	assert.Empty(t, cmp.Diff(want, rows[:3]), "rows (-want +got)")
	assert.Equal(t, "small-000 · small-094 · ", rows[5][0]+rows[mostEvery-1][0], "equal prices come in the order")
	r.Nodes = r.Nodes[:6]
	for n := range 100 {
		r.Nodes = append(r.Nodes, decision.Node{Name: fmt.Sprintf("zero-%03d", n), State: decision.NodeNeeded, Utilization: -1})
	}
	rows = cells()
	assert.Truef(t, rows[5][0][:len(last)] == last && rows[5][2] == "-" && rows[5][3] == "-", "row without a price: %q", rows[5])
}

// A command may undo what somebody has changed since the last reading.
func TestOldFactsComeWithoutCommands(t *testing.T) {
	for name, report := range map[string]*decision.Report{"fresh": busy(), "old": old()} {
		page := get(t, report, Path).Body.String()
		for _, part := range []string{"pods", "groups", "nodes"} {
			_, text, found := strings.Cut(page, `<section id="`+part+`"`)
			text, _, _ = strings.Cut(text, "</section>")
			commands, mend := strings.Contains(text, `class="command"`), strings.Contains(text, "mend the reading first")
			assert.Truef(t, found && commands == (name == "fresh") && mend == (name == "old"), "%s facts: %s with the wrong steps:\n%s", name, part, text)
		}
	}
}

// Names and texts of the greatest length make a page ten times as large.
func TestLargePageIsSmall(t *testing.T) {
	for _, tt := range []struct {
		name   string
		report *decision.Report
		most   int
	}{
		{"large", large(1000, 10_000, 5000), 600_000},
		{"hostile", hostileReport(1000, 10_000, 5000), 6_000_000},
	} {
		size := get(t, tt.report, Path).Body.Len()
		t.Logf("%s: %d bytes", tt.name, size)
		assert.Truef(t, size < tt.most && size >= 50_000, "%s: %d bytes, want less than %d", tt.name, size, tt.most)
	}
}

// Whoever asks how often costs one rendering a second.
func TestOneRenderingServesAll(t *testing.T) {
	clock := testclock.NewFakeClock(now)
	renderings := 0
	handler := NewPage(func() *decision.Report { renderings++; return busy() }, clock)
	ask := func() {
		for range 10 {
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, Path, nil))
		}
	}
	ask()
	clock.Step(renderInterval)
	ask()
	assert.Equal(t, 2, renderings, "renderings")
}

func TestShadowComparesItselfWithTheLeader(t *testing.T) {
	report := busy()
	assert.NotContains(t, get(t, report, "/status").Body.String(), "As a shadow", "the page of a leader speaks of a shadow")
	c := decision.Comparison{From: now, Pods: 3, Both: 3, Sooner: 27, Groups: map[string]decision.Sides[int]{"web": {Shadow: 1}, "batch": {Leader: 2}}}
	report.Shadow = &decision.Shadow{Waiting: 1, Refused: 2, Days: []decision.ShadowDay{{Day: "2026-11-25", Launches: c, Times: 1}},
		Comparisons: []decision.Comparison{c, {From: now, Node: "n", Groups: map[string]decision.Sides[int]{"web": {Leader: 1}}}}}
	text := get(t, report, "/status").Body.String()
	for _, want := range []string{"1 pod for which it would have asked for a node waits for the leader", "2 writes kept back", "2026-11-25",
		"9.0 s sooner, other groups, 1 node fewer, at the same price", "1 in web", "(leader: 2)", "the shadow would have kept it"} {
		assert.Containsf(t, text, want, "no %q on the page", want)
	}
}

func TestLimitsByTheClockAreShown(t *testing.T) {
	report := busy()
	const limit = "at least 3 from 2026-11-26 08:00 UTC until 2026-11-26 18:00 UTC by its tag office"
	report.Groups[0].Clock = []string{limit}
	assert.Containsf(t, get(t, report, Path).Body.String(), "<bdi>"+limit+"</bdi>", "no %q on the page", limit)
}
