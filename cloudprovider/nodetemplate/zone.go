package nodetemplate

import (
	"regexp"
	"slices"
)

// regionOfZone matches the region at the beginning of a zone's name. Local and Wavelength Zones carry more than one
// letter after it: us-west-2-lax-1a, us-east-1-wl1-bos-wlz-1.
var regionOfZone = regexp.MustCompile(`^[a-z]+(?:-[a-z]+)+-[0-9]+`)

// region returns the region the group is in; "" if nothing tells.
func (in *Input) region() string {
	if in.Region != "" || len(in.Zones) == 0 {
		return in.Region
	}
	return regionOfZone.FindString(slices.Min(in.Zones))
}

// zone returns the zone the template stands for, and whether every node of the group will be in it.
func (in *Input) zone() (name string, promised bool) {
	switch zones := slices.Compact(slices.Sorted(slices.Values(in.Zones))); {
	case len(zones) == 0:
		return "", false
	case in.NextZone != "" && slices.Contains(zones, in.NextZone):
		return in.NextZone, in.PinnedZone || len(zones) == 1
	default:
		return zones[0], len(zones) == 1
	}
}
