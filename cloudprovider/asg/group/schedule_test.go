package group

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04Z07:00", text)
	require.NoError(t, err)
	return at
}

func TestScheduleIsReadFromItsTag(t *testing.T) {
	for value, wrong := range map[string]string{
		scheduleExample:                                   "",
		"0 8 any any MON+WED+FRI for=1h min=1":            "",
		"any/15 0-6 * * * max=0 for=15m":                  "",
		"0 8 1,15 jan-mar ? for=48h min=2 max=2":          "",
		"":                                                "five fields of cron",
		"0 8 any any for=10h min=3":                       "five fields of cron",
		"0 8 any any MON-FRI":                             "length of a window",
		"0 8 any any MON-FRI for=10h":                     "min= or max=",
		"0 8 any any MON-FRI for=-1h min=1":               "length of a window",
		"0 8 any any MON-FRI for=1d min=1":                `"1d"`,
		"0 8 any any MON-FRI for=1h min=5 max=3":          "0 <= min <= max",
		"0 8 any any MON-FRI for=1h min=-1":               "0 <= min <= max",
		"0 8 any any MON-FRI for=1h min=few":              `"min=few"`,
		"0 8 any any MON-FRI for=1h min=1 to=18":          `"to=18"`,
		"0 8 any any MON-FRI for=1h min=1 tz=Mars/Phobos": "Mars/Phobos",
		"0 8 any any MON-FRI for=1h min=1 tz=Local":       "Local",
		"60 8 any any MON-FRI for=1h min=1":               "five fields of cron",
		"0 8 30 2 any for=1h min=1":                       "never comes",
	} {
		g := &Group{Name: "web", Tags: map[string]string{TagSchedule + "office": value, "other": value}}
		g.Schedules = ReadSchedules(g.Tags)
		require.Len(t, g.Schedules, 1, "schedules, want one")
		problems := g.ScheduleProblems()
		switch {
		case (len(problems) > 0) != (wrong != ""):
			t.Errorf("%q has the problems %+v", value, problems)
		case wrong != "" && !(strings.Contains(problems[0].Message, wrong) && strings.Contains(problems[0].Message, TagSchedule+"office") &&
			strings.Contains(problems[0].Remedy, "delete-tags") && problems[0].Reason == "invalid-schedule-tag"):
			t.Errorf("%q has the problem %+v, want %q, the tag, and a remedy", value, problems[0], wrong)
		}
	}
}

// Clocks go forward in Berlin on 29 March 2026, from 2 to 3, and back on 25 October, from 3 to 2. In New York it is 8 March and 1 November.
func TestWindowsBeginByTheirClocks(t *testing.T) {
	for _, tt := range []struct{ line, zone, after, from, until string }{
		{"0 8 any any any", "", "2026-03-28T08:00Z", "2026-03-29T08:00Z", "2026-03-29T18:00Z"},
		{"0 8 any any MON-FRI", "Asia/Shanghai", "2026-11-27T00:30Z", "2026-11-30T00:00Z", "2026-11-30T10:00Z"}, // from a Friday to a Monday
		{"0 8 any any any", "Europe/Berlin", "2026-03-28T07:00Z", "2026-03-29T06:00Z", "2026-03-29T16:00Z"},
		{"0 8 any any any", "Europe/Berlin", "2026-10-24T06:00Z", "2026-10-25T07:00Z", "2026-10-25T17:00Z"},
		{"0 20 any any any", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-28T19:00Z", "2026-03-29T04:00Z"}, // nine hours
		{"30 2 any any any", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-29T01:00Z", "2026-03-29T10:30Z"}, // a time that is skipped
		{"30 2 any any any", "America/New_York", "2026-03-08T01:00Z", "2026-03-08T07:00Z", "2026-03-08T16:30Z"},
		{"30 2 any any any", "Europe/Berlin", "2026-10-25T01:30Z", "2026-10-26T01:30Z", "2026-10-26T11:30Z"}, // a time that comes twice
		{"30 2 any any any", "Europe/Berlin", "2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-25T11:30Z"},
		{"30 1 any any any", "America/New_York", "2026-11-01T05:00Z", "2026-11-01T05:30Z", "2026-11-01T16:30Z"},
		{"0 0 29 2 any", "", "2026-03-01T00:00Z", "2028-02-29T00:00Z", "2028-02-29T10:00Z"},
	} {
		w, err := ParseWindow(tt.line, "10h", tt.zone)
		require.NoError(t, err)
		from, until := w.Next(moment(t, tt.after))
		assert.Truef(t, from.Equal(moment(t, tt.from)) && until.Equal(moment(t, tt.until)),
			"%q in %q after %s: %s to %s, want %s to %s", tt.line, tt.zone, tt.after, from.UTC(), until.UTC(), tt.from, tt.until)
	}
}

// Clocks show such a time twice. The nodes would go, and come again.
func TestScheduleBeginsAndEndsOnceWhereClocksGoBack(t *testing.T) {
	for _, tt := range []struct {
		line, day string
		want      []string // the changes of the minimum in UTC, from midnight to 18:00
	}{
		{"30 1 any any any tz=America/New_York for=8h", "2026-11-01", []string{"00:00 0", "05:30 9", "14:30 0"}},
		{"0 20 any any any tz=America/New_York for=5h30m", "2026-11-01", []string{"00:00 9", "05:30 0"}},
		{"30 2 any any any tz=Europe/Berlin for=8h", "2026-10-25", []string{"00:00 0", "00:30 9", "09:30 0"}},
		{"0 22 any any any tz=Europe/Berlin for=4h30m", "2026-10-25", []string{"00:00 9", "00:30 0"}},
		{"0 2 any any any tz=Europe/Berlin for=1h", "2026-10-25", []string{"00:00 9", "02:00 0"}},
		{"45 1 any any any tz=Australia/Lord_Howe for=1h", "2026-04-04", []string{"00:00 0", "14:45 9", "16:15 0"}},
	} {
		s, err := parseSchedule(tt.line + " min=9")
		require.NoError(t, err)
		g, got := &Group{AWSMax: 9, Schedules: []Schedule{s}}, []string(nil)
		begin := moment(t, tt.day+"T00:00Z")
		for at, last := begin, -1; at.Before(begin.Add(18 * time.Hour)); at = at.Add(time.Minute) {
			if g.SetSizes(at, 0, nil); g.MinSize != last {
				got, last = append(got, fmt.Sprintf("%s %d", at.UTC().Format("15:04"), g.MinSize)), g.MinSize
			}
		}
		assert.Equal(t, tt.want, got, tt.line)
	}
}

// Sizes at one time after another, with nodes that take five minutes to be Ready.
func TestSizesFollowTheSchedules(t *testing.T) {
	const lead = 5 * time.Minute
	for _, tt := range []struct {
		name        string
		tags        []string
		least, most int // AWS's
		flag        *Named
		want        map[string]string // "min to max, next", by the moment. The day is Thursday 26 November 2026
	}{
		{name: "none", least: 1, most: 9, want: map[string]string{"08:00": "1 to 9"}},
		{name: "a window", tags: []string{"0 8 any any any for=10h min=3 max=5"}, least: 1, most: 9, want: map[string]string{
			"07:54": "1 to 9, 07:55",
			"07:55": "3 to 9, 08:00", // ahead, and its maximum is not
			"08:00": "3 to 5, 18:00",
			"17:59": "3 to 5, 18:00",
			"18:00": "1 to 9, 07:55",
		}},
		{name: "over midnight", tags: []string{"0 20 any any any for=12h max=2"}, least: 0, most: 9, want: map[string]string{
			"07:59": "0 to 2, 08:00",
			"08:00": "0 to 9, 19:55",
			"20:00": "0 to 2, 08:00",
		}},
		{name: "one behind the other", tags: []string{"0 20 any any any for=12h max=2", "0 8 any any any for=12h min=6"}, least: 0, most: 9, want: map[string]string{
			"07:54": "0 to 2, 07:55",
			"07:56": "6 to 6, 08:00", // the maximum ends as early as that needs
			"08:00": "6 to 9, 19:55",
			"20:00": "0 to 2, 07:55",
		}},
		{name: "beyond AWS's limits", tags: []string{"0 8 any any any for=10h min=0 max=1", "0 12 any any any for=1h min=20"}, least: 2, most: 9, want: map[string]string{
			"09:00": "2 to 2, 11:55",
			"12:30": "2 to 2, 13:00", // and a minimum above the maximum
		}},
		{name: "overlapping", tags: []string{"0 8 any any any for=4h min=3 max=8", "0 10 any any any for=4h min=4 max=9"}, least: 0, most: 20, want: map[string]string{
			"09:00": "3 to 8, 09:55",
			"11:00": "4 to 8, 12:00",
			"13:00": "4 to 9, 14:00",
		}},
		{name: "a flag", tags: []string{"0 8 any any any for=10h min=1 max=9"}, least: 0, most: 20, flag: &Named{"web", 2, 6}, want: map[string]string{
			"09:00": "2 to 6, 18:00",
		}},
		{name: "one that cannot be read", tags: []string{"0 8 any any any min=3", "0 8 any any any for=10h min=2"}, least: 0, most: 9, want: map[string]string{
			"09:00": "2 to 9, 18:00",
		}},
		{name: "always", tags: []string{"any any any any any for=1h min=2"}, least: 0, most: 9, want: map[string]string{
			"09:00": "2 to 9, 09:01",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &Group{Name: "web", AWSMin: tt.least, AWSMax: tt.most, Tags: map[string]string{}}
			for at, value := range tt.tags {
				g.Tags[fmt.Sprint(TagSchedule, at)] = value
			}
			g.Schedules = ReadSchedules(g.Tags)
			if tt.flag != nil {
				g.Flag = *tt.flag
			}
			got := map[string]string{}
			for at := range tt.want {
				g.SetSizes(moment(t, "2026-11-26T"+at+"Z"), lead, nil)
				got[at] = fmt.Sprintf("%d to %d", g.MinSize, g.MaxSize)
				if !g.Turns.IsZero() {
					got[at] += g.Turns.UTC().Format(", 15:04")
				}
				least, _ := g.given()
				assert.Truef(t, g.RaisedByClock == (g.MinSize > least), "at %s it is raised by the clock: %t", at, g.RaisedByClock)
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "sizes (-want +got)")
		})
	}
}

func TestSizesAreReadyForScheduledActions(t *testing.T) {
	strike := moment(t, "2026-11-26T20:00Z")
	action := func(least, most int) Timed {
		return Timed{By: "the scheduled action x", Min: least, Max: most, From: strike}
	}
	for _, tt := range []struct {
		name    string
		actions []Timed
		tag     string
		before  time.Duration
		want    string // sizes, and surplus of the eight instances
		none    bool   // the process is suspended
		missing int    // of the eight instances
		kept    int    // of the eight instances, beyond the desired capacity
	}{
		{name: "long before", actions: []Timed{action(4, 6)}, before: 16 * time.Minute, want: "1 to 9, 0"},
		{name: "time to drain", actions: []Timed{action(4, 6)}, before: 15 * time.Minute, want: "1 to 6, 2"},
		{name: "time to launch", actions: []Timed{action(4, 6)}, before: 5 * time.Minute, want: "4 to 6, 2"},
		{name: "beyond AWS's limits", actions: []Timed{action(20, math.MaxInt)}, before: time.Minute, want: "9 to 9, 0"},
		{name: "a moment late", actions: []Timed{action(4, 6)}, before: -time.Minute, want: "4 to 6, 2"},
		{name: "carried out", actions: []Timed{action(4, 6)}, before: -2 * time.Minute, want: "1 to 9, 0"},
		{name: "suspended", actions: []Timed{action(4, 6)}, before: time.Minute, none: true, want: "1 to 9, 0"},
		{name: "below AWS's minimum, which stays until then", actions: []Timed{action(0, 0)}, before: time.Minute, want: "1 to 1, 7"},
		{name: "the lower of two", actions: []Timed{action(0, 6), action(0, 5)}, before: time.Minute, want: "1 to 5, 3"},
		{name: "with a schedule", actions: []Timed{action(4, 6)}, tag: "any any any any any for=1h min=5 max=5", before: time.Minute, want: "5 to 5, 3"},
		{name: "against a schedule", actions: []Timed{action(4, 6)}, tag: "any any any any any for=1h max=2", before: time.Minute, want: "4 to 4, 4"},
		{name: "instances that are still to come", actions: []Timed{action(0, 3)}, before: time.Minute, missing: 3, want: "1 to 3, 2"},
		{name: "instances that AWS keeps, too", actions: []Timed{action(0, 3)}, before: time.Minute, kept: 6, want: "1 to 3, 5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &Group{AWSMin: 1, AWSMax: 9, DesiredCapacity: 8, Instances: slices.Repeat([]Instance{{Weight: 1}}, 8-tt.missing), Schedules: ReadSchedules(map[string]string{TagSchedule + "x": tt.tag})}
			if tt.kept > 0 {
				g.DesiredCapacity, g.Instances = 8-tt.kept, slices.Repeat([]Instance{{Weight: 1, Protected: true}}, 8)
			}
			if tt.none {
				g.SuspendedProcesses = []string{"ScheduledActions"}
			}
			g.SetSizes(strike.Add(-tt.before), 5*time.Minute, tt.actions)
			surplus, beyond := g.Surplus()
			got := fmt.Sprintf("%d to %d, %d", g.MinSize, g.MaxSize, surplus)
			assert.Truef(t, got == tt.want && (surplus <= 0 || tt.tag != "" || beyond.From == strike), "%s beyond %s, want %s", got, beyond, tt.want)
		})
	}
}

func TestLimitsByTheClockAreNamed(t *testing.T) {
	now := moment(t, "2026-11-26T09:00Z")
	g := &Group{Name: "web", AWSMin: 0, AWSMax: 9, DesiredCapacity: 3, Tags: map[string]string{TagSchedule + "day": "0 8 any any any for=10h min=3 max=3"}}
	g.Schedules = ReadSchedules(g.Tags)
	g.SetSizes(now, time.Minute, nil)
	const by = "its tag " + TagSchedule + "day"
	want := [2][]Limit{{{Clock: by, Size: 3, Needs: 2}}, {{Clock: by, Size: 3, Needs: 4}}}
	assert.Empty(t, cmp.Diff(want, [2][]Limit{g.AtMin(g), g.AtMax(g)}), "limits (-want +got)")
	const words = "at least 3 and at most 3 from 2026-11-26 08:00 UTC until 2026-11-26 18:00 UTC by " + by
	assert.Truef(t, len(g.Timed) == 1 && g.Timed[0].String() == words, "in words %q, want %q", g.Timed, words)
}
