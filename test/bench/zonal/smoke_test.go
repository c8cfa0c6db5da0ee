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
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
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

func TestVolumesAreInTheZonesOfTheirPods(t *testing.T) {
	zones := map[string]string{}
	for _, document := range strings.Split(statefulYAML, "\n---\n") {
		var volume corev1.PersistentVolume
		if err := yaml.Unmarshal([]byte(document), &volume); err != nil {
			t.Fatal(err)
		}
		if volume.Kind != "PersistentVolume" {
			continue
		}
		name := strings.TrimPrefix(volume.Spec.ClaimRef.Name, "data-")
		for _, need := range volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions {
			if zone := need.Values[0]; zones[name] != "" && zones[name] != zone {
				t.Errorf("the volume of %q is in two zones", name)
			}
			zones[name] = need.Values[0]
		}
	}
	if diff := cmp.Diff(boundTo, zones); diff != "" {
		t.Errorf("(-said +volumes):\n%s", diff)
	}
}

func TestAccountMatchesTheScenarios(t *testing.T) {
	account, err := fakeaws.ParseConfig(accountYAML)
	if err != nil {
		t.Fatal(err)
	}
	if account.Region != region {
		t.Errorf("the account is in %q, its prices are of %q", account.Region, region)
	}
	system := 0
	for _, g := range account.AutoScalingGroups {
		if g.Name != group {
			system += g.Desired
			continue
		}
		if !slices.Contains(g.Zones, shortZone) || g.Zones[0] == shortZone {
			t.Errorf("%q is to be a zone of the group, and not its first: %q", shortZone, g.Zones)
		}
	}
	if system != systemNodes {
		t.Errorf("%d system nodes, want %d", system, systemNodes)
	}
}

func TestInstancesCountSinceTheStart(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	at := func(after float64, kind fakeaws.EventKind, id string) fakeaws.Event {
		return fakeaws.Event{Time: start.Add(time.Duration(after * float64(time.Second))), Kind: kind, Group: group, Instance: id,
			InstanceType: "m5.large", Zone: zoneA, Node: "node-" + id}
	}
	others := at(1, fakeaws.Launched, "i-system")
	others.Group = "system"
	got := instances([]fakeaws.Event{
		others,
		at(1, fakeaws.Launched, "i-1"), at(31, fakeaws.NodeRegistered, "i-1"), at(32, fakeaws.NodeReady, "i-1"),
		at(2.0004, fakeaws.Launched, "i-2"), at(40, fakeaws.ScaleInKill, "i-2"), at(41, fakeaws.Terminated, "i-2"),
		{Time: start.Add(time.Minute), Kind: fakeaws.DesiredChanged, Group: group, From: 2, To: 1},
	}, start)
	want := []instance{
		{ID: "i-1", Type: "m5.large", Zone: zoneA, Node: "node-i-1", Launched: 1, Ready: 32},
		{ID: "i-2", Type: "m5.large", Zone: zoneA, Launched: 2, Released: 40, Gone: 41},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
