package asg

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"slices"
	"time"
)

// AWS does not promise that a reading shows our last write: it can be older than the write, and older than the reading before it. So a reading that
// may be older never lowers the known desired capacity, and one that repeats an earlier value changes nothing. Only this file changes the counters of
// the desired capacity, with three exceptions. lostupdate.go restores the whole record of a write, merge.go takes over what another
// writer wants, and terminated.go corrects a reading before resolve sees it. The correction must not go through shift, which would
// subtract it again from our own knowledge.

func (l *knownDesired) know(desired int, at time.Time) {
	l.past = slices.DeleteFunc(l.past, func(p formerDesired) bool { return at.After(p.until) })
	if desired != l.known {
		l.past = append(l.past, formerDesired{l.known, at.Add(readingLag)})
	}
	l.known, l.since, l.shown = desired, at, false
	l.others = min(l.others, desired)
}

// isPast reports whether a reading may be older than our knowledge, because it shows an earlier value.
func (l *knownDesired) isPast(desired int, at time.Time) bool {
	return slices.ContainsFunc(l.past, func(p formerDesired) bool { return p.desired == desired && at.Before(p.until) })
}

// resolve replaces the reading's desired capacity by the newest that we know. An unknown higher one is another writer's wish, as a whole: they may
// have counted on ours. A lower one counts once the reading cannot be older than our knowledge, because of its age, or because it is newer than a
// reading that showed our value.
func (e *entry) resolve(g *group.Group, newest bool) {
	stated, l, o := g.DesiredCapacity, &e.desired, &e.written
	if o.unanswered && g.ReadAt.Sub(o.at) >= readingLag {
		o.unanswered = false // a reading would have shown it by now
	}
	switch {
	case e.group == nil:
		l.known, l.since = stated, g.ReadAt
	case stated == l.known:
	case o.unanswered && stated == o.unconfirmed:
		o.unanswered = false
		l.know(stated, g.ReadAt)
	case l.shown && newest:
		l.know(stated, g.ReadAt)
	case l.isPast(stated, g.ReadAt):
	case stated > l.known:
		if e.launching > 0 {
			e.grown += stated - l.known
		}
		l.know(stated, g.ReadAt)
		l.others = stated
	case g.ReadAt.Sub(l.since) >= readingLag:
		l.know(stated, g.ReadAt)
		if !e.lostMember(g) { // then another writer has set it
			l.others = stated
		}
	}
	l.shown = l.shown || stated == l.known
	g.StatedCapacity, g.DesiredCapacity, g.OthersWant = stated, l.known, l.others
}

// shift enters that AWS moved the desired capacity by the weight of an instance that it launched or terminated for us. Every counter of the desired
// capacity moves along, but the stated one does not if the reading g shows the instance's change already. g is not shared yet.
func (e *entry) shift(g *group.Group, by int, at time.Time, inReading bool) {
	g.DesiredCapacity += by
	if !inReading {
		g.StatedCapacity += by
	}
	e.desired.known += by
	e.desired.others += by
	g.OthersWant = e.desired.others
	e.written.desired += by
	e.written.unconfirmed += by
	if by > 0 {
		e.desired.since, e.desired.shown = at, false
		return
	}
	e.underWay.from += by
	for p := range e.desired.past { // a reading of that time shows the terminated instance, which corrects it
		e.desired.past[p].desired += by
	}
}

// set enters that AWS took a desired capacity from us. A different one that a reading showed since then stays, because it may be newer. g is not
// shared yet.
func (e *entry) set(g *group.Group, desired int, now time.Time) {
	o := &e.written
	overtaken := e.desired.known > desired && e.desired.since.After(o.at)
	o.desired, o.unconfirmed, o.unanswered = desired, desired, false
	e.wrote(now)
	if overtaken {
		return
	}
	e.desired.know(desired, now)
	g.DesiredCapacity, g.StatedCapacity, g.OthersWant = desired, desired, e.desired.others
}

// least is the floor of a raise: the most that AWS may have taken from us.
func (e *entry) least() int {
	if e.written.unanswered {
		return max(e.desired.known, e.written.unconfirmed)
	}
	return e.desired.known
}

// lostMember reports whether an instance counted in the reading before and no longer does.
func (e *entry) lostMember(g *group.Group) bool {
	return slices.ContainsFunc(e.group.Counted(), func(was group.Instance) bool {
		i := g.Instance(was.ID)
		return i == nil || !i.Lifecycle.Counts()
	})
}

// isNewest reports whether the reading is newer than all before: an instance that counted in them has departed. An instance in standby may have come
// back since. A missing one has departed unless it came so lately that the reading may be older. After our start, we know that only where AWS said that
// it has no such instance.
func (e *entry) isNewest(g *group.Group) bool {
	if e.group == nil || g.DesiredCapacity >= e.desired.known {
		return false // the answer matters below the known value only
	}
	for id := range e.gone { // the reading before may have lacked it, too
		if _, known := e.departed[id]; !known && e.missing(g, id) {
			return true
		}
	}
	return slices.ContainsFunc(e.group.Counted(), func(was group.Instance) bool {
		if _, known := e.departed[was.ID]; known {
			return false
		}
		if i := g.Instance(was.ID); i != nil {
			return i.Lifecycle.DepartedForGood()
		}
		return e.missing(g, was.ID) && g.ReadAt.Sub(e.metAt) > readingLag
	})
}

// missing reports whether the reading lacks the instance, and not because it is older than the instance.
func (e *entry) missing(g *group.Group, id string) bool {
	_, recent := e.recent[id]
	_, arriving := e.arriving[id]
	return g.Instance(id) == nil && !recent && !arriving
}

func (e *entry) wrote(now time.Time) { e.writtenAt, e.movedAt, e.readDue = now, now, time.Time{} }

// attempt enters that we are about to set a desired capacity with excess capacity present. It returns the last write.
func (e *entry) attempt(desired, excess int, now time.Time) (was lostUpdate) {
	was = e.written
	if e.watched(now) {
		excess = min(excess, was.excess) // the rest is for us to repair
	}
	e.written = lostUpdate{desired: desired, unconfirmed: desired, excess: excess, at: now, unanswered: true, until: now.Add(lostUpdateWatch)}
	return was
}

func (e *entry) unansweredRaise(desired int, now time.Time) {
	e.written.unconfirmed, e.written.at, e.written.unanswered = desired, now, true
}

func (e *entry) watched(now time.Time) bool { return now.Before(e.written.until) }
