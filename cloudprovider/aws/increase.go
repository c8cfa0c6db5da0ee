package aws

import (
	"errors"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/batch"
)

// gatherIncreasesFor is how long an increase of a zone group waits for increases of its siblings. The core makes the increases of one
// scale-up at the same moment, each from a goroutine of its own, or else one after the other.
const gatherIncreasesFor = 20 * time.Millisecond

// increases gathers the increases of a group's zone groups within a moment, so that they share one reading of the group and run in
// parallel. A batch has the number of instances by zone, its result the error by zone.
type increases = batch.Batcher[string, map[string]int, map[string]error]

// errIncreasedTwice refuses a second increase of a zone group while its increases are gathered.
var errIncreasedTwice = errors.New("an increase of the same node group has not ended")

// launchInZone launches count instances in the zone group, in one request with other callers for its siblings.
func (n *NodeGroup) launchInZone(count int) error {
	errs, err := n.provider.increases.Join(n.name, func(wanted *map[string]int) error {
		if _, twice := (*wanted)[n.zone]; twice {
			return errIncreasedTwice
		}
		if *wanted == nil {
			*wanted = map[string]int{}
		}
		(*wanted)[n.zone] = count
		return nil
	}, func(wanted map[string]int) map[string]error {
		defer n.provider.adopt(n.name)
		return n.provider.cache.IncreaseZones(n.provider.ctx, n.name, wanted)
	})
	if err != nil {
		return err
	}
	return errs[n.zone]
}
