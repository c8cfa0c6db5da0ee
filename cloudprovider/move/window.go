package move

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the image has no database of time zones

	"github.com/robfig/cron/v3"
)

// Windows are the times in which nodes may move. Without any they may always.
type Windows []window

type window struct {
	reason string // "" for all
	allow  bool   // or deny
	starts cron.Schedule
	lasts  time.Duration
	zone   *time.Location
}

const (
	// longestWindow keeps a typing error from being a window for ever.
	longestWindow = 366 * 24 * time.Hour
	// mostChanges bounds the search for the moment at which the windows really change, because some follow each other without a gap.
	mostChanges = 50
)

// cronFields are those of crontab(5): minute, hour, day of month, month and day of week.
var cronFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// ParseWindows reads values of the form [REASON:]allow|deny CRON DURATION [ZONE], such as "deny 0 8 * * MON-FRI 10h Asia/Shanghai". The zone is UTC
// where none is given. All times are those that a clock in the zone shows, so a window keeps its hours when the clocks change.
func ParseWindows(texts []string) (Windows, error) {
	var all Windows
	for _, text := range texts {
		one, err := parseWindow(strings.Fields(text))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		all = append(all, one)
	}
	return all, nil
}

func parseWindow(fields []string) (w window, err error) {
	if len(fields) != 7 && len(fields) != 8 {
		return w, fmt.Errorf("it has %d words: use [REASON:]allow|deny, five fields of cron, a duration and maybe a time zone, such as deny 0 8 * * MON-FRI 10h Asia/Shanghai",
			len(fields))
	}
	kind := fields[0]
	if reason, after, found := strings.Cut(kind, ":"); found {
		w.reason, kind = reason, after
	}
	if err := checkReason(w.reason); err != nil {
		return w, err
	}
	if w.allow = kind == "allow"; !w.allow && kind != "deny" {
		return w, fmt.Errorf("%q is unknown: use allow or deny", kind)
	}
	fieldsOfCron := strings.Join(fields[1:6], " ")
	if w.starts, err = cronFields.Parse(fieldsOfCron); err != nil {
		return w, fmt.Errorf("%q is not five fields of cron such as 0 8 * * MON-FRI: %w", fieldsOfCron, err)
	}
	if w.starts.Next(time.Unix(0, 0).UTC()).IsZero() {
		return w, fmt.Errorf("%q never comes: use a day that exists", fieldsOfCron)
	}
	if w.lasts, err = time.ParseDuration(fields[6]); err != nil || w.lasts <= 0 || w.lasts > longestWindow {
		return w, fmt.Errorf("%q is no length of a window: use a duration such as 10h, of %v at most", fields[6], longestWindow)
	}
	name := "UTC"
	if len(fields) == 8 {
		name = fields[7]
	}
	if w.zone, err = time.LoadLocation(name); err != nil {
		return w, fmt.Errorf("there is no time zone %q: use a name such as Asia/Shanghai or UTC", name)
	}
	return w, nil
}

// Open reports whether nodes may move for the reason now, and when that may change, zero for never. A deny window closes while it runs. If there are
// allow windows for the reason, it is open in these alone, or else if there are some for all reasons, in those alone.
func (w Windows) Open(reason string, now time.Time) (open bool, next time.Time) {
	open, next = w.at(reason, now)
	for range mostChanges {
		if next.IsZero() {
			break
		}
		then, after := w.at(reason, next)
		if then != open {
			break
		}
		next = after
	}
	return open, next
}

// at returns whether it is open, and the next moment at which any of the windows begins or ends.
func (w Windows) at(reason string, now time.Time) (open bool, next time.Time) {
	of := func(reason string) func(window) bool {
		return func(one window) bool { return one.allow && one.reason == reason }
	}
	own := slices.ContainsFunc(w, of(reason))
	open, denied := !own && !slices.ContainsFunc(w, of("")), false
	for _, one := range w {
		if one.reason != "" && one.reason != reason || one.allow && own && one.reason == "" {
			continue
		}
		runs, change := one.at(now)
		open = open || runs && one.allow
		denied = denied || runs && !one.allow
		if next.IsZero() || !change.IsZero() && change.Before(next) {
			next = change
		}
	}
	return open && !denied, next
}

// at returns whether the window runs, and when that changes. The schedule is asked in the times that the clock shows: asked in the zone's own times it
// would skip a start in the hour that the clocks skip.
func (w window) at(now time.Time) (runs bool, change time.Time) {
	local := now.In(w.zone)
	shown := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), time.UTC)
	change = w.starts.Next(shown.Add(-w.lasts))
	if change.IsZero() {
		return false, change
	}
	if runs = !change.After(shown); runs {
		change = change.Add(w.lasts)
	}
	change = time.Date(change.Year(), change.Month(), change.Day(), change.Hour(), change.Minute(), change.Second(), change.Nanosecond(), w.zone)
	if !change.After(now) { // the clock shows this hour twice, and now is in the second
		change = change.Add(time.Hour)
	}
	return runs, change
}
