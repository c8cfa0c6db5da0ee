package group

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
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
			assert.Truef(t, strings.Contains(p.Message, TagPaused) && strings.Contains(p.Remedy, "delete-tags") && strings.Contains(p.Remedy, "web"),
				"problem %+v, want the tag, and a remedy with the group", p)
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
