package why

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Refusal says why a group is left out of a scale-up: in the core's kinds, or in ours. It is comparable.
type Refusal struct {
	Kind  RefusalKind
	Class string    // of the failure that a cool-down follows
	Until time.Time // the end of the first pool's cool-down, the zero time where it is not known
	Text  string    // in the core's own words: of a quota or of something that has no kind
	Cap   decision.SpendCap
}

type RefusalKind string

// The kinds, with what the core says of each in an event of a waiting pod.
const (
	RefusedUnread       RefusalKind = "unread for minutes (see the event ReadingTooOld)"
	RefusedPaused       RefusalKind = "paused by its tag"
	RefusedDegraded     RefusalKind = "unable to launch (see the event NodeGroupProblem)"
	RefusedCoolDown     RefusalKind = "in cool-down"
	RefusedFull         RefusalKind = "max node group size reached"
	RefusedQuota        RefusalKind = "exceeded quota"
	RefusedSpendCap     RefusalKind = "at a spend cap"
	RefusedBackoff      RefusalKind = "in backoff"
	RefusedNotReady     RefusalKind = "not ready for scale-up"
	RefusedAtomic       RefusalKind = "atomic scale-up"
	RefusedAllOrNothing RefusalKind = "all-or-nothing"
	RefusedNotChosen    RefusalKind = "expansion options filtered out"
)

func (r Refusal) Reasons() []string {
	switch {
	case r.Text != "":
		return []string{r.Text}
	case r.Cap.Of != "":
		return []string{string(r.Kind) + " (" + r.Cap.Of + ")"}
	case r.Class != "":
		return []string{string(r.Kind) + " (" + r.Class + ")"}
	}
	return []string{string(r.Kind)}
}
