package move

import (
	"fmt"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// once is how long pods that a consolidation has moved stay where they are.
	once = time.Hour
	// A pod of a workload counts as moved if it was created within comesAgain after the drain of another began.
	comesAgain = 2 * time.Minute
	// begins is how long a plan may take to begin. After that another one may be better.
	begins = 5 * time.Minute
)

// Consolidate replaces nodes by fewer or by a cheaper one. It follows a plan that its caller finds (Plans) and adopts, and follows one at a time. Only
// the plan's group may launch a node for the pods.
type Consolidate struct {
	Currency string // of the plans

	plan  *Plan
	since time.Time
	saved float64                // per hour, by plans whose nodes are gone
	moved map[string][]time.Time // when the pods of workloads were moved in the last hour
}

var _ Reason = &Consolidate{}

func (*Consolidate) Name() string { return Consolidation }

// Judged reports true, because a node that costs too much is as it should be.
func (*Consolidate) Judged(Node) bool { return true }

// Adopt begins to follow a plan. The moves that it begins have the limits of all moves.
func (c *Consolidate) Adopt(p Plan, now time.Time) { c.plan, c.since = &p, now }

// Plan returns the plan that it follows, nil for none.
func (c *Consolidate) Plan() *Plan { return c.plan }

// Drop ends the plan. A node for which another one was launched moves all the same.
func (c *Consolidate) Drop() { c.plan = nil }

// Saved returns how much less the cluster costs per hour by the plans of this process.
func (c *Consolidate) Saved() float64 { return c.saved }

// See ends the plan once its nodes are gone, one of them is kept, or none has begun to move for too long.
func (c *Consolidate) See(nodes []Node, now time.Time) {
	if c.plan == nil {
		return
	}
	left, moving := 0, false
	for _, n := range nodes {
		if !slices.Contains(c.plan.Nodes, n.Name) {
			continue
		}
		left++
		s, begun := StateOf(n.Node)
		if begun && s.Step == Waiting {
			c.plan = nil
			return
		}
		moving = moving || begun
	}
	switch {
	case left == 0:
		c.saved += c.plan.Saving
		c.plan = nil
	case moving:
		c.since = now
	case now.Sub(c.since) >= begins:
		c.plan = nil
	}
}

// Due reports whether the node is of the plan. A move whose new node was launched goes on without it, and one that waits for its next try goes on to wait.
func (c *Consolidate) Due(n Node, now time.Time) (Why, bool) {
	if s, begun := StateOf(n.Node); begun && s.Reason == Consolidation && (s.Launches > 0 || s.Step == Waiting && now.Before(s.Retry)) {
		return s.Why, true
	}
	if c.plan == nil || !slices.Contains(c.plan.Nodes, n.Name) {
		return Why{}, false
	}
	return Why{Cause: fmt.Sprintf("%s, which saves %.3f %s per hour", c.plan, c.plan.Saving, c.Currency), Into: c.plan.Into}, true
}

// String says where the pods fit.
func (p Plan) String() string {
	pods, where := "its pods", "other nodes"
	if len(p.Nodes) > 1 {
		pods = fmt.Sprintf("the pods of %d nodes", len(p.Nodes))
	}
	switch {
	case p.Into != "" && len(p.On) == 0:
		where = fmt.Sprintf("a new node of %q", p.Into)
	case p.Into != "":
		where = fmt.Sprintf("other nodes and a new one of %q", p.Into)
	}
	return pods + " fit on " + where
}

// Began notes that the node is drained. Its pods do not move again for an hour.
func (c *Consolidate) Began(n Node, now time.Time) {
	if c.moved == nil {
		c.moved = map[string][]time.Time{}
	}
	for of, times := range c.moved {
		if now.Sub(times[len(times)-1]) >= once {
			delete(c.moved, of)
		}
	}
	for _, pod := range n.Pods() {
		if of := workload(pod); of != "" {
			c.moved[of] = append(c.moved[of], now)
		}
	}
}

// MayGo reports whether the pods of a node have been there for long enough, and no plan has moved them in the last hour.
func (c *Consolidate) MayGo(n Node, settled time.Duration, now time.Time) bool {
	if _, moves := StateOf(n.Node); moves || now.Sub(n.CreationTimestamp.Time) < settled {
		return false
	}
	for _, pod := range n.Pods() {
		if nodemeta.BelongsToNode(pod) {
			continue
		}
		age := now.Sub(pod.CreationTimestamp.Time)
		if age < settled || age < once && slices.ContainsFunc(c.moved[workload(pod)], func(at time.Time) bool {
			after := pod.CreationTimestamp.Sub(at)
			return after > -time.Second && after < comesAgain
		}) {
			return false
		}
	}
	return true
}
