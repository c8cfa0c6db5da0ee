package asg

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
)

// entry is one group: our knowledge of it, and who is at work on it. The mu of groups guards it, but for the lock.
type entry struct {
	*ledger.Ledger
	lock       chan struct{} // one write at a time: the token's owner has the lock
	increasing chan struct{} // closed as the goroutine that makes the increases under way ends, nil while there is none

	starts []time.Duration // of the latest nodes, from their launch until they were Ready

	readDue   time.Time
	plannedAt time.Time // when readDue was set

	arn       string // by AWS, as createdAt. Both distinguish groups of one name
	createdAt time.Time
	forgetAt  time.Time    // zero unless the group was dropped
	dropped   *group.Group // with the problem that it is dropped, nil for another cluster's
}

// groups holds everything the Cache knows of every group, and publishes it as the Snapshot. Safe for concurrent use.
type groups struct {
	current atomic.Pointer[group.Snapshot]
	changed chan struct{}  // something the core should look at
	writes  sync.WaitGroup // under way, one at a time in each group

	mu       sync.Mutex // guards the fields below, and is never held across a call
	entries  map[string]*entry
	dropped  map[string]*entry // groups that were dropped, in case they come back
	readAt   time.Time
	ending   bool // refuse further writes
	identity *ownership.Identity

	tagsShown    bool      // EC2 has shown the tags of instances
	tagsWithheld time.Time // when it first did not, zero before
}

func newGroups(cluster, stockCluster string) *groups {
	s := &groups{changed: make(chan struct{}, 1), entries: map[string]*entry{}, dropped: map[string]*entry{},
		identity: ownership.NewIdentity(cluster, stockCluster)}
	s.publish()
	return s
}

// Snapshot returns the newest reading. It is empty before Start.
func (s *groups) Snapshot() *group.Snapshot { return s.current.Load() }

// enableShifts reports whether the policy of a group enables zonal shift.
func (s *groups) enableShifts() bool {
	return slices.ContainsFunc(s.Snapshot().Groups(), func(g *group.Group) bool { return g.ZonalShift })
}

// publish makes the entries the next Snapshot. The caller holds mu.
func (s *groups) publish() {
	groups := make(map[string]*group.Group, len(s.entries))
	var foreign []*group.Group
	for name, e := range s.entries {
		if s.identity.Foreign(e.Group()) {
			foreign = append(foreign, s.identity.Disowned(e.Group()))
		} else {
			groups[name] = e.Shown()
		}
	}
	for _, e := range s.dropped {
		if e.dropped != nil {
			foreign = append(foreign, e.dropped)
		}
	}
	s.current.Store(group.NewSnapshot(groups, foreign, s.readAt))
}

// all returns the groups of the last reading, with other clusters' groups.
func (s *groups) all() []*group.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allGroups()
}

// allGroups is all. The caller holds mu.
func (s *groups) allGroups() []*group.Group {
	groups := make([]*group.Group, 0, len(s.entries))
	for _, name := range slices.Sorted(maps.Keys(s.entries)) {
		groups = append(groups, s.entries[name].Group())
	}
	return groups
}

// update publishes a change of what we know of a group, and returns the group. The caller does not hold mu.
func (s *groups) update(name string, change func(*entry)) *group.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(name)
	if e == nil {
		return nil
	}
	change(e)
	if s.entries[name] == nil {
		return nil
	}
	s.publish()
	return e.Group()
}

// find returns the entry of a group, also of a dropped one, or nil. The caller holds mu.
func (s *groups) find(name string) *entry {
	return cmp.Or(s.entries[name], s.dropped[name])
}

func (s *groups) entry(name string) (*entry, *group.Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[name]; e != nil {
		return e, e.Group()
	}
	return nil, nil
}

// look shows the entry of a group to see, if there is one, also a dropped one's.
func (s *groups) look(name string, see func(*entry)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(name); e != nil {
		see(e)
	}
}

// serverTime returns the time of the answer by AWS's clock, or ours where it has none.
func serverTime(answer middleware.Metadata, ours time.Time) time.Time {
	if at, ok := awsmiddleware.GetServerTime(answer); ok {
		return at
	}
	return ours
}

func later(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is waiting already
	}
}

func (s *groups) Cluster() string { return s.ClusterName().Cluster }

// ClusterName returns our name and the place that settled it, zero while it is not known.
func (s *groups) ClusterName() launchspec.Statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity.Cluster()
}

func (s *groups) strangers(ids []string) (strangers []string, stated bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity.Strangers(ids, func(id string) (in *group.Group) {
		if in = s.Snapshot().GroupOf(id); in != nil {
			return in
		}
		for _, e := range s.entries { // another cluster's, or younger than the reading
			if in == nil && e.Recent(id) != nil || e.Group().Instance(id) != nil {
				in = e.Group()
			}
		}
		return in
	})
}
