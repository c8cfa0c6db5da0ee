package asg

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// entry has our knowledge of one group beyond its last reading.
type entry struct {
	group   *group.Group
	lock    chan struct{} // one write at a time: the token's owner has the lock
	request request
	// writtenAt is the end of our last write. A reading that began earlier may miss it.
	writtenAt time.Time
	metAt     time.Time // our first reading
	movedAt   time.Time
	readDue   time.Time
	shortage  shortage
	look      look
	written   lostUpdate
	desired   knownDesired
	underWay  underWay
	departed  map[string]departed    // instances on their way out
	recent    map[string]arrival     // instances that came lately, from when a reading first showed them: one without them may be older
	arriving  map[string]arrival     // instances that AWS has launched for us and no reading has shown
	launching int                    // launches that AWS has not answered
	grown     int                    // how much readings have raised the desired capacity meanwhile, maybe for these launches
	gone      map[string]bool        // instances that AWS said it does not have, until a reading lacks them
	keyUses   map[idempotencyKey]int // synchronous launches that have ended
	conflicts map[string]time.Time   // since when a previous leader's launch stands in the way, by zone
	// endedBefore holds instances seen on their way out, with the time, and instances that AWS had terminated before our first launch. It is nil once no
	// previous leader's launch can be replayed.
	endedBefore    map[string]time.Time
	replaysChecked bool

	identity  string       // distinguishes groups of one name
	createdAt time.Time    // by AWS
	droppedAt time.Time    // zero unless the group was dropped
	dropped   *group.Group // with the problem that it is dropped, nil before its cause is known
}

func newEntry() *entry {
	return &entry{lock: make(chan struct{}, 1), departed: map[string]departed{}, recent: map[string]arrival{}, arriving: map[string]arrival{}, gone: map[string]bool{},
		keyUses: map[idempotencyKey]int{}, conflicts: map[string]time.Time{}, endedBefore: map[string]time.Time{}}
}

// request counts instances that we asked for and AWS has not launched.
type request struct {
	asked     int       // none of these has been in service yet
	instances int       // the missing ones among asked
	since     time.Time // by AWS's clock where the answer has its time
	failure   *cooldown.Failure
	// withdrawalFailed reports that AWS did not let us take it back.
	withdrawalFailed bool
}

// look plans the readings of activities of a group that is short of instances.
type look struct {
	due    time.Time // the next one
	at     time.Time // the last one
	count  int       // since the last change of the shortage
	denied bool      // AWS denied the look, and the log says so
}

// shortage is the gap between the desired and the launched capacity, whoever asked for it.
type shortage struct {
	missing int       // by the last reading
	began   time.Time // when instances were first missing, or last came
	open    int       // missing or not in service yet: instances that die early come and go
	since   time.Time // the reading before the last change of open: a later failure may explain it
	died    bool      // one of these has died and nobody has asked AWS why
	failure *cooldown.Failure
}

// knownDesired is our knowledge of a group's desired capacity.
type knownDesired struct {
	known int       // the newest that a reading showed or a write of ours set
	since time.Time // when we learnt it: a reading that began within readingLag of it may be older
	shown bool      // by a reading since then: a newer one than all readings is newer than this
	past  []formerDesired
	// others is the highest desired capacity of other writers. A withdrawal must not go below it.
	others int
}

// formerDesired is an earlier desired capacity that a reading may still show.
type formerDesired struct {
	desired int
	until   time.Time
}

// lostUpdate is a desired capacity that we have set, maybe too low.
type lostUpdate struct {
	desired     int // our value, less our terminations since
	unconfirmed int // our value if only the answer was lost
	excess      int // AWS's capacity beyond the desired one before, while it moves instances
	at          time.Time
	// unanswered reports that AWS may or may not have taken unconfirmed.
	unanswered bool
	until      time.Time
}

type departed struct {
	at     time.Time
	weight int // our termination has lowered the desired capacity by this
}

// arrival is an instance that has come lately.
type arrival struct {
	group.Instance
	at time.Time
	// predecessorsLast is a moment of AWS's clock. If AWS began to terminate the instance no later, the answer was a replay of a previous leader's.
	// It is zero if that cannot be.
	predecessorsLast time.Time
}

// idempotencyKey identifies a launch: equal for two leaders that want the same, different for two launches in a row. It seeds the client token.
type idempotencyKey struct {
	zone        string
	batch       int
	window      int64 // since 1970, counted in tokenAge
	members     string
	retryWindow int64 // since 1970, counted in failureAge: a retry past a failure that may be old. Else zero
}
