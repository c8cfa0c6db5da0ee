package ledger

import "time"

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
	TokenAge        = 10 * time.Minute // the time for which an equal launch counts as a repetition of a call whose answer nobody got
	PredecessorCall = 10 * time.Second // the longest that a previous leader's launch may still be in progress
	// predecessorLaunches is the time after our first reading of a group in which a previous leader's instances may appear.
	predecessorLaunches = time.Minute
	ClockSkew           = 2 * time.Second // bounds the difference between AWS's clock and ours. Ended instances are listed for longer
)
