package asg

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
)

// entry is one group: our knowledge of it, and who is at work on it. The mu of groups guards it, but for the lock.
type entry struct {
	*ledger.Ledger
	lock       chan struct{} // one write at a time: the token's owner has the lock
	increasing chan struct{} // closed as the goroutine that makes the increases under way ends, nil while there is none

	readDue   time.Time
	plannedAt time.Time // when readDue was set

	identity  string       // distinguishes groups of one name
	createdAt time.Time    // by AWS
	droppedAt time.Time    // zero unless the group was dropped
	dropped   *group.Group // with the problem that it is dropped, nil before its cause is known
}
