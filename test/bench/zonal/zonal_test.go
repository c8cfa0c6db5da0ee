package zonal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// It runs our autoscaler alone in one cell. It leaves out stock, because building it takes minutes.
func TestBenchRunsOurAutoscaler(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane")
	}
	var stdout, stderr bytes.Buffer
	args := []string{"-cell", "bound volumes of one zone|untagged|suspended|allowed", "-who", "ours", "-wait", "1m", "-o", "json"}
	require.Zerof(t, Main(t.Context(), args, &stdout, &stderr), "exit code: %s", &stderr)
	var got report
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, stdout.String())
	}
	assert.Truef(t, len(got.Runs) == 1 && got.Runs[0].Running == 3 && got.Runs[0].Lost == 0 && got.Runs[0].Error == "",
		"runs %+v, want one with three pods that run; progress:\n%s", got.Runs, stderr.String())
}

// Cells that end soon, with ours alone. README.md has the number of pods that ran at the end with stock.
func TestPodsRunAtTheEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("runs control planes")
	}
	o := options{who: []string{ours}, ours: []string{"--asg-zonal-groups=tagged"}}
	binary, err := harness.Build(t.Context(), t.TempDir(), t.Output(), false)
	require.NoError(t, err)
	rows, found := measured(t), 0
	for _, c := range cells() {
		if !slices.Contains([]string{
			"bound volumes of one zone|untagged|suspended|denied",
			"bound volumes|untagged|AZRebalance|allowed",
			"bound volumes|mixed policy|AZRebalance|allowed",
		}, c.label()) {
			continue
		}
		found++
		t.Run(strings.ReplaceAll(c.label(), "|", ", "), func(t *testing.T) {
			t.Parallel()
			o, want := o, max(1, rows[c.label()].stock)
			if o.wait = 20 * time.Second; c.kind == untagged && !c.denied {
				o.wait, want = time.Minute, c.pods
			}
			r := &run{cell: c, contestant: o.contestants()[0], binary: binary, progress: t.Output(), mu: &sync.Mutex{}}
			got, err := r.measure(t.Context(), o, t.TempDir())
			require.NoError(t, err)
			assert.Truef(t, got.Running >= want && got.Lost <= 0,
				"%d pods run at the end and %d were lost, want %d and none lost", got.Running, got.Lost, want)
		})
	}
	assert.Equal(t, 3, found, "cells of these names")
}

// A row has the pods that ran at the end of a cell.
type row struct{ stock, ours int }

// measured are the rows of README.md, by the names of their cells.
func measured(t *testing.T) map[string]row {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	rows := map[string]row{}
	for line := range strings.Lines(string(text)) {
		columns := regexp.MustCompile("  +").Split(strings.TrimSpace(line), -1)
		if len(columns) < 6 {
			continue
		}
		var r row
		if n, _ := fmt.Sscanf(columns[4], "%d", &r.stock); n == 1 {
			if _, err := fmt.Sscanf(columns[5], "%d", &r.ours); err != nil {
				t.Fatal(err)
			}
			rows[strings.Join(columns[:4], "|")] = r
		}
	}
	return rows
}

func TestNoMeasuredCellIsWorseThanStock(t *testing.T) {
	rows := measured(t)
	for _, c := range cells() {
		r, ok := rows[c.label()]
		assert.Truef(t, ok && r.ours >= r.stock, "%s: %+v, measured %t", c.label(), r, ok)
	}
	assert.Truef(t, len(rows) == len(cells()), "%d rows of %d cells, each with its own name", len(rows), len(cells()))
}

func TestWrongUsageIsReportedBeforeBuilding(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-who", "theirs"}, "-who takes some of stock,ours"},
		{[]string{"-o", "yaml"}, "-o takes table or json"},
		{[]string{"-wait", "0s"}, "-wait is above zero"},
		{[]string{"c"}, `no arguments beside the flags, but ["c"]`},
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(t.Context(), tt.args, &stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%q: exit code %d, %q, want 2 and %q", tt.args, code, stderr.String(), tt.want)
		}
	}
}

func TestCellWithFewerPodsThanStockIsWorse(t *testing.T) {
	runs := func(running int) result { return result{Cell: "p|g|r|l", Running: running} }
	failed := runs(0)
	failed.Error = "no control plane"
	for _, tt := range []struct {
		name         string
		theirs, ours result
		worse        int
		verdict      string
	}{
		{"as many", runs(2), runs(2), 0, "\n"},
		{"more", runs(1), runs(2), 0, "better"},
		{"fewer", runs(2), runs(1), 1, "worse"},
		{"not run", runs(1), failed, 0, "could not be run"},
	} {
		var out strings.Builder
		r := report{Runs: []result{tt.theirs, tt.ours}}
		err, worse := r.WriteTable(&out), r.worse()
		assert.Truef(t, err == nil && worse == tt.worse && strings.Contains(out.String(), tt.verdict),
			"%s: %d worse (error %v), want %d and %q in\n%s", tt.name, worse, err, tt.worse, tt.verdict, out.String())
	}
}

func moment(second int) time.Time { return time.Date(2026, 11, 1, 12, 0, second, 0, time.UTC) }

func TestInstancesCountSinceTheStart(t *testing.T) {
	at := func(second int, kind fakeaws.EventKind, id string) fakeaws.Event {
		return fakeaws.Event{Time: moment(second), Kind: kind, Group: group, Instance: id, Node: "node-" + id}
	}
	others := at(1, fakeaws.Launched, "i-system")
	others.Group = "system"
	got := instances([]fakeaws.Event{
		at(0, fakeaws.Launched, "i-0"), others, at(1, fakeaws.Launched, "i-1"), at(31, fakeaws.NodeRegistered, "i-1"), at(32, fakeaws.NodeReady, "i-1"),
		at(2, fakeaws.Launched, "i-2"), at(40, fakeaws.ScaleInKill, "i-2"), at(41, fakeaws.Terminated, "i-2"),
		{Time: moment(59), Kind: fakeaws.DesiredChanged, Group: group, From: 2, To: 1},
	}, moment(1))
	want := []instance{{id: "i-1", node: "node-i-1"}, {id: "i-2", ended: moment(40)}}
	assert.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(instance{})), "(-want +got)")
}

func TestPodEndsWithItsInstance(t *testing.T) {
	pod := func(node string, running, gone int) harness.Pod {
		p := harness.Pod{Node: node}
		if running > 0 {
			p.Running = moment(running)
		}
		if gone > 0 {
			p.Gone = moment(gone)
		}
		return p
	}
	r := record{end: moment(59), instances: []instance{{node: "killed", ended: moment(50)}, {node: "drained", ended: moment(50)}, {node: "there"}}, pods: []harness.Pod{
		pod("killed", 10, 0), pod("killed", 11, 55), pod("drained", 12, 49), pod("there", 13, 0), {},
	}}
	before, after, lost := r.runningAt(moment(40)), r.runningAt(r.end), r.lost()
	assert.Truef(t, before == 4 && after == 1 && lost == 2, "%d run before, %d after, %d lost, want 4, 1 and 2", before, after, lost)
	if got := r.count(result{}, moment(2), 4); got.AllRun != 11 || got.Seconds != 57 || got.Running != 1 || got.Lost != 2 || got.Launched != 3 {
		t.Errorf("result %+v, want all four 11 s after the beginning", got)
	}
	at := r.allRun(5)
	assert.Truef(t, at.IsZero(), "five of four pods ran at %s", at)
}
