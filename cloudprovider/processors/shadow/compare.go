package shadow

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

const (
	// settle is how long a comparison goes on after the last event, because the leader may raise again for pods that its first nodes left over.
	settle = 30 * time.Second
	// patience bounds the wait for the leader. One that has not acted by then has another opinion.
	patience = 15 * time.Minute
	// manyGroups are read by one call of AWS.
	manyGroups = 100

	mostDays, mostComparisons, mostRemovals = 14, 50, 50
)

// ask is one decision to ask for nodes.
type ask struct {
	at, since  time.Time // since when all its pods exist
	groups     map[string]int
	pods, open int // in all, and still waiting
}

// round is a comparison under way.
type round struct {
	decision.Comparison
	last   time.Time               // event
	raises map[string][2]time.Time // the leader's last one of each group happened between two readings
}

// opened returns the comparison that an event belongs to. The caller holds mu, as for all below.
func (s *Shadow) opened(from, now time.Time) *round {
	if s.round == nil {
		s.round = &round{Comparison: decision.Comparison{From: from}, raises: map[string][2]time.Time{}}
	}
	s.round.last = now
	return s.round
}

// priced are nodes of a group at their price.
func (s *Shadow) priced(autoScalingGroup string, nodes int) decision.ShadowNodes {
	perHour, estimated := s.price(autoScalingGroup)
	return decision.ShadowNodes{Groups: map[string]int{autoScalingGroup: nodes}, PerHour: perHour * float64(nodes), About: estimated}
}

// read notes what the leader has asked for since the last Snapshot: all growth is its.
func (s *Shadow) read(snapshot *group.Snapshot, now time.Time) {
	groups := make(map[string]*group.Group, len(s.groups))
	for _, g := range snapshot.Groups() {
		groups[g.Name] = g
		if before := s.groups[g.Name]; before != nil && g.DesiredCapacity > before.DesiredCapacity {
			r := s.opened(before.ReadAt, now)
			r.raises[g.Name] = [2]time.Time{before.ReadAt, g.ReadAt}
			r.Leader.Add(s.priced(g.Name, g.InstancesFor(g.DesiredCapacity-before.DesiredCapacity)))
		}
	}
	s.groups = groups
}

// note ends the waiting of pods that need no node any more, and the comparison once it has settled.
func (s *Shadow) note(needs func(types.UID) bool, now time.Time) {
	hope := false // that the leader acts
	for uid, a := range s.asks {
		if needs(uid) {
			hope = hope || now.Sub(a.at) < patience
			continue
		}
		delete(s.asks, uid)
		if a.open--; a.open == 0 && s.round != nil && !a.at.Before(s.round.From) {
			s.round.served(a, now)
		}
	}
	r := s.round
	if r == nil || hope || now.Sub(r.last) < settle {
		return
	}
	if s.round = nil; len(r.Shadow.Groups)+len(r.Leader.Groups) == 0 {
		return // the pods found room on earlier nodes
	}
	s.report.Comparisons = added(s.report.Comparisons, r.Comparison, mostComparisons)
	d := s.day(r.From)
	d.Pods, d.Sooner, d.Times = d.Pods+r.Pods, d.Sooner.Plus(r.Sooner), d.Times+1
	d.Shadow.Add(r.Shadow)
	d.Leader.Add(r.Leader)
	if r.OtherGroups() {
		d.Other++
	}
}

// served ends an ask. The leader's raise for it is one that can be for its pods, in one of its groups if there is such.
func (r *round) served(a *ask, now time.Time) {
	r.last = now
	var at time.Time // the earliest time at which the leader can have asked
	for name, between := range r.raises {
		if !between[1].Before(a.since) && (at.IsZero() || a.groups[name] > 0) {
			at = between[0]
		}
	}
	if at.IsZero() {
		return // the pods are gone, or found room
	}
	if at.Before(a.since) {
		at = a.since
	}
	r.Sooner = r.Sooner.Plus(decision.Mean{Mean: at.Sub(a.at).Seconds(), Count: a.pods})
}

// removed adds a removal.
func (s *Shadow) removed(r decision.ShadowRemoval) {
	s.report.Removals = added(s.report.Removals, r, mostRemovals)
	d := s.day(r.At)
	if d.Removals[r.By]++; r.By == decision.RemovedByBoth {
		d.Removed = d.Removed.Plus(decision.Mean{Mean: r.Seconds, Count: 1})
	}
}

// day returns the sums of a day.
func (s *Shadow) day(at time.Time) *decision.ShadowDay {
	name, days := at.UTC().Format(time.DateOnly), &s.report.Days
	found := slices.IndexFunc(*days, func(d decision.ShadowDay) bool { return d.Day == name })
	if found < 0 {
		*days = added(*days, decision.ShadowDay{Day: name, Removals: map[string]int{}}, mostDays)
		found = len(*days) - 1
	}
	return &(*days)[found]
}

// Report returns the comparison so far.
func (s *Shadow) Report() *decision.Shadow {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.report // later entries are behind the ends of its lists
	r.Refused, r.Waiting, r.Days = s.refused(), len(s.asks), slices.Clone(r.Days)
	for i := range r.Days { // which go on
		d := &r.Days[i]
		d.Shadow.Groups, d.Leader.Groups, d.Removals = maps.Clone(d.Shadow.Groups), maps.Clone(d.Leader.Groups), maps.Clone(d.Removals)
	}
	return &r
}

// added adds to a list, and drops the oldest beyond the bound.
func added[T any](list []T, more T, most int) []T {
	list = append(list, more)
	return list[max(0, len(list)-most):]
}
