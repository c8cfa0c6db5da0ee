package awsmessage

import (
	"regexp"
	"strings"
)

// phrases recognise the class of a lower-case text. The order matters: specific reasons come before the general phrases for a
// wrong request, which also appear in passing. A pattern leaves room for other nouns, because AWS keeps the phrase over the
// years and uses it for other things.
var phrases = []struct {
	pattern *regexp.Regexp
	class   Class
}{
	{regexp.MustCompile(`rate (?:has been )?exceeded|request limit exceeded|\brate limit\b|\bthrottled\b|too many requests`), Throttle},

	{regexp.MustCompile(`max(?:imum)? spot instance count`), SpotLimit},
	{regexp.MustCompile(`spot instance request.*has been cancelled|user.initiated shutdown`), Cancelled},
	{regexp.MustCompile(`lifecycle action .*abandon|failed to complete .*lifecycle action`), Configuration}, // until somebody corrects the hook
	{regexp.MustCompile(`placed spot instance request`), Transient},

	{regexp.MustCompile(`not have (?:sufficient|enough) (?:permission|privilege)`), Permission},
	{regexp.MustCompile(`(?:do|does) not have (?:a host with .*)?sufficient|insufficient capacity|no (?:more )?(?:unused |spot )?capacity|unable to fulfill capacity`), NoCapacity},
	{regexp.MustCompile(`(?:not (?:have )?enough|n[o']t (?:have )?sufficient|insufficient) (?:free |available |spare |spot )*(?:ip(?:v[46])? )?(?:address|cidr|prefix|space|capacity)`), NoCapacity},
	{regexp.MustCompile(`capacity (?:is )?(?:currently )?(?:not available|unavailable)|(?:no available|out of|lack of) capacity`), NoCapacity},
	{regexp.MustCompile(`capacity block.*is not active yet`), NoCapacity},
	{regexp.MustCompile(`spot request price .*is lower`), NoCapacity}, // the price of the market passes

	{regexp.MustCompile(`exceeds the limit for [a-z0-9-]+\.`), Configuration}, // the limit of an instance type, which AWS cannot raise
	{regexp.MustCompile(`than your current .*limit|\bquotas?\b|limit exceeded|(?:exceed(?:s|ed)?|reached) (?:your maximum|(?:[\w'-]+ ){0,4}limits?\b)|limit reached`), Quota},
	{regexp.MustCompile(`maximum number of .*(?:reached|exceeded)|(?:reached|exceeded) the maximum (?:allowed )?number|instance\(s\) are already running`), Quota},

	{regexp.MustCompile(`not authorized|access denied|credentials|not have permission|account is currently blocked`), Permission},
	{regexp.MustCompile(`not subscribed to|and subscribe\b|needs a subscription`), Permission},
	{regexp.MustCompile(`security token.*(?:expired|invalid)|signature (?:expired|.*does not match)`), Permission},

	{regexp.MustCompile(`in progress|while there are instances.* still in the group`), Transient},
	{regexp.MustCompile(`pending update to an|is pending, and|being (?:validated|verified|processed)`), Transient},
	{regexp.MustCompile(`authentication failure`), Transient}, // the service-linked role of a new account takes a moment
	{regexp.MustCompile(`internal (?:server )?(?:error|failure)|unavailable\b.*try again|service is (?:currently |temporarily )?unavailable`), Transient},
	{regexp.MustCompile(`deadline exceeded|request send failed|connection re(?:set|fused)|i/o timeout`), Transient},

	{regexp.MustCompile(`\bnot (?:\w+ ){0,2}(?:support|compatible|valid\b|allow|eligible|linked|exist|match|found|fall within|assign|available (?:for|in|on|with)\b)`), Configuration},
	{regexp.MustCompile(`no longer (?:supported|accepting)|\bno [\w ]{1,40} (?:found|provided|exists?|for this user)`), Configuration},
	{regexp.MustCompile(`\binvalid\b|\bincorrect\b|\binconsistent\b|\bincompatible\b|\bunusable\b|\bunsupported\b|\bunknown\b|\bexpired\b|\binaccessible\b|client token|idempotent`), Configuration},
	{regexp.MustCompile(`\b(?:may not|cannot|can not|could not (?:find|create)|must|is required)\b`), Configuration},
	{regexp.MustCompile(`\b(?:is|contains) (?:lower|less|smaller|greater|larger|higher|more|above|below|too) `), Configuration},
	{regexp.MustCompile(`\bonly (?:one|be|in)\b|limited to|belong to different|already (?:in use|exist)|is in use`), Configuration},
	{regexp.MustCompile(`violate group's min size|please update the autoscalinggroup sizes|client error on launch`), Configuration},
	{regexp.MustCompile(`statuscode: 5\d\d`), Transient}, // the SDK's words where AWS has none
}

// ours matches what the SDK and this program put around AWS's words, or in their place.
var ours = regexp.MustCompile(`exceeded maximum number of attempts, \d+|cannot (?:be scaled zone by zone|be launched synchronously|launch all or nothing)`)

func phraseClass(text string) Class {
	lower := ours.ReplaceAllString(strings.ToLower(text), "")
	for _, p := range phrases {
		if p.pattern.MatchString(lower) {
			return p.class
		}
	}
	return Unknown
}
