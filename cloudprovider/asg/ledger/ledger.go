package ledger

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

const (
	// ReadingLag is the greatest age of a reading when we get it. AWS states no bound. Readings a few seconds old occur, so a minute leaves room.
	ReadingLag = time.Minute
	// lostUpdateWatch is the time after a write of the desired capacity in which instances arrive that AWS had already ordered from EC2.
	lostUpdateWatch = 30 * time.Second
	// BeginsWithin is the time after a write within which AWS begins the launches for it, and lists them. It takes seconds.
	BeginsWithin = 20 * time.Second
	// overdueAfter is the time after which missing instances without a failed launch stop counting, unless they are ours to withdraw. It is
	// well above the time of a launch, and below the core's --max-node-provision-time.
	overdueAfter = 5 * time.Minute
	// A group in motion has the quick pace until restlessFor after its last move, then a pace that is slowMotionFactor times slower.
	restlessFor      = 3 * time.Minute
	slowMotionFactor = 8
	// firstLook is the time that a launch has before we read the group's activities. A launch that succeeds is in the group sooner.
	// The pause doubles up to slowestLook, and further in a group in which nothing moves.
	firstLook   = 3 * time.Second
	slowestLook = 30 * time.Second
	failureAge  = 2 * time.Minute // a launch that failed may have begun that long before we saw its instances missing
)

// Previous leaders.
const (
	TokenAge        = cooldown.ShortestPoolCoolDown // the time for which an equal launch is a repetition: a refusal is no news for as long
	PredecessorCall = 10 * time.Second              // the longest that a previous leader's launch may still be in progress
	// predecessorLaunches is the time after our first reading of a group in which a previous leader's instances may appear.
	predecessorLaunches = time.Minute
	ClockSkew           = 2 * time.Second // bounds the difference between AWS's clock and ours. Ended instances are listed for longer
)

// Ledger has our knowledge of one group. New makes one.
type Ledger struct {
	group     *group.Group
	metAt     time.Time // our first reading
	writtenAt time.Time // the end of our last write. A reading that began earlier may miss it
	movedAt   time.Time
	away      bool // the group has left the readings

	desired  knownDesired
	written  lostUpdate
	before   lostUpdate // written, as it was before the last attempt
	request  request
	shortage shortage
	look     look
	underWay underWay

	departed  map[string]departed // instances on their way out
	recent    map[string]Arrival  // instances that came lately, from when a reading first showed them: one without them may be older
	arriving  map[string]Arrival  // instances that AWS has launched for us and no reading has shown
	gone      map[string]bool     // instances that AWS said it does not have, until a reading lacks them
	launching int                 // launches that AWS has not answered
	grown     int                 // how much readings have raised the desired capacity meanwhile, maybe for these launches
	toCome    int                 // the capacity of these launches that AWS has not answered with

	keyUses map[Key]int // synchronous launches that have ended
}

type knownDesired struct {
	known  int       // the newest that a reading showed or a write of ours set
	since  time.Time // when we learnt it: a reading that began within ReadingLag of it may be older
	shown  bool      // by a reading since then: a newer one than all readings is newer than this
	past   []formerDesired
	others int // the highest desired capacity of other writers. A withdrawal must not go below it

	least, most int // between these, readings decide while it is in doubt. most is 0 if it is not
}

// formerDesired is an earlier desired capacity that a reading may still show.
type formerDesired struct {
	desired int
	until   time.Time
}

// lostUpdate is a desired capacity that we have set, maybe too low.
//
// SetDesiredCapacity has no condition. Our write overwrites another writer's of a moment before, and the instances that AWS was launching for them,
// or for a request that we take back, are too many when they arrive. AWS then ends instances of its own choice, unless the desired capacity is raised
// again.
type lostUpdate struct {
	desired     int       // our value, less our terminations since
	unconfirmed int       // our value if only the answer was lost
	excess      int       // AWS's capacity beyond the desired one before, while it moves instances
	from        time.Time // when there was that excess: before at, if an earlier write of ours is still watched
	at          time.Time
	unanswered  bool // AWS may or may not have taken unconfirmed
	until       time.Time
}

// request counts instances that we asked for and AWS has not launched.
type request struct {
	asked     int       // none of these has been in service yet
	instances int       // the missing ones among asked
	since     time.Time // by AWS's clock where the answer has its time
	failure   *cooldown.Failure
	heldUntil time.Time // a withdrawal has failed, and the next try has to wait
}

// shortage is the gap between the desired and the launched capacity, whoever asked for it.
type shortage struct {
	missing int       // by the last reading
	began   time.Time // when instances were first missing, or last came, or Launch was last suspended
	open    int       // missing or not in service yet: instances that die early come and go
	since   time.Time // the reading before the last change of open: a later failure may explain it
	died    bool      // one of these has died and nobody has asked AWS why
	dead    int       // the missing ones that AWS had launched
	failure *cooldown.Failure
}

// look plans the readings of activities of a group that is short of instances.
type look struct {
	due    time.Time // the next one
	at     time.Time // the last one
	count  int       // since the last change of the shortage
	denied bool      // AWS denied the look, and the log says so
}

// underWay has the increases that nobody waits for. Only Shown counts them, as though AWS had accepted them. Writes do not count them, so an increase
// that AWS may still refuse neither lowers nor raises a desired capacity. Slices are replaced and never changed, because Groups share them.
type underWay struct {
	wanted map[string]int  // instances that AWS will be asked for, by zone, "" for any
	asked  map[string]int  // instances that AWS is being asked for
	before map[string]bool // the instances before AWS was asked, by ID
	from   int             // Held then, less our terminations since
	failed []group.FailedIncrease
	count  int // of all failures so far
	shown  int // the last failure that a whole loop could see
}

type departed struct {
	at     time.Time
	weight int // our termination has lowered the desired capacity by this
}

type Arrival struct {
	group.Instance
	At time.Time
}

// Key identifies a launch: equal for two leaders that want the same, different for two launches in a row. It seeds the client token.
type Key struct {
	zone    string
	batch   int
	window  int64 // since 1970, counted in TokenAge
	members string
}

func New() *Ledger {
	return &Ledger{departed: map[string]departed{}, recent: map[string]Arrival{}, arriving: map[string]Arrival{}, gone: map[string]bool{},
		keyUses: map[Key]int{}, underWay: underWay{wanted: map[string]int{}}}
}

// Group returns the group as AWS has accepted it, or nil before the first reading.
func (l *Ledger) Group() *group.Group { return l.group }

// Read takes in the reading g, and makes it the group with our knowledge beside it. It returns whether the group moved, and the recent instances that
// have just come into service. g must not be older than our knowledge, and belongs to the Ledger from then on.
func (l *Ledger) Read(g *group.Group) (moved bool, inService []Arrival) {
	before := l.group
	inService = l.noteRecent(g)
	newest := l.isNewest(g)
	maps.DeleteFunc(l.gone, func(id string, _ bool) bool { return g.Instance(id) == nil })
	l.markDeparted(g)
	l.resolve(g, newest)
	l.markArriving(g)
	if before == nil { // nothing shows who asked for the instances that it lacks, so none is ours to withdraw
		l.metAt = g.ReadAt
		l.desired.others = g.DesiredCapacity
		g.OthersWant = l.desired.others
	} else {
		g.LaunchSpec, g.Problems, g.ZonesNeeded = before.LaunchSpec, before.Problems, before.ZonesNeeded
		g.Operation, g.EKSRepairs = before.Operation, before.EKSRepairs
	}
	if !l.written.unanswered { // a starting instance may still die, and is then ours to withdraw
		l.request.asked = max(0, min(l.request.asked, g.NotInService()))
	}
	l.request.settle(g)
	l.noteShortage(g)
	l.markOverdue(g)
	moved = before == nil || l.away || !before.SameMotion(g)
	if l.group, l.away = g, false; moved {
		l.movedAt = g.ReadAt
	}
	return moved, inService
}

// NoteSpec enters the group's launch spec and reports whether it is news. A known spec stays where nothing better is known, unless the group can
// launch nothing at all.
func (l *Ledger) NoteSpec(launch *launchspec.LaunchSpec, problems []launchspec.Problem) (news bool) {
	g := *l.group
	g.Problems = problems
	if launch == nil && !g.Blocked() || launch != nil && reflect.DeepEqual(launch, g.LaunchSpec) {
		launch = g.LaunchSpec
	}
	if launch == l.group.LaunchSpec && slices.Equal(problems, l.group.Problems) {
		return false
	}
	g.LaunchSpec = launch
	l.group = &g
	return true
}

// Change replaces the group by a copy, which may be changed until the caller's next call. Callers change what depends on no reading.
func (l *Ledger) Change() *group.Group {
	l.group = new(*l.group)
	return l.group
}

// IsOld reports whether a reading that began then is older than our knowledge.
func (l *Ledger) IsOld(began time.Time) bool {
	return l.group != nil && (began.Before(l.group.ReadAt) || began.Before(l.writtenAt))
}

// Leave enters that the group left the readings. It may come back.
func (l *Ledger) Leave() { l.away = true }

func (l *Ledger) WrittenAt() time.Time { return l.writtenAt }

// Pace returns the interval, or a longer one if the group has not moved for some minutes.
func (l *Ledger) Pace(interval time.Duration, now time.Time) time.Duration {
	if now.Sub(l.movedAt) > restlessFor {
		return interval * slowMotionFactor
	}
	return interval
}

func (l *Ledger) wrote(now time.Time) { l.writtenAt, l.movedAt = now, now }

func later(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }
