package interruption

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
)

const (
	// Other readers of the queue get ownersTime for a message about an unknown instance, and ownersTimeHook for a
	// lifecycle action: as long as the instance's owner can still act on it. The last pauses are ownersPause and ownersPauseHook,
	// because each of several clusters may be the next reader.
	ownersTime, ownersTimeHook   = 150 * time.Second, 30 * time.Minute
	ownersPause, ownersPauseHook = 15 * time.Second, 2 * time.Minute
	// A message without any time is left to others so many times, if its receptions are counted.
	ownersTimes = 12
)

// leaveToOthers leaves a message to other clusters that read the same queue, until it is too old to matter to any of them. The pauses grow with its age,
// because a queue may not count the receptions.
func (h *Handler) leaveToOthers(m queue.Message, e event.Event, until, most time.Duration) (queue.Result, outcome) {
	if m.Sent.IsZero() {
		m.Sent = e.Time
	}
	age := m.Received.Sub(m.Sent)
	left := until - age
	switch {
	case m.Sent.IsZero() && m.Receives <= ownersTimes:
		return queue.Retry(most), leftToOthers
	case m.Sent.IsZero(), left < 0:
		return queue.Done(), notOurs
	}
	return queue.Retry(min(max(age/2, time.Second), most, left+time.Second)), leftToOthers
}
