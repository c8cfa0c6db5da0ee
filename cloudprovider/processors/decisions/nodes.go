package decisions

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// reasonNames are the core's reasons in its own words, without a String method there.
var reasonNames = map[simulator.UnremovableReason]string{
	simulator.NoReason:                         "NoReason",
	simulator.ScaleDownDisabledAnnotation:      "ScaleDownDisabledAnnotation",
	simulator.ScaleDownUnreadyDisabled:         "ScaleDownUnreadyDisabled",
	simulator.NotAutoscaled:                    "NotAutoscaled",
	simulator.NotUnneededLongEnough:            "NotUnneededLongEnough",
	simulator.NotUnreadyLongEnough:             "NotUnreadyLongEnough",
	simulator.NodeGroupMinSizeReached:          "NodeGroupMinSizeReached",
	simulator.NodeGroupMaxDeletionCountReached: "NodeGroupMaxDeletionCountReached",
	simulator.AtomicScaleDownFailed:            "AtomicScaleDownFailed",
	simulator.MinimalResourceLimitExceeded:     "MinimalResourceLimitExceeded",
	simulator.CurrentlyBeingDeleted:            "CurrentlyBeingDeleted",
	simulator.NotUnderutilized:                 "NotUnderutilized",
	simulator.NotUnneededOtherReason:           "NotUnneededOtherReason",
	simulator.RecentlyUnremovable:              "RecentlyUnremovable",
	simulator.NoPlaceToMovePods:                "NoPlaceToMovePods",
	simulator.BlockedByPod:                     "BlockedByPod",
	simulator.UnexpectedError:                  "UnexpectedError",
	simulator.NoNodeInfo:                       "NoNodeInfo",
	simulator.BlockedByOnCompletionPod:         "BlockedByOnCompletionPod",
}

// nodes says why nodes stay or go.
func (k *cluster) nodes(groups map[string]*decision.Group) []decision.Node {
	unremovable := map[string]*scaledownstatus.UnremovableNode{}
	if k.facts.scaleDown != nil {
		for _, n := range k.facts.scaleDown.UnremovableNodes {
			unremovable[n.Node.Name] = n
		}
	}
	members := k.members()
	spending, _ := k.Provider.Spending()
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
			o.State, o.Reason = decision.NodeStarting, decision.Reason{Code: decision.CodeStarting, Message: "its instance has not registered as a node yet"}
			if u, known := k.facts.unjoined[m.instance.ID]; known {
				o.Since = u.since
			}
			if r, console, isLate := k.late(m); isLate {
				o.Reason, o.Console = r, console
			}
			if m.instance.Lifecycle.Leaving() {
				o.State, o.Reason = decision.NodeLeaving, decision.Reason{Code: decision.CodeUnneeded, Message: "its instance is being terminated"}
			}
		} else {
			o.Name = m.node.Name
			k.judgeNode(&o, m, groups[m.group], unremovable[o.Name])
			unseen := o.Reason.Code == decision.CodeNeeded || o.Reason.Code == decision.CodeUnneededDelay // the last loop came before the request
			if nodemeta.ToGo(m.node) && !unseen {
				if g := groups[m.group]; g != nil && nodemeta.RemovalRequested.Of(m.node) == nodemeta.ReplaceFirst {
					o.Reason = why.Replaced(o.Reason, g)
				}
				o.Requested, o.Reason = true, why.Requested(o.State, o.Reason)
			}
		}
		if was := k.states[o.Name]; o.Since.IsZero() {
			if o.Since = k.facts.at; was.state == o.State {
				o.Since = was.since
			}
		}
		states[o.Name] = stateSince{o.State, o.Since}
		list = append(list, o)
	}
	k.states = states
	return list
}

// judgeNode says why a registered node stays or goes.
func (k *cluster) judgeNode(o *decision.Node, m member, group *decision.Group, kept *scaledownstatus.UnremovableNode) {
	is := func(state decision.NodeState, code decision.Code, remedy, message string) {
		o.State, o.Reason = state, decision.Reason{Code: code, Message: message, Remedy: remedy}
	}
	f := k.facts
	since, unneeded := f.unneeded[o.Name]
	interrupted, began, draining := interruption.Draining(m.node)
	switch {
	case draining:
		is(decision.NodeDraining, decision.CodeInterruption, "", "it is drained: "+interrupted)
		o.Since = began
	case taints.HasToBeDeletedTaint(m.node):
		is(decision.NodeDraining, decision.CodeUnneeded, "", "it is drained because it is not needed")
		if at, err := taints.GetToBeDeletedTime(m.node); err == nil && at != nil {
			o.Since = *at
		}
	case m.instance != nil && m.instance.Lifecycle.Leaving():
		is(decision.NodeLeaving, decision.CodeUnneeded, "", "its instance is being terminated")
	case m.group == "":
		is(decision.NodeNeeded, decision.CodeNotAutoscaled, "", "it belongs to no group of this autoscaler")
		if m.node.Labels["eks.amazonaws.com/compute-type"] == "auto" {
			o.Reason.Message = "EKS Auto Mode runs it, and it belongs to no group of this autoscaler"
		}
	case kept != nil || unneeded:
		k.weigh(o, m, group, kept, since)
	case !nodemeta.Ready(m.node) && f.at.Sub(m.node.CreationTimestamp.Time) < startupTime:
		is(decision.NodeStarting, decision.CodeStarting, "", "it is not ready yet")
		o.Since = m.node.CreationTimestamp.Time
	case !k.ScaleDown:
		is(decision.NodeBlocked, decision.CodeScaleDownOff, "set --scale-down-enabled=true", "--scale-down-enabled=false keeps all nodes")
	case k.Provider.TooOldToRemove():
		is(decision.NodeBlocked, decision.CodeStale, "asgctl account", "the groups have not been read for minutes, so that no node goes")
	case k.Provider.InShiftedZone(m.node):
		is(decision.NodeBlocked, decision.CodeOther, "", "a zonal shift keeps its group out of its zone, and no node there goes")
	case k.Provider.InStandby(m.node):
		is(decision.NodeBlocked, decision.CodeOther, "", "its instance is in standby, and AWS does not let it be terminated")
	case nodemeta.DoNotDisrupt.Of(m.node) == "true":
		o.State, o.Reason = why.Node(why.NodeFacts{Name: o.Name, Reason: why.DoNotDisrupt})
	case f.kept[o.Name].Pod != "":
		by := f.kept[o.Name]
		o.Pod = by.Pod
		o.State, o.Reason = why.Node(why.NodeFacts{Name: o.Name, Reason: reasonNames[simulator.BlockedByPod], BlockingPod: by.Pod,
			BlockingReason: why.DoNotDisrupt, Until: by.Until})
	case group != nil && group.Paused != nil && group.Paused.ScaleDown:
		o.State, o.Reason = decision.NodeBlocked, group.Paused.Reason
	case group != nil && group.Desired <= group.Min && k.used()[o.Name]:
		is(decision.NodeNeeded, decision.CodeMinSize, "", why.AtMin(group))
	case group != nil && group.Desired <= group.Min:
		o.State, o.Reason = why.Node(why.NodeFacts{Name: o.Name, Reason: reasonNames[simulator.NodeGroupMinSizeReached], Group: group, Now: f.at})
	case f.scaleDown == nil || f.scaleDown.Result == scaledownstatus.ScaleDownNotTried:
		is(decision.NodeNeeded, decision.CodeOther, "", "the last loop ended before it looked at the nodes")
	default:
		is(decision.NodeStarting, decision.CodeStarting, "", "it has not been ready for long enough")
		if lacks := k.lacks(m); lacks != "" {
			is(decision.NodeStarting, decision.CodeStarting, "see whether the device plugin's pod runs on it: kubectl get pods --all-namespaces --field-selector spec.nodeName="+
				shellword.Quote(o.Name),
				fmt.Sprintf("it has been Ready since %s without %s", nodemeta.ReadySince(m.node).UTC().Format("15:04:05 UTC"), lacks))
		}
		o.Since = m.node.CreationTimestamp.Time
	}
}

// lacks returns a device that the node's group promises and the node does not show, or "".
func (k *cluster) lacks(m member) (lacks corev1.ResourceName) {
	if t := k.facts.view.Template(m.group); t != nil {
		for name, q := range t.Accelerators() {
			if shown := m.node.Status.Allocatable[name]; shown.IsZero() && !q.IsZero() {
				lacks = max(lacks, name)
			}
		}
	}
	return lacks
}

// weigh says why a node that the core weighed stays or goes. kept is nil for a node that the core would remove.
func (k *cluster) weigh(o *decision.Node, m member, group *decision.Group, kept *scaledownstatus.UnremovableNode, since time.Time) {
	var facts why.NodeFacts
	if kept != nil {
		last := k.facts.unremovableOf(kept)
		before, known := k.facts.blocked[o.Name]
		if known {
			o.Since = before.since
		}
		if known && kept.Reason == simulator.RecentlyUnremovable {
			last = before
			last.LookedAt, last.NextLook = last.at, last.at.Add(k.Core.UnremovableNodeRecheckTimeout)
		}
		facts, o.Utilization, o.Pod = last.NodeFacts, last.Utilization, last.BlockingPod
		facts.Threshold = k.threshold(m)
	}
	facts.Buffers = k.facts.buffers[o.Name]
	facts.Name, facts.Group, facts.Now, facts.UnneededSince, facts.Delay = o.Name, group, k.facts.at, since, k.facts.thresholds[o.Name]
	o.State, o.Reason = why.Node(facts)
	if o.State != decision.NodeUnneeded {
		return
	}
	o.Since = since
	if facts.Delay > 0 && !since.IsZero() {
		o.RemovalAt = since.Add(facts.Delay)
	}
	if s := k.facts.scaleDown; kept == nil && s != nil && s.Result == scaledownstatus.ScaleDownInCooldown && o.Reason.Code == decision.CodeUnneeded {
		o.Reason = decision.Reason{Code: decision.CodeScaleDownOff,
			Message: fmt.Sprintf("it is not needed, and no node goes for a while after another change (--scale-down-delay-after-add=%s)",
				decision.Span(k.Core.ScaleDownDelayAfterAdd))}
	}
}

// threshold is the utilization from which on the node counts as needed.
func (k *cluster) threshold(m member) float64 {
	ng := k.facts.view.NodeGroup(m.group)
	if ng == nil {
		return 0
	}
	options, err := ng.GetOptions(k.Core.NodeGroupDefaults)
	if err != nil {
		return 0
	}
	if k.Provider.GetNodeGpuConfig(m.node) != nil {
		return options.ScaleDownGpuUtilizationThreshold
	}
	return options.ScaleDownUtilizationThreshold
}

// budget returns the disruption budget of the pod that allows no eviction, or nil.
func (f *facts) budget(pod *corev1.Pod) *policyv1.PodDisruptionBudget {
	if f.context == nil || f.context.ListerRegistry == nil {
		return nil
	}
	list, err := f.context.PodDisruptionBudgetLister().List()
	if err != nil {
		return nil
	}
	for _, b := range list {
		if b.Namespace != pod.Namespace || b.Status.DisruptionsAllowed > 0 {
			continue
		}
		if selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && !selector.Empty() && selector.Matches(labels.Set(pod.Labels)) {
			return b
		}
	}
	return nil
}
