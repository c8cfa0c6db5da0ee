package group

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// TagSpendCap bounds what the nodes of its group cost per hour.
const TagSpendCap = "asg-autoscaler.github.io/max-hourly-cost"

var (
	amount   = regexp.MustCompile(`^\d{1,12}(?:\.\d+)?$`)
	meantKey = regexp.MustCompile(`(?i)^asg-?autoscaler\.|node.?templates?/(label|taint|resource|autoscaling)`) // for us, in any spelling
	knownKey = regexp.MustCompile(`^asg-autoscaler\.github\.io/(max-hourly-cost|move-budget|paused|rotate-age|schedule/.*|zonal)$` +
		`|k8s\.io/cluster-autoscaler/node-template/`)
)

// SpendCap returns the cap by TagSpendCap, and whether the group has one. It is 0 where the tag cannot be read: a cap that is silently off
// would be worse.
func (g *Group) SpendCap() (perHour float64, capped bool) {
	text, capped := g.Tags[TagSpendCap]
	perHour, _ = ParseAmount(text)
	return perHour, capped
}

// ParseAmount reads an amount of money per hour, such as 25.50.
func ParseAmount(text string) (perHour float64, ok bool) {
	if !amount.MatchString(text) {
		return 0, false
	}
	perHour, _ = strconv.ParseFloat(text, 64)
	return perHour, true
}

// TagProblems returns what is wrong with the tags by which the owner of the group bounds its size, and which tags have a misspelt key.
func (g *Group) TagProblems() []launchspec.Problem {
	problems := slices.Concat(g.PauseProblem(), g.ScheduleProblems())
	text, capped := g.Tags[TagSpendCap]
	if _, ok := ParseAmount(text); capped && !ok {
		problems = append(problems, launchspec.Problem{Reason: "invalid-spend-cap-tag", Blocks: true,
			Message: fmt.Sprintf("its tag %s is %q, which is no amount such as 25.50, so the group does not grow", TagSpendCap, text),
			Remedy:  "correct the tag, or delete it: " + shellword.DeleteTag(g.Name, TagSpendCap)})
	}
	for _, key := range slices.Sorted(maps.Keys(g.Tags)) {
		if meantKey.MatchString(key) && !knownKey.MatchString(key) && !slices.Contains(g.Searched, key) {
			problems = append(problems, launchspec.Problem{Reason: "unknown-tag", Message: fmt.Sprintf("its tag %q counts for nothing: behind "+
				"asg-autoscaler.github.io/ comes max-hourly-cost, move-budget, paused, rotate-age, schedule/<name> or zonal, and behind "+
				"k8s.io/cluster-autoscaler/node-template/ comes label/, taint/, resources/ or autoscaling-options/", key),
				Remedy: "give the tag the key that you mean. If no discovery flag and no policy of IAM names this one, delete it"})
		}
	}
	return problems
}

// Limit is a setting that keeps a group from growing or from shrinking. Its sizes are in the group's capacity units.
type Limit struct {
	Flag  string // value of the --nodes flag that has the limit, "" for another
	Clock string // the tag or scheduled action that has it for now, "" for another: without a Flag, AWS's own size of the group
	Size  int
	Needs int // the size that one instance more, or one fewer, needs
}

// AtMax returns the settings that another instance would exceed: AWS's, then the ones of --nodes flags. whole is the Auto Scaling group of a
// zone group, or g itself.
func (g *Group) AtMax(whole *Group) []Limit { return g.limits(whole, g.Source.MinWeight()) }

// AtMin is AtMax for one instance fewer, the heaviest one.
func (g *Group) AtMin(whole *Group) []Limit { return g.limits(whole, -g.heaviest()) }

func (g *Group) limits(whole *Group, by int) []Limit {
	var reached []Limit
	check := func(l Limit, least, most, capacity int) {
		l.Needs = max(0, capacity+by)
		switch {
		case by > 0 && l.Needs > most:
			l.Size = most
		case by < 0 && l.Needs < least:
			l.Size = least
		default:
			return
		}
		reached = append(reached, l)
	}
	check(Limit{}, g.AWSMin, g.AWSMax, whole.Reached())
	if n := g.Flag; n.Name != "" {
		check(Limit{Flag: n.String()}, n.MinSize, n.MaxSize, whole.Reached())
	}
	for _, t := range g.Timed {
		check(Limit{Clock: t.By}, t.Min, t.Max, whole.Reached())
	}
	if n, limited := g.ZoneLimits[g.Zone]; limited {
		check(Limit{Flag: n.String()}, n.MinSize, n.MaxSize, g.DesiredCapacity)
	}
	return reached
}

// ManagedNodegroup returns the EKS managed node group whose instances these are, the zero key for none. EKS writes the group's sizes then.
func (g *Group) ManagedNodegroup() launchspec.NodegroupKey { return g.LaunchGroup().ManagedNodegroup() }

// LimitError is the error of a write beyond the group's limits. Nothing was written.
type LimitError struct {
	Group       string
	Desired     int // if it had been written
	Limit       int
	LimitIsMost bool
}

func (e *LimitError) Error() string {
	side, verb := "minimum", "below"
	if e.LimitIsMost {
		side, verb = "maximum", "above"
	}
	return fmt.Sprintf("auto scaling group %q: a desired capacity of %d is %s its %s size of %d", e.Group, e.Desired, verb, side, e.Limit)
}

// AtMinimum reports whether a write would have left less than the minimum size.
func AtMinimum(err error) bool {
	limit, limited := errors.AsType[*LimitError](err)
	return limited && !limit.LimitIsMost
}

// Full returns the error of an increase by n without room: in the group, where left is the part that other zones leave, or else in the zone.
func (g *Group) Full(zone string, n, left int) error {
	e := &LimitError{Group: g.Name, Desired: g.Reached() + (g.Room()-left)*g.Source.MinWeight(), Limit: g.MaxSize, LimitIsMost: true}
	if v := g.zoneGroupIn(zone); v != nil && left > 0 {
		e.Group, e.Desired, e.Limit = v.ID(), v.DesiredCapacity, v.most
	}
	e.Desired += n * g.Source.MinWeight()
	return e
}
