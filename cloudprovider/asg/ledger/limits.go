package ledger

import "time"

const (
	// ReadingLag is how old a reading can be when we get it. AWS states no bound. Readings a few seconds old occur, so a minute leaves room.
	ReadingLag = time.Minute
	// lostUpdateWatch is how long a group is watched after a write of its desired capacity. Instances that AWS had already ordered from EC2 arrive
	// within seconds.
	lostUpdateWatch = 30 * time.Second
	// BeginsWithin is how long after a write AWS may take to begin the launches for it, and to list them. It takes seconds.
	BeginsWithin = 20 * time.Second
	// overdueAfter is how long instances may be missing without a failed launch before they stop counting, unless they are ours to withdraw. It is
	// well above the time of a launch, and below the core's --max-node-provision-time.
	overdueAfter = 5 * time.Minute
	// A group in motion has the quick pace until restlessFor after its last move, then a pace that is slowMotionFactor times slower.
	restlessFor      = 3 * time.Minute
	slowMotionFactor = 8
	// firstLook is how long AWS may take over a launch before the group's activities are read. A launch that succeeds is in the group sooner.
	// The pause doubles up to slowestLook, and further in a group in which nothing moves.
	firstLook   = 3 * time.Second
	slowestLook = 30 * time.Second
)

// Previous leaders.
const (
	// TokenAge is how long an equal launch counts as a repetition of a call whose answer nobody got.
	TokenAge = 10 * time.Minute
	// PredecessorCall is how long a previous leader's launch may still be in progress.
	PredecessorCall = 10 * time.Second
	// predecessorLaunches is how long after our first reading of a group a previous leader's instances may appear.
	predecessorLaunches = time.Minute
	// FailureAge is how old a replayed failure may be, and how long it is believed at most. A cool-down of the process that saw it first lasts longer.
	FailureAge = 2 * time.Minute
	// ClockSkew is how far AWS's clock may be off. Ended instances are listed for longer.
	ClockSkew = 2 * time.Second
)
