package move

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// No consolidation moves pods that a move, a request or an unplanned interruption has evicted within once.
	once = time.Hour
	// A plan must begin within begins. After that another one may be better. Between two of its nodes it may wait for goesOn, because pods that
	// have moved may start slowly.
	begins, goesOn = 5 * time.Minute, 20 * time.Minute
)

// Consolidate replaces nodes by fewer or by a cheaper one. It follows a plan that its caller finds (Plans) and adopts, and follows one at a time. Only
// the plan's group may launch a node for the pods.
type Consolidate struct {
	On       bool   // plans are carried out
	Currency string // of the plans
	Launched bool   // a node was asked for by the plan, which gets no other
	Stays    bool   // what holds a node of the plan may last, so the plan gets no node

	// It sets these. Plan is the one that it follows, nil for none. Saved is the saving per hour of the plans that this process has carried out.
	Plan  *Plan
	Saved float64

	since time.Time
	gone  []string                // nodes of the plan that it has removed. AWS may still be ending their instances
	kept  Refusals                // nodes that could not go, and node groups for which AWS launched none
	moved map[string][2]time.Time // when pods of a workload were first and last moved
}

var _ Reason = &Consolidate{}

func (*Consolidate) Name() string { return Consolidation }

// Judged reports true, because a node that costs too much is as it should be.
func (*Consolidate) Judged(Node) bool { return true }

// Adopt begins to follow a plan. The moves that it begins have the limits of all moves.
func (c *Consolidate) Adopt(p Plan, now time.Time) {
	c.Plan, c.since, c.gone, c.Launched, c.Stays = &p, now, nil, false, false
}

// Drop ends the plan and the moves of its nodes, which stay for a while.
func (c *Consolidate) Drop(now time.Time) { c.drop(firstPause, now) }

func (c *Consolidate) drop(pause time.Duration, now time.Time) {
	for _, name := range c.Plan.Nodes {
		c.kept.Add(name, pause, now)
	}
	c.Plan = nil
}

func (c *Consolidate) Removed(node string) {
	if c.Plan == nil || !slices.Contains(c.Plan.Nodes, node) {
		return
	}
	if c.gone = append(c.gone, node); len(c.gone) == len(c.Plan.Nodes) {
		c.Saved += c.Plan.Saving
	}
}

// Refuse keeps a node from being of a plan for a while, or a node group from launching for one.
func (c *Consolidate) Refuse(name string, now time.Time) { c.kept.Add(name, firstPause, now) }

func (c *Consolidate) Refused(name string, now time.Time) bool { return c.kept.Lasts(name, now) }

// See ends the plan once its nodes are gone, one of them is kept, none has begun to move for too long, or none will.
func (c *Consolidate) See(nodes []Node, now time.Time) {
	maps.DeleteFunc(c.moved, func(_ string, at [2]time.Time) bool { return now.Sub(at[1]) >= once })
	if c.Plan == nil {
		return
	}
	moving, leaves, waits := false, false, false
	for _, n := range nodes {
		if !slices.Contains(c.Plan.Nodes, n.Name) || slices.Contains(c.gone, n.Name) {
			continue
		}
		s, begun := StateOf(n.Node)
		if begun && s.Step == Waiting { // the others were worth it only together
			c.Drop(now)
			return
		}
		counts := n.Instance.Lifecycle.Counts()
		moving, leaves = moving || begun && counts, leaves || begun && !counts // Removed will count the latter
		waits = waits || !begun && !c.holdsMoved(n, now)
	}
	limit := begins
	if len(c.gone) > 0 {
		limit = goesOn
	}
	switch {
	case moving:
		c.since = now
	case c.Stays && (len(c.gone) == 0 && !leaves || now.Sub(c.since) >= limit): // others have their turn, and a rollout may end soon
		c.drop(FirstRefusal, now)
	case len(c.gone) > 0 && !waits && !leaves, now.Sub(c.since) >= limit:
		c.Plan = nil
	}
}

// Due reports whether the node is of the plan. A move that waits for its next try goes on to wait without it.
func (c *Consolidate) Due(n Node, now time.Time) (Why, bool) {
	s, begun := StateOf(n.Node)
	if begun && s.Reason == Consolidation && s.Step == Waiting && now.Before(s.Retry) {
		return s.Why, true
	}
	if c.Plan == nil || !slices.Contains(c.Plan.Nodes, n.Name) || !begun && c.holdsMoved(n, now) || !n.Instance.Lifecycle.Counts() {
		return Why{}, false
	}
	return Why{Cause: fmt.Sprintf("%s, which saves %.3f %s per hour", c.Plan, c.Plan.Saving, c.Currency), Into: c.Plan.Into}, true
}

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

// Began notes that pods are evicted or restarted from a moment on. No consolidation moves them for an hour.
func (c *Consolidate) Began(pods []*corev1.Pod, from time.Time) {
	if c.moved == nil {
		c.moved = map[string][2]time.Time{}
	}
	for _, pod := range pods {
		if of := workload(pod); of != "" {
			c.moved[of] = [2]time.Time{cmp.Or(c.moved[of][0], from), from}
		}
	}
}

// BeginsAnew reports whether a plan would undo the pod's work: it is a Job's and runs, and nobody says that it is safe to evict.
func BeginsAnew(pod *corev1.Pod) bool {
	kind, _ := nodemeta.Owner(pod)
	return kind == "Job" && pod.Spec.NodeName != "" && !podutil.IsPodTerminal(pod) && pod.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] != "true"
}

// MayGo reports whether the pods of a node have been there for long enough, none BeginsAnew, none has come for one that was evicted within once,
// and no plan has failed on the node.
func (c *Consolidate) MayGo(n Node, settled time.Duration, now time.Time) bool {
	_, moves := StateOf(n.Node)
	return !moves && !c.Refused(n.Name, now) && now.Sub(n.CreationTimestamp.Time) >= settled && !c.holdsMoved(n, now) &&
		!slices.ContainsFunc(n.Pods(), func(p *corev1.Pod) bool {
			return BeginsAnew(p) || !nodemeta.BelongsToNode(p) && now.Sub(p.CreationTimestamp.Time) < settled
		})
}

// holdsMoved reports whether the node has a pod that may have come for one that was evicted in the last hour. Creation times are whole
// seconds, by another clock, which may be a few seconds behind.
func (c *Consolidate) holdsMoved(n Node, now time.Time) bool {
	return len(c.moved) > 0 && slices.ContainsFunc(n.Pods(), func(p *corev1.Pod) bool {
		at, moved := c.moved[workload(p)]
		return moved && now.Sub(p.CreationTimestamp.Time) < once && p.CreationTimestamp.Time.After(at[0].Add(-5*time.Second))
	})
}
