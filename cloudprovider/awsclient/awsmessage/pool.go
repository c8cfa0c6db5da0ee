package awsmessage

import (
	"regexp"
	"slices"
	"strings"
)

// maxZones is more than a region has.
const maxZones = 16

var (
	// typeName is a family with its generation, and a size. "xxlarge" is no size, but AWS repeats it from a typing error.
	typeName = regexp.MustCompile(`(?:^|[^\w.-])([a-z][a-z0-9-]{0,15}[0-9][a-z0-9-]{0,15}\.(?:nano|micro|small|medium|x*large|[0-9]{1,3}xlarge|metal(?:-[0-9]{1,3}xl)?))(?:$|[^\w-])`)

	// zoneName also fits Local Zones (us-west-2-lax-1a) and Wavelength Zones (us-east-1-wl1-bos-wlz-1).
	zoneName = regexp.MustCompile(`\b[a-z]{2,4}(?:-[a-z]{2,9}){1,3}-[0-9](?:[a-z]\b|-[a-z]{3}-[0-9][a-z]\b|-wl[0-9]-[a-z]{3}-wlz-[0-9]\b)`)

	// elsewhere begins the part of a text that recommends other zones.
	elsewhere = regexp.MustCompile(`(?i)you can currently get|please retry|or choosing|in another availability zone|in the following availability zones`)

	// action is the IAM action a text says is not allowed.
	action = regexp.MustCompile(`(?i)not authorized to perform:?\s+([a-z0-9-]{2,40}):\s?([A-Za-z]{3,80})`)
)

// zoneIn returns the one zone a text complains of. A text that complains of several names none: which of them failed is not said.
func zoneIn(text string) string {
	if at := elsewhere.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	if found := slices.Compact(zoneName.FindAllString(withoutARNs(text), maxZones)); len(found) == 1 {
		return found[0]
	}
	return ""
}

// arn is a resource name. A text is not about the names inside it, which people choose.
var arn = regexp.MustCompile(`arn:\S{1,512}`)

func withoutARNs(text string) string { return arn.ReplaceAllString(text, "") }

// capacityTypeIn reads how the instances were to be bought, where a text says so of the launch itself.
func capacityTypeIn(code, text string) string {
	lower := strings.ToLower(text)
	has := func(words string) bool { return strings.Contains(lower, words) }
	switch {
	case has("launch on-demand instance"):
		return OnDemand
	case has("launch spot instance"), has("spot capacity"), has("spot instance count"), has("your spot request"), has("spot bid price"),
		has("placed spot instance request"), has("spot instance request:"), has("placing spot instance request"),
		strings.HasPrefix(code, "MaxSpot"), strings.HasPrefix(code, "Spot"):
		return Spot
	}
	return ""
}
