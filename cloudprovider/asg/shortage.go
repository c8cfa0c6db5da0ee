package asg

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"slices"
	"time"
)

// soon plans a look for when AWS has had a moment, and restarts the slow-down of looks.
func (l *look) soon(now time.Time) {
	due := now.Add(firstLook)
	if l.count == 0 && l.due.After(now.Add(-slowestLook)) && l.due.Before(due) {
		due = l.due // it waits for the look already: instances come and die
	}
	l.due, l.count = later(due, l.at.Add(firstLook)), 0
}

// noteShortage follows the missing instances through the readings.
func (e *entry) noteShortage(g *group.Group) {
	s, missing, open := &e.shortage, g.Missing(), g.NotInService()
	if s.missing == 0 || missing < s.missing {
		s.began = g.ReadAt
	}
	s.missing = missing
	if e.lostStarting(g) {
		s.died = true
		e.look.soon(g.ReadAt)
	}
	if open == s.open {
		return
	}
	s.open, s.failure, s.since = open, nil, g.ReadAt
	if e.group == nil {
		return // the first look is due at once, because AWS has had time
	}
	s.since = later(g.ReadAt.Add(-failureAge), e.group.ReadAt)
	e.look.soon(g.ReadAt)
}

// lostStarting reports whether an instance that was starting in the reading before has gone, and not by our doing.
func (e *entry) lostStarting(g *group.Group) bool {
	return e.group != nil && slices.ContainsFunc(e.group.Instances, func(was group.Instance) bool {
		if !was.Lifecycle.Starting() {
			return false
		}
		i := g.Instance(was.ID)
		return i == nil || i.Lifecycle.Leaving()
	})
}

// requestOpen reports whether instances of our request are missing or have died for an unknown reason.
func (e *entry) requestOpen() bool {
	r := &e.request
	return r.failure == nil && (r.instances > 0 || r.asked > 0 && e.shortage.died)
}

// shortageOpen reports whether instances that are not ours to withdraw are missing in g, or have died, for an unknown reason.
func (e *entry) shortageOpen(g *group.Group) bool {
	s := &e.shortage
	return s.failure == nil && (s.died || g.Missing() > g.Withdrawable())
}

// markOverdue enters how many missing instances are overdue: all that are not ours to withdraw, after a failed launch or overdueAfter. Instances for
// the minimum size are never overdue, because the core would ask for them again.
func (e *entry) markOverdue(g *group.Group) {
	g.Overdue = 0
	if s := e.shortage; s.failure != nil || s.missing > 0 && g.ReadAt.Sub(s.began) >= overdueAfter {
		g.Overdue = max(0, min(g.Missing(), g.TargetInstances()-g.MinInstances())-g.Withdrawable())
	}
}

// fulfil takes the instances in service off the request. A starting instance may still die, and is then ours to withdraw.
func (r *request) fulfil(g *group.Group) { r.asked = max(0, min(r.asked, g.NotInService())) }

// settle enters the missing part of the request in the group.
func (r *request) settle(g *group.Group) {
	if r.asked == 0 {
		*r = request{}
	}
	r.instances = min(r.asked, g.Missing())
	g.Requested, g.Failure, g.WithdrawalFailed = r.instances, r.failure, r.withdrawalFailed
	if r.instances == 0 {
		g.Failure = nil
	}
}
