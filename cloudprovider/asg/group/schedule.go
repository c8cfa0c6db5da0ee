package group

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// TagSchedule is the beginning of the keys of tags by which the owner of a group changes its sizes by the clock. The rest of the key is a name.
const TagSchedule = "asg-autoscaler.github.io/schedule/"

const scheduleExample = "0 8 any any MON-FRI tz=Asia/Shanghai for=10h min=3 max=20"

// Timed are limits of a group's size for a time, in its capacity units.
type Timed struct {
	By          string    // the tag or the scheduled action
	Min, Max    int       // 0 and math.MaxInt where it has none
	From, Until time.Time // without an end for a scheduled action
}

func (t Timed) String() string {
	var parts []string
	if t.Min > 0 {
		parts = append(parts, fmt.Sprintf("at least %d", t.Min))
	}
	if t.Max < math.MaxInt {
		parts = append(parts, fmt.Sprintf("at most %d", t.Max))
	}
	const form = "2006-01-02 15:04 UTC"
	text := strings.Join(parts, " and ") + " from " + t.From.UTC().Format(form)
	if !t.Until.IsZero() {
		text += " until " + t.Until.UTC().Format(form)
	}
	return text + " by " + t.By
}

type Schedule struct {
	Timed  // the times aside
	Err    error
	window Window
}

// ReadSchedules reads the TagSchedules among the tags of a group, by name.
func ReadSchedules(tags map[string]string) (list []Schedule) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if !strings.HasPrefix(key, TagSchedule) {
			continue
		}
		s, err := parseSchedule(tags[key])
		if err != nil {
			s = Schedule{Err: err}
		}
		s.By = "its tag " + key
		list = append(list, s)
	}
	return list
}

func parseSchedule(value string) (s Schedule, err error) {
	const fields = 5
	words, lasts, zone := strings.Fields(value), "", "UTC"
	s.Max = math.MaxInt
	for _, word := range words[min(fields, len(words)):] {
		key, given, _ := strings.Cut(word, "=")
		switch key {
		case "tz":
			zone = given
		case "for":
			lasts = given
		case "min":
			s.Min, err = strconv.Atoi(given)
		case "max":
			s.Max, err = strconv.Atoi(given)
		default:
			err = errors.New("want tz=, for=, min= or max=")
		}
		if err != nil {
			return s, fmt.Errorf("%q: %w", word, err)
		}
	}
	if s.window, err = ParseWindow(strings.Join(words[:min(fields, len(words))], " "), lasts, zone); err != nil {
		return s, err
	}
	if s.Min < 0 || s.Max < s.Min || s.Min == 0 && s.Max == math.MaxInt {
		return s, errors.New("want min= or max=, and 0 <= min <= max")
	}
	return s, nil
}

func (g *Group) ScheduleProblems() (list []launchspec.Problem) {
	for _, s := range g.Schedules {
		if key := strings.TrimPrefix(s.By, "its tag "); s.Err != nil {
			list = append(list, launchspec.Problem{Reason: "invalid-schedule-tag",
				Remedy:  "correct the tag, or delete it: " + shellword.DeleteTag(g.Name, key),
				Message: fmt.Sprintf("%s counts for nothing: it is %q, %v, and an example is %q", s.By, g.Tags[key], s.Err, scheduleExample)})
		}
	}
	return list
}

const (
	drainsAhead = 15 * time.Minute // how long before AWS lowers a size the group keeps within it
	// ActionLate is how late AWS carries out a scheduled action at most (EC2 Auto Scaling User Guide, Scheduled scaling).
	ActionLate = 2 * time.Minute
)

// SetSizes sets the sizes that hold now: AWS's and the flag's, then what scheduled actions of AWS are about to make of them, then the schedules. The
// highest minimum and the lowest maximum hold, and AWS's own limits always. A minimum holds from lead before its time on, so that its nodes are
// Ready in time. It also sets Turns.
func (g *Group) SetSizes(now time.Time, lead time.Duration, actions []Timed) {
	g.Timed, g.Turns = nil, time.Time{}
	turns := func(at time.Time) {
		if at.After(now) && (g.Turns.IsZero() || at.Before(g.Turns)) {
			g.Turns = at
		}
	}
	least, most := g.given()
	given, announced := least, most
	for _, a := range actions {
		if g.Suspended("ScheduledActions") {
			continue
		}
		raises, lowers, over := a.From.Add(-lead), a.From.Add(-drainsAhead), a.From.Add(ActionLate)
		turns(raises)
		turns(lowers)
		turns(over)
		if !now.Before(over) {
			continue
		}
		if now.Before(raises) {
			a.Min = 0
		}
		if now.Before(lowers) {
			a.Max = math.MaxInt
		}
		if a.Min == 0 && a.Max == math.MaxInt {
			continue
		}
		g.Timed = append(g.Timed, a)
		least = max(least, min(a.Min, most))
		announced = min(announced, a.Max)
	}
	most = max(min(most, announced), least)
	at := func(t time.Time) (int, int) {
		low, high := least, most
		for _, s := range g.Schedules {
			if _, _, runs := s.window.At(t); runs {
				low, high = max(low, s.Min), min(high, s.Max)
			}
		}
		high = max(high, least)
		return min(low, high), high
	}
	g.MinSize, g.MaxSize = at(now)
	for _, s := range g.Schedules {
		t := s.Timed
		from, until, runs := s.window.At(now)
		if t.From, t.Until = from, until; runs {
			g.Timed = append(g.Timed, t)
			turns(until)
		}
		from, until = s.window.Next(now)
		turns(from)
		turns(from.Add(-lead))
		if s.Min == 0 || from.IsZero() || from.After(now.Add(lead)) {
			continue
		}
		low, _ := at(from)
		g.MinSize = max(g.MinSize, low)
		if !runs {
			t.Max, t.From, t.Until = math.MaxInt, from, until
			g.Timed = append(g.Timed, t)
		}
	}
	g.MaxSize = max(g.MaxSize, g.MinSize)
	g.RaisedByClock = g.MinSize > given
}

// Surplus returns the capacity of instances beyond the lowest maximum by the clock, and that maximum.
func (g *Group) Surplus() (capacity int, beyond Timed) {
	beyond.Max = math.MaxInt
	for _, t := range g.Timed {
		if t.Max < beyond.Max {
			beyond = t
		}
	}
	return g.Beyond(beyond.Max), beyond
}

// Beyond returns the capacity of instances beyond a maximum. The minimum size stays.
func (g *Group) Beyond(most int) int {
	return max(0, min(g.Held(), g.CountedCapacity())-max(most, g.MinSize))
}
