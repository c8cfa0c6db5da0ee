package move

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// Windows are the times in which nodes may move. Without any they may always.
type Windows []window

type window struct {
	reason string // "" for all
	allow  bool   // or deny
	group.Window
}

// ParseWindows reads values of the form [REASON:]allow|deny CRON DURATION [ZONE], such as "deny 0 8 * * MON-FRI 10h Asia/Shanghai". The zone is UTC
// where none is given. A clock in the zone shows all times, so a window keeps its hours when the clocks change.
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
	zone := "UTC"
	if len(fields) == 8 {
		zone = fields[7]
	}
	w.Window, err = group.ParseWindow(strings.Join(fields[1:6], " "), fields[6], zone)
	return w, err
}

// Open reports whether nodes may move for the reason now, and the next moment at which a window begins or ends, zero for never. A deny window closes
// while it runs. If there are allow windows for the reason, it is open in these alone. Else if there are some for all reasons, it is open in them alone.
// Windows for all reasons do not count for a schedule, because it states the time itself.
func (w Windows) Open(reason string, now time.Time) (open bool, next time.Time) {
	of := func(reason string) func(window) bool {
		return func(one window) bool { return one.allow && one.reason == reason }
	}
	own, general := slices.ContainsFunc(w, of(reason)), reason != Schedule
	open, denied := !own && !(general && slices.ContainsFunc(w, of(""))), false
	for _, one := range w {
		if one.reason != reason && (one.reason != "" || !general || one.allow && own) {
			continue
		}
		change, until, runs := one.At(now)
		if runs {
			change = until
		}
		open = open || runs && one.allow
		denied = denied || runs && !one.allow
		if next.IsZero() || !change.IsZero() && change.Before(next) {
			next = change
		}
	}
	return open && !denied, next
}
