package ledger

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// A Raise is a raise of the desired capacity to come.
type Raise struct {
	Desired int
	request request // of ours once AWS has accepted it
}

// PlanRaise plans a raise by n instances from the present capacity of the fresh reading g. With an n of 0 the desired capacity covers just that. The
// error is a *group.LimitError.
func (l *Ledger) PlanRaise(g *group.Group, present, n int) (Raise, error) {
	least, weight := l.Floor(), g.Source.MinWeight()
	most := g.MaxSize
	if n == 0 { // the instances are there already, whatever a flag or a schedule allows
		most = max(most, g.AWSMax)
	}
	wanted := max(present+n*weight, min(least, g.MaxSize))
	desired := max(wanted, g.StatedCapacity) // a seemingly old reading may show another writer's new value
	if desired > most {
		return Raise{}, &group.LimitError{Group: g.Name, Desired: desired, Limit: most, LimitIsMost: true}
	}
	return Raise{Desired: desired, request: request{
		asked:     l.request.asked + max(0, wanted-max(least, present))/weight, // with the instances that are still starting
		instances: g.Requested + (wanted-present)/weight,
	}}, nil
}

// Attempt enters, before the call, that we set a desired capacity with excess capacity present: a reading may show it before AWS answers.
func (l *Ledger) Attempt(desired, excess int, now time.Time) {
	l.before = l.written
	from := now
	if l.Watched(now) && excess > l.before.excess {
		excess, from = l.before.excess, l.before.from // the rest is for us to repair
	}
	l.written = lostUpdate{desired: desired, unconfirmed: desired, excess: excess, from: from, at: now, unanswered: true, until: now.Add(lostUpdateWatch)}
}

// AttemptRepair is Attempt of a raise that repairs the last write.
func (l *Ledger) AttemptRepair(desired int, now time.Time) {
	l.before = l.written
	l.written.unconfirmed, l.written.at, l.written.unanswered = desired, now, true
}

// Refused enters that AWS refused the last attempt.
func (l *Ledger) Refused() { l.written = l.before }

// Raised enters that AWS took the raise that we attempted at began, or may have taken it if answered is false: the next reading decides then. since
// is when we asked for it, by AWS's clock.
func (l *Ledger) Raised(r Raise, answered bool, since, began, now time.Time) {
	g := l.Change()
	l.request = r.request
	l.request.since = since
	l.look.soon(began)
	l.wrote(now)
	if answered {
		l.set(g, r.Desired, now)
		l.request.settle(g)
	}
}

func (l *Ledger) Repaired(desired int, now time.Time) { l.set(l.Change(), desired, now) }

// A Withdrawal takes back instances that we asked for and AWS has not launched.
type Withdrawal struct {
	Desired   int // without them
	Instances int
	asked     int // the instances of ours that remain
}

// PlanWithdrawal plans a withdrawal of up to n instances from the fresh reading g. It changes nothing if none is to be had, or if somebody else may have
// set the desired capacity.
func (l *Ledger) PlanWithdrawal(g *group.Group, n int) Withdrawal {
	w := Withdrawal{Desired: g.DesiredCapacity}
	if g.StatedCapacity == g.DesiredCapacity {
		w.Desired = g.AfterWithdrawal(n)
	}
	w.Instances = (g.DesiredCapacity - w.Desired) / g.Source.MinWeight()
	w.asked = l.request.asked - w.Instances
	return w
}

func (l *Ledger) Withdrew(w Withdrawal, now time.Time) {
	g := l.Change()
	l.request.asked = min(l.request.asked, w.asked)
	l.set(g, w.Desired, now)
	l.request.settle(g)
}

// NotWithdrawn enters that a withdrawal failed and is not worth another try until then. The instances count as overdue meanwhile.
func (l *Ledger) NotWithdrawn(until time.Time) {
	g := l.Change()
	l.request.heldUntil = until
	l.request.settle(g)
	l.markOverdue(g)
}

// ExcessFrom returns when the excess was counted that Lost takes off. Later moves of AWS are not in it.
func (l *Ledger) ExcessFrom() time.Time { return l.written.from }

// Watched reports whether a write of ours is so young that instances of another writer may still arrive.
func (l *Ledger) Watched(now time.Time) bool { return now.Before(l.written.until) }

// Lost reports whether more instances arrived than our last write left room for, and no other write followed. moved is the capacity that AWS has
// launched to move others. covering is the desired capacity that covers the instances.
func (l *Ledger) Lost(moved int) (covering int, lost bool) {
	g, o := l.group, l.written
	covering = g.CountedCapacity() - o.excess - moved
	return covering, (g.StatedCapacity == o.desired || g.StatedCapacity == o.unconfirmed) && covering-g.StatedCapacity >= g.Lightest()
}
