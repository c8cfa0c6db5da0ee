package group

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Snapshot is every group as last read, at one moment. It is immutable and safe for any number of readers.
type Snapshot struct {
	groups     map[string]*Group
	byInstance map[string]member
	ordered    []*Group
	foreign    []*Group
	ReadAt     time.Time // the beginning of the last complete reading of all groups
}

type member struct {
	instance *Instance
	group    *Group
}

func NewSnapshot(groups map[string]*Group, foreign []*Group, at time.Time) *Snapshot {
	slices.SortFunc(foreign, func(a, b *Group) int { return strings.Compare(a.Name, b.Name) })
	s := &Snapshot{groups: groups, foreign: foreign, byInstance: map[string]member{}, ReadAt: at}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		g := groups[name]
		s.ordered = append(s.ordered, g)
		for at := range g.Instances {
			s.byInstance[g.Instances[at].ID] = member{&g.Instances[at], g}
		}
	}
	return s
}

// Groups returns all groups, sorted by name. The slice is shared: do not change it.
func (s *Snapshot) Groups() []*Group { return s.ordered }

// Foreign returns the groups of other clusters, and those that left the readings within the hour, each with the one Problem about that.
func (s *Snapshot) Foreign() []*Group { return s.foreign }

func (s *Snapshot) Group(name string) *Group { return s.groups[name] }

// GroupOf returns the group that has the instance, whatever its lifecycle state, or nil.
func (s *Snapshot) GroupOf(instanceID string) *Group { return s.byInstance[instanceID].group }

// Instance returns the instance and its group, or nil twice.
func (s *Snapshot) Instance(id string) (*Instance, *Group) {
	m := s.byInstance[id]
	return m.instance, m.group
}

func (s *Snapshot) With(g *Group) *Snapshot {
	groups := maps.Clone(s.groups)
	groups[g.Name] = g
	return NewSnapshot(groups, s.foreign, s.ReadAt)
}
