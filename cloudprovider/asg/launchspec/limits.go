package launchspec

import "time"

// Pages and calls.
const (
	maxConfigurationsPerCall = 50  // the most names DescribeLaunchConfigurations takes (API reference, MaxRecords)
	maxTemplatesPerPage      = 200 // the largest page of DescribeLaunchTemplateVersions without a template ID
	// manyTemplates due versions are worth one page of the newest and default versions of all templates of the account. So the pages add a
	// fifth to the calls at most, in an account with many more templates than the groups use. maxTemplatePages bounds their time.
	manyTemplates    = 5
	maxTemplatePages = 30
	maxImagesPerCall = 100 // bounds one DescribeImages. An image never changes, so each is read once
	lookupsAtOnce    = 6   // bounds the concurrent calls, because all groups share the account's API rate
	// optionalTimeout bounds one call with its retries where the other look-ups must not wait: for images, node groups and instance refreshes.
	optionalTimeout = 5 * time.Second
)

// How long an answer stays fresh. Numbered template versions, launch configurations and images never change, but for an
// image's lists of instance types, which are read again once launches fail.
const (
	nodegroupTTL        = 10 * time.Minute // users edit labels and taints by hand
	requirementsTTL     = time.Hour        // AWS adds instance types rarely
	floatingTemplateTTL = 5 * time.Minute  // $Latest, $Default and Systems Manager parameters move with each rollout
)

// When AWS is asked for its Operations. An instance refresh has no listing over all groups, so only groups that show signs of one are looked at.
const (
	operationInterval = 2 * time.Minute  // between two looks while one may be under way
	operationPause    = 15 * time.Second // between two looks, whatever the signs
	replacedFor       = 5 * time.Minute  // a sign counts for that long
	refreshesAtOnce   = 20               // groups of one Fetch, because after a start many may show signs
)

// How long a failed look-up waits.
const (
	RetryFirst     = 2 * time.Second  // how often the caller should look for due look-ups
	RetryMost      = time.Minute      // how long the Resolver leaves a missing object alone. Somebody may create it again
	goneImageRetry = 10 * time.Minute // longer, because AWS never gives an image ID out twice
	// unsureTries look-ups may fail before something is assumed in their place: an EKS node group has the labels and taints of its tags alone, as where
	// EKS has no endpoint, the image of a parameter is for x86-64, and a policy that names its types says all of its nodes. In a group whose tags
	// state a cluster, the launch source then states no other.
	unsureTries = 4
)
