package ledger

import (
	"maps"
	"reflect"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

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
		g.Operation, g.EKSRepairs = before.Operation, before.EKSRepairs
	}
	if !l.written.unanswered {
		l.request.fulfil(g)
	}
	l.request.settle(g)
	l.noteShortage(g)
	l.markOverdue(g)
	moved = before == nil || l.away || !before.SameMotion(g)
	if l.group, l.away = g, false; moved {
		l.movedAt = g.ReadAt
	}
	return moved, inService
}

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

// Describe has describe change facts of the group that depend on no reading: its statements, and that a pod needs its zones.
func (l *Ledger) Describe(describe func(*group.Group)) { describe(l.change()) }
