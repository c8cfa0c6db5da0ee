package move

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWindows(t *testing.T) {
	const office, night, sunday = "deny 0 8 * * MON-FRI 10h Asia/Shanghai", "allow 0 22 * * * 6h", "rotation:allow 0 2 * * SUN 4h"
	for _, tt := range []struct {
		name    string
		windows []string
		now     string // a time in 2026
		open    bool
		next    string // "" for never
	}{
		{name: "none", now: "11-26T12:00Z", open: true},
		{name: "before office hours", windows: []string{office}, now: "11-26T07:59+08:00", open: true, next: "11-26T08:00+08:00"},
		{name: "office hours begin", windows: []string{office}, now: "11-26T08:00+08:00", next: "11-26T18:00+08:00"},
		{name: "office hours end", windows: []string{office}, now: "11-27T18:00+08:00", open: true, next: "11-30T08:00+08:00"},
		{name: "nothing outside of what is allowed", windows: []string{night}, now: "11-26T12:00Z", next: "11-26T22:00Z"},
		{name: "allowed over midnight", windows: []string{night}, now: "11-27T03:00Z", open: true, next: "11-27T04:00Z"},
		{name: "the reason's own window replaces that of all", windows: []string{night, sunday}, now: "11-26T23:00Z", next: "11-29T02:00Z"},
		{name: "in the reason's own window", windows: []string{night, sunday}, now: "11-29T05:00Z", open: true, next: "11-29T06:00Z"},
		{name: "another reason's window", windows: []string{"repair:allow 0 0 1 1 * 1m", "repair:deny * * * * * 24h"}, now: "11-26T12:00Z", open: true},
		{name: "denied within the allowed", windows: []string{night, "deny 0 0 * * * 1h"}, now: "11-27T00:30Z", next: "11-27T01:00Z"},
		{name: "windows that follow each other", windows: []string{"deny 0 8 * * * 4h", "deny 0 12 * * * 2h"}, now: "11-26T12:00Z", next: "11-26T14:00Z"},
		{name: "windows that overlap themselves", windows: []string{"deny 0 8,9,10 * * * 90m"}, now: "11-26T10:40Z", next: "11-26T11:30Z"},
		{name: "clocks skip the start", windows: []string{"deny 30 2 * * * 4h Europe/Berlin"}, now: "03-29T03:00+02:00", next: "03-29T06:30+02:00"},
		{name: "clocks skip an hour of a window", windows: []string{"deny 0 1 * * * 4h Europe/Berlin"}, now: "03-29T04:59+02:00", next: "03-29T05:00+02:00"},
		{name: "clocks repeat an hour of a window", windows: []string{"deny 0 1 * * * 4h Europe/Berlin"}, now: "10-25T04:59+01:00", next: "10-25T05:00+01:00"},
		{name: "clocks repeat the end", windows: []string{"deny 30 1 * * * 1h Europe/Berlin"}, now: "10-25T02:10+02:00", next: "10-25T02:30+02:00"},
		{name: "the repeated hour after the end", windows: []string{"deny 30 1 * * * 1h Europe/Berlin"}, now: "10-25T02:10+01:00", open: true, next: "10-26T01:30+01:00"},
		{name: "clocks repeat the end, west of Greenwich", windows: []string{"deny 30 0 * * * 1h America/New_York"}, now: "11-01T01:10-04:00", next: "11-01T01:30-04:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := ParseWindows(tt.windows)
			require.NoError(t, err)
			moment := func(text string) (at time.Time) {
				if text == "" {
					return at
				}
				at, err := time.Parse("2006-01-02T15:04Z07:00", "2026-"+text)
				require.NoError(t, err)
				return at
			}
			open, next := w.Open(Rotation, moment(tt.now))
			assert.Truef(t, open == tt.open && next.Equal(moment(tt.next)),
				"open %t until %v, want %t until %v", open, next.UTC(), tt.open, moment(tt.next).UTC())
		})
	}
}

// The answer does not change before the moment that it names, whatever the clocks do.
func TestWindowsChangeWhenTheySay(t *testing.T) {
	w, err := ParseWindows([]string{"allow 0 20 * * * 12h America/New_York", "deny 15 1 * * * 2h Australia/Lord_Howe",
		"deny 30 2 * * * 15m Europe/Berlin", "deny 45 1 * * * 15m America/New_York", "deny 0 0 1 * * 24h"})
	require.NoError(t, err)
	wrong := 0
	for at, last := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(last); {
		open, next := w.Open(Repair, at)
		require.Truef(t, next.After(at), "at %v the next change is at %v", at, next)
		for between := at; between.Before(next); between = between.Add(15 * time.Minute) {
			if still, _ := w.Open(Repair, between); still != open {
				wrong++
			}
		}
		at = next
	}
	assert.Truef(t, wrong == 0, "%d answers in a year are wrong", wrong)
}

func TestWrongWindowNamesRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"deny 0 8 * * MON-FRI":                    "it has 6 words: use [REASON:]allow|deny, five fields of cron, a duration and maybe a time zone",
		"forbid 0 8 * * * 1h":                     `"forbid" is unknown: use allow or deny`,
		"drift:deny 0 8 * * * 1h":                 `there is no reason "drift": use one of repair, schedule, rotation, consolidation, or none for all`,
		"deny 0 25 * * * 1h":                      `"0 25 * * *" is not five fields of cron such as 0 8 * * MON-FRI: end of range (25) above maximum (23)`,
		"deny 0 0 31 2 * 1h":                      `"0 0 31 2 *" never comes`,
		"deny 0 8 * * * 10":                       `"10" is no length of a window: use a duration such as 10h`,
		"deny 0 8 * * * 0h":                       "is no length",
		"deny 0 8 * * * 9000h":                    "of 8784h0m0s at most",
		"deny 0 8 * * * 1h Beijing":               `there is no time zone "Beijing": use a name such as Asia/Shanghai or UTC`,
		"deny 0 8 * * * 1h Asia/Shanghai Tuesday": "it has 9 words",
	} {
		if _, err := ParseWindows([]string{text}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
