package decisions

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

func (k *cluster) nodes(groups map[string]*decision.Group) []decision.Node {
	unremovable := map[string]*scaledownstatus.UnremovableNode{}
	for _, n := range cmp.Or(k.facts.scaleDown, &scaledownstatus.ScaleDownStatus{}).UnremovableNodes {
		unremovable[n.Node.Name] = n
	}
	members, late, going := k.members(), map[string]int{}, map[string]int{} // by group: Ready nodes that lack their GPU, nodes that go
	k.drained = 0
	for _, m := range members {
		terminated := m.instance == nil || m.instance.Lifecycle.Leaving()
		if m.node != nil && !terminated && taints.HasToBeDeletedTaint(m.node) && k.used()[m.node.Name] {
			k.drained++
		}
	}
	spending := k.Provider.Spending()
	list := make([]decision.Node, 0, len(members))
	states := make(map[string]stateSince, len(members))
	for _, m := range members {
		o := decision.Node{Group: m.group, Utilization: -1}
		if m.instance != nil {
			o.Name, o.InstanceID, o.Zone, o.InstanceType = m.instance.ID, m.instance.ID, m.instance.Zone, m.instance.Type
			cost := spending.Instance(k.facts.view.Group(m.group), m.instance)
			o.PerHour, o.About = cost.PerHour, cost.Estimated
		}
		if g := groups[m.group]; g != nil && g.CapacityType != "mixed" {
			o.CapacityType = g.CapacityType
		}
		if m.node == nil {
			say(&o, decision.NodeStarting, decision.CodeStarting, "", "its instance has not registered as a node yet")
			o.Since = k.facts.unjoined[m.instance.ID].since
			if r, console, isLate := k.late(m); isLate {
				o.Reason, o.Console = r, console
			}
			if m.instance.Lifecycle.Leaving() {
				leaving(&o, m.instance)
			}
		} else {
			o.Name = m.node.Name
			k.judgeNode(&o, m, groups[m.group], unremovable[o.Name])
			unseen := o.Reason.Code == decision.CodeNeeded || o.Reason.Code == decision.CodeUnneededDelay // the last loop came before the request
			if nodemeta.ToGo(m.node) && !unseen {
				if g := groups[m.group]; g != nil && nodemeta.RemovalRequested.Of(m.node) == nodemeta.ReplaceFirst {
					if most := k.Core.MaxNodesTotal; most > 0 && len(members) >= most && g.State == decision.GroupReady {
						full := *g
						full.State, full.Reason = decision.GroupFull, why.MaxNodesTotal(most)
						g = &full
					}
					o.Reason = why.Replaced(o.Reason, g)
				}
				o.Requested, o.Reason = true, asked(o.State, o.Reason, "somebody asks for its removal")
			}
			if o.State == decision.NodeStarting && k.ready(m.node) && m.counts() {
				late[m.group]++
			}
			k.replacement(&o, m.node, unseen)
		}
		if was := k.states[o.Name]; o.Since.IsZero() {
			if o.Since = k.facts.at; was.state == o.State {
				o.Since = was.since
			}
		}
		drains := o.State == decision.NodeDraining && m.node != nil && !interruption.Planned(m.node)
		if m.counts() && (drains || !o.RemovalAt.IsZero()) {
			going[k.Provider.GroupName(o.Group)]++
		}
		states[o.Name] = stateSince{o.State, o.Since}
		list = append(list, o)
	}
	k.states = states
	for at := range list { // the core takes any of them, down to the minimum
		o := &list[at]
		if o.Reason.Code != decision.CodeUnneededDelay || o.RemovalAt.IsZero() || o.Move != nil || o.Requested {
			continue
		}
		if g := k.facts.view.AutoScalingGroup(k.Provider.GroupName(o.Group)); g != nil && going[g.Name] > g.TargetInstances()-g.MinInstances() {
			o.Reason.Message += fmt.Sprintf(", if group %q has more than its minimum then", g.Name)
		}
	}
	for id, n := range late {
		if g := groups[id]; g != nil {
			g.Ready, g.Starting = g.Ready-n, g.Starting+n
		}
	}
	return list
}

func say(o *decision.Node, state decision.NodeState, code decision.Code, remedy, format string, args ...any) {
	o.State, o.Reason = state, decision.Reason{Code: code, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

func (f failedRemoval) say(o *decision.Node, next string) {
	say(o, decision.NodeBlocked, f.Code, f.Remedy, "its last removal failed at %s: %s, and is tried again %s", why.Clock(f.at), f.Message, next)
}

func leaving(o *decision.Node, i *group.Instance) {
	if i.Lifecycle.Retained() {
		say(o, decision.NodeLeaving, decision.CodeOther, shellword.TerminateInstance(i.ID), "AWS keeps its instance, and charges for it, until somebody terminates it")
		return
	}
	say(o, decision.NodeLeaving, decision.CodeUnneeded, "", "its instance is being terminated")
}

func (k *cluster) judgeNode(o *decision.Node, m member, group *decision.Group, kept *scaledownstatus.UnremovableNode) {
	f := k.facts
	_, unneeded := f.unneeded[o.Name]
	looked := f.scaleDown != nil && f.scaleDown.Result != scaledownstatus.ScaleDownNotTried
	interrupted, began, draining := interruption.Draining(m.node)
	switch {
	case draining:
		say(o, decision.NodeDraining, decision.CodeInterruption, "", "it is drained: %s", interrupted)
		o.Since = began
	case m.instance != nil && m.instance.Lifecycle.Leaving():
		leaving(o, m.instance)
	case taints.HasToBeDeletedTaint(m.node):
		say(o, decision.NodeDraining, decision.CodeUnneeded, "", "it is drained because it is not needed")
		if at, err := taints.GetToBeDeletedTime(m.node); err == nil && at != nil {
			o.Since = *at
		}
	case k.Provider.Superseded(m.node):
		say(o, decision.NodeNeeded, decision.CodeNotAutoscaled, "delete it: kubectl delete node "+shellword.Quote(o.Name),
			"its instance has registered again, as another node")
	case m.group == "" && k.Provider.Terminated(m.node):
		o.InstanceID = nodemeta.InstanceOf(m.node)
		say(o, decision.NodeLeaving, decision.CodeOther, "see who ended it: aws ec2 describe-instances --query 'Reservations[].Instances[].StateReason'"+
			" --instance-ids "+shellword.Quote(o.InstanceID), "its instance has been terminated, and Kubernetes deletes the node")
	case m.group == "":
		say(o, decision.NodeNeeded, decision.CodeNotAutoscaled, "", "it belongs to no group of this autoscaler")
		if m.node.Labels["eks.amazonaws.com/compute-type"] == "auto" {
			o.Reason.Message = "EKS Auto Mode runs it, and it belongs to no group of this autoscaler"
		}
	case looked && (kept != nil || unneeded) && !k.Provider.TooOldToRemove():
		k.weigh(o, m, group, kept)
	case !k.ready(m.node) && f.at.Sub(m.node.CreationTimestamp.Time) < k.startupTime(m.group):
		say(o, decision.NodeStarting, decision.CodeStarting, "", "it is not ready yet")
		if taint := k.startupTaint(m.node); nodemeta.Ready(m.node) {
			o.Reason.Message = "it still has the start-up taint " + taint
		}
		o.Since = m.node.CreationTimestamp.Time
	case k.Remote:
		say(o, decision.NodeNeeded, decision.CodeOther, "look into its log", "the Cluster Autoscaler decides about it in its own process")
	case !k.ScaleDown:
		say(o, decision.NodeBlocked, decision.CodeScaleDownOff, "set --scale-down-enabled=true", "--scale-down-enabled=false keeps all nodes")
	case k.Provider.TooOldToRemove():
		say(o, decision.NodeBlocked, decision.CodeStale, "asgctl account", "the groups have not been read for minutes, so that no node goes")
	case k.Provider.InShiftedZone(m.node):
		say(o, decision.NodeBlocked, decision.CodeOther, "", "a zonal shift keeps its group out of its zone, and no node there goes")
	case k.Provider.InStandby(m.node):
		say(o, decision.NodeBlocked, decision.CodeOther, "", "its instance is in standby, and AWS does not let it be terminated")
	case nodemeta.DoNotDisrupt.Of(m.node) == "true":
		say(o, decision.NodeBlocked, decision.CodeAnnotation, fmt.Sprintf("take it off: kubectl annotate node %s %s-", shellword.Quote(o.Name), nodemeta.DoNotDisrupt),
			"its annotation %s keeps it", nodemeta.DoNotDisrupt)
	case group != nil && group.Paused != nil && group.Paused.ScaleDown:
		o.State, o.Reason = decision.NodeBlocked, pauseOf(group, f.view.Group(m.group).LeftAlone(f.at, true)).Reason
	case !f.listed:
		r := f.result()
		say(o, decision.NodeBlocked, r.Code, r.Remedy, "no node goes: %s", r.Message)
	case !looked:
		say(o, decision.NodeNeeded, decision.CodeOther, "look for errors in the autoscaler's log",
			"the last loop ended before it looked at the nodes")
	case f.kept[o.Name].Pod != "":
		leftAlone(o, f.kept[o.Name].Pod, f.kept[o.Name].Until)
	case f.needed[o.Name]:
		say(o, decision.NodeNeeded, decision.CodeOther, "", "pods of nodes that leave are to have its room")
	case group != nil && group.Desired <= group.Min && k.used()[o.Name]:
		say(o, decision.NodeNeeded, decision.CodeMinSize, "", "%s", why.AtMin(group))
	case group != nil && group.Desired <= group.Min:
		say(o, decision.NodeBlocked, decision.CodeMinSize, why.Resize(group, "min", group.AtMin), "%s", why.AtMin(group))
	case k.lacks(m) != "":
		say(o, decision.NodeStarting, decision.CodeStarting, "see whether the device plugin's pod runs on it: kubectl get pods --all-namespaces --field-selector spec.nodeName="+
			shellword.Quote(o.Name), "it has been Ready since %s without %s", why.Clock(nodemeta.ReadySince(m.node)), k.lacks(m))
		o.Since = m.node.CreationTimestamp.Time
	case k.Core.ScaleDownDelayTypeLocal:
		say(o, decision.NodeNeeded, decision.CodeScaleDownOff, "", "no node of its group goes for a while after another change of the group")
	default:
		say(o, decision.NodeNeeded, decision.CodeOther, "", "it has not been looked at yet, because other nodes go first")
	}
}

// lacks returns a device that the node's group promises, or "" if the node shows some, whole or in parts, or if nodes of its group show theirs
// in slices.
func (k *cluster) lacks(m member) (lacks corev1.ResourceName) {
	t, next := k.facts.view.Template(m.group), k.facts.nodeInfo(m.group)
	inSlices := next != nil && slices.ContainsFunc(next.LocalResourceSlices, func(s *resourceapi.ResourceSlice) bool {
		return !nodemeta.Assumed.On(s) && nodetemplate.SharesAccelerators(s.Spec.Driver)
	})
	if t != nil && !inSlices && !nodetemplate.HasAccelerator(m.node.Status.Allocatable) {
		for name := range t.Accelerators() {
			lacks = max(lacks, name)
		}
	}
	return lacks
}

// weigh says why a node that the core weighed stays or goes. kept is nil for a node that the core would remove.
func (k *cluster) weigh(o *decision.Node, m member, group *decision.Group, kept *scaledownstatus.UnremovableNode) {
	last, again := unremovable{UnremovableNode: &scaledownstatus.UnremovableNode{}}, false
	if kept != nil {
		last = k.facts.unremovableOf(kept)
		if before, known := k.facts.blocked[o.Name]; known {
			o.Since = before.since
			if again = kept.Reason == simulator.RecentlyUnremovable; again {
				last = before
			}
		}
	}
	if i := last.UtilInfo; i != nil && finite(i.Utilization) {
		o.Utilization = i.Utilization
	}
	if b := last.BlockingPod; b != nil {
		o.Pod = b.Pod.Namespace + "/" + b.Pod.Name
	}
	k.keeps(o, m, cmp.Or(group, &decision.Group{}), last)
	if again && last.Reason == simulator.BlockedByPod {
		o.Reason.Message += fmt.Sprintf(" (as of %s, looked at again at %s)", why.Clock(last.at), why.Clock(last.at.Add(k.Core.UnremovableNodeRecheckTimeout)))
	}
	if o.State != decision.NodeUnneeded {
		return
	}
	idle := k.facts.unneeded[o.Name]
	if o.Since = idle.Since; idle.Length > 0 && !idle.Since.IsZero() {
		o.RemovalAt = idle.Since.Add(idle.Length)
	}
	if failed, known := k.facts.refused[o.Name]; known {
		next := "soon"
		if o.RemovalAt.After(k.facts.at) {
			next = "at " + why.Clock(o.RemovalAt)
		}
		o.RemovalAt = time.Time{}
		failed.say(o, next)
		return
	}
	if s := k.facts.scaleDown; kept == nil && s != nil && s.Result == scaledownstatus.ScaleDownInCooldown {
		switch o.Reason.Code {
		case decision.CodeUnneeded:
			say(o, o.State, decision.CodeScaleDownOff, "", "it is not needed, and no node goes for a while after another change%s", k.delays())
		case decision.CodeUnneededDelay:
			o.Reason.Message += fmt.Sprintf(", but no node goes for a while after another change%s", k.delays())
			o.RemovalAt = time.Time{}
		}
	}
}

// delays are the flags that have no node go for a while after a change.
func (k *cluster) delays() string {
	var flags []string
	for at, delay := range []time.Duration{k.Core.ScaleDownDelayAfterAdd, k.Core.ScaleDownDelayAfterDelete, k.Core.ScaleDownDelayAfterFailure} {
		if delay > 0 {
			flags = append(flags, fmt.Sprintf("--scale-down-delay-after-%s=%s", []string{"add", "delete", "failure"}[at], decision.Span(delay)))
		}
	}
	if len(flags) == 0 {
		return ""
	}
	return " (" + strings.Join(flags, ", ") + ")"
}

// finite reports whether the core could compute the utilization. It divides by nothing where --ignore-daemonsets-utilization leaves a
// DaemonSet out that requests all GPUs of the node.
func finite(utilization float64) bool { return !math.IsNaN(utilization) && !math.IsInf(utilization, 0) }

func (k *cluster) replacement(o *decision.Node, node *corev1.Node, unseen bool) {
	s, moves := move.StateOf(node)
	held, waits := k.facts.held[node.Name]
	if held.Hold == move.HeldStarting {
		o.Reason.Message = held.Message
	}
	if moves && !k.Remote { // a plugin carries out no move of an earlier process
		o.Move = &decision.Move{Reason: s.Reason, Cause: s.Cause, Since: s.Since, Replacement: s.Replacement, Failures: s.Failures, Retry: s.Retry}
		if k.facts.held == nil && o.State == decision.NodeBlocked { // no loop looked at it
			o.Move.Waits = o.Reason.Message
		}
		if s.Step == move.Placing && !unseen && !nodemeta.ToGo(node) {
			o.Reason = asked(o.State, o.Reason, fmt.Sprintf("it is to be replaced (%s: %s)", s.Reason, s.Cause))
		}
		if s.Step == move.Rebooting {
			o.Move.Waits = "its instance is rebooted first"
		}
	}
	if waits {
		if !moves {
			o.Move = &decision.Move{Reason: held.Reason, Cause: held.Cause}
		}
		o.Move.Hold, o.Move.Waits = string(held.Hold), held.Message
	}
}

// threshold is the utilization from which on the node counts as needed.
func (k *cluster) threshold(m member) float64 {
	ng := k.facts.view.NodeGroup(m.group)
	if ng == nil {
		return 0
	}
	options := ng.Options(k.Core.NodeGroupDefaults)
	if k.Provider.GetNodeGpuConfig(m.node) != nil {
		return options.ScaleDownGpuUtilizationThreshold
	}
	return options.ScaleDownUtilizationThreshold
}
