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

// othersPauses are the first pauses of a message about an unknown instance, by the number of its receptions. Other readers get a
// chance at once.
var othersPauses = []time.Duration{0, 0, time.Second, 4 * time.Second, 15 * time.Second, 40 * time.Second, ownersPauseHook}

// uncountedPause bounds the pause of a message that came for the first time, or whose queue counts no receptions.
const uncountedPause = 10 * time.Second

// leaveToOthers leaves a message to other clusters that read the same queue, until it is too old to matter to any of them. A queue
// may not count the receptions, and a message that returned at once would be read in a loop. So the pauses grow with its age, too.
func (h *Handler) leaveToOthers(m queue.Message, e event.Event, until, most time.Duration) (queue.Result, outcome) {
	unknown := m.Sent.IsZero()
	if unknown {
		m.Sent = e.Time
	}
	age := m.Received.Sub(m.Sent)
	left := until - age
	switch {
	case m.Sent.IsZero() && m.Receives <= ownersTimes:
		return queue.Retry(most), leftToOthers
	case m.Sent.IsZero(), left < 0:
		return queue.Done(), notOurs
	case unknown:
		return queue.Retry(min(most, left+time.Second)), leftToOthers
	}
	pause := pauseAfter(m, othersPauses)
	if m.Receives <= 1 { // by a queue that does not count, maybe
		pause = max(pause, min(age/2, uncountedPause))
	}
	return queue.Retry(min(pause, most, left+time.Second)), leftToOthers
}
