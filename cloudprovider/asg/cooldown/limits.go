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

// An instance in service proves the configuration, also of one that died at launch up to retryLead before.
const retryLead = time.Minute

// When a Breaker has a call replaced by an older one, and for how long.
const (
	// enoughMisses tries in a row must go unanswered first. AWS misses a try if it answers with a fault of its own, does not answer for
	// some seconds, or breaks the connection. If AWS continues a launch whose caller has gone, the second try shows that.
	enoughMisses   = 2
	groupFallback  = time.Minute // for which one group uses the older call
	enoughRequests = 3           // unanswered requests in a row have all groups use the older call for sharedFallback
	sharedFallback = 15 * time.Minute
)

const (
	shiftInterval    = 30 * time.Second // the time between two look-ups of the shifts
	noShiftsRetry    = time.Hour        // where the service does not exist
	shiftTimeout     = 30 * time.Second // bounds one look-up with its pages and retries
	maxResourcePages = 20               // bounds the pages of managed resources, load balancers included, that one look-up reads
)

const (
	namedTypes = 3   // bounds the instance types that a failure names
	maxMessage = 500 // bounds the stored part of AWS's text, in bytes
)
