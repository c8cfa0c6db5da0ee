package awsmessage

import (
	"regexp"
	"strings"
)

// codes are the classes of codes that say enough by themselves.
var codes = byCode(map[Class]string{
	Unknown: "DryRunOperation",
	// The price of SpotMaxPriceTooLow is the group's, and the market's passes.
	NoCapacity: "UnfulfillableCapacity SpotMaxPriceTooLow ReservationCapacityExceeded",
	// AttachmentLimitExceeded is the instance type's own limit, not a quota. Client.InternalError is "Client error on launch": the role may not use the
	// volume's key.
	Configuration: "AttachmentLimitExceeded Client.InternalError Unsupported UnsupportedOperation IdempotentParameterMismatch",
	Permission: "AuthFailure Blocked ExpiredToken ExpiredTokenException IncompleteSignature InvalidClientTokenId InvalidIdentityToken " +
		"MissingAuthenticationToken MissingAuthenticationTokenException OptInRequired " +
		"SignatureDoesNotMatch UnrecognizedClientException WebIdentityErr",
	// LimitExceededException as the SDK takes it. Auto Scaling's own quota is LimitExceeded.
	Throttle: "BandwidthLimitExceeded LimitExceededException PriorRequestNotComplete RequestLimitExceeded SlowDown TooManyRequestsException " +
		"TransactionInProgressException",
	Cancelled: "UserInitiatedShutdown",
	Transient: "IdempotentCallInProgress IncorrectInstanceState IncorrectState InternalError InternalFailure InternalServerError PendingVerification " +
		"RequestExpired RequestTimeout RequestTimeoutException ResourceContention ResourceInUse ScalingActivityInProgress ServerException ServiceUnavailable Unavailable",
})

func byCode(lists map[Class]string) map[string]Class {
	classes := map[string]Class{}
	for class, list := range lists {
		for _, code := range strings.Fields(list) {
			classes[code] = class
		}
	}
	return classes
}

// kinds classify codes that are not in the list, by their common parts.
var kinds = []struct {
	pattern *regexp.Regexp
	class   Class
	sure    bool
}{
	{regexp.MustCompile(`Throttl|RateExceeded`), Throttle, true},
	{regexp.MustCompile(`Denied|Unauthorized|NotAuthorized|NotPermitted|^AuthFailure\.`), Permission, true},
	{regexp.MustCompile(`^Insufficient\w*(Capacity|Addresses|Cidr)`), NoCapacity, true}, // addresses are the subnet's, so of this zone alone
	{regexp.MustCompile(`MaxSpot|^SpotInstanceCountExceeded`), SpotLimit, true},
	{regexp.MustCompile(`LimitExceeded|QuotaExceeded|CountExceeded`), Quota, true},
	{regexp.MustCompile(`NotFound|DoesNotExist`), Configuration, true},
	// These codes say that something is wrong and not what, so the text decides.
	{regexp.MustCompile(`^(Validation|Invalid|Malformed|Missing|Unknown|Idempotent)|InvalidConfiguration|NotSpecified|NotAvailable|NotSupported|Violation`), Configuration, false},
}

// OfCode returns the class that a code states by itself, else Unknown. The codes for throttling are those on which the SDK backs off.
func OfCode(code string) Class {
	if class, sure := codeClass(code); sure {
		return class
	}
	return Unknown
}

// codeClass is a code's class, and whether the text need not be asked.
func codeClass(code string) (class Class, sure bool) {
	if code == "" {
		return Unknown, false
	}
	bare := strings.TrimPrefix(strings.TrimPrefix(code, "Client."), "Server.")
	for _, name := range []string{code, bare} {
		if class, listed := codes[name]; listed {
			return class, true
		}
	}
	for _, k := range kinds {
		if k.pattern.MatchString(bare) {
			return k.class, k.sure
		}
	}
	return Unknown, false
}

// codeShapes are the ways in which a text carries its code, the surest first:
//
//	operation error …, api error Throttling: Rate exceeded                           a log of the SDK
//	An error occurred (AccessDenied) when calling the … operation: …                 the AWS CLI
//	Could not launch Spot Instances. UnfulfillableCapacity - Unable to …             a status message
//	… Termination Reason: Client.VolumeLimitExceeded: Volume limit exceeded          another
//	WebIdentityErr: failed to retrieve credentials caused by: AccessDenied: …        a log of the older SDK
//	… (Service: AmazonEC2; Status Code: 400; Error Code: Unsupported; Request ID: …)  a log of the Java SDK, CloudFormation
//	RequestLimitExceeded                                                             the code alone, from memory
var codeShapes = []*regexp.Regexp{
	regexp.MustCompile(`api error (` + codeWord + `)\b`),
	regexp.MustCompile(`An error occurred \((` + codeWord + `)\)`),
	regexp.MustCompile(`Error Code: (` + codeWord + `)\b`),
	regexp.MustCompile(`(?:^|[\s:])(` + codeWord + `) - `),
	regexp.MustCompile(`\b(` + codeWord + `):(?:\s|$)`), // two may share a space: "Reason: Client.VolumeLimitExceeded: "
	regexp.MustCompile(`^(` + codeWord + `)\s`),
	regexp.MustCompile(`(?:^|\s)(` + codeWord + `)\.?\s*$`),
}

const codeWord = `[A-Z][A-Za-z0-9]{4,80}(?:\.[A-Z][A-Za-z0-9]{2,80})*`

// surely counts the first codeShapes, which have nothing but a code in that place.
const surely = 3

// codeIn returns the code in a text, from the surest shape that has one, or "".
func codeIn(text string) string {
	for n, shape := range codeShapes {
		for _, found := range shape.FindAllStringSubmatch(text, 8) {
			if n < surely || means(found[1]) {
				return found[1]
			}
		}
	}
	return ""
}

// means distinguishes a code from a word with a capital letter, such as the name of a service before a colon.
func means(word string) bool {
	if _, listed := codes[word]; listed {
		return true
	}
	class, _ := codeClass(word)
	inner := strings.IndexFunc(word[1:], func(r rune) bool { return r >= 'A' && r <= 'Z' }) >= 0
	return class != Unknown && inner || word == "Throttling"
}
