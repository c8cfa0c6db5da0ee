package move

import (
	"maps"
	"time"
)

const (
	// mostFailures of moves to one target stop the moves of a group to it.
	mostFailures = 3
	// The pause after a failure doubles from firstPause to longestPause.
	firstPause, longestPause, postponedPause = 10 * time.Minute, 4 * time.Hour, 5 * time.Minute
	// inVainPause is the pause after a new node that did not help, or a termination that failed. The next try would launch another one.
	inVainPause = time.Hour
	// longestRefusal is the longest pause of Refusals.
	longestRefusal = time.Hour
	// FirstRefusal is the first pause after AWS has launched no node. Most refusals pass, and some last for days.
	FirstRefusal = time.Minute
)

// Refusals are pauses of nodes or groups, by name. Each is twice as long as the one before it, which is forgotten once it has been over for
// longestRefusal.
type Refusals map[string]refusal

type refusal struct {
	times int
	until time.Time
}

// Add begins the next pause.
func (r *Refusals) Add(name string, first time.Duration, now time.Time) {
	if *r == nil {
		*r = Refusals{}
	}
	if r.Lasts(name, now) { // of several nodes that move, each may tell of one refusal
		return
	}
	maps.DeleteFunc(*r, func(_ string, one refusal) bool { return now.Sub(one.until) >= longestRefusal })
	times := (*r)[name].times
	(*r)[name] = refusal{times + 1, now.Add(min(first<<min(times, 10), longestRefusal))}
}

func (r Refusals) Lasts(name string, now time.Time) bool { return now.Before(r[name].until) }

// Failed is the state after a try that failed. The node waits, and longer each time.
func (s State) Failed(now time.Time) State {
	pause := min(firstPause<<min(s.Failures, 10), longestPause)
	s.Failures++
	return s.waits(now, pause)
}

// Postponed is the state after a try that could not begin, because a pod keeps the node or nobody can launch another. It is a failure if a node was
// launched for it, or Deployments were restarted, because the next try would do it again.
func (s State) Postponed(now time.Time) State {
	if s.Launches > 0 {
		return s.Failed(now)
	}
	// A pod may keep the node for long, and other nodes have their turn meanwhile.
	return s.pauses(now, max(postponedPause, min(now.Sub(s.Since)/10, inVainPause)))
}

// Held is the state after a try that something else than its pods has held back for too long.
func (s State) Held(now time.Time) State { return s.pauses(now, postponedPause) }

// InVain is the state after a try whose new node did not help, or whose termination AWS failed. A failure would stop the group's other nodes.
func (s State) InVain(now time.Time) State { return s.pauses(now, inVainPause) }

// pauses is the state before the next try. It is a failure if Deployments were restarted, because that try restarts them again.
func (s State) pauses(now time.Time, pause time.Duration) State {
	if !s.Restarted.IsZero() {
		return s.Failed(now)
	}
	return s.waits(now, pause)
}

// waits is the state between two tries. Pods come to the node meanwhile that ask for another restart.
// A reboot that was taken back is still to come.
func (s State) waits(now time.Time, pause time.Duration) State {
	if s.Step == Rebooting {
		s.Boot = ""
	}
	s.Step, s.Began, s.Retry, s.Launches, s.Replacement, s.Closed, s.Restarted = Waiting, now, now.Add(pause), 0, "", false, time.Time{}
	return s
}
