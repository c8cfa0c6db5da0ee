package cooldown

import "time"

// ShortestPoolCoolDown is the cool-down of a pool without capacity. Stock waits longer, as do AWS's own retries, and pods lose that time.
const ShortestPoolCoolDown = 3 * time.Minute

// How long a pool is left alone after a failed launch. Other pools are used meanwhile.
const (
	capacityCoolDown   = ShortestPoolCoolDown
	quotaCoolDown      = 5 * time.Minute  // somebody must ask AWS for a higher quota
	deniedCoolDown     = 5 * time.Minute  // somebody must allow the launch
	brokenCoolDown     = 15 * time.Minute // somebody must correct the configuration
	unansweredCoolDown = time.Minute      // AWS did not report the outcome of a launch
)

// AWS may have launched the next instance up to retryLead before we learn that one died at launch. An instance in service proves the
// configuration of both.
const retryLead = time.Minute

// When a Breaker has a call replaced by an older one, and for how long.
const (
	// enoughMisses tries in a row must go unanswered first. AWS misses a try if it answers with a fault of its own, does not answer for
	// some seconds, or breaks the connection. If AWS continues a launch whose caller has gone, the second try shows that.
	enoughMisses = 2
	// One group uses the older call for groupFallback.
	groupFallback = time.Minute
	// enoughRequests unanswered requests in a row have all groups use the older call for sharedFallback.
	enoughRequests = 3
	sharedFallback = 15 * time.Minute
)

const (
	// ShiftInterval is the time between two look-ups of the shifts by the caller.
	ShiftInterval = 30 * time.Second
	// The service is left alone for noShiftsRetry where it does not exist.
	noShiftsRetry = time.Hour
	// shiftTimeout bounds one look-up with its pages and retries.
	shiftTimeout = 30 * time.Second
	// maxResourcePages bounds the pages of managed resources, load balancers included, that one look-up reads.
	maxResourcePages = 20
)

const (
	// namedTypes bounds the instance types that a failure names.
	namedTypes = 3
	// maxMessage bounds the stored part of AWS's text, in bytes.
	maxMessage = 500
)
