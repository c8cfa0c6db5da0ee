package asg

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
)

// Readings.
const (
	// maxGroupsPerCall is the largest page DescribeAutoScalingGroups serves, and the most names it takes (EC2 Auto Scaling API reference,
	// MaxRecords).
	maxGroupsPerCall = 100
	// readTimeout bounds one reading of a handful of groups with its retries.
	readTimeout = 30 * time.Second
	// readingLag is how old a reading can be when we get it. AWS states no bound. Readings a few seconds old occur, so a minute leaves room.
	readingLag = time.Minute
	// A group in motion is read at the quick pace until restlessFor after its last move, then slowMotionFactor times more rarely.
	restlessFor      = 3 * time.Minute
	slowMotionFactor = 8
	// startRetryMost bounds the pause between tries of the first reading, and resolveAtStartMost the first look-up of launch specs.
	startRetryMost     = 30 * time.Second
	resolveAtStartMost = 20 * time.Second
	// Writes read their group anew whatever its age. But a reading that is minutes old is no ground to choose by.
	oldestToRemove = 3 * time.Minute
	oldestToAdd    = 10 * time.Minute
	// droppedTTL is how long a dropped group is remembered, in case it comes back.
	droppedTTL = time.Hour
	// overdueAfter is how long instances may be missing without a failed launch before they stop counting, unless they are ours to withdraw. It is
	// well above the time of a launch, and below the core's --max-node-provision-time.
	overdueAfter = 5 * time.Minute
)

// Scaling activities.
const (
	// firstLook is how long AWS may take over a launch before the group's activities are read. A launch that succeeds is in the group sooner.
	// The pause doubles up to slowestLook, and further in a group in which nothing moves.
	firstLook   = 3 * time.Second
	slowestLook = 30 * time.Second
	// looksPerRound bounds the groups per interval of motion, so that an outage of a region is no burst of calls. looksAtOnce run concurrently.
	looksPerRound = 20
	looksAtOnce   = 6
	// lookTimeout is short, because one group's activities are not worth more.
	lookTimeout = 10 * time.Second
	// movedTimeout is shorter still: AWS ends instances within seconds of a desired capacity that is too low.
	movedTimeout = 2 * time.Second
	// maxActivities is enough to see the newest attempt in every pool. AWS lists the newest first.
	maxActivities = 20
	// activitiesPerCall is the largest page (EC2 Auto Scaling API reference, DescribeScalingActivities, MaxRecords). maxActivityPages bounds the
	// search for lately terminated instances.
	activitiesPerCall = 100
	maxActivityPages  = 10
)

// Writes.
const (
	// writeTimeout bounds a write with its reading, its wait for the group lock and its retries.
	writeTimeout = 45 * time.Second
	// gatherZonesFor is how long an increase of a zone waits for others of its group, so that they share one reading and run in parallel. The core makes
	// the increases of one scale-up at the same moment, or one after the other.
	gatherZonesFor = 20 * time.Millisecond
	// unansweredPoll is the time between two tries of an unanswered call, and between two readings of its outcome.
	unansweredPoll = time.Second
	// settleTime is how long after an unanswered call a reading shows its outcome. An earlier one can be older than the call.
	settleTime = 5 * time.Second
	// lostUpdateWatch is how long a group is watched after a write of its desired capacity. Instances that AWS had already ordered from EC2 arrive
	// within seconds.
	lostUpdateWatch = 30 * time.Second
	// beginsWithin is how long after a write AWS may take to begin the launches for it, and to list them. It takes seconds.
	beginsWithin = 20 * time.Second
	// freshEnough is how old the reading may be for the termination of a named instance.
	freshEnough = 2 * time.Second
	// terminationsPerCall is the most instances one TerminateInstanceInAutoScalingGroup takes (EC2 Auto Scaling API reference, InstanceIds).
	terminationsPerCall = 100
	// terminationsAtOnce bounds the concurrent calls for one group where each instance needs its own.
	terminationsAtOnce = 8
)

// Synchronous launches.
const (
	launchesPerCall = 100 // EC2 Auto Scaling API reference, LaunchInstances, RequestedCapacity
	launchesAtOnce  = 8
	// A throttled launch is repeated for throttledPatience, and one that AWS defers to another change of the group for contendedPatience. A launch
	// in progress is polled for workingPatience. Other launches in the group wait meanwhile.
	throttledPatience = 5 * time.Second
	contendedPatience = 6 * time.Second
	workingPatience   = 30 * time.Second
	// synchronousRetry is how long a refused group is scaled by its desired capacity. Somebody may allow the call meanwhile.
	synchronousRetry = 15 * time.Minute
	// arrivalLag is how long a reading may miss an instance that AWS has launched for us.
	arrivalLag = readingLag
)

// Idempotency keys.
const (
	// tokenAge is how long an equal launch counts as a repetition of a call whose answer nobody got.
	tokenAge = 10 * time.Minute
	// predecessorCall is how long a previous leader's launch may still be in progress.
	predecessorCall = 10 * time.Second
	// predecessorLaunches is how long after our first reading of a group a previous leader's instances may appear.
	predecessorLaunches = time.Minute
	// maxReplays bounds how many replayed answers (same token, earlier leader) one launch skips. A previous leader would have launched as often
	// within tokenAge, each time from the same instances.
	maxReplays = 20
	// failureAge is how old a replayed failure may be, and how long it is believed at most. A cool-down of the process that saw it first lasts longer.
	failureAge = 2 * time.Minute
	// clockSkew is how far AWS's clock may be off. Ended instances are listed for longer.
	clockSkew = 2 * time.Second
)

// These sums must hold: a write outlives the polls inside it, and a replayed failure is younger than the cool-down it causes.
const (
	_ = uint64(writeTimeout - workingPatience - predecessorCall)
	_ = uint64(cooldown.ShortestPoolCoolDown - failureAge)
)
