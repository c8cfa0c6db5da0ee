package group

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

func TestPauseIsReadFromItsTag(t *testing.T) {
	end := time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)
	all := Pause{Up: true, Down: true}
	unread := Pause{Up: true, Down: true, Malformed: true}
	for value, want := range map[string]Pause{
		"true":                                all,
		" true ":                              all,
		"scale-up":                            {Up: true},
		"scale-down":                          {Down: true},
		"false":                               {},
		"true until=2026-12-01T06:00Z":        {Up: true, Down: true, Until: end},
		"scale-up until=2026-12-01T06:00:00Z": {Up: true, Until: end},
		"scale-down  until=2026-12-01T07:00+01:00": {Down: true, Until: end},
		"":                           unread,
		"yes":                        unread,
		"scale-up,scale-down":        unread,
		"scale-up until=tomorrow":    unread,
		"scale-up 2026-12-01T06:00Z": unread,
		"scale-up until=2026-12-01":  unread,
		"true until=2026-12-01T06:00Z for a release": unread,
	} {
		got := ReadPause(map[string]string{TagPaused: value})
		assert.Equalf(t, want, got, "%q is read as", value)
		g := &Group{Name: "web", Tags: map[string]string{TagPaused: value}, Pause: got}
		problems := g.PauseProblem()
		assert.Equalf(t, want.Malformed, len(problems) > 0, "%q has the problems %+v", value, problems)
		for _, p := range problems {
			assert.Truef(t, p.Blocks && strings.Contains(p.Message, TagPaused) && strings.Contains(p.Remedy, "delete-tags") && strings.Contains(p.Remedy, "web"),
				"problem %+v, want one that keeps the group from growing, the tag, and a remedy with the group", p)
		}
	}
	if got := ReadPause(nil); got != (Pause{}) {
		t.Errorf("a group without the tag is paused: %+v", got)
	}
}

func TestPauseEnds(t *testing.T) {
	end := time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)
	p := Pause{Up: true, Until: end}
	got := p.At(end.Add(-1))
	assert.Truef(t, got == p, "a moment before its end the pause is %+v", got)
	got = p.At(end)
	assert.Truef(t, got == (Pause{}), "at its end the pause is %+v", got)
	if got := (Pause{Down: true}).At(end); !got.Down {
		t.Error("a pause without an end is over")
	}
}

// A tag for one direction and AWS's own work for the other are both told, each for its direction.
func TestEachDirectionIsLeftAloneForItsReason(t *testing.T) {
	end := time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)
	updates, deletes := launchspec.Operation{Text: "EKS updates it"}, launchspec.Operation{Text: "EKS deletes it", Ends: true}
	terminate := []string{"Launch", ProcessTerminate}
	const tag, suspended, until = " by its tag " + TagPaused, ", because its process Terminate is suspended", " until=2026-12-01T06:00Z"
	for _, tt := range []struct {
		name      string
		tag       string
		operation launchspec.Operation
		suspended []string
		denied    bool   // a termination, a minute ago
		up, down  string // why, "" for not left alone
		end       bool   // for the first of them
	}{
		{name: "neither", suspended: []string{"AZRebalance"}},
		{name: "update", operation: updates, down: ", because EKS updates it"},
		{name: "update, paused for scale-up", tag: "scale-up" + until, operation: updates, up: tag, down: ", because EKS updates it", end: true},
		{name: "update, paused for scale-down", tag: "scale-down" + until, operation: updates, down: tag, end: true},
		{name: "update, paused", tag: "true" + until, operation: updates, up: tag, down: tag, end: true},
		{name: "end, paused for scale-up", tag: "scale-up" + until, operation: deletes, up: ", because EKS deletes it", down: ", because EKS deletes it"},
		{name: "end, paused for scale-down", tag: "scale-down" + until, operation: deletes, up: ", because EKS deletes it", down: ", because EKS deletes it"},
		{name: "no termination", suspended: terminate, down: suspended},
		{name: "no termination, paused for scale-up", tag: "scale-up", suspended: terminate, up: tag, down: suspended},
		{name: "no termination, paused for scale-down", tag: "scale-down", suspended: terminate, down: tag},
		{name: "termination denied", denied: true, down: ", because AWS denied it"},
		{name: "termination denied before an end", denied: true, operation: deletes, up: ", because EKS deletes it", down: ", because EKS deletes it"},
		{name: "termination denied while a refresh bakes", denied: true, operation: launchspec.Operation{Bakes: true}, down: ", because AWS denied it"},
		{name: "no termination during an update", operation: updates, suspended: terminate, down: ", because EKS updates it"},
	} {
		g := &Group{Name: "web", Operation: tt.operation, SuspendedProcesses: tt.suspended}
		if tt.denied {
			g.Denied = Pause{Until: end, Operation: launchspec.Operation{Text: "AWS denied it"}}
		}
		if tt.tag != "" {
			g.Pause = ReadPause(map[string]string{TagPaused: tt.tag})
		}
		for _, down := range []bool{false, true} {
			want := tt.up
			if down {
				want = tt.down
			}
			of := g.LeftAlone(end.Add(-time.Hour), down)
			assert.Equalf(t, want != "", down && of.Down || !down && of.Up, "%s: %+v is left alone, down %t", tt.name, of, down)
			assert.Equalf(t, want == "", of == (Pause{}), "%s: %+v is left alone, down %t", tt.name, of, down)
			cause, remedy := of.Why("web")
			if want == "" {
				continue
			}
			assert.Equalf(t, want, cause, "%s: cause, down %t", tt.name, down)
			assert.Equalf(t, want == suspended, strings.Contains(remedy, "resume-processes"), "%s: remedy %q, down %t", tt.name, remedy, down)
			assert.Equalf(t, want == tag && tt.end, of.Until.Equal(end), "%s: until %v, down %t", tt.name, of.Until, down)
		}
	}
}
