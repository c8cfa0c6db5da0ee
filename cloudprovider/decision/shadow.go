package decision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Shadow compares what an autoscaler with --shadow would have done with what the leader beside it did. The lists have the newest last.
type Shadow struct {
	Refused     int             `json:"writesRefused"` // which nobody should have tried
	Waiting     int             `json:"podsWaiting"`   // pods for which the shadow would have asked for a node, and that wait for the leader
	Days        []ShadowDay     `json:"days"`
	Comparisons []Comparison    `json:"comparisons"`
	Removals    []ShadowRemoval `json:"removals"`
}

// Comparison is a time in which pods waited, or a sum of such times.
type Comparison struct {
	From   time.Time   `json:"from"`
	Pods   int         `json:"pods"` // for which the shadow would have asked for nodes
	Shadow ShadowNodes `json:"shadow"`
	Leader ShadowNodes `json:"leader"`
	Sooner Mean        `json:"soonerSeconds"` // than the leader, over the pods for which both asked. Below 0: later
}

// ShadowNodes are the nodes that one of the two asked for, at the price of the next node of each group in the currency of the Report's Spend.
type ShadowNodes struct {
	Groups  map[string]int `json:"nodesByGroup"` // by Auto Scaling group
	PerHour float64        `json:"perHour"`
	About   bool           `json:"perHourEstimated,omitempty"`
}

// Add adds other nodes.
func (n *ShadowNodes) Add(o ShadowNodes) {
	if n.Groups == nil {
		n.Groups = map[string]int{}
	}
	for group, nodes := range o.Groups {
		n.Groups[group] += nodes
	}
	n.PerHour, n.About = n.PerHour+o.PerHour, n.About || o.About
}

// Nodes counts them.
func (n ShadowNodes) Nodes() (sum int) {
	for _, nodes := range n.Groups {
		sum += nodes
	}
	return sum
}

func (n ShadowNodes) String() string {
	var list []string
	for _, group := range slices.Sorted(maps.Keys(n.Groups)) {
		list = append(list, fmt.Sprintf("%d in %s", n.Groups[group], group))
	}
	return cmp.Or(strings.Join(list, ", "), "none")
}

// Mean is the mean of values that come one by one.
type Mean struct {
	Mean  float64 `json:"mean"`
	Count int     `json:"count"`
}

// Plus adds other values.
func (m Mean) Plus(o Mean) Mean {
	sum := m.Count + o.Count
	return Mean{(m.Mean*float64(m.Count) + o.Mean*float64(o.Count)) / float64(max(1, sum)), sum}
}

func (m Mean) seconds() string { return than(m.Mean, "%.1f s", "sooner", "later", "at the same time") }

// OtherGroups reports whether both asked for nodes, and not of the same groups.
func (c Comparison) OtherGroups() bool {
	return len(c.Shadow.Groups) > 0 && len(c.Leader.Groups) > 0 && !maps.EqualFunc(c.Shadow.Groups, c.Leader.Groups, func(int, int) bool { return true })
}

// Words say how the shadow differs from the leader.
func (c Comparison) Words(currency string) string {
	nodes, price := "%.0f nodes", "%.4f "+currency+" per hour"
	more := c.Shadow.Nodes() - c.Leader.Nodes()
	if more*more == 1 {
		nodes = "%.0f node"
	}
	if c.Shadow.About || c.Leader.About {
		price = "about " + price
	}
	list := []string{than(float64(more), nodes, "more", "fewer", "as many nodes"), than(c.Shadow.PerHour-c.Leader.PerHour, price, "dearer", "cheaper", "at the same price")}
	if c.OtherGroups() {
		list = append([]string{"other groups"}, list...)
	}
	if c.Sooner.Count > 0 {
		list = append([]string{c.Sooner.seconds()}, list...)
	}
	return strings.Join(list, ", ")
}

// than is a difference in words.
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

// Who removed a node.
const (
	RemovedByBoth   = "both"
	RemovedByLeader = "leader" // the shadow would have kept it
	RemovedByShadow = "shadow" // the leader kept it until it was needed again
)

// ShadowRemoval is a node that the leader removed, or that the shadow would have removed.
type ShadowRemoval struct {
	At      time.Time `json:"at"` // when the leader began, or when the node was needed again
	Node    string    `json:"node"`
	Group   string    `json:"group"`
	By      string    `json:"by"`
	Seconds float64   `json:"seconds"` // by which the shadow was sooner, or for which the leader alone kept the node
	PerHour float64   `json:"perHour"`
}

// Words say how the shadow differs from the leader.
func (r ShadowRemoval) Words() string {
	switch r.By {
	case RemovedByLeader:
		return "the shadow would have kept it"
	case RemovedByShadow:
		return fmt.Sprintf("the leader kept it for %.1f s, until it was needed again", r.Seconds)
	}
	return "both removed it, the shadow " + Mean{Mean: r.Seconds}.seconds()
}

// ShadowDay sums up a day in UTC.
type ShadowDay struct {
	Day string `json:"day"`
	Comparison
	Times    int            `json:"comparisons"`
	Other    int            `json:"comparisonsWithOtherGroups"`
	Removals map[string]int `json:"removals"` // by whom
	Removed  Mean           `json:"removedSoonerSeconds"`
}

// Words sum the day up for somebody who did not see it.
func (d ShadowDay) Words(currency string) string {
	nodes := [2]int{d.Shadow.Nodes(), d.Leader.Nodes()}
	d.Shadow.Groups, d.Leader.Groups = map[string]int{"": nodes[0]}, map[string]int{"": nodes[1]}
	return fmt.Sprintf("Pods that needed a node: %d, %s (nodes: %d, the leader's: %d). Other groups: %d of %d times. Removed nodes: %d by both, %s on average, %d by the leader alone, %d by the shadow alone",
		d.Pods, d.Comparison.Words(currency), nodes[0], nodes[1], d.Other, d.Times, d.Removals[RemovedByBoth], d.Removed.seconds(),
		d.Removals[RemovedByLeader], d.Removals[RemovedByShadow])
}
