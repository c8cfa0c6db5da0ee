package ledger

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// Ledger has our knowledge of one group. New makes one.
type Ledger struct {
	group *group.Group
	metAt time.Time // our first reading
	// writtenAt is the end of our last write. A reading that began earlier may miss it.
	writtenAt time.Time
	movedAt   time.Time
	away      bool // the group has left the readings

	desired  knownDesired
	written  lostUpdate
	before   lostUpdate // written, as it was before the last attempt
	request  request
	shortage shortage
	look     look
	underWay underWay

	departed  map[string]departed // instances on their way out
	recent    map[string]Arrival  // instances that came lately, from when a reading first showed them: one without them may be older
	arriving  map[string]Arrival  // instances that AWS has launched for us and no reading has shown
	gone      map[string]bool     // instances that AWS said it does not have, until a reading lacks them
	launching int                 // launches that AWS has not answered
	grown     int                 // how much readings have raised the desired capacity meanwhile, maybe for these launches

	keyUses   map[Key]int          // synchronous launches that have ended
	conflicts map[string]time.Time // since when a previous leader's launch stands in the way, by zone
	// endedBefore holds instances seen on their way out, with the time, and instances that AWS had terminated before our first launch. It is nil once no
	// previous leader's launch can be replayed.
	endedBefore    map[string]time.Time
	replaysChecked bool
}

func New() *Ledger {
	return &Ledger{departed: map[string]departed{}, recent: map[string]Arrival{}, arriving: map[string]Arrival{}, gone: map[string]bool{},
		keyUses: map[Key]int{}, conflicts: map[string]time.Time{}, endedBefore: map[string]time.Time{}}
}

// Group returns the group as AWS has accepted it, or nil before the first reading.
func (l *Ledger) Group() *group.Group { return l.group }

// change replaces the group by a copy, which may be changed until the caller's next call.
func (l *Ledger) change() *group.Group {
	g := *l.group
	l.group = &g
	return l.group
}

// Read takes in the reading g, and makes it the group with our knowledge beside it. It returns whether the group moved, and the recent instances that
// have just come into service. g must not be older than our knowledge, and belongs to the Ledger from then on.
func (l *Ledger) Read(g *group.Group) (moved bool, inService []Arrival) {
	before := l.group
	inService = l.noteRecent(g)
	newest := l.isNewest(g)
	maps.DeleteFunc(l.gone, func(id string, _ bool) bool { return g.Instance(id) == nil })
	l.markDeparted(g)
	l.resolve(g, newest)
	l.markArriving(g)
	if before == nil { // nothing shows who asked for the instances that it lacks, so none is ours to withdraw
		l.metAt = g.ReadAt
		l.desired.others = g.DesiredCapacity
		g.OthersWant = l.desired.others
	} else {
		g.LaunchSpec, g.Problems, g.ZonesNeeded = before.LaunchSpec, before.Problems, before.ZonesNeeded
	}
	if !l.written.unanswered {
		l.request.fulfil(g)
	}
	l.request.settle(g)
	l.noteShortage(g)
	l.markOverdue(g)
	l.noteEndedBefore(g)
	moved = before == nil || l.away || !before.SameMotion(g)
	if l.group, l.away = g, false; moved {
		l.movedAt = g.ReadAt
	}
	return moved, inService
}

// IsOld reports whether a reading that began then is older than our knowledge.
func (l *Ledger) IsOld(began time.Time) bool {
	return l.group != nil && (began.Before(l.group.ReadAt) || began.Before(l.writtenAt))
}

// Leave enters that the group left the readings. It may come back.
func (l *Ledger) Leave() { l.away = true }

// WrittenAt is the end of our last write.
func (l *Ledger) WrittenAt() time.Time { return l.writtenAt }

// Pace returns the interval, or a longer one if the group has not moved for some minutes.
func (l *Ledger) Pace(interval time.Duration, now time.Time) time.Duration {
	if now.Sub(l.movedAt) > restlessFor {
		return interval * slowMotionFactor
	}
	return interval
}

// Describe has describe change facts of the group that depend on no reading: its statements, and that a pod needs its zones.
func (l *Ledger) Describe(describe func(*group.Group)) { describe(l.change()) }

// NoteSpec enters the group's launch spec and reports whether it is news. A known spec stays where nothing better is known, unless the group can
// launch nothing at all.
func (l *Ledger) NoteSpec(launch *launchspec.LaunchSpec, problems []launchspec.Problem) (news bool) {
	g := *l.group
	g.Problems = problems
	if launch == nil && !g.Blocked() || launch != nil && reflect.DeepEqual(launch, g.LaunchSpec) {
		launch = g.LaunchSpec
	}
	if launch == l.group.LaunchSpec && slices.Equal(problems, l.group.Problems) {
		return false
	}
	g.LaunchSpec = launch
	l.group = &g
	return true
}

func (l *Ledger) wrote(now time.Time) { l.writtenAt, l.movedAt = now, now }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
