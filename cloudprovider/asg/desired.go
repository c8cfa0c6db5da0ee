package asg

import (
	"slices"
	"time"
)

// AWS does not promise that a reading shows our last write: it can be older than the write, and older than the reading before it. So a reading
// that may be older never lowers the desired capacity that we know, and one that repeats what it was before changes nothing.

// readingLag is how old a reading can be when we get it. AWS states no bound. Readings a few seconds old are seen, so a minute leaves room.
const readingLag = time.Minute

// level is our knowledge of a group's desired capacity.
type level struct {
	known int       // the newest that a reading showed or a write of ours set
	since time.Time // when it became known: a reading that began within readingLag of it may be older
	shown bool      // by a reading since then: one that is newer than all readings is newer than this
	past  []formerly
	// others is the highest desired capacity that others have asked for: a withdrawal must not go below it.
	others int
}

// formerly is an earlier desired capacity that a reading may still show.
type formerly struct {
	desired int
	until   time.Time
}

// know enters a newer desired capacity.
func (l *level) know(desired int, at time.Time) {
	l.past = slices.DeleteFunc(l.past, func(p formerly) bool { return at.After(p.until) })
	if desired != l.known {
		l.past = append(l.past, formerly{l.known, at.Add(readingLag)})
	}
	l.known, l.since, l.shown = desired, at, false
	l.others = min(l.others, desired)
}

// isPast reports whether a reading that began at a moment may be older than what we know, because it shows what was known before.
func (l *level) isPast(desired int, at time.Time) bool {
	return slices.ContainsFunc(l.past, func(p formerly) bool { return p.desired == desired && at.Before(p.until) })
}

// resolve makes the newest desired capacity that we know the reading's. A higher one that we have not seen is somebody else's wish, as a whole:
// they may have counted on what we had asked for. A lower one counts once the reading cannot be older than what we know: because of its age, or
// because it is newer than another that showed what we know.
func (e *entry) resolve(g *Group, newest bool) {
	stated, l, o := g.DesiredCapacity, &e.level, &e.overwrite
	if o.unanswered && g.ReadAt.Sub(o.at) >= readingLag {
		o.unanswered = false // a reading would have shown it by now
	}
	switch {
	case e.group == nil:
		l.known, l.since = stated, g.ReadAt
	case stated == l.known:
	case o.unanswered && stated == o.perhaps:
		o.unanswered = false
		l.know(stated, g.ReadAt)
	case l.shown && newest:
		l.know(stated, g.ReadAt)
	case l.isPast(stated, g.ReadAt):
	case stated > l.known:
		l.know(stated, g.ReadAt)
		l.others = stated
	case g.ReadAt.Sub(l.since) >= readingLag:
		l.know(stated, g.ReadAt)
		if !e.lostMember(g) { // then somebody has set it
			l.others = stated
		}
	}
	l.shown = l.shown || stated == l.known
	g.stated, g.DesiredCapacity, g.others = stated, l.known, l.others
}

// shift enters that AWS has moved the desired capacity by so much from whatever it was: with an instance that it launched or ended for us, and
// that a reading has not shown yet. g is not shared yet.
func (e *entry) shift(g *Group, by int, at time.Time) {
	g.DesiredCapacity += by
	g.stated += by
	e.level.known += by
	e.level.others += by
	g.others = e.level.others
	e.overwrite.desired += by
	e.overwrite.perhaps += by
	if by > 0 {
		e.level.since, e.level.shown = at, false
		return
	}
	for p := range e.level.past { // a reading of that time shows the instance that has ended, and is corrected by it
		e.level.past[p].desired += by
	}
}

// set enters that AWS took a desired capacity from us. Should a reading have shown another since we asked, that stays: it may be newer. g is not
// shared yet.
func (e *entry) set(g *Group, desired int, now time.Time) {
	o := &e.overwrite
	overtaken := e.level.known > desired && e.level.since.After(o.at)
	o.desired, o.perhaps, o.unanswered = desired, desired, false
	e.wrote(now)
	if overtaken {
		return
	}
	e.level.know(desired, now)
	g.DesiredCapacity, g.stated, g.others = desired, desired, e.level.others
}

// least is what a raise of the desired capacity must not set it below: the most that AWS may have taken from us.
func (e *entry) least() int {
	if e.overwrite.unanswered {
		return max(e.level.known, e.overwrite.perhaps)
	}
	return e.level.known
}

// lostMember reports whether an instance counts no more that counted in the reading before.
func (e *entry) lostMember(g *Group) bool {
	return slices.ContainsFunc(e.group.Counted(), func(was Instance) bool {
		i := g.instance(was.ID)
		return i == nil || !i.Lifecycle.Counts()
	})
}

// isNewest reports whether the reading shows an instance that has left for good and counted in every reading before. One in standby may have
// come back since.
func (e *entry) isNewest(g *Group) bool {
	if e.group == nil || g.DesiredCapacity >= e.level.known {
		return false // nobody needs to know
	}
	return slices.ContainsFunc(g.Instances, func(i Instance) bool {
		if _, known := e.leaving[i.ID]; known || !i.Lifecycle.leftForGood() {
			return false
		}
		was := e.group.instance(i.ID)
		return was != nil && was.Lifecycle.Counts()
	})
}

// A departure is an instance on its way out.
type departure struct {
	at     time.Time
	weight int // by which its termination has lowered the desired capacity, as far as that was ours
}

// markLeaving carries terminations into a reading that does not show them, with the desired capacity that they leave: those that AWS has
// accepted from us, and those that an earlier reading showed. No instance comes back from there.
func (e *entry) markLeaving(g *Group) {
	shown := map[string]bool{}
	for at := range g.Instances {
		i := &g.Instances[at]
		d, known := e.leaving[i.ID]
		switch {
		case i.Lifecycle.Leaving() && !known:
			e.leaving[i.ID] = departure{at: g.ReadAt}
			shown[i.ID] = true
		case i.Lifecycle.Leaving():
			shown[i.ID] = true
		case known && i.Lifecycle.Counts() && g.ReadAt.Sub(d.at) <= readingLag:
			i.Lifecycle = terminating
			g.DesiredCapacity -= d.weight
		}
	}
	for id, d := range e.leaving {
		if !shown[id] && g.ReadAt.Sub(d.at) > readingLag {
			delete(e.leaving, id)
		}
	}
}

// A sighting is an instance that came lately. A reading that does not show it may be older.
type sighting struct {
	Instance
	at time.Time // when it was first seen
}

// noteNew remembers the instances that are new in the reading, and counts those that are new and missing from it.
func (e *entry) noteNew(g *Group) {
	there := make(map[string]bool, len(g.Instances))
	for _, i := range g.Instances {
		there[i.ID] = true
	}
	if e.group != nil {
		before := make(map[string]bool, len(e.group.Instances))
		for _, i := range e.group.Instances {
			before[i.ID] = true
		}
		for _, i := range g.Instances {
			_, arriving := e.arriving[i.ID]
			_, seen := e.recent[i.ID]
			if i.Lifecycle.Counts() && !seen && (arriving || !before[i.ID]) {
				e.recent[i.ID] = sighting{Instance: i, at: g.ReadAt}
			}
		}
	}
	for id, s := range e.recent {
		switch _, leaving := e.leaving[id]; {
		case leaving, g.ReadAt.Sub(s.at) > readingLag:
			delete(e.recent, id)
		case !there[id]:
			g.unshown += s.Weight
		}
	}
}
