package aws

import (
	"errors"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// gatherIncreasesFor is how long an increase of a zonal view waits for those of other views of its group. The core makes those of one
// scale-up at the same moment, each from a goroutine of its own, or else one after the other.
const gatherIncreasesFor = 20 * time.Millisecond

// increases gathers those of a group's zonal views that are made within a moment, so that they go by one reading of the group and
// at the same time, and tells each caller what became of its own. Safe for concurrent use.
type increases struct {
	launch func(group string, wanted map[string]int) map[string]error // by zone
	clock  clock.Clock

	mu   sync.Mutex
	open map[string]*increase // by group; guarded by mu
}

// increase is one launch to come.
type increase struct {
	wanted map[string]int // by zone; guarded by increases.mu until it is closed
	done   chan struct{}
	errs   map[string]error // set when done is closed
}

func newIncreases(c clock.Clock, launch func(group string, wanted map[string]int) map[string]error) *increases {
	return &increases{launch: launch, clock: c, open: map[string]*increase{}}
}

// errIncreasedTwice is that of a second increase of a view within the moment in which increases are gathered.
var errIncreasedTwice = errors.New("an increase of the same node group has not ended")

// in launches n instances in a zone of the group, together with those of other callers in other zones.
func (i *increases) in(group, zone string, n int) error {
	i.mu.Lock()
	now := i.open[group]
	first := now == nil
	if first {
		now = &increase{wanted: map[string]int{}, done: make(chan struct{})}
		i.open[group] = now
	}
	if _, twice := now.wanted[zone]; twice {
		i.mu.Unlock()
		return errIncreasedTwice
	}
	now.wanted[zone] = n
	i.mu.Unlock()
	if first {
		i.clock.Sleep(gatherIncreasesFor)
		i.mu.Lock()
		delete(i.open, group)
		i.mu.Unlock()
		now.errs = i.launch(group, now.wanted)
		close(now.done)
	}
	<-now.done
	return now.errs[zone]
}

// launchZones launches instances in zones of the group and takes the result into the view of the current loop.
func (p *Provider) launchZones(group string, wanted map[string]int) map[string]error {
	errs := p.cache.IncreaseZones(p.ctx, group, wanted)
	p.adopt(group)
	return errs
}
