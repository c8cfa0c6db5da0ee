package move

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// In the last hurry before AWS lowers a size no pod keeps a node by its wish. The second try of a node that a pod keeps runs then.
const hurry = 7 * time.Minute

// Shrink drains the nodes of a group beyond its maximum by the clock, the cheapest first. AWS would lower the size by terminating instances of its
// own choice.
type Shrink struct {
	Keeps func(*corev1.Node) bool // reports whether a node is left alone

	due map[string]Why // by node
}

var _ Reason = (*Shrink)(nil)

func (*Shrink) Name() string { return Schedule }

func (s *Shrink) Due(n Node, _ time.Time) (Why, bool) {
	why, due := s.due[n.Name]
	return why, due
}

// Judged reports true, because a schedule finds no fault with a node.
func (*Shrink) Judged(Node) bool { return true }

func lowers(g *group.Group) bool {
	surplus, _ := g.Surplus()
	return surplus > 0
}

// surplus is a node of a group with a surplus. Its state is empty if no move of it has begun.
type surplus struct {
	Node
	State
	cost float64
}

func (s *Shrink) See(nodes []Node, now time.Time) {
	s.due = map[string]Why{}
	lowered, groups := map[*group.Group]bool{}, map[*group.Group][]surplus{}
	for _, n := range nodes {
		if _, known := lowered[n.Group]; !known {
			lowered[n.Group] = lowers(n.Group)
		}
		if !lowered[n.Group] || n.Instance.Lifecycle != "InService" || !n.Leaving && (n.Spec.Unschedulable || s.Keeps(n.Node)) {
			continue
		}
		state, _ := StateOf(n.Node)
		groups[n.Group] = append(groups[n.Group], surplus{n, state, Cost(n.Pods())})
	}
	for g, all := range groups {
		s.choose(g, all, now)
	}
}

// choose keeps to the nodes that leave or move already. A node that was tried in vain gives way to others, and waits for its next try beside them.
// In the last hurry it waits no more. The first nodes go in the place of those that AWS would end. The others, which only a lower maximum of a
// tag or of a later action takes, have time.
func (s *Shrink) choose(g *group.Group, all []surplus, now time.Time) {
	left, to := g.Surplus()
	ending := 0 // capacity
	for _, t := range g.Timed {
		if t.Until.IsZero() && now.After(t.From.Add(-hurry)) { // without an end it is AWS's
			ending = max(ending, g.Beyond(max(t.Max, g.Protected())))
		}
	}
	hurries := ending > 0
	cause := fmt.Sprintf("%s lowers group %q to %d at %s", to.By, g.Name, to.Max, to.From.UTC().Format("2006-01-02 15:04 UTC"))
	slices.SortFunc(all, func(a, b surplus) int {
		return cmp.Or(truth(b.Leaving)-truth(a.Leaving), truth(b.Step == Placing)-truth(a.Step == Placing), a.Since.Compare(b.Since),
			cmp.Compare(a.cost, b.cost), strings.Compare(a.Name, b.Name))
	})
	for _, n := range all {
		switch {
		case n.Step == Waiting && n.Reason == Schedule && now.Before(n.Retry) && (n.Ends || !hurries):
			s.due[n.Name] = Why{Cause: cause}
		case n.Instance.Weight <= left:
			ends := n.Instance.Weight <= ending
			if left -= n.Instance.Weight; ends {
				ending -= n.Instance.Weight
			}
			s.due[n.Name] = Why{Cause: cause, IgnoresWishes: ends, Ends: ends}
		}
	}
}
