package ledger

import (
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// AWS does not promise that a reading shows our last write: it can be older than the write, and older than the reading before it. So a reading that
// may be older never lowers the known desired capacity, and one that repeats an earlier value changes nothing. Where a failed launch has left the value in
// doubt, the reading counts, and writes keep to the higher value. Only this file changes the counters of the desired capacity, with three exceptions.
// Refused restores the whole record of a write, Read takes over what another writer wants, and markDeparted corrects a reading before resolve sees it. The
// correction must not go through shift, which would subtract it again from our own knowledge.

func (k *knownDesired) know(desired int, at time.Time) {
	k.past = slices.DeleteFunc(k.past, func(p formerDesired) bool { return at.After(p.until) })
	if desired != k.known {
		k.past = append(k.past, formerDesired{k.known, at.Add(ReadingLag)})
	}
	k.known, k.since, k.shown = desired, at, false
	k.others = min(k.others, desired)
	k.most = 0
}

// doubt enters that a reading has shown capacity amid a launch that did not bring it: AWS takes that back, or another writer wants it. No reading that
// may be older says which, so until ReadingLag after that reading we count what the latest one states, and no write sets less than the most.
func (l *Ledger) doubt(g *group.Group, capacity int) {
	k := &l.desired
	k.least, k.most = k.known-capacity, max(k.most, k.known)
	k.known -= capacity
	g.DesiredCapacity = k.known
}

// resolve replaces the reading's desired capacity by the newest that we know. An unknown higher one is another writer's, as a whole: they may
// have counted on ours. A lower one counts once the reading cannot be older than our knowledge, because of its age, or because it is newer than a
// reading that showed our value.
func (l *Ledger) resolve(g *group.Group, newest bool) {
	stated, k, o := g.DesiredCapacity, &l.desired, &l.written
	if o.unanswered && g.ReadAt.Sub(o.at) >= ReadingLag {
		o.unanswered = false // a reading would have shown it by now
	}
	if k.most > 0 && g.ReadAt.Sub(k.since) >= ReadingLag {
		k.others, k.most = min(k.others, k.known), 0
	}
	switch {
	case l.group == nil:
		k.known, k.since = stated, g.ReadAt
	case stated == k.known:
	case o.unanswered && stated == o.unconfirmed:
		o.unanswered = false
		k.know(stated, g.ReadAt)
	case k.shown && newest:
		k.know(stated, g.ReadAt)
	case k.most > 0 && k.least <= stated && stated <= k.most:
		if l.launching > 0 {
			l.grown = max(0, l.grown+stated-k.known)
		}
		k.known = stated
	case slices.ContainsFunc(k.past, func(p formerDesired) bool { return p.desired == stated && g.ReadAt.Before(p.until) }):
		// it shows an earlier value, and may be older than our knowledge
	case stated > k.known:
		if l.launching > 0 {
			l.grown += stated - k.known
		}
		k.know(stated, g.ReadAt)
		k.others = stated
	case g.ReadAt.Sub(k.since) >= ReadingLag:
		k.know(stated, g.ReadAt)
		lost := func(was group.Instance) bool {
			i := g.Instance(was.ID)
			return i == nil || !i.Lifecycle.Counts()
		}
		if !slices.ContainsFunc(l.group.Counted(), lost) { // then another writer has set it
			k.others = stated
		}
	}
	k.shown = k.shown || stated == k.known
	g.StatedCapacity, g.DesiredCapacity, g.OthersWant = stated, k.known, k.others
}

// shift enters that AWS moved the desired capacity by the weight of an instance that it launched or terminated for us. Every counter of the desired
// capacity moves along, but the stated one does not if the reading g shows the instance's change already. g is not shared yet.
func (l *Ledger) shift(g *group.Group, by int, at time.Time, inReading bool) {
	g.DesiredCapacity += by
	if !inReading {
		g.StatedCapacity += by
	}
	l.desired.known += by
	l.desired.others += by
	if l.desired.most > 0 {
		l.desired.least += by
		l.desired.most += by
	}
	g.OthersWant = l.desired.others
	l.written.desired += by
	l.written.unconfirmed += by
	if by > 0 {
		l.desired.since, l.desired.shown = at, false
		return
	}
	l.underWay.from += by
	for p := range l.desired.past { // a reading of that time shows the terminated instance, which corrects it
		l.desired.past[p].desired += by
	}
}

// set enters that AWS took a desired capacity from us. A different one that a reading showed since then stays, because it may be newer. g is not
// shared yet.
func (l *Ledger) set(g *group.Group, desired int, now time.Time) {
	o := &l.written
	overtaken := l.desired.known > desired && l.desired.since.After(o.at)
	o.desired, o.unconfirmed, o.unanswered = desired, desired, false
	l.wrote(now)
	if overtaken {
		return
	}
	l.desired.know(desired, now)
	g.DesiredCapacity, g.StatedCapacity, g.OthersWant = desired, desired, l.desired.others
}

// Floor is the least desired capacity that a raise or a repair may set: the most that AWS may have taken from us, or another writer may want.
func (l *Ledger) Floor() int {
	least := max(l.desired.known, l.desired.most)
	if l.written.unanswered {
		return max(least, l.written.unconfirmed)
	}
	return least
}

// isNewest reports whether the reading is newer than all before: an instance that counted in them has departed. An instance in standby may have come
// back since. A missing one has departed unless it came so lately that the reading may be older. After our start, we know that only where AWS said that
// it has no such instance.
func (l *Ledger) isNewest(g *group.Group) bool {
	if l.group == nil || g.DesiredCapacity >= l.desired.known {
		return false // the answer matters below the known value only
	}
	for id := range l.gone { // the reading before may have lacked it, too
		if _, known := l.departed[id]; !known && l.missing(g, id) {
			return true
		}
	}
	return slices.ContainsFunc(l.group.Counted(), func(was group.Instance) bool {
		if _, known := l.departed[was.ID]; known {
			return false
		}
		if i := g.Instance(was.ID); i != nil {
			return i.Lifecycle.Leaving() || i.Lifecycle == "Detaching" || i.Lifecycle == "Detached"
		}
		return l.missing(g, was.ID) && g.ReadAt.Sub(l.metAt) > ReadingLag
	})
}

// missing reports whether the reading lacks the instance, and not because it is older than the instance.
func (l *Ledger) missing(g *group.Group, id string) bool {
	_, recent := l.recent[id]
	_, arriving := l.arriving[id]
	return g.Instance(id) == nil && !recent && !arriving
}
