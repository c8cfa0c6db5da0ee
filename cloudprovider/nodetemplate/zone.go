package nodetemplate

import (
	"regexp"
	"slices"
)

// regionOfZone matches the region at the beginning of a zone's name. Local and Wavelength Zones carry more than one letter
// after it: us-west-2-lax-1a, us-east-1-wl1-bos-wlz-1.
var regionOfZone = regexp.MustCompile(`^[a-z]+(?:-[a-z]+)+-[0-9]+`)

func (in *Input) region() string {
	if in.Region != "" || len(in.Zones) == 0 {
		return in.Region
	}
	return regionOfZone.FindString(slices.Min(in.Zones))
}

// zone returns the zone the template stands for, and whether every node of the group will be in it. Among several it is AWS's first, as in the stock
// provider's template: a pod that fits there wakes the group.
func (in *Input) zone() (name string, promised bool) {
	switch zones := slices.Compact(slices.Clone(in.Zones)); {
	case in.PinnedZone != "":
		return in.PinnedZone, true
	case len(zones) > 0:
		return zones[0], len(zones) == 1
	}
	return "", false
}

// pinZone replaces all zone labels by the pinned zone, and reports who declared another. A declared zone ID never matches the
// zone's name, so whoever declares one gets a problem for each pinned zone.
func (t *Template) pinZone(in *Input) []Problem {
	zone := in.PinnedZone
	if zone == "" {
		return nil
	}
	var problems []Problem
	for _, key := range zoneLabels {
		value, source := t.Labels[key], t.Sources.Labels[key]
		if source.Declared() && value != zone {
			// It does not name the pinned zone, so that it is the same for each of them.
			p := Problem{Group: in.Group, Subject: string(source.Kind) + " label", Key: key, Value: value, Reason: ReasonPinnedZone,
				Expected: "no zone to be declared, for the group is scaled zone by zone and each node has the zone it is launched in"}
			if source.Kind == SourceTag {
				p.Subject, p.Key = "", labelPrefix+key
			}
			problems = append(problems, p)
		}
		delete(t.Labels, key)
		delete(t.Assumed, key)
		delete(t.Sources.Labels, key)
	}
	t.addZone(in)
	return problems
}
