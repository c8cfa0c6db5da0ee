package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestAskedForReadsTheCoresLog(t *testing.T) {
	got := askedFor(`I1120 orchestrator.go:265] Final scale-up plan: [{web/z-a 0->2 (max: 5)} {web/z-b 1->2 (max: 4)}]
I1120 executor.go:164] Scale-up: setting group web/z-a size to 2
`, "I1120 orchestrator.go:265] Final scale-up plan: [{web 3->4 (max: 8)}]\n", "I1120 orchestrator.go:265] Final scale-up plan: [{web/z-b 2->5 (max: 5)}]\n")
	want := map[place]int{{"web", "z-a"}: 2, {"web", "z-b"}: 4, {"web", ""}: 1}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(place{})); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

// synchronous are the events of our own launch of one instance in a zone.
func synchronous(zone string) []fakeaws.Event {
	return []fakeaws.Event{
		{Kind: fakeaws.Launched, Group: "web", Zone: zone},
		{Kind: fakeaws.DesiredChanged, Group: "web", By: "LaunchInstances autoscaler", From: 1, To: 2},
	}
}

func TestLaunchInUnrequestedZoneIsViolation(t *testing.T) {
	const planned = "Final scale-up plan: [{web/z-a 1->2 (max: 5)}]\n"
	for _, tt := range []struct {
		name   string
		log    string
		events []fakeaws.Event
		guilty bool
	}{
		{name: "where it was asked for", log: planned, events: synchronous("z-a")},
		{name: "in another zone", log: planned, events: synchronous("z-b"), guilty: true},
		{name: "more than was asked for", log: planned, events: append(synchronous("z-a"), synchronous("z-a")...), guilty: true},
		{name: "the group as a whole was asked for", log: "Final scale-up plan: [{web 1->2 (max: 5)}]\n", events: synchronous("z-b")},
		{name: "by AWS", log: planned, events: []fakeaws.Event{
			{Kind: fakeaws.DesiredChanged, Group: "web", By: "set-desired", From: 1, To: 2}, {Kind: fakeaws.Launched, Group: "web", Zone: "z-b"}}},
		{name: "the rest is left to AWS", log: planned, events: append(synchronous("z-a"),
			fakeaws.Event{Kind: fakeaws.DesiredChanged, Group: "web", By: "LaunchInstances autoscaler", From: 2, To: 3}), guilty: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var j judge
			j.misplaced(tt.events, tt.log)
			if got := len(j.violations) > 0; got != tt.guilty {
				t.Errorf("violations = %q, want any: %t", j.violations, tt.guilty)
			}
		})
	}
}

func TestUndisturbedLimitsAndZones(t *testing.T) {
	start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	groups := byName(account(Plan{Zonal: true}))
	raised := func(group string, at time.Time) []fakeaws.Event {
		return []fakeaws.Event{{Kind: fakeaws.DesiredChanged, Group: group, By: "SetDesiredCapacity autoscaler", From: 1, To: 2, Time: at}}
	}
	for _, tt := range []struct {
		name   string
		events []fakeaws.Event
		log    string
		guilty bool
	}{
		{name: "a group of several zones is raised", events: raised("db-od", start), guilty: true},
		{name: "a group of several zones was raised before", events: raised("db-od", start.Add(-1))},
		{name: "a group of one zone is raised", events: raised("web-a", start)},
		{name: "more was asked for than there is room", log: `"The group has less room than it seemed" group="db-od" asked=9 room=5` + "\n", guilty: true},
		{name: "the core meets the maximum", log: "a desired capacity of 7 is above its maximum size of 6\n", guilty: true},
		{name: "the core meets the minimum", log: "a desired capacity of 0 is below its minimum size of 1\n", guilty: true},
		{name: "AWS names the maximum", log: "ValidationError: Launching 1 of capacity would bring the desired capacity to 7, above max value 6\n", guilty: true},
		{name: "AWS names the minimum", log: "ValidationError: Terminating instance without replacement will violate group's min size constraint.\n", guilty: true},
		{name: "AWS does not know an instance", log: "ValidationError: Instance Id not found\n"},
		{name: "nothing to complain of", log: "Launched instances\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var j judge
			j.undisturbed(start, tt.events, groups, tt.log)
			if got := len(j.violations) > 0; got != tt.guilty {
				t.Errorf("violations = %q, want any: %t", j.violations, tt.guilty)
			}
		})
	}
}

func TestNodeGroupDifferencesAreReported(t *testing.T) {
	groups := []fakeaws.GroupState{
		{Name: "db", Zones: []string{"z-a", "z-b"}, Desired: 3, Max: 6},
		{Name: "web-a", Zones: []string{"z-a"}, Desired: 1, Max: 8},
	}
	type ng struct {
		name         string
		target, most int
	}
	for _, tt := range []struct {
		name string
		seen []ng
		want string // part of the only difference, empty for none
	}{
		{name: "one for each zone", seen: []ng{{"db/z-a", 2, 4}, {"db/z-b", 1, 2}, {"web-a", 1, 8}}},
		{name: "a size counted twice", seen: []ng{{"db/z-a", 3, 4}, {"db/z-b", 1, 2}, {"web-a", 1, 8}}, want: "have a size of 4"},
		{name: "a maximum each", seen: []ng{{"db/z-a", 2, 6}, {"db/z-b", 1, 6}, {"web-a", 1, 8}}, want: "at most 12"},
		{name: "a zone is missing", seen: []ng{{"db/z-a", 3, 6}, {"web-a", 1, 8}}, want: `no node group "db/z-b"`},
		{name: "the group beside its zones", seen: []ng{{"db", 3, 6}, {"db/z-a", 2, 4}, {"db/z-b", 1, 2}, {"web-a", 1, 8}}, want: `a node group "db"`},
		{name: "twice", seen: []ng{{"db/z-a", 2, 4}, {"db/z-b", 1, 2}, {"web-a", 1, 8}, {"web-a", 1, 8}}, want: "twice"},
		{name: "a group of one zone is divided", seen: []ng{{"db/z-a", 2, 4}, {"db/z-b", 1, 2}, {"web-a", 1, 8}, {"web-a/z-a", 0, 0}}, want: `"web-a/z-a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s clusterStatus
			for _, n := range tt.seen {
				one := nodeGroupStatus{Name: n.name}
				one.Health.Target, one.Health.Max = n.target, n.most
				s.NodeGroups = append(s.NodeGroups, one)
			}
			got := s.differences(groups)
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
				t.Errorf("differences = %q, want one with %q", got, tt.want)
			}
		})
	}
}
