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

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

// It runs our autoscaler alone, in the shortest scenario, until it has launched. It leaves out stock, because building it takes
// minutes.
func TestBenchRunsOurAutoscaler(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane")
	}
	var stdout, stderr bytes.Buffer
	if code := Main(t.Context(), []string{"-only", "a", "-who", "ours", "-wait", "15s", "-o", "json"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var got report
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, stdout.String())
	}
	if len(got.Runs) != 1 || got.Runs[0].Launched != 3 || got.Runs[0].WrongZone != 0 || got.Runs[0].Error != "" {
		t.Errorf("runs %+v, want one with three launches, none in a wrong zone; progress:\n%s", got.Runs, stderr.String())
	}
}

// Cells that end soon, with ours alone. README.md has the number of pods that ran at the end with stock.
func TestPodsRunAtTheEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("runs control planes")
	}
	o := options{who: []string{ours}, ours: []string{"--asg-zonal-groups=tagged"}}
	binary, err := harness.Build(t.Context(), t.TempDir(), t.Output(), false)
	if err != nil {
		t.Fatal(err)
	}
	rows := measured(t)
	for _, c := range cells() {
		s := c.scenario()
		if !slices.Contains([]string{
			"bound volumes of one zone|untagged|suspended|allowed",
			"bound volumes of one zone|untagged|suspended|denied",
			"bound volumes|untagged|AZRebalance|allowed",
			"bound volumes|mixed policy|AZRebalance|allowed",
		}, s.name) {
			continue
		}
		t.Run(strings.ReplaceAll(s.name, "|", ", "), func(t *testing.T) {
			t.Parallel()
			o, want := o, max(1, rows[s.name].stock)
			if o.wait = 20 * time.Second; c.kind == untagged && !c.denied {
				o.wait, want = time.Minute, c.pods
			}
			r := &run{scenario: s, contestant: o.contestants()[0], binary: binary, progress: t.Output(), mu: &sync.Mutex{}}
			got, err := r.measure(t.Context(), o, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if got.atEnd() < want || got.Timeline.lost() > 0 {
				t.Errorf("%d pods run at the end and %d were lost, want %d and none lost", got.atEnd(), got.Timeline.lost(), want)
			}
		})
	}
}

// A row has the pods that ran at the end of a cell.
type row struct{ stock, ours int }

// measured are the rows of README.md, by the names of their cells.
func measured(t *testing.T) map[string]row {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
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
		if r, ok := rows[c.scenario().name]; !ok || r.ours < r.stock {
			t.Errorf("%s: %+v, measured %t", c.scenario().name, r, ok)
		}
	}
}
