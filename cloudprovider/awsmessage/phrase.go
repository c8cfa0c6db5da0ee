package awsmessage

import "strings"

// phrases are what AWS says in every text of a kind, in lower case, and in the order they are looked for: what is sure
// before what could be said in passing. All words of an entry have to be there.
var phrases = []struct {
	words []string
	class Class
}{
	{[]string{"rate exceeded"}, Throttle},
	{[]string{"request limit exceeded"}, Throttle},

	{[]string{"max spot instance count exceeded"}, SpotLimit},
	{[]string{"spot instance request", "has been cancelled"}, Cancelled},
	{[]string{"placed spot instance request"}, Transient},

	{[]string{"do not have sufficient"}, NoCapacity}, // "… m5.large capacity in the Availability Zone you requested"
	{[]string{"does not have sufficient", "capacity"}, NoCapacity},
	{[]string{"no spot capacity available"}, NoCapacity},
	{[]string{"insufficient capacity"}, NoCapacity},
	{[]string{"unable to fulfill capacity"}, NoCapacity},
	{[]string{"not enough free addresses"}, NoCapacity},
	{[]string{"capacity block", "is not active yet"}, NoCapacity},

	{[]string{"requested more", "than your current", "limit"}, Quota},
	{[]string{"instance(s) are already running"}, Quota},
	{[]string{"volume limit exceeded"}, Quota},

	{[]string{"not authorized"}, Permission},
	{[]string{"access denied"}, Permission},
	{[]string{"account is currently blocked"}, Permission},
	{[]string{"not subscribed to this service"}, Permission},
	{[]string{"security token", "expired"}, Permission},
	{[]string{"security token", "invalid"}, Permission},
	{[]string{"failed to retrieve credentials"}, Permission},

	{[]string{"is in progress and blocks this action"}, Transient},
	{[]string{"while there are scaling activities in progress"}, Transient},
	{[]string{"while there are instances", "still in the group"}, Transient},
	{[]string{"pending update to an"}, Transient},
	{[]string{"is pending, and cannot be run"}, Transient},
	{[]string{"authentication failure"}, Transient}, // the service-linked role of a new account takes a moment
	{[]string{"an internal error has occurred"}, Transient},
	{[]string{"deadline exceeded"}, Transient},
	{[]string{"connection re"}, Transient}, // set, fused
	{[]string{"i/o timeout"}, Transient},

	{[]string{"is not supported"}, Configuration},
	{[]string{"is no longer supported"}, Configuration},
	{[]string{"not supported for"}, Configuration},
	{[]string{"does not exist"}, Configuration},
	{[]string{"does not match"}, Configuration},
	{[]string{"do not match any"}, Configuration},
	{[]string{"not eligible for"}, Configuration},
	{[]string{"not found"}, Configuration},
	{[]string{"could not find"}, Configuration},
	{[]string{"no managed instance found"}, Configuration},
	{[]string{"invalid"}, Configuration},
	{[]string{"is above max value"}, Configuration},
	{[]string{"is below min value"}, Configuration},
	{[]string{"must be between the specified min size"}, Configuration},
	{[]string{"violate group's min size"}, Configuration},
	{[]string{"please update the autoscalinggroup sizes"}, Configuration},
	{[]string{"limited to"}, Configuration},
	{[]string{"lower than the minimum required spot request"}, Configuration},
	{[]string{"client error on launch"}, Configuration},
	{[]string{"block device mappings not supported"}, Configuration},
}

// phraseClass is the class of the first entry whose words the text has, or Unknown.
func phraseClass(text string) Class {
	lower := strings.ToLower(text)
	for _, p := range phrases {
		if containsAll(lower, p.words) {
			return p.class
		}
	}
	return Unknown
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
