package aws

import (
	"errors"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/batch"
)

// gatherIncreasesFor is how long an increase of a zone group waits for increases of its siblings. The core makes the increases of one
// scale-up at the same moment, each from a goroutine of its own, or else one after the other.
const gatherIncreasesFor = 20 * time.Millisecond

// increases gathers the increases of a group's zone groups within a moment, so that they share one reading of the group and run in
// parallel. Each caller gets its own result. Safe for concurrent use.
type increases struct {
	*batch.Batcher[string, map[string]int, map[string]error]
	launch func(group string, wanted map[string]int) map[string]error
}

func newIncreases(c clock.Clock, launch func(group string, wanted map[string]int) map[string]error) *increases {
	return &increases{batch.New[string, map[string]int, map[string]error](c, gatherIncreasesFor), launch}
}

// errIncreasedTwice refuses a second increase of a zone group while its increases are gathered.
var errIncreasedTwice = errors.New("an increase of the same node group has not ended")

// in launches n instances in a zone of the group, in one request with other callers for other zones.
func (i *increases) in(group, zone string, n int) error {
	errs, err := i.Join(group, func(wanted *map[string]int) error {
		if _, twice := (*wanted)[zone]; twice {
			return errIncreasedTwice
		}
		if *wanted == nil {
			*wanted = map[string]int{}
		}
		(*wanted)[zone] = n
		return nil
	}, func(wanted map[string]int) map[string]error { return i.launch(group, wanted) })
	if err != nil {
		return err
	}
	return errs[zone]
}

// launchZones launches instances in zones of the group and takes the result into the view of the current loop.
func (p *Provider) launchZones(group string, wanted map[string]int) map[string]error {
	errs := p.cache.IncreaseZones(p.ctx, group, wanted)
	p.adopt(group)
	return errs
}
