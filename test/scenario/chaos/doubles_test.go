package chaos

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestWishesAreReadFromLogs(t *testing.T) {
	const first = `I0305 10:00:00.500000    7 orchestrator.go:265] Final scale-up plan: [{web 1->3 (max: 8)} {db/zone-a 0->2 (max: 4)}]` + "\n"
	const second = "nothing\nI0305 10:00:00.250000    8 orchestrator.go:265] Final scale-up plan: [{gpu 0->1 (max: 4)}]\n"
	at := time.Date(2026, 3, 5, 10, 0, 0, 0, time.Local)
	const third = `I0305 10:00:06.000000    8 requests.go:193] "Asked for the replacement of a node that was asked to go" node="a" nodeGroup="web"` + "\n"
	want := []wish{
		{at: at.Add(250 * time.Millisecond), group: "gpu", to: 1}, {at: at.Add(500 * time.Millisecond), group: "web", from: 1, to: 3},
		{at: at.Add(500 * time.Millisecond), group: "db", to: 2, zonal: true}, {at: at.Add(time.Second), group: "web", more: true},
	}
	assert.Empty(t, cmp.Diff(want, wishes(2026, first, second+third), cmp.AllowUnexported(wish{})), "wishes (-want +got)")
}

func TestRepeatedRequestsAreDoubles(t *testing.T) {
	start := time.Date(2026, 3, 5, 10, 0, 0, 0, time.UTC)
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	change := func(second int, by string, from, to int) fakeaws.Event {
		e := desired(by, from, to)
		e.Time = at(second)
		return e
	}
	usable := func(instance string, kind fakeaws.EventKind, instanceType string) fakeaws.Event {
		return fakeaws.Event{Time: at(3), Kind: kind, Group: "web", Instance: instance, InstanceType: instanceType}
	}
	wished := func(second, from, to int) wish { return wish{at: at(second), group: "web", from: from, to: to} }
	const nowUs = "LaunchInstances autoscaler"
	for _, tt := range []struct {
		name    string
		wishes  []wish
		events  []fakeaws.Event
		weight  int // of an instance, 0 for 1
		doubles int
	}{
		{name: "as wished", wishes: []wish{wished(1, 1, 4)}, events: []fakeaws.Event{change(2, ourWrite, 1, 4)}},
		{name: "as wished in two calls", wishes: []wish{wished(1, 1, 4)}, events: []fakeaws.Event{change(2, nowUs, 1, 2), change(3, nowUs, 2, 4)}},
		{name: "more than wished", wishes: []wish{wished(1, 1, 4)}, events: []fakeaws.Event{change(2, nowUs, 1, 4), change(3, nowUs, 4, 6)}, doubles: 2},
		{name: "again by a successor that did not know", wishes: []wish{wished(1, 1, 4), wished(5, 1, 4)},
			events: []fakeaws.Event{change(2, nowUs, 1, 4), change(6, nowUs, 4, 7)}, doubles: 3},
		{name: "by a successor that knew", wishes: []wish{wished(1, 1, 4), wished(5, 4, 5)},
			events: []fakeaws.Event{change(2, nowUs, 1, 4), change(6, nowUs, 4, 5)}},
		{name: "only the rest by a successor that did not know", wishes: []wish{wished(1, 1, 4), wished(5, 1, 5)},
			events: []fakeaws.Event{change(2, nowUs, 1, 4), change(6, nowUs, 4, 5)}},
		{name: "again after wishes that failed", wishes: []wish{wished(1, 1, 4), wished(2, 1, 4), wished(3, 1, 4), wished(5, 1, 4)},
			events: []fakeaws.Event{change(4, nowUs, 1, 4), change(6, nowUs, 4, 7)}, doubles: 3},
		{name: "one more for a node that goes", wishes: []wish{{at: at(1), group: "web", more: true}}, events: []fakeaws.Event{change(2, nowUs, 1, 2), change(3, nowUs, 2, 3)}, doubles: 1},
		{name: "two wishes at once", wishes: []wish{wished(1, 1, 4), wished(2, 4, 5)},
			events: []fakeaws.Event{change(3, nowUs, 1, 4), change(4, nowUs, 4, 5)}},
		{name: "by a successor that found out", wishes: []wish{wished(1, 1, 4), wished(5, 1, 4)}, events: []fakeaws.Event{change(2, nowUs, 1, 4)}},
		{name: "by a successor after a call that failed", wishes: []wish{wished(1, 1, 4), wished(5, 1, 4)}, events: []fakeaws.Event{change(6, nowUs, 1, 4)}},
		{name: "after an operator's raise that the wish did not know", wishes: []wish{wished(2, 1, 2)},
			events: []fakeaws.Event{change(1, "set-desired", 1, 3), change(3, ourWrite, 3, 4)}},
		{name: "after two wishes that did not know an operator's raise", wishes: []wish{wished(2, 1, 4), wished(3, 4, 6)},
			events: []fakeaws.Event{change(1, "set-desired", 1, 3), change(4, ourWrite, 3, 6), change(5, ourWrite, 6, 8)}},
		{name: "again after two wishes that did not know an operator's raise", wishes: []wish{wished(2, 1, 4), wished(3, 4, 6)},
			events: []fakeaws.Event{change(1, "set-desired", 1, 3), change(4, ourWrite, 3, 6), change(5, ourWrite, 6, 9)}, doubles: 1},
		{name: "again what an operator took away", wishes: []wish{wished(1, 1, 4)},
			events: []fakeaws.Event{change(2, ourWrite, 1, 4), change(3, "set-desired", 4, 2), change(4, ourWrite, 2, 4)}},
		{name: "again what we took away by mistake", wishes: []wish{wished(2, 1, 2)},
			events: []fakeaws.Event{change(1, "set-desired", 1, 4), change(3, ourWrite, 4, 2), change(4, ourWrite, 2, 5)}},
		{name: "to a size that a write may have reached that failed", wishes: []wish{wished(1, 1, 4), wished(2, 1, 3)},
			events: []fakeaws.Event{change(3, ourWrite, 1, 4)}},
		{name: "to a size that was wished for long ago", wishes: []wish{wished(1, 1, 4), wished(60, 1, 3)},
			events: []fakeaws.Event{change(61, ourWrite, 1, 4)}, doubles: 1},
		{name: "to what heavy instances have reached", events: []fakeaws.Event{launched("i-1")[0], launched("i-2")[0], change(2, ourWrite, 1, 2)}},
		{name: "beside the usable nodes that the wish's size lacks", wishes: []wish{wished(1, 1, 2), wished(5, 1, 2)},
			events: []fakeaws.Event{change(2, nowUs, 1, 2), usable("i-1", fakeaws.NodeReady, "m5.large"), usable("i-2", fakeaws.NodeReady, "m5.large"), change(6, ourWrite, 2, 3)}},
		{name: "beside nodes that show no GPU yet", wishes: []wish{wished(1, 1, 2), wished(5, 1, 2)},
			events:  []fakeaws.Event{change(2, nowUs, 1, 2), usable("i-1", fakeaws.NodeReady, "g4dn.xlarge"), usable("i-2", fakeaws.NodeReady, "g4dn.xlarge"), change(6, ourWrite, 2, 3)},
			doubles: 1},
		{name: "to a wished size of heavy instances that have gone", weight: 2, wishes: []wish{wished(1, 1, 3), wished(5, 3, 4)},
			events: []fakeaws.Event{change(2, ourWrite, 2, 6), change(3, ourTermination, 6, 0), change(6, ourWrite, 0, 8)}},
		{name: "to more than that", weight: 2, wishes: []wish{wished(1, 1, 3), wished(5, 3, 4)},
			events: []fakeaws.Event{change(2, ourWrite, 2, 6), change(3, ourTermination, 6, 0), change(6, ourWrite, 0, 10)}, doubles: 2},
		{name: "a heavier instance, because the smallest type had no capacity", weight: 2, wishes: []wish{wished(1, 1, 2)},
			events: []fakeaws.Event{usable("i-1", fakeaws.Launched, "m5.xlarge"), change(2, nowUs, 2, 6)}},
		{name: "a heavier instance twice", weight: 2, wishes: []wish{wished(1, 1, 2)},
			events: []fakeaws.Event{usable("i-1", fakeaws.Launched, "m5.xlarge"), change(2, nowUs, 2, 6),
				usable("i-2", fakeaws.Launched, "m5.xlarge"), change(4, nowUs, 6, 10)}, doubles: 1},
		{name: "by nobody's wish", events: []fakeaws.Event{change(2, ourWrite, 1, 4)}, doubles: 3},
		{name: "by an operator", events: []fakeaws.Event{change(2, "set-desired", 1, 4)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var j judge
			group := fakeaws.AutoScalingGroup{Name: "web", Desired: 1}
			if tt.weight > 0 {
				group.Desired = tt.weight
				group.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{Overrides: []fakeaws.Override{
					{InstanceType: "m5.large", WeightedCapacity: tt.weight}, {InstanceType: "m5.xlarge", WeightedCapacity: 2 * tt.weight}}}
			}
			j.doubles(tt.events, tt.wishes, []fakeaws.AutoScalingGroup{group})
			assert.Equalf(t, tt.doubles, j.wrongs.Doubles, "doubles: %q", j.violations)
		})
	}
}
