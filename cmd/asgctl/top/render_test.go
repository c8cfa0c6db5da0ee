package top

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

var update = flag.Bool("update", false, "rewrite the golden screens")

// status is a report of a cluster in which something of every kind happens.
func status(t testing.TB) *decision.Report {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "status.json"))
	if err != nil {
		t.Fatal(err)
	}
	report := &decision.Report{}
	if err := json.Unmarshal(text, report); err != nil {
		t.Fatal(err)
	}
	return report
}

// typing is the view after the keys.
func typing(t testing.TB, v View, in string) View {
	t.Helper()
	r := status(t)
	for _, key := range keys(in) {
		var quit bool
		if v, quit = v.Press(key); quit {
			t.Fatalf("%q ends the program", in)
		}
		_, v = v.Render(r, r.At)
	}
	return v
}

func TestEstimatesAreMarked(t *testing.T) {
	r := status(t)
	r.Spend.About, r.Groups[0].AboutSpend = true, true
	if got := spend(r); !strings.HasPrefix(got, "about ") {
		t.Errorf("spend = %q", got)
	}
	if got := money(1.5, true).text.text; got != "about 1.50" {
		t.Errorf("cost = %q", got)
	}
}

func screen(lines []Line) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

func TestScreens(t *testing.T) {
	for _, tt := range []struct {
		name          string
		width, height int
		keys          string
		failure       string
	}{
		{name: "80x24", width: 80, height: 24},
		{name: "140x40", width: 140, height: 40},
		{name: "80x24-pods-focused", width: 80, height: 24, keys: "3"},
		{name: "80x15-one-panel", width: 80, height: 15, keys: "\t"},
		{name: "80x24-help", width: 80, height: 24, keys: "?"},
		{name: "80x24-pod-details", width: 80, height: 24, keys: "3\r"},
		{name: "140x40-group-details", width: 140, height: 40, keys: "jjj\r"},
		{name: "80x24-node-details", width: 80, height: 24, keys: "2G\r"},
		{name: "80x24-all-nodes", width: 80, height: 24, keys: "n"},
		{name: "140x40-all-nodes-by-use", width: 140, height: 40, keys: "nsssssssss"},
		{name: "80x24-decision-details", width: 80, height: 24, keys: "4\r"},
		{name: "80x24-filter", width: 80, height: 24, keys: "/GPU\r"},
		{name: "80x24-filter-typed", width: 80, height: 24, keys: "/webb\x1b[A\x1b[1;5A\x7f"},
		{name: "80x24-paused-by-cost", width: 80, height: 24, keys: "ssssss "},
		{name: "80x24-failed", width: 80, height: 24, failure: "the API server is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := status(t)
			v := typing(t, View{Width: tt.width, Height: tt.height, Program: "asgctl"}, tt.keys)
			v.Failure = tt.failure
			lines, _ := v.Render(r, r.At.Add(2*time.Second))
			exact(t, lines, tt.width, tt.height)
			path := filepath.Join("testdata", tt.name+".golden.txt")
			if *update {
				if err := os.WriteFile(path, []byte(screen(lines)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), screen(lines)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// exact fails unless the lines fill the screen.
func exact(t *testing.T, lines []Line, width, height int) {
	t.Helper()
	if len(lines) != height {
		t.Errorf("%d lines, want %d", len(lines), height)
	}
	for i, line := range lines {
		if n := cells(line.String()); n != width {
			t.Errorf("line %d has %d cells, want %d: %q", i, n, width, line)
		}
	}
}

func TestEverySizeAndPageIsFilled(t *testing.T) {
	r := status(t)
	for _, empty := range []bool{false, true} {
		if empty {
			r = &decision.Report{Version: decision.Version}
		}
		for _, width := range []int{1, 39, 60, 80, 99, 100, 120, 300} {
			for _, height := range []int{1, 9, 10, 15, 16, 17, 24, 100} {
				for _, in := range []string{"", "?", "\r", "3\r", "4G", "/x", "2s"} {
					v := typing(t, View{Width: width, Height: height, Program: "kubectl asg"}, in)
					lines, _ := v.Render(r, r.At)
					exact(t, lines, width, height)
				}
			}
		}
	}
}

// look is all that a terminal gets besides printable characters.
var look = regexp.MustCompile("\x1b\\[[0-9]*m")

func TestHostileTextsAreDrawnHarmlessly(t *testing.T) {
	const hostile = "\x1b[2J\x1b]0;title\x07\x9b31m\u202egnp\u200b\r\n\b日本語\u0301\xff\u2028\x7f🚀"
	text, err := json.Marshal(status(t))
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(poisoned(document, hostile))
	if err != nil {
		t.Fatal(err)
	}
	r := &decision.Report{}
	if err := json.Unmarshal(quoted, r); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{60, 80, 140} {
		for _, in := range []string{"", "1\r", "2\r", "3\r", "4\r", "/\u202e\x9b日本"} {
			v := typing(t, View{Width: width, Height: 40, Program: "asgctl"}, in)
			v.Failure = map[bool]string{true: hostile}[width == 80]
			lines, _ := v.Render(r, r.At)
			exact(t, lines, width, 40)
			for _, line := range lines {
				harmless(t, look.ReplaceAllString(line.paint(true), ""))
			}
		}
	}
	for line := range strings.SplitSeq(Table(r), "\n") {
		harmless(t, line)
	}
}

func harmless(t *testing.T, line string) {
	t.Helper()
	for _, c := range line {
		if !unicode.IsPrint(c) || unicode.Is(unicode.M, c) {
			t.Fatalf("%U is drawn in %q", c, line)
		}
	}
}

// poisoned puts text into every string of a JSON document that is no time, version or state.
func poisoned(v any, text string) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = poisoned(v[i], text)
		}
	case map[string]any:
		for key := range v {
			if !slices.Contains([]string{"version", "state", "kind"}, key) {
				v[key] = poisoned(v[key], text)
			}
		}
	case string:
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			return v + text
		}
	}
	return v
}

func TestStepByOldFactsIsConditional(t *testing.T) {
	r := status(t)
	r.Reading = decision.Reading{At: r.At.Add(-time.Hour), Failure: decision.Reason{Message: "denied"}}
	lines, _ := typing(t, View{Width: 140, Height: 40, Program: "asgctl"}, "3\r").Render(r, r.At)
	if got := screen(lines); !strings.Contains(got, "Remedy: mend the reading first, because this may no longer be so") {
		t.Errorf("no condition on the next step:\n%s", got)
	}
}

func TestPausedViewKeepsItsReport(t *testing.T) {
	first, second := status(t), status(t)
	l := live{}
	l.take(reading{report: first})
	l.view.Paused = true
	l.take(reading{err: os.ErrDeadlineExceeded})
	l.take(reading{report: second})
	if l.report != first || l.view.Failure != "" {
		t.Errorf("a paused view takes another report, failure %q", l.view.Failure)
	}
	l.view.Paused = false
	l.take(reading{err: os.ErrDeadlineExceeded})
	if l.report != first || l.view.Failure == "" {
		t.Errorf("a reading that fails takes the report away or is not shown: failure %q", l.view.Failure)
	}
	l.take(reading{report: second})
	if l.report != second || l.view.Failure != "" {
		t.Errorf("the next report is not taken, failure %q", l.view.Failure)
	}
}

func TestColours(t *testing.T) {
	line := Line{{"a", bad}, {"b", bold}, {"c", plain}}
	for _, tt := range []struct {
		colour bool
		want   string
	}{
		{true, "\x1b[31ma\x1b[0m\x1b[1mb\x1b[0mc"},
		{false, "a\x1b[1mb\x1b[0mc"},
	} {
		if got := line.paint(tt.colour); got != tt.want {
			t.Errorf("colour %v: %q, want %q", tt.colour, got, tt.want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		right bool
		want  string
	}{
		{"abc", 5, false, "abc  "},
		{"abc", 5, true, "  abc"},
		{"abcdef", 4, false, "abc…"},
		{"日本語", 6, false, "日本語"},
		{"日本語", 5, false, "日本…"},
		{"日本語", 4, false, "日… "},
		{"日本語", 1, false, "…"},
		{"a", 0, false, ""},
	} {
		if got := fit(tt.text, tt.width, tt.right); got != tt.want {
			t.Errorf("fit(%q, %d) = %q, want %q", tt.text, tt.width, got, tt.want)
		}
	}
}

func TestWrapped(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"one two three", "one two|three"},
		{"a --flag=abcdefghij b", "a|--flag=ab|cdefghij|b"},
		{"日本語日本語", "日本語日|本語"},
	} {
		if got := strings.Join(wrapped(tt.text, 9), "|"); got != tt.want {
			t.Errorf("wrapped(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		least, desired, most, ready int
		want                        string
	}{
		{0, 0, 10, 0, "|··········"},
		{2, 5, 10, 4, "██|██▒·····"},
		{3, 8, 10, 1, "█▒▒|▒▒▒▒▒··"},
		{10, 10, 10, 10, "██████████|"},
		{0, 1, 1000, 1, "|█·········"},
		{0, 12, 10, 12, "|██████████"},
		{0, 0, 0, 0, "|··········"},
		{-1, -2, -3, -4, "|··········"},
	} {
		got := Line.String(bar(&decision.Group{Min: tt.least, Desired: tt.desired, Max: tt.most, Ready: tt.ready}, 11))
		if got != tt.want {
			t.Errorf("bar of %+v is %s", tt, got)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"qü", []string{"q", "ü"}},
		{"\x1b[A\x1bOB\x1b[5~\x1b[Z", []string{"up", "down", "page up", "shift+tab"}},
		{"\x1b", []string{"escape"}},
		{"\x1b[1;5A\x1b[200~x", []string{"\x1b[1;5A", "\x1b[200~", "x"}},
		{"\n\r\t", []string{"enter", "enter", "tab"}},
		{"\x1b[", []string{"escape", "["}},
		{"\x1b[1", []string{"\x1b[1"}},
	} {
		if got := keys(tt.in); !slices.Equal(got, tt.want) {
			t.Errorf("keys(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestQuit(t *testing.T) {
	for _, tt := range []struct {
		before string
		key    string
		want   bool
	}{
		{"", "q", true},
		{"", "ctrl+c", true},
		{"/", "q", false},
		{"/", "ctrl+c", true},
		{"?", "q", true},
		{"", "escape", false},
	} {
		if _, quit := typing(t, View{Width: 80, Height: 24}, tt.before).Press(tt.key); quit != tt.want {
			t.Errorf("after %q, key %s ends the program: %v", tt.before, tt.key, quit)
		}
	}
}

func TestEveryColumnSorts(t *testing.T) {
	r := status(t)
	for p := range panels {
		for _, title := range (View{Width: far}).titles(p) {
			for _, reversed := range []bool{false, true} {
				v := View{Width: far}
				v.lists[p] = list{sort: title, reversed: reversed}
				rows, _, _ := v.rows(p, r, r.At)
				by := slices.IndexFunc(columns[p], func(c column) bool { return c.title == title })
				ordered := slices.IsSortedFunc(rows, func(a, b row) int {
					x, y := a, b
					if reversed != columns[p][by].number {
						x, y = b, a
					}
					if columns[p][by].number {
						return int(x.cells[by].value*1000 - y.cells[by].value*1000)
					}
					return strings.Compare(x.cells[by].text.text, y.cells[by].text.text)
				})
				if !ordered || len(rows) == 0 {
					t.Errorf("%d rows of %s by %s (reversed %v) are in order: %v", len(rows), firstSort[p], title, reversed, ordered)
				}
			}
		}
	}
}

// BenchmarkRender draws a screen of 1,000 groups and 10,000 pods.
func BenchmarkRender(b *testing.B) {
	r := status(b)
	groups, pods := r.Groups, r.Pods
	r.Groups, r.Pods = nil, nil
	for i := range 1000 {
		g := groups[i%len(groups)]
		g.Name = fmt.Sprintf("%s-%d", g.Name, i)
		r.Groups = append(r.Groups, g)
	}
	for i := range 10000 {
		p := pods[i%len(pods)]
		p.Name = fmt.Sprintf("%s-%d", p.Name, i)
		r.Pods = append(r.Pods, p)
	}
	v := View{Width: 140, Height: 40, Program: "asgctl", filter: "a"}
	b.ReportAllocs()
	for b.Loop() {
		_, v = v.Render(r, r.At)
	}
}
