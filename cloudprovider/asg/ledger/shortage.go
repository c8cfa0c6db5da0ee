package ledger

import (
	"maps"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// LookDue reports whether the group has been short for long enough to ask AWS why, and since when. It is due soon after its shortage changed, then ever
// more rarely, and not at all once the reason is known.
func (l *Ledger) LookDue(now time.Time) (since time.Time, due bool) {
	return l.look.due, !now.Before(l.look.due) && (l.requestOpen() || l.shortageOpen(l.group))
}

// Look enters that AWS is asked now, and plans the next look. A launch that began after since, by AWS's clock, may explain the shortage by its failure.
func (l *Ledger) Look(now time.Time) (since time.Time) {
	k := &l.look
	k.due, k.at = now.Add(min(firstLook<<min(k.count, 10), l.Pace(slowestLook, now))), now
	k.count++
	since = l.shortage.since
	if l.requestOpen() && (l.request.since.Before(since) || !l.shortageOpen(l.group)) {
		since = l.request.since
	}
	return since.Add(-failureAge) // because a launch takes a while to fail
}

// Looks returns the number of times that we have asked AWS since the last change of the shortage.
func (l *Ledger) Looks() int { return l.look.count }

// LookFailed plans another look for no sooner than due, after an error. It reports whether AWS denies the look now and did not before.
func (l *Ledger) LookFailed(due time.Time, denied bool) (news bool) {
	news, l.look.denied = denied && !l.look.denied, denied || l.look.denied
	l.look.due = later(l.look.due, due)
	return news
}

// LookSoon has the next look as soon as looks may follow each other.
func (l *Ledger) LookSoon() {
	if soonest := l.look.at.Add(firstLook); soonest.Before(l.look.due) {
		l.look.due = soonest
	}
}

// soon plans a look for when AWS has had a moment, and restarts the slow-down of looks.
func (k *look) soon(now time.Time) {
	due := now.Add(firstLook)
	if k.count == 0 && k.due.After(now.Add(-slowestLook)) && k.due.Before(due) {
		due = k.due // it waits for the look already: instances come and die
	}
	k.due, k.count = later(due, k.at.Add(firstLook)), 0
}

// NoteFailures enters the failures that may explain the shortage of our request, and of others. Both are empty unless they are news: AWS tries one zone
// after the other. ahead is how far AWS's clock is ahead. Unless these are all failures, the cause of an instance's death is still looked for.
func (l *Ledger) NoteFailures(failures []cooldown.FailedLaunch, ahead time.Duration, all bool) (ours, others cooldown.Failures) {
	g := l.Change()
	l.look.denied = false
	r, s := &l.request, &l.shortage
	if l.requestOpen() {
		repeats := r.since.Add(BeginsWithin) // a failure that passes counts once AWS's own next try has failed, too
		ours = cooldown.Those(failures, func(f cooldown.FailedLaunch) bool {
			return !f.At.Before(r.since.Truncate(time.Second)) && (f.Lasts() || f.At.After(repeats))
		})
		r.failure = ours.First()
		r.settle(g)
	}
	if l.shortageOpen(g) {
		since := s.since.Truncate(time.Second)
		others = cooldown.Those(failures, func(f cooldown.FailedLaunch) bool { return f.Lasts() && !f.Ended.Before(since.Add(ahead)) })
		s.failure = others.First()
	}
	s.died = s.died && !all
	l.markOverdue(g)
	return ours, others
}

// RetryOverdue counts overdue instances as part of an increase, by zone, and returns how many. AWS goes on launching the desired capacity, and each
// increase would otherwise leave one more instance to launch for ever. Where EC2 refuses the instances for lack of capacity, a new launch finds it
// sooner than AWS's next attempt. A new launch in place of instances that died would only die as well, whatever they lacked.
func (l *Ledger) RetryOverdue(wanted map[string]int, now time.Time) (again map[string]int) {
	g, s, left := l.group, &l.shortage, l.group.Overdue
	if s.failure == nil {
		return nil
	}
	if s.failure.LacksCapacity() {
		left = min(left, s.dead)
	}
	again = map[string]int{}
	for _, zone := range slices.Sorted(maps.Keys(wanted)) {
		if n := min(wanted[zone], g.OverdueIn(zone), left); n > 0 {
			again[zone] = n
			left -= n
		}
	}
	if len(again) > 0 {
		s.began, s.since, s.failure = now, now, nil
		l.look.soon(now)
		l.markOverdue(l.Change())
	}
	return again
}

// noteShortage follows the missing instances through the readings.
func (l *Ledger) noteShortage(g *group.Group) {
	s, missing, open := &l.shortage, g.Missing(), g.NotInService()
	if s.missing == 0 || missing < s.missing || l.group != nil && l.group.Suspended(group.ProcessLaunch) {
		s.began = g.ReadAt
	}
	s.missing = missing
	died := l.lostStarting(g)
	if s.dead = min(s.dead+died, missing); died > 0 {
		s.died = true
		l.look.soon(g.ReadAt)
	}
	if open == s.open {
		return
	}
	s.open, s.failure, s.since = open, nil, g.ReadAt
	if l.group == nil {
		return // the first look is due at once, because AWS has had time
	}
	s.since = later(g.ReadAt.Add(-failureAge), l.group.ReadAt)
	l.look.soon(g.ReadAt)
}

// lostStarting returns the number of instances that were starting in the reading before and have gone, and not by our doing.
func (l *Ledger) lostStarting(g *group.Group) (lost int) {
	if l.group == nil {
		return 0
	}
	for _, was := range l.group.Instances {
		if i := g.Instance(was.ID); was.Lifecycle.Starting() && (i == nil || i.Lifecycle.Leaving()) {
			lost++
		}
	}
	return lost
}

// requestOpen reports whether instances of our request are missing or have died for an unknown reason.
func (l *Ledger) requestOpen() bool {
	r := &l.request
	return r.failure == nil && (r.instances > 0 || r.asked > 0 && l.shortage.died)
}

// shortageOpen reports whether instances that are not ours to withdraw are missing in g, or have died, for an unknown reason.
func (l *Ledger) shortageOpen(g *group.Group) bool {
	s := &l.shortage
	return s.failure == nil && (s.died || g.Missing() > g.Withdrawable())
}

// markOverdue enters how many missing instances are overdue: all that are not ours to withdraw, after a failed launch or overdueAfter, and at once while
// AWS launches nothing. Instances for the minimum size are never overdue, because the core would ask for them again. Those of a launch that AWS has
// yet to answer are on their way.
func (l *Ledger) markOverdue(g *group.Group) {
	if g.Overdue = 0; l.grown > 0 {
		return
	}
	held := g.WithdrawalFailed && l.request.failure != nil || g.Suspended(group.ProcessLaunch)
	if s := l.shortage; held || s.failure != nil || s.missing > 0 && g.ReadAt.Sub(s.began) >= overdueAfter {
		g.Overdue = max(0, min(g.Missing(), (g.DesiredCapacity-g.MinSize)/g.Source.MinWeight())-g.Withdrawable())
	}
}

// settle enters the missing part of the request in the group.
func (r *request) settle(g *group.Group) {
	if r.asked == 0 {
		*r = request{}
	}
	r.instances = min(r.asked, g.Missing())
	g.Requested, g.Failure, g.WithdrawalFailed = r.instances, r.failure, g.ReadAt.Before(r.heldUntil)
	if r.instances == 0 {
		g.Failure = nil
	}
}
