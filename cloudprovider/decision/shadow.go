package decision

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Shadow compares what an autoscaler with --shadow would have done with what the leader beside it did. The lists have the newest last.
type Shadow struct {
	Refused     int          `json:"writesRefused"` // which nobody should have tried
	Waiting     int          `json:"podsWaiting"`   // pods for which the shadow would have asked for a node, and that wait for the leader
	Days        []ShadowDay  `json:"days"`
	Comparisons []Comparison `json:"comparisons"`
}

// Sides are one figure of the shadow and one of the leader.
type Sides[T int | float64] struct {
	Shadow T `json:"shadow"`
	Leader T `json:"leader"`
}

func (s Sides[T]) plus(o Sides[T]) Sides[T] {
	return Sides[T]{s.Shadow + o.Shadow, s.Leader + o.Leader}
}

// Comparison is a time in which pods waited, a node that one of the two removed, or a sum of either.
type Comparison struct {
	From    time.Time             `json:"from"`
	Node    string                `json:"node,omitempty"`         // that was removed
	Pods    int                   `json:"pods"`                   // for which the shadow would have asked for nodes
	Groups  map[string]Sides[int] `json:"nodesByGroup,omitempty"` // asked for or removed, by Auto Scaling group
	PerHour Sides[float64]        `json:"perHour"`                // of these nodes, in the currency of the Report's Spend
	About   bool                  `json:"perHourEstimated,omitempty"`
	Both    int                   `json:"both"`             // pods or nodes for which both acted
	Sooner  float64               `json:"soonerSeconds"`    // than the leader, in sum over these. Below 0: later
	Causes  map[string]Reason     `json:"causes,omitempty"` // why the shadow asked for no node of a group, or would have kept the node
}

// Compare has nodes of one group at a price.
func Compare(group string, nodes Sides[int], perHour float64, about bool) Comparison {
	return Comparison{Groups: map[string]Sides[int]{group: nodes}, About: about,
		PerHour: Sides[float64]{perHour * float64(nodes.Shadow), perHour * float64(nodes.Leader)}}
}

// Add adds another comparison, but for its causes and a time that is no difference between the two. It makes a new map of groups, because others have the old one.
func (c *Comparison) Add(o Comparison) {
	groups := map[string]Sides[int]{}
	maps.Copy(groups, c.Groups)
	for name, nodes := range o.Groups {
		groups[name] = groups[name].plus(nodes)
	}
	c.Groups, c.PerHour, c.About = groups, c.PerHour.plus(o.PerHour), c.About || o.About
	c.Pods, c.Both, c.Sooner = c.Pods+o.Pods, c.Both+o.Both, c.Sooner+o.Sooner*float64(min(1, o.Both))
}

func (c Comparison) Nodes() (sum Sides[int]) {
	for _, nodes := range c.Groups {
		sum = sum.plus(nodes)
	}
	return sum
}

// OtherGroups reports whether both asked for nodes, and not of the same groups.
func (c Comparison) OtherGroups() bool {
	sum := c.Nodes()
	return sum.Shadow > 0 && sum.Leader > 0 && slices.ContainsFunc(slices.Collect(maps.Values(c.Groups)), func(n Sides[int]) bool { return n.Shadow*n.Leader == 0 })
}

func (c Comparison) Mean() float64 { return c.Sooner / float64(max(1, c.Both)) }

func (c Comparison) seconds() string {
	return than(c.Mean(), "%.1f s", "sooner", "later", "at the same time")
}

// What names the nodes that the two asked for or removed, and for how many pods.
func (c Comparison) What() string {
	if c.Node != "" {
		return "removal of " + c.Node + " in " + strings.Join(slices.Collect(maps.Keys(c.Groups)), "")
	}
	var list []string
	for _, group := range slices.Sorted(maps.Keys(c.Groups)) {
		list = append(list, fmt.Sprintf("%d in %s (leader: %d)", c.Groups[group].Shadow, group, c.Groups[group].Leader))
	}
	return fmt.Sprintf("pods: %d, nodes: %s", c.Pods, strings.Join(list, ", "))
}

func (c Comparison) Words(currency string) string {
	switch sum := c.Nodes(); {
	case c.Node == "":
	case sum.Shadow == 0:
		words := "the shadow would have kept it"
		for _, cause := range c.Causes {
			words += ": " + cause.Message
		}
		return words
	case sum.Leader == 0:
		return fmt.Sprintf("the leader kept it for %.1f s, until it was needed again", c.Sooner)
	default:
		return "both removed it, the shadow " + c.seconds()
	}
	words := c.difference(currency)
	if c.OtherGroups() {
		words = "other groups, " + words
	}
	if c.Both > 0 {
		words = c.seconds() + ", " + words
	}
	for _, group := range slices.Sorted(maps.Keys(c.Causes)) {
		words += ", none in " + group + ": " + c.Causes[group].Message
	}
	return words
}

// difference is how many more nodes the shadow would have asked for, and for how much more.
func (c Comparison) difference(currency string) string {
	sum, nodes, price := c.Nodes(), "%.0f nodes", "%.4f "+currency+" per hour"
	if more := sum.Shadow - sum.Leader; more*more == 1 {
		nodes = "%.0f node"
	}
	if c.About {
		price = "about " + price
	}
	return than(float64(sum.Shadow-sum.Leader), nodes, "more", "fewer", "as many nodes") + ", " +
		than(c.PerHour.Shadow-c.PerHour.Leader, price, "dearer", "cheaper", "at the same price")
}

func than(difference float64, format, more, less, same string) string {
	if difference < 0 {
		more, difference = less, -difference
	}
	text := fmt.Sprintf(format, difference)
	if text == fmt.Sprintf(format, 0.0) {
		return same
	}
	return text + " " + more
}

// ShadowDay sums up a day in UTC.
type ShadowDay struct {
	Day      string     `json:"day"`
	Launches Comparison `json:"launches"`
	Removals Comparison `json:"removals"`
	Times    int        `json:"comparisons"` // of launches
	Other    int        `json:"comparisonsWithOtherGroups"`
}

// Words sum the day up for somebody who did not see it.
func (d ShadowDay) Words(currency string) string {
	l, r := d.Launches, d.Removals
	asked, removed := l.Nodes(), r.Nodes()
	return fmt.Sprintf("Pods that needed a node: %d, %s, %s (nodes: %d, the leader's: %d). Other groups: %d of %d times. Removed nodes: %d by both, %s on average, %d by the leader alone, %d by the shadow alone",
		l.Pods, l.seconds(), l.difference(currency), asked.Shadow, asked.Leader, d.Other, d.Times, r.Both, r.seconds(), removed.Leader-r.Both, removed.Shadow-r.Both)
}
