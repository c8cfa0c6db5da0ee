package chaos

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

const (
	ourWrite       = "SetDesiredCapacity autoscaler"
	ourTermination = "TerminateInstanceInAutoScalingGroup autoscaler"
)

func launched(instances ...string) (events []fakeaws.Event) {
	for _, id := range instances {
		events = append(events, fakeaws.Event{Kind: fakeaws.Launched, Group: "web", Instance: id, InstanceType: "m5.large"})
	}
	return events
}

func desired(by string, from, to int) fakeaws.Event {
	return fakeaws.Event{Kind: fakeaws.DesiredChanged, Group: "web", By: by, From: from, To: to}
}

func about(kind fakeaws.EventKind, instance, by string) fakeaws.Event {
	return fakeaws.Event{Kind: kind, Group: "web", Instance: instance, By: by}
}

func later(after time.Duration, e fakeaws.Event) fakeaws.Event {
	e.Time = time.Unix(0, 0).Add(after)
	return e
}

// Node i-1 holds a pod all the time.
func TestOnlyUndrainedNodesByTheAutoscalerAreLost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []fakeaws.Event
		lost   int
	}{
		{name: "nothing terminated"},
		{name: "we terminate a busy node", events: []fakeaws.Event{about(fakeaws.TerminateRequested, "i-1", ourTermination)}, lost: 1},
		{name: "we terminate a drained node", events: []fakeaws.Event{about(fakeaws.TerminateRequested, "i-2", ourTermination)}},
		{name: "somebody else terminates", events: []fakeaws.Event{about(fakeaws.TerminateRequested, "i-1", "operator")}},
		{name: "AWS chooses after our write", events: []fakeaws.Event{desired(ourWrite, 2, 1), about(fakeaws.ScaleInKill, "i-1", "")}, lost: 1},
		{name: "AWS chooses a drained node after our write", events: []fakeaws.Event{desired(ourWrite, 2, 1), about(fakeaws.ScaleInKill, "i-2", "")}},
		{name: "AWS chooses after a schedule", events: []fakeaws.Event{desired("scheduled-action", 2, 1), about(fakeaws.ScaleInKill, "i-1", "")}},
		{name: "AWS chooses after a schedule and our raise",
			events: []fakeaws.Event{desired("scheduled-action", 2, 1), desired(ourWrite, 1, 2), about(fakeaws.ScaleInKill, "i-1", "")}},
		{name: "AWS chooses between our write and a schedule",
			events: []fakeaws.Event{desired(ourWrite, 3, 1), about(fakeaws.ScaleInKill, "i-1", ""), desired("scheduled-action", 1, 0)}, lost: 1},
		{name: "our write meets another writer's raise",
			events: []fakeaws.Event{later(0, desired("set-desired", 2, 4)), later(time.Second, desired(ourWrite, 4, 3)), about(fakeaws.ScaleInKill, "i-1", "")}},
		{name: "our write lowers what readings had to show", lost: 1,
			events: []fakeaws.Event{later(0, desired("set-desired", 2, 4)), later(unseenFor, desired(ourWrite, 4, 3)), about(fakeaws.ScaleInKill, "i-1", "")}},
		{name: "we let a busy node go while a hook holds it", lost: 1,
			events: []fakeaws.Event{about(fakeaws.Replaced, "i-1", "az-rebalance"), about(fakeaws.HookCompleted, "i-1", "CompleteLifecycleAction autoscaler")}},
		{name: "we let a busy node go after a heartbeat", lost: 1,
			events: []fakeaws.Event{later(0, about(fakeaws.Replaced, "i-1", "az-rebalance")),
				later(hookTime+time.Second, about(fakeaws.HookCompleted, "i-1", "CompleteLifecycleAction autoscaler"))}},
		{name: "AWS lets a busy node go, because its hook is over",
			events: []fakeaws.Event{about(fakeaws.Replaced, "i-1", "az-rebalance"), about(fakeaws.Terminated, "i-1", "")}},
		{name: "we let a drained node go while a hook holds it",
			events: []fakeaws.Event{about(fakeaws.Replaced, "i-2", "az-rebalance"), about(fakeaws.HookCompleted, "i-2", "CompleteLifecycleAction autoscaler")}},
		{name: "we reboot a busy node", events: []fakeaws.Event{about(fakeaws.Rebooted, "i-1", "RebootInstances autoscaler")}, lost: 1},
		{name: "we reboot a drained node", events: []fakeaws.Event{about(fakeaws.Rebooted, "i-2", "RebootInstances autoscaler")}},
		{name: "EC2 takes it", events: []fakeaws.Event{about(fakeaws.Reclaimed, "i-1", "")}},
	} {
		assert.Equalf(t, tt.lost, judged(append(launched("i-1", "i-2"), tt.events...)).wrongs.Lost, "%s: lost", tt.name)
	}
}

func judged(events []fakeaws.Event) *judge {
	var j judge
	b := newBench(&j, func(_, _ string) int { return 1 }, func(instance string) scenario.NodeLook {
		if instance == "i-1" {
			return scenario.NodeLook{Node: "node-1", Pods: []string{"default/web"}}
		}
		return scenario.NodeLook{Node: "node-2", Marked: true}
	})
	for _, e := range events {
		b.see(e)
	}
	return &j
}

func TestDrainedNodeWithNewPodsIsReused(t *testing.T) {
	var pods []string
	var j judge
	b := newBench(&j, func(_, _ string) int { return 1 }, func(string) scenario.NodeLook {
		return scenario.NodeLook{Node: "node-1", Marked: len(pods) == 0, Pods: pods}
	})
	for _, id := range []string{"i-1", "i-2"} {
		pods = nil
		b.see(about(fakeaws.TerminateRequested, id, ourTermination))
		if id == "i-2" {
			pods = []string{"default/web"}
		}
		b.see(about(fakeaws.Terminated, id, ""))
	}
	want := (Wrongs{Reused: 1})
	assert.Equalf(t, want, j.wrongs, "wrongs: %q", j.violations)
}

func TestLoweringBelowMembersIsViolation(t *testing.T) {
	ended := about(fakeaws.TerminateRequested, "i-2", ourTermination)
	for _, tt := range []struct {
		name   string
		events []fakeaws.Event // after two launches
		guilty bool
	}{
		{name: "we, below the members", events: []fakeaws.Event{desired(ourWrite, 2, 1)}, guilty: true},
		{name: "an operator, below the members", events: []fakeaws.Event{desired("set-desired", 2, 1)}},
		{name: "we take back what never came", events: []fakeaws.Event{desired(ourWrite, 4, 2)}},
		{name: "we take back one too many", events: []fakeaws.Event{desired(ourWrite, 4, 1)}, guilty: true},
		{name: "we terminate one", events: []fakeaws.Event{ended, desired(ourTermination, 2, 1)}},
		{name: "a termination counts twice", events: []fakeaws.Event{ended, desired(ourTermination, 2, 0)}, guilty: true},
		{name: "an instance that EC2 took is lowered for", events: []fakeaws.Event{about(fakeaws.Reclaimed, "i-2", ""), desired(ourWrite, 2, 1)}},
		{name: "we terminate one of those beyond the desired capacity", events: []fakeaws.Event{
			launched("i-3")[0], ended, desired(ourTermination, 2, 1)}},
	} {
		j := judged(append(launched("i-1", "i-2"), tt.events...))
		assert.Equalf(t, tt.guilty, j.wrongs.Lowered > 0, "%s: violations = %q, want any: %t", tt.name, j.violations, tt.guilty)
	}
}

func TestStateCountsOnceHeld(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name  string
		holds func(after time.Duration) (string, error)
		want  time.Duration
		late  bool
	}{
		{name: "at once", holds: func(time.Duration) (string, error) { return "", nil }},
		{name: "after a second", holds: missingUntil(time.Second), want: time.Second},
		{name: "for a moment and then for good", want: 6 * time.Second, holds: func(after time.Duration) (string, error) {
			if after >= 2*time.Second && after < 4*time.Second {
				return "", nil
			}
			return missingUntil(6 * time.Second)(after)
		}},
		{name: "right before the limit", holds: missingUntil(29 * time.Second), want: 29 * time.Second},
		{name: "too late", holds: missingUntil(31 * time.Second), late: true},
		{name: "never for long", late: true, holds: func(after time.Duration) (string, error) {
			if after/time.Second%4 == 0 {
				return "one pod", nil
			}
			return "", nil
		}},
		{name: "an error", late: true, holds: func(time.Duration) (string, error) { return "", broken }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				got, err := converged(t.Context(), 30*time.Second, held, func(context.Context) (string, error) { return tt.holds(time.Since(start)) })
				assert.Truef(t, (err != nil) == tt.late && (tt.late || got == tt.want),
					"converged after %s, error %v; want %s, late %t", got, err, tt.want, tt.late)
			})
		})
	}
}

func missingUntil(limit time.Duration) func(time.Duration) (string, error) {
	return func(after time.Duration) (string, error) {
		if after < limit {
			return "one pod", nil
		}
		return "", nil
	}
}

func TestSummaryCountsFailuresAndFaults(t *testing.T) {
	var results []Result
	for n := range 100 {
		r := Result{Seed: uint64(n), Faults: map[Kind]int{Latency: 1}, Calls: 10, Spoiled: 2}
		if n == 7 {
			r.Nominations, r.Launched = 3, 5
			r.Wrongs.Stalls, r.Violations = 1, []string{"not every pod runs"}
		}
		if n == 8 {
			r.Launched = 1
		}
		results = append(results, r)
	}
	got := Summarize(results)
	want := Summary{
		Runs: 100, Failed: []string{"7"}, Without: []string{"8"}, Wrongs: Wrongs{Stalls: 1},
		Faults: map[Kind]int{Latency: 100}, Calls: 1000, Spoiled: 200, Nominations: 3, Limits: limitCounts{},
	}
	assert.Empty(t, cmp.Diff(want, got), "summary (-want +got)")
	line := results[7].String()
	assert.Containsf(t, line, "FAILED: not every pod runs", "line of a failed run = %q", line)
}

func TestBurstBringsNoMoreNodesThanItsPods(t *testing.T) {
	groups := byName(account(Plan{Traits: Traits{Weights: true, Divided: true}}))
	raised := func(group string, from, to int) fakeaws.Event {
		return fakeaws.Event{Kind: fakeaws.DesiredChanged, Group: group, By: ourWrite, From: from, To: to}
	}
	of := func(kind fakeaws.EventKind, group string, count int) (events []fakeaws.Event) {
		for range count {
			events = append(events, fakeaws.Event{Kind: kind, Group: group})
		}
		return events
	}
	for _, tt := range []struct {
		name           string
		before, events []fakeaws.Event
		more           map[string]int
		want           int
	}{
		{name: "one packing", events: append(of(fakeaws.Launched, "web-a", 3), raised("web-a", 0, 3)), more: map[string]int{webPods: 5}},
		{name: "a node too many", events: append(of(fakeaws.Launched, "web-a", 4), raised("web-a", 0, 4)), more: map[string]int{webPods: 5}, want: 1},
		{name: "over two groups", want: 2,
			events: append(append(of(fakeaws.Launched, "web-a", 3), of(fakeaws.Launched, "web-b", 2)...), raised("web-a", 1, 4), raised("web-b", 0, 2)),
			more:   map[string]int{webPods: 5}},
		{name: "a crowd", events: append(of(fakeaws.Launched, "web-a", 7), raised("web-a", 0, 7)), more: map[string]int{webPods: 5, apartPods: 2, crumbPods: 13}},
		{name: "a node too many for a crowd", events: append(of(fakeaws.Launched, "web-a", 8), raised("web-a", 0, 8)), want: 1,
			more: map[string]int{webPods: 5, apartPods: 2, crumbPods: 13}},
		{name: "in place of one that left", more: map[string]int{webPods: 5},
			events: append(of(fakeaws.Launched, "web-a", 4), raised("web-a", 0, 4), of(fakeaws.TerminateRequested, "web-b", 1)[0])},
		{name: "in place of one at risk", more: map[string]int{webPods: 5},
			before: of(fakeaws.Announced, "web-a", 1), events: append(of(fakeaws.Launched, "web-a", 4), raised("web-a", 0, 4))},
		{name: "the one at risk had left before", more: map[string]int{webPods: 5}, want: 1,
			before: append(of(fakeaws.Announced, "web-a", 1), of(fakeaws.Terminated, "web-a", 1)...),
			events: append(of(fakeaws.Launched, "web-a", 4), raised("web-a", 0, 4))},
		{name: "launched by AWS alone", events: of(fakeaws.Launched, "web-a", 4), more: map[string]int{webPods: 5}},
		{name: "weights", events: append(of(fakeaws.Launched, "web-spot", 3), raised("web-spot", 0, 6)), more: map[string]int{webPods: 5}},
		{name: "heavier than asked for", events: append(of(fakeaws.Launched, "gpu-spot", 2), raised("gpu-spot", 0, 8)), more: map[string]int{gpuPods: 2}},
		{name: "a whole GPU where all are divided", events: append(of(fakeaws.Launched, dividedGroup, 1), raised(dividedGroup, 1, 2)), want: 1},
	} {
		var j judge
		j.surplus(append(slices.Clone(tt.before), tt.events...), len(tt.before), groups, tt.more)
		assert.Equalf(t, tt.want, j.wrongs.Surplus, "%s: surplus: %q", tt.name, j.violations)
	}
}

func TestOnlyUsersLeaveCordonedNodes(t *testing.T) {
	for _, tt := range []struct {
		name             string
		node             corev1.Node
		byUser           bool
		openAt           time.Duration // after the last start of a leader, 0 for never
		cordoned, others int
		after            time.Duration
	}{
		{name: "open"},
		{name: "by us, for good", node: corev1.Node{Spec: corev1.NodeSpec{Unschedulable: true}}, cordoned: 1, after: lasting},
		{name: "by us, for a while", node: corev1.Node{Spec: corev1.NodeSpec{Unschedulable: true}}, openAt: lasting - time.Second, after: lasting - time.Second},
		{name: "by a user", node: corev1.Node{Spec: corev1.NodeSpec{Unschedulable: true}}, byUser: true},
		{name: "by a user, and opened by somebody", byUser: true, others: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.node.Name, tt.node.UID = "n", "u"
				client := fake.NewClientset(&tt.node)
				start := time.Now()
				r := &run{client: client, replicas: []*replica{{started: start}}, users: users{cordoned: map[types.UID]string{}}}
				r.users.set(&tt.node, tt.byUser)
				if tt.openAt > 0 {
					time.AfterFunc(tt.openAt, func() {
						_, _ = client.CoreV1().Nodes().Update(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u"}}, metav1.UpdateOptions{})
					})
				}
				require.NoError(t, r.judgeCordons(t.Context()))
				assert.Truef(t, r.wrongs.Cordoned == tt.cordoned && r.wrongs.Others == tt.others,
					"cordoned = %d, others = %d, want %d and %d: %q", r.wrongs.Cordoned, r.wrongs.Others, tt.cordoned, tt.others, r.violations)
				got := time.Since(start)
				assert.Truef(t, got >= tt.after && got <= tt.after+time.Second, "judged after %s, want %s", got, tt.after)
			})
		})
	}
}

func TestAskedForReadsTheCoresLog(t *testing.T) {
	got := askedFor(`I1120 orchestrator.go:265] Final scale-up plan: [{web/z-a 0->2 (max: 5)} {web/z-b 1->2 (max: 4)}]
I1120 executor.go:164] Scale-up: setting group web/z-a size to 2
`, "I1120 orchestrator.go:265] Final scale-up plan: [{web 3->4 (max: 8)}]\n", "I1120 orchestrator.go:265] Final scale-up plan: [{web/z-b 2->5 (max: 5)}]\n")
	want := map[place]int{{"web", "z-a"}: 2, {"web", "z-b"}: 4, {"web", ""}: 1}
	assert.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(place{})), "asked for (-want +got)")
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
		name, log string
		events    []fakeaws.Event
		guilty    bool
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
		var j judge
		j.misplaced(tt.events, tt.log)
		assert.Equalf(t, tt.guilty, len(j.violations) > 0, "%s: violations = %q, want any: %t", tt.name, j.violations, tt.guilty)
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
		var j judge
		j.undisturbed(start, tt.events, groups, tt.log)
		assert.Equalf(t, tt.guilty, len(j.violations) > 0, "%s: violations = %q, want any: %t", tt.name, j.violations, tt.guilty)
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
			assert.Truef(t, (tt.want != "" || len(got) == 0) && (tt.want == "" || len(got) == 1 && strings.Contains(got[0], tt.want)),
				"differences = %q, want one with %q", got, tt.want)
		})
	}
}

func TestLimitsThatNeverFireFailASet(t *testing.T) {
	fired := limitCounts{}
	fired.count(`I1124 1 threshold_based_limiter.go:56] Capping binpacking after exceeding max duration of 5ms
I1124 1 threshold_based_limiter.go:50] Capping binpacking after exceeding threshold of 3 nodes
I1124 1 filter.go:131] "Ended a plan of scale-ups at its time limit: the cheapest found so far counts" options=3 pods=40
I1124 1 filter.go:131] "Ended a plan of scale-ups at its time limit: the cheapest found so far counts" options=2 pods=4
I1124 1 orchestrator.go:127] "The other pods wait for the next loop, because --max-nodegroup-binpacking-duration is over" pods=4
`)
	hurried := Result{Traits: Traits{Hurried: true}, Limits: fired}
	for _, tt := range []struct {
		name    string
		results []Result
		silent  []string
	}{
		{"too few hurried runs", []Result{hurried, hurried, {}}, nil},
		{"one limit is silent", []Result{hurried, hurried, hurried, {Limits: limitCounts{"binpacking of a scale-up": 1}}}, []string{"binpacking of a scale-up"}},
		{"all fire", []Result{hurried, hurried, {Traits: Traits{Hurried: true}, Limits: limitCounts{"binpacking of a scale-up": 1}}}, nil},
	} {
		assert.Emptyf(t, cmp.Diff(tt.silent, Summarize(tt.results).Silent), "%s: silent (-want +got)", tt.name)
	}
	got, want := Summarize([]Result{hurried}).Limits.String(), "binpacking of a group 1, binpacking of a scale-up 0, loop 1, plan 2"
	assert.Truef(t, got == want, "limits = %q, want %q", got, want)
}
