package asg

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
)

// entry is what the Cache knows of one group beyond its last reading.
type entry struct {
	group   *Group
	lock    chan struct{} // one write at a time: whoever puts a token in has the turn
	request request
	// writtenAt is when our last write ended. A reading that began earlier may not know of it.
	writtenAt time.Time
	metAt     time.Time // when we first read it
	movedAt   time.Time
	readDue   time.Time
	shortage  shortage
	look      look
	written   lostUpdate
	desired   knownDesired
	departed  map[string]departed      // instances on their way out
	recent    map[string]recentArrival // instances that came lately
	arriving  map[string]arrival       // instances that AWS has launched for us and no reading has shown
	keyUses   map[idempotencyKey]int   // synchronous launches that have ended
	conflicts map[string]time.Time     // since when a launch that is not ours stands in the way of one, by zone
	// ended are instances that were seen on their way out, and when, and those that AWS tells to have ended before our first
	// launch, once it was asked; nil once no process before us can have launched such.
	endedBefore    map[string]time.Time
	replaysChecked bool

	identity  string    // of the group, where another may get its name
	createdAt time.Time // when AWS made the group
	droppedAt time.Time // when the group was dropped, if it was
}

func newEntry() *entry {
	return &entry{lock: make(chan struct{}, 1), departed: map[string]departed{}, recent: map[string]recentArrival{}, arriving: map[string]arrival{},
		keyUses: map[idempotencyKey]int{}, conflicts: map[string]time.Time{}, endedBefore: map[string]time.Time{}}
}

// request is what we asked AWS to launch and it has not launched.
type request struct {
	asked     int       // of which none has been in service yet
	instances int       // of these, the ones that are missing
	since     time.Time // by AWS's clock where it told
	failure   *cooldown.Failure
	// withdrawalFailed tells that AWS did not let us take it back.
	withdrawalFailed bool
}

// A look is when the activities of a group that is short of instances are read.
type look struct {
	due    time.Time // the next one
	at     time.Time // the last one
	count  int       // since the shortage changed last
	denied bool      // AWS did not let us see, and that was said
}

// A shortage is that AWS has launched less than is desired, whoever asked for it.
type shortage struct {
	missing int       // by the last reading
	began   time.Time // when instances were first missing, or last came
	open    int       // missing or not in service yet: instances that die before they are may come and go
	since   time.Time // the reading before the last change of open: a launch that failed later may be of these
	died    bool      // one of these has died and AWS has not been asked why
	failure *cooldown.Failure
}

// knownDesired is our knowledge of a group's desired capacity.
type knownDesired struct {
	known int       // the newest that a reading showed or a write of ours set
	since time.Time // when it became known: a reading that began within readingLag of it may be older
	shown bool      // by a reading since then: one that is newer than all readings is newer than this
	past  []formerDesired
	// others is the highest desired capacity that others have asked for: a withdrawal must not go below it.
	others int
}

// formerDesired is an earlier desired capacity that a reading may still show.
type formerDesired struct {
	desired int
	until   time.Time
}

// lostUpdate is a desired capacity that we have set, and may have set too low.
type lostUpdate struct {
	desired     int // what was set, less what we have terminated since
	unconfirmed int // or this, if what was lost is but the answer
	excess      int // what AWS had beyond the desired capacity before: it has while it moves instances
	at          time.Time
	// unanswered means that AWS may or may not have taken perhaps.
	unanswered bool
	until      time.Time
}

// A departed is an instance on its way out.
type departed struct {
	at     time.Time
	weight int // by which its termination has lowered the desired capacity, as far as that was ours
}

// arrival is an instance that AWS has launched for us and no reading has shown.
type arrival struct {
	Instance
	at time.Time
	// lastOfOthers is a moment of AWS's clock: if it began to end the instance no later, the answer that told of it is one that a
	// process before us had. Zero if there can be no such answer.
	predecessorsLast time.Time
}

// A recentArrival is an instance that came lately. A reading that does not show it may be older.
type recentArrival struct {
	Instance
	at time.Time // when it was first seen
}

// idempotencyKey is what two processes that want the same have in common, and two launches in a row have not: where, when, and
// what was there.
type idempotencyKey struct {
	zone        string
	batch       int
	window      int64 // since 1970, counted in tokenAge
	members     string
	retryWindow int64 // since 1970, counted in failureAge: asked once more, past a failure that may be older. Else zero
}
