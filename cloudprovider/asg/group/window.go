package group

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the image has no database of time zones

	"github.com/robfig/cron/v3"
)

// longestWindow keeps a typing error from being a window for ever.
const longestWindow = 366 * 24 * time.Hour

// cronFields are the five of crontab(5): minute, hour, day of month, month and day of week.
var cronFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Window is a time that begins by a cron line, again and again. The zero value never begins.
type Window struct {
	starts cron.Schedule
	lasts  time.Duration
	zone   *time.Location
}

// ParseWindow reads five fields of cron, a duration such as 10h, and the name of a time zone. Tags of AWS cannot hold * and commas, so "any" stands
// for *, and + for a comma. A clock in the zone shows all times, so a window keeps its hours when the clocks change.
func ParseWindow(line, lasts, zone string) (w Window, err error) {
	if w.starts, err = cronFields.Parse(strings.NewReplacer("any", "*", "+", ",").Replace(strings.ToLower(line))); err != nil {
		return w, fmt.Errorf("%q is not five fields of cron such as 0 8 * * MON-FRI: %w", line, err)
	}
	if w.starts.Next(time.Unix(0, 0).UTC()).IsZero() {
		return w, fmt.Errorf("%q never comes: use a day that exists", line)
	}
	if w.lasts, err = time.ParseDuration(lasts); err != nil || w.lasts <= 0 || w.lasts > longestWindow {
		return w, fmt.Errorf("%q is no length of a window: use a duration such as 10h, of %v at most", lasts, longestWindow)
	}
	if w.zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
		return w, fmt.Errorf("there is no time zone %q: use a name such as Asia/Shanghai or UTC", zone)
	}
	return w, nil
}

// At reports whether the window runs, and from when until when it does. If it does not run, that is the next time, zero for never.
func (w Window) At(now time.Time) (from, until time.Time, runs bool) { return w.begins(now, w.lasts) }

// Next returns the next time at which the window begins, running or not, and the end of that, zero for never.
func (w Window) Next(now time.Time) (from, until time.Time) {
	from, until, _ = w.begins(now, 0)
	return from, until
}

// begins returns the first window that begins later than so long before now, and whether it has begun. The cron line is asked in the times that the
// clock shows: asked in the zone's own times it would skip a start in the hour that the clocks skip.
func (w Window) begins(now time.Time, before time.Duration) (from, until time.Time, begun bool) {
	if w.starts == nil {
		return from, until, false
	}
	shown := w.shown(now)
	start := w.starts.Next(shown.Add(-before))
	if start.IsZero() {
		return from, until, false
	}
	return w.first(start), w.first(start.Add(w.lasts)), !start.After(shown)
}

// shown is the latest time that the clock has shown by now. While it shows an hour again, that is the end of the hour. So nothing begins or
// ends twice.
func (w Window) shown(now time.Time) time.Time {
	now = now.In(w.zone)
	shown := in(now, time.UTC)
	changed, _ := now.ZoneBounds()
	if last := in(changed.Add(-1), time.UTC); last.After(shown) {
		return last
	}
	return shown
}

// first returns when the clock first shows t or a later time.
func (w Window) first(t time.Time) time.Time {
	at := in(t, w.zone)
	changed, changes := at.ZoneBounds()
	last, shown := in(changed.Add(-1), time.UTC), in(at, time.UTC)
	switch {
	case shown.Before(t): // the clock skips t
		return changes
	case shown.After(t):
		return changed
	case !last.Before(t): // it shows t again
		return changed.Add(t.Sub(last) - 1)
	}
	return at
}

// in returns the time at which a clock in the zone shows what one shows at t.
func in(t time.Time, zone *time.Location) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
}
