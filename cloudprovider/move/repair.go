package move

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// maxUnhealthyPercent is EKS's (EKS user guide, "Automatically repair nodes in EKS clusters", read 2026-11). More unhealthy nodes of a
	// group of more than five stop its repair, as in EKS. More than one node, and more than this percentage, of a zone or of the cluster
	// stop it there, because what they share is at fault. For two minutes (sure) after that, or after a time in which nobody looked, the
	// others may come back, and no repair begins.
	maxUnhealthyPercent = 20
	// smallGroup is the largest group whose own nodes never stop its repair, as in EKS.
	smallGroup = 5
	// startTime is the age up to which a node may still be starting. It does not count as unhealthy unless its repair is due.
	startTime = 10 * time.Minute
	// pretended begins the reason of the condition with which the core hides that a node is Ready, since the node was made: it lacks a device, or has a
	// start-up taint.
	pretended = "cluster-autoscaler.kubernetes.io/"
	// mostReasons bounds what is remembered of a condition, because nodes write it.
	mostReasons = 16
)

// ofKubernetes are the conditions whose time the kubelet or the node controller writes, only when the status changes.
var ofKubernetes = []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure,
	corev1.NodeNetworkUnavailable}

// NodeRepair is the reason Repair. It replaces nodes that have been unhealthy by a rule without a break for the rule's wait, as EKS's node auto
// repair does. A node whose hardware or capacity is scarce, or that has local disks, is rebooted first, unless a rule of the user says
// otherwise. Call See once in each loop, before the other methods, which answer as of it.
//
// The wait begins with the condition's own lastTransitionTime, so a new leader does not begin it again. It only looks for two minutes first.
type NodeRepair struct {
	Rules RepairRules
	Types func() *instancetypes.Catalogue
	Every time.Duration // a loop begins at the latest

	at      time.Time                // of the last See
	since   time.Time                // the looks have come without a gap in which an outage may have ended
	seen    map[types.UID][]sighting // as of it, with healthy nodes
	found   map[string]repair        // what is due, by node
	tallies map[scope]tally
}

var _ Reason = (*NodeRepair)(nil)

// sighting is an unhealthy condition of a node.
type sighting struct {
	corev1.NodeCondition
	since   time.Time            // it has been unhealthy, in one status or another
	reasons map[string]time.Time // when each reason was first seen since then
}

type repair struct {
	why     Why
	stopped string // why it does not happen, "" if it does
}

// scope is a group, a zone or the cluster, whose nodes are counted.
type scope struct{ what, name string }

// tally counts the nodes of a scope. over is the last look at which too many were unhealthy.
type tally struct {
	unhealthy, nodes int
	over             time.Time
}

func (*NodeRepair) Name() string { return Repair }

func (r *NodeRepair) Due(n Node, _ time.Time) (Why, bool) {
	found, ok := r.found[n.Name]
	return found.why, ok && found.stopped == ""
}

func (r *NodeRepair) Judged(n Node) bool {
	_, found := r.found[n.Name]
	return !found
}

// Stopped says why a node is not repaired whose repair is due. It is "" for any other node.
func (r *NodeRepair) Stopped(n Node) string { return r.found[n.Name].stopped }

// See looks at all nodes of the cluster's groups.
func (r *NodeRepair) See(nodes []Node, now time.Time) {
	seen := make(map[types.UID][]sighting, len(nodes))
	tallies := map[scope]tally{}
	r.found = map[string]repair{}
	for _, n := range nodes {
		ends := n.Instance.Lifecycle.Leaving() && !nodemeta.Ready(n.Node) && !nodemeta.DrainedByCore(n.Node) // without us, and counts
		if !ends && !n.Instance.Lifecycle.Counts() || n.DeletionTimestamp != nil {
			continue
		}
		sightings := r.sight(n.Node, now)
		seen[n.UID] = sightings
		found, counts := r.due(n, sightings, now)
		if counts && !ends && !n.Group.EKSRepairs { // which has rules of its own
			r.found[n.Name] = found
		}
		counts = counts || !starting(n, now) &&
			slices.ContainsFunc(sightings, func(s sighting) bool { _, acts := r.Rules.of(string(s.Type), s.Reason); return acts })
		for _, s := range scopes(n) {
			t := tallies[s]
			if t.nodes++; counts {
				t.unhealthy++
			}
			tallies[s] = t
		}
	}
	for s, t := range tallies {
		t.over = r.tallies[s].over
		if t.unhealthy*100 > maxUnhealthyPercent*t.nodes && (s.what == "group" && t.nodes > smallGroup || s.what != "group" && t.unhealthy > 1) {
			t.over = now
		}
		tallies[s] = t
	}
	if r.missed(now) {
		r.since = now
	}
	r.at, r.seen, r.tallies = now, seen, tallies
	for _, n := range nodes {
		if found, due := r.found[n.Name]; due {
			found.stopped = cmp.Or(found.stopped, r.stops(n))
			r.found[n.Name] = found
		}
	}
}

// missed reports whether nobody has looked for longer than a loop takes, which may be minutes.
func (r *NodeRepair) missed(now time.Time) bool { return now.Sub(r.at) >= max(3*sure, 2*r.Every) }

// sight returns the unhealthy conditions of the node.
func (r *NodeRepair) sight(n *corev1.Node, now time.Time) (sightings []sighting) {
	before, met := r.seen[n.UID]
	for at := range n.Status.Conditions {
		c := &n.Status.Conditions[at]
		if !unhealthy(c) || strings.HasPrefix(c.Reason, pretended) {
			continue
		}
		// The node's clock may be wrong, so no condition is older than its node, or than a look at which it was healthy, and none is to come.
		s := sighting{NodeCondition: *c, since: later(c.LastTransitionTime.Time, n.CreationTimestamp.Time)}
		if c.LastTransitionTime.IsZero() || s.since.After(now) {
			s.since = now
		}
		last := slices.IndexFunc(before, func(b sighting) bool { return b.Type == c.Type })
		switch {
		case last >= 0 && (before[last].Status != c.Status || before[last].LastTransitionTime.Equal(&c.LastTransitionTime) ||
			// Some agents write another time with another reason, also between two looks (aws/eks-node-monitoring-agent#39). Kubernetes does not.
			!r.missed(now) && !slices.Contains(ofKubernetes, c.Type) && (before[last].Reason != c.Reason || len(before[last].reasons) > 1)):
			s.since, s.reasons = before[last].since, before[last].reasons
			if _, known := s.reasons[c.Reason]; !known && len(s.reasons) < mostReasons {
				s.reasons[c.Reason] = now
			}
		case met && last < 0:
			s.since = later(s.since, r.at)
			fallthrough
		default: // between two looks it was healthy for a moment, or this is the first look
			s.reasons = map[string]time.Time{c.Reason: s.since}
		}
		sightings = append(sightings, s)
	}
	return sightings
}

func starting(n Node, now time.Time) bool { return now.Sub(n.CreationTimestamp.Time) < startTime }

// due returns what is due for a node, by the condition that was first. A node that starts is not Ready yet, and a reboot begins each wait anew.
func (r *NodeRepair) due(n Node, sightings []sighting, now time.Time) (first repair, due bool) {
	var since time.Time
	state, _ := StateOf(n.Node)
	for _, s := range sightings {
		rule, acts := r.Rules.of(string(s.Type), s.Reason)
		from := s.since
		if rule.Reason != "" {
			from = later(from, s.reasons[s.Reason])
		}
		if state.Step == Rebooted {
			from = later(from, state.Began)
		}
		if !acts || s.Type == corev1.NodeReady && starting(n, now) || due && !from.Before(since) {
			continue
		}
		if now.Before(from.Add(rule.Wait)) {
			if state.Step == Rebooted && !due {
				did := "it has been rebooted, and"
				if state.Began.IsZero() {
					did = "its reboot did not succeed, and it"
				}
				first.stopped = did + " is replaced if it does not work by " + from.Add(rule.Wait).UTC().Format("15:04Z")
			}
			continue
		}
		also := ""
		if s.Reason != "" {
			also = fmt.Sprintf(" (%.64q)", s.Reason)
		}
		first = repair{why: Why{IgnoresWishes: true, Cause: fmt.Sprintf("condition %s has been %s for %s%s", s.Type, s.Status, rule.Wait, also)}}
		first.why.Reboot = (rule.Action == RepairActionReboot || rule.byDefault && r.rebootsFirst(n)) &&
			n.Status.NodeInfo.BootID != "" && state.Boot == "" && state.Step != Placing
		due, since = true, from
	}
	return first, due || first.stopped != ""
}

// Disabled reports whether a person keeps the node (ScaleDownDisabledKey of the core, which this package must not import). For a replacement the core
// looks itself.
func Disabled(n *corev1.Node) bool {
	return n.Annotations["cluster-autoscaler.kubernetes.io/scale-down-disabled"] == "true"
}

// rebootsFirst reports whether a replacement may be hard to get, or lacks what is on the disks.
func (r *NodeRepair) rebootsFirst(n Node) bool {
	t, _ := r.Types().Lookup(n.Instance.Type)
	return t.GPU.Count > 0 || t.NeuronDevices > 0 || t.LocalNVMeBytes > 0 || n.Group.Reserved()
}

// stops says why the nodes beside this one stop its repair, or "".
func (r *NodeRepair) stops(n Node) string {
	state, _ := StateOf(n.Node)
	begun := state.Step == Placing || state.Step == Rebooting
	for _, s := range scopes(n) {
		t, are := r.tallies[s], "are unhealthy ("
		past := t.over.Before(r.at)
		if r.at.Sub(t.over) >= sure || past && begun {
			continue
		}
		if past {
			are = fmt.Sprintf("were unhealthy in the last %.0f minutes (now ", sure.Minutes())
		}
		return fmt.Sprintf("more than %d %% of the nodes of the %s %s%d of %d)", maxUnhealthyPercent, strings.TrimSpace(s.what+" "+s.name),
			are, t.unhealthy, t.nodes)
	}
	if r.at.Sub(r.since) < sure && !begun {
		return fmt.Sprintf("the nodes have been looked at for less than %.0f minutes, and more may come back", sure.Minutes())
	}
	return ""
}

func scopes(n Node) [3]scope {
	return [3]scope{{"group", n.Group.Name}, {"zone", n.Instance.Zone}, {"cluster", ""}}
}

func later(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }
