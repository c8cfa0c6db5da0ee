package asg

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
)

// Readings.
const (
	// maxGroupsPerCall is the largest page, and the most names (EC2 Auto Scaling API reference, DescribeAutoScalingGroups, MaxRecords).
	maxGroupsPerCall = 100
	readTimeout      = 30 * time.Second // bounds one reading of a handful of groups with its retries
	// startRetryMost bounds the pause between tries of the first reading, and resolveAtStartMost the first look-up of all else.
	startRetryMost     = 30 * time.Second
	resolveAtStartMost = 20 * time.Second
	refusedAtStartMost = time.Minute
	// shiftsAtStartMost bounds the first look-up of zonal shifts, whose endpoint a network may lack. A later one brings them.
	// clusterShiftAtStartMost does where no group enables them, and most clusters have none.
	shiftsAtStartMost       = 5 * time.Second
	clusterShiftAtStartMost = time.Second
	// Writes read their group anew whatever its age. But a reading that is minutes old is no ground to choose by.
	oldestToRemove = 3 * time.Minute
	oldestToAdd    = 10 * time.Minute
	droppedTTL     = time.Hour // for which a dropped group is remembered, in case it comes back
	// deletedTTL is the same for a group that AWS has deleted. Its owner usually knows, so it ends before the alert NodeGroupProblem fires.
	deletedTTL = 10 * time.Minute
	// A reading ahead of a launch serves launches for aheadFor. There is at most one in aheadInterval.
	aheadFor      = 300 * time.Millisecond
	aheadInterval = time.Second
	// A reading of one group waits gatherReadings for others while one is under way: a burst in hundreds of groups is no burst of calls.
	gatherReadings = 20 * time.Millisecond
)

// Sizes by the clock.
const (
	turnInterval = 2 * time.Second // how late sizes may change
	// unknownStart is how long a node takes to be Ready where none of the group has been seen to start, and longestStart how long at most.
	unknownStart = 3 * time.Minute
	longestStart = 30 * time.Minute
	startsKept   = 5 // the latest starts that count, the slowest of them with startReserve: the loop has to run, and AWS to answer
	startReserve = 15 * time.Second
	// Scheduled actions are looked up each actionInterval while a group of ours has one and one call reads all, and each idleActions otherwise:
	// clusters share the account's rate.
	actionInterval = time.Minute
	idleActions    = 10 * time.Minute
	// actionsPerCall is the largest page (EC2 Auto Scaling API reference, DescribeScheduledActions, MaxRecords). maxActionPages bounds a look-up.
	actionsPerCall = 100
	maxActionPages = 50
)

// Scaling activities.
const (
	// looksPerRound bounds the groups per interval of motion, so that an outage of a region is no burst of calls. looksAtOnce run concurrently.
	looksPerRound = 20
	looksAtOnce   = 6
	lookTimeout   = 10 * time.Second // short, because one group's activities are not worth more
	movedTimeout  = 2 * time.Second  // shorter still: AWS ends instances within seconds of a desired capacity that is too low
	// replacedWithin is how long after it has begun to terminate an instance AWS launches another in its place (public activity logs: a second).
	replacedWithin = 5 * time.Second
	// activitiesPerCall is the largest page (EC2 Auto Scaling API reference, DescribeScalingActivities, MaxRecords). maxActivities bounds a search. AWS
	// lists the activities in progress first, and there may be hundreds. Pages may be smaller, and each counts as leastPage at least, because empty
	// ones might have no end.
	activitiesPerCall = 100
	maxActivities     = 1000
	leastPage         = 10
)

// Writes.
const (
	writeTimeout = 45 * time.Second // bounds a write with its reading, its wait for the group lock and its retries
	// A withdrawal that failed is tried again after as long as a look-up that failed withdrawalPauses times: half a minute, or some minutes if AWS
	// denied it.
	withdrawalPauses = 5
	// An increase of a zone waits gatherZonesFor for others of its group, so that they share one reading and run in parallel. The core makes
	// the increases of one scale-up at the same moment, or one after the other.
	gatherZonesFor = 20 * time.Millisecond
	// impatientTimeout bounds one try of a call whose caller has an alternative.
	impatientTimeout = 4 * time.Second
	unansweredPoll   = time.Second // the time between two tries of an unanswered call, and between two readings of its outcome
	// A reading shows the outcome of an unanswered call settleTime after the call. An earlier one can be older than the call.
	settleTime  = 5 * time.Second
	freshEnough = 2 * time.Second // the greatest age of the reading for the termination of a named instance
	// A drained node's termination that AWS throttles, or that lacks credentials, is repeated each drainedPause, for drainedPatience. Other writes go between.
	drainedPause, drainedPatience = 5 * time.Second, 20 * time.Second
	// terminationsPerCall is the most instances one TerminateInstanceInAutoScalingGroup takes (EC2 Auto Scaling API reference, InstanceIds).
	terminationsPerCall = 100
	tagsMost            = time.Hour // for which instances of groups that state our cluster are spared where EC2 has never shown tags
	terminationsAtOnce  = 8         // bounds the concurrent calls for one group where each instance needs its own
)

// Synchronous launches.
const (
	launchesPerCall = 100 // EC2 Auto Scaling API reference, LaunchInstances, RequestedCapacity
	launchesAtOnce  = 8
	// A throttled launch is repeated for throttledPatience, and a call that AWS defers to another change of the group for contendedPatience. A launch
	// in progress is polled for workingPatience. Other launches in the group wait meanwhile.
	throttledPatience = 5 * time.Second
	contendedPatience = 6 * time.Second
	workingPatience   = 30 * time.Second
	// A group is scaled by its desired capacity for synchronousRetry after a refusal, and loses no nodes for as long after a denied termination.
	// Somebody may allow the call meanwhile.
	synchronousRetry = 15 * time.Minute
	// A group without the permission for LaunchInstances, or in a region without it, has no problem any more after deniedRetry, and is divided again.
	deniedRetry  = time.Hour
	endedTimeout = 2 * time.Second // bounds the question whether launched instances have ended: the launch waits for the answer
	// maxReplays bounds the replayed answers that one launch skips: a previous leader would have launched as often within ledger.TokenAge.
	maxReplays = 20
)

// A write outlives the polls inside it.
const _ = uint64(writeTimeout - workingPatience - ledger.PredecessorCall)
