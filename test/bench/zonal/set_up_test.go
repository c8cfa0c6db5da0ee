package zonal

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

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
