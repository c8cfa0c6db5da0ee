package chaos

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// place is one zone of a group, or, without a zone, a group.
type place struct{ group, zone string }

func (p place) String() string { return strings.TrimSuffix(p.group+"/"+p.zone, "/") }

// scaleUpPlan is the core's log line before a request. sizeChange is one of its node groups.
var (
	scaleUpPlan = regexp.MustCompile(`Final scale-up plan: \[(.*)\]`)
	sizeChange  = regexp.MustCompile(`\{(\S+) (\d+)->(\d+) \(max: \d+\)\}`)
)

// askedFor adds up the instances that the core requested from each node group, by the logs.
func askedFor(logs ...string) map[place]int {
	asked := map[place]int{}
	for _, log := range logs {
		for _, planned := range scaleUpPlan.FindAllStringSubmatch(log, -1) {
			for _, change := range sizeChange.FindAllStringSubmatch(planned[1], -1) {
				group, zone, _ := strings.Cut(change[1], "/")
				from, _ := strconv.Atoi(change[2])
				to, _ := strconv.Atoi(change[3])
				asked[place{group, zone}] += to - from
			}
		}
	}
	return asked
}

// launchedNow counts the instances that our own LaunchInstances launched. It is a violation if such a call left a launch to
// AWS, which picks any zone.
func (j *judge) launchedNow(events []fakeaws.Event) map[place]int {
	launched := map[place]int{}
	last := map[string]fakeaws.Event{} // by group, the last event of a synchronous launch
	for _, e := range events {
		if e.Kind != fakeaws.Launched && e.Kind != fakeaws.DesiredChanged {
			continue
		}
		if e.Kind == fakeaws.DesiredChanged && e.By == launchAction+ourKey {
			if before := last[e.Group]; before.Kind == fakeaws.Launched && e.To == e.From+1 {
				launched[place{e.Group, before.Zone}]++
			} else {
				j.violated("%s: a launch in one zone of %q raised its desired capacity from %d to %d, for AWS to choose the zone", e.By, e.Group, e.From, e.To)
			}
		}
		last[e.Group] = e
	}
	return launched
}

// misplaced judges where our own LaunchInstances launched: in a zone for which the core requested so many, unless it requested
// them for the group as a whole.
func (j *judge) misplaced(events []fakeaws.Event, logs ...string) {
	asked, launched := askedFor(logs...), j.launchedNow(events)
	for _, at := range slices.SortedFunc(maps.Keys(launched), func(a, b place) int { return strings.Compare(a.String(), b.String()) }) {
		if most := asked[at] + asked[place{group: at.group}]; launched[at] > most {
			j.violated("%d instances of %q were launched in %s, where the core asked for %d at most", launched[at], at.group, at.zone, most)
		}
	}
}

// complaints are the log lines of the autoscaler when it was about to request more than a group may have, or less. They come
// from its own last check before a write, or from AWS.
var complaints = regexp.MustCompile(`.*(The group has less room than it seemed|is above its maximum size|is below its minimum size|` +
	`above max value|below min value|violate group's min size constraint).*`)

// undisturbed judges the autoscaler's actions since start, when nothing disturbed it any more. It knows the limits of the
// groups over all their zones, so neither AWS nor its own last check before a write has to keep it from passing them. It leaves
// no zone to AWS.
func (j *judge) undisturbed(start time.Time, events []fakeaws.Event, groups map[string]fakeaws.AutoScalingGroup, logs ...string) {
	for _, e := range events {
		raised := e.Kind == fakeaws.DesiredChanged && e.To > e.From && e.By == setDesired+ourKey
		if raised && divided(groups[e.Group]) && !e.Time.Before(start) {
			j.violated("%s: the desired capacity of %q was raised from %d to %d, for AWS to choose the zone", e.By, e.Group, e.From, e.To)
		}
	}
	for _, log := range logs {
		if lines := complaints.FindAllString(log, -1); len(lines) > 0 {
			j.violated("was about to pass a limit %d times, although nothing disturbed us, first: %s", len(lines), strings.TrimSpace(lines[0]))
		}
	}
}
