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

// retryLead is how long before we learn that an instance died at launch AWS may have launched the next one. An instance in service proves the
// configuration of both.
const retryLead = time.Minute

// When a Breaker has a call replaced by an older one, and for how long.
const (
	// enoughMisses tries in a row must go unanswered first. AWS misses a try if it answers with a fault of its own, does not answer for
	// some seconds, or breaks the connection. If AWS continues a launch whose caller has gone, the second try shows that.
	enoughMisses = 2
	// groupFallback is how long one group uses the older call.
	groupFallback = time.Minute
	// enoughWishes unanswered wishes in a row have all groups use the older call for sharedFallback.
	enoughWishes   = 3
	sharedFallback = 15 * time.Minute
)

const (
	// ShiftInterval is how often the caller should look up the shifts.
	ShiftInterval = 30 * time.Second
	// noShiftsRetry is how long the service is left alone where it does not exist.
	noShiftsRetry = time.Hour
	// shiftTimeout bounds one look-up with its pages and retries.
	shiftTimeout = 30 * time.Second
	// maxResourcePages bounds the pages of managed resources, load balancers included, that one look-up reads.
	maxResourcePages = 20
)

const (
	// namedTypes is how many of many instance types a failure names.
	namedTypes = 3
	// maxMessage bounds the stored part of AWS's text, in bytes.
	maxMessage = 500
)
