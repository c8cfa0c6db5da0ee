package scenario

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestUndrainedKillsLeaveOutOtherWriters(t *testing.T) {
	killed := func(instance string) Moment { return Moment{Kind: KilledUndrained, Object: instance} }
	lowered := func(by string) fakeaws.Event {
		return fakeaws.Event{Kind: fakeaws.DesiredChanged, Group: "web", By: by, From: 3, To: 2}
	}
	chosen := func(instance string) fakeaws.Event {
		return fakeaws.Event{Kind: fakeaws.ScaleInKill, Group: "web", Instance: instance}
	}
	moments := []Moment{killed("named"), {Kind: TerminateRequested, Object: "drained"}, killed("by us"), killed("by a schedule")}
	events := []fakeaws.Event{
		lowered("SetDesiredCapacity autoscaler"), chosen("by us"),
		lowered("scheduled-action"), chosen("by a schedule"),
	}
	assert.Empty(t, cmp.Diff([]Moment{killed("named"), killed("by us")}, UndrainedKills(moments, events)), "kills (-want +got)")
}
