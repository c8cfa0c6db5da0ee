package decisions

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

func (k *cluster) nodes(groups map[string]*decision.Group) []decision.Node {
	unremovable := map[string]*scaledownstatus.UnremovableNode{}
	if k.facts.scaleDown != nil {
		for _, n := range k.facts.scaleDown.UnremovableNodes {
			unremovable[n.Node.Name] = n
		}
	}
	members := k.members()
	k.drained = 0
	for _, m := range members {
		if m.node != nil && taints.HasToBeDeletedTaint(m.node) && k.used()[m.node.Name] {
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
				say(&o, decision.NodeLeaving, decision.CodeUnneeded, "", "its instance is being terminated")
			}
		} else {
			o.Name = m.node.Name
			k.judgeNode(&o, m, groups[m.group], unremovable[o.Name])
			unseen := o.Reason.Code == decision.CodeNeeded || o.Reason.Code == decision.CodeUnneededDelay // the last loop came before the request
			if nodemeta.ToGo(m.node) && !unseen {
				if g := groups[m.group]; g != nil && nodemeta.RemovalRequested.Of(m.node) == nodemeta.ReplaceFirst {
					o.Reason = why.Replaced(o.Reason, g)
				}
				o.Requested, o.Reason = true, asked(o.State, o.Reason, "somebody asks for its removal")
			}
			k.replacement(&o, m.node, unseen)
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

func say(o *decision.Node, state decision.NodeState, code decision.Code, remedy, format string, args ...any) {
	o.State, o.Reason = state, decision.Reason{Code: code, Message: fmt.Sprintf(format, args...), Remedy: remedy}
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
	case taints.HasToBeDeletedTaint(m.node):
		say(o, decision.NodeDraining, decision.CodeUnneeded, "", "it is drained because it is not needed")
		if at, err := taints.GetToBeDeletedTime(m.node); err == nil && at != nil {
			o.Since = *at
		}
	case m.instance != nil && m.instance.Lifecycle.Leaving():
		say(o, decision.NodeLeaving, decision.CodeUnneeded, "", "its instance is being terminated")
	case k.Provider.Superseded(m.node):
		say(o, decision.NodeNeeded, decision.CodeNotAutoscaled, "delete it: kubectl delete node "+shellword.Quote(o.Name),
			"its instance has registered as another node, which is ready")
	case m.group == "":
		say(o, decision.NodeNeeded, decision.CodeNotAutoscaled, "", "it belongs to no group of this autoscaler")
		if m.node.Labels["eks.amazonaws.com/compute-type"] == "auto" {
			o.Reason.Message = "EKS Auto Mode runs it, and it belongs to no group of this autoscaler"
		}
	case kept != nil || unneeded && looked:
		k.weigh(o, m, group, kept)
	case !nodemeta.Ready(m.node) && f.at.Sub(m.node.CreationTimestamp.Time) < k.startupTime(m.group):
		say(o, decision.NodeStarting, decision.CodeStarting, "", "it is not ready yet")
		o.Since = m.node.CreationTimestamp.Time
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
	case f.kept[o.Name].Pod != "":
		leftAlone(o, f.kept[o.Name].Pod, f.kept[o.Name].Until)
	case group != nil && group.Paused != nil && group.Paused.ScaleDown:
		o.State, o.Reason = decision.NodeBlocked, pauseOf(group, f.view.Group(m.group).LeftAlone(f.at).Of(true)).Reason
	case group != nil && group.Desired <= group.Min && k.used()[o.Name]:
		say(o, decision.NodeNeeded, decision.CodeMinSize, "", "%s", why.AtMin(group))
	case group != nil && group.Desired <= group.Min:
		say(o, decision.NodeBlocked, decision.CodeMinSize, why.Resize(group, "min", group.AtMin), "%s", why.AtMin(group))
	case !looked:
		say(o, decision.NodeNeeded, decision.CodeOther, "", "the last loop ended before it looked at the nodes")
	case k.lacks(m) != "":
		say(o, decision.NodeStarting, decision.CodeStarting, "see whether the device plugin's pod runs on it: kubectl get pods --all-namespaces --field-selector spec.nodeName="+
			shellword.Quote(o.Name), "it has been Ready since %s without %s", why.Clock(nodemeta.ReadySince(m.node)), k.lacks(m))
		o.Since = m.node.CreationTimestamp.Time
	case f.at.Sub(m.node.CreationTimestamp.Time) < k.startupTime(m.group):
		say(o, decision.NodeStarting, decision.CodeStarting, "", "it has not been ready for long enough")
		o.Since = m.node.CreationTimestamp.Time
	case k.Core.ScaleDownDelayTypeLocal:
		say(o, decision.NodeNeeded, decision.CodeScaleDownOff, "", "no node of its group goes for a while after another change of the group")
	default:
		say(o, decision.NodeNeeded, decision.CodeOther, "", "it has not been looked at yet, because other nodes go first")
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
		next := "now"
		if o.RemovalAt.After(k.facts.at) {
			next = "at " + why.Clock(o.RemovalAt)
		}
		o.RemovalAt = time.Time{}
		say(o, decision.NodeBlocked, failed.Code, failed.Remedy, "its last removal failed at %s: %s, and is tried again %s", why.Clock(failed.at), failed.Message, next)
		return
	}
	if s := k.facts.scaleDown; kept == nil && s != nil && s.Result == scaledownstatus.ScaleDownInCooldown && o.Reason.Code == decision.CodeUnneeded {
		say(o, o.State, decision.CodeScaleDownOff, "", "it is not needed, and no node goes for a while after another change%s", k.delays())
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

func (k *cluster) keeps(o *decision.Node, m member, group *decision.Group, n unremovable) {
	pods := "its pods"
	if buffers := k.facts.buffers[o.Name]; len(buffers) > 0 { // whose pods do not exist
		pods += " and those of " + why.Named("capacity buffer", buffers)
	}
	switch n.Reason {
	case simulator.NoReason, simulator.NotUnneededLongEnough, simulator.NotUnreadyLongEnough:
		idle := k.facts.unneeded[o.Name]
		switch goes := idle.Since.Add(idle.Length); {
		case !idle.Since.IsZero() && goes.After(k.facts.at):
			say(o, decision.NodeUnneeded, decision.CodeUnneededDelay, "", "it is not needed since %s and goes at %s, after %s", why.Clock(idle.Since), why.Clock(goes), decision.Span(idle.Length))
		case k.drained > 0 && k.drained >= k.Core.MaxDrainParallelism && k.used()[o.Name]:
			say(o, decision.NodeUnneeded, decision.CodeUnneeded, "", "it is not needed and goes after %s (--max-drain-parallelism=%d)",
				why.Count(k.drained, "other node"), k.Core.MaxDrainParallelism)
		default:
			say(o, decision.NodeUnneeded, decision.CodeUnneeded, "", "it is not needed and goes now")
		}
	case simulator.NotUnderutilized:
		of := "it"
		if n.UtilInfo != nil && n.UtilInfo.ResourceName != "" {
			of = "its " + string(n.UtilInfo.ResourceName)
		}
		say(o, decision.NodeNeeded, decision.CodeNeeded, "", "%s request %.0f %% of %s, which is above the threshold of %.0f %%", pods, o.Utilization*100, of, k.threshold(m)*100)
	case simulator.BlockedByPod:
		n.blockedByPod(o)
	case simulator.BlockedByOnCompletionPod:
		say(o, decision.NodeBlocked, decision.CodePod, "", "a pod on it is safe to evict only when it has completed (cluster-autoscaler.kubernetes.io/safe-to-evict: on-completion)")
	case simulator.NoPlaceToMovePods:
		say(o, decision.NodeNeeded, decision.CodeNoPlace, "", "%s fit on no other node", pods)
		if o.Pod != "" {
			say(o, decision.NodeNeeded, decision.CodeNoPlace, "raise maxSkew, or set nodeTaintsPolicy: Honor in the constraint",
				"the topologySpreadConstraints of pod %q leave it no other place while this node exists", o.Pod)
		}
	case simulator.NodeGroupMinSizeReached:
		say(o, decision.NodeBlocked, decision.CodeMinSize, why.Resize(group, "min", group.AtMin), "%s", why.AtMin(group))
	case simulator.MinimalResourceLimitExceeded:
		say(o, decision.NodeBlocked, decision.CodeMinQuota, "lower the minimum in --cores-total, --memory-total or --gpu-total",
			"without it the cluster would have less than its minimum of cores, memory or GPUs")
	case simulator.ScaleDownDisabledAnnotation:
		say(o, decision.NodeBlocked, decision.CodeAnnotation, "take it off: kubectl annotate node "+shellword.Quote(o.Name)+" cluster-autoscaler.kubernetes.io/scale-down-disabled-",
			"its annotation cluster-autoscaler.kubernetes.io/scale-down-disabled keeps it")
	case simulator.ScaleDownUnreadyDisabled:
		say(o, decision.NodeBlocked, decision.CodeScaleDownOff, "", "it is not ready, and --scale-down-unready-enabled=false keeps such nodes")
	case simulator.NotAutoscaled:
		say(o, decision.NodeNeeded, decision.CodeNotAutoscaled, "", "it belongs to no group of this autoscaler")
	case simulator.CurrentlyBeingDeleted:
		say(o, decision.NodeDraining, decision.CodeUnneeded, "", "it is drained because it is not needed")
	case simulator.NodeGroupMaxDeletionCountReached:
		say(o, decision.NodeUnneeded, decision.CodeUnneeded, "", "it goes after other nodes of its group")
	case simulator.AtomicScaleDownFailed:
		say(o, decision.NodeBlocked, decision.CodeOther, "", "group %q is scaled to zero at once, and other nodes of it are needed", group.Name)
	case simulator.RecentlyUnremovable:
		say(o, decision.NodeNeeded, decision.CodeOther, "", "it could not be removed a moment ago and is looked at again soon")
	case simulator.NotUnneededOtherReason: // from scaledown.Requests alone
		say(o, decision.NodeNeeded, decision.CodeOther, "", "another node of its group starts or is drained first")
	default:
		say(o, decision.NodeNeeded, decision.CodeOther, "look into the autoscaler's log", "the core keeps it after an error")
	}
}

func (n unremovable) blockedByPod(o *decision.Node) {
	pod := n.BlockingPod.Pod
	namespace := shellword.Quote(pod.Namespace)
	annotate := fmt.Sprintf("kubectl -n %s annotate pod %s cluster-autoscaler.kubernetes.io/safe-to-evict=true --overwrite", namespace, shellword.Quote(pod.Name))
	message, remedy := fmt.Sprintf("pod %q ", o.Pod), "if it may be evicted: "+annotate
	switch n.BlockingPod.Reason {
	case drain.NotReplicated:
		message, remedy = message+"has no controller that would start it elsewhere", "if it may end with the node, for good: "+annotate
	case drain.ControllerNotFound:
		message, remedy = fmt.Sprintf("the controller of pod %q does not exist", o.Pod), "if it may end with the node, for good: "+annotate
	case drain.MinReplicasReached:
		message = fmt.Sprintf("the controller of pod %q has no more replicas than it must have (--min-replica-count)", o.Pod)
	case drain.LocalStorageRequested:
		message, remedy = message+"has local storage, an emptyDir or hostPath volume, that it would lose", "if it may lose them: "+annotate
	case drain.NotSafeToEvictAnnotation:
		if asks, until, _ := nodemeta.LeftAlone(pod, n.at); asks && !drain.HasNotSafeToEvictAnnotation(pod) {
			leftAlone(o, o.Pod, until)
			return
		}
		message += "has the annotation cluster-autoscaler.kubernetes.io/safe-to-evict: \"false\""
	case drain.UnmovableKubeSystemPod:
		message, remedy = message+"is a system pod without a disruption budget", "give it a PodDisruptionBudget, or if it may be evicted: "+annotate
	case drain.NotEnoughPdb:
		message, remedy = fmt.Sprintf("the disruption budget of pod %q allows no eviction", o.Pod), "see which: kubectl -n "+namespace+" get poddisruptionbudgets"
		if n.budget != nil {
			message, remedy = noEviction(n.budget, pod, o.Pod)
		}
	default:
		message += fmt.Sprintf("keeps it (%s)", n.BlockingPod.Reason)
	}
	say(o, decision.NodeBlocked, decision.CodePod, remedy, "%s", message)
}

// leftAlone says that a pod asks to be left alone, until a moment or, with the zero time, for good.
func leftAlone(o *decision.Node, pod string, until time.Time) {
	namespace, name, _ := strings.Cut(pod, "/")
	o.Pod = pod
	message := fmt.Sprintf("has the annotation %s: \"true\"", nodemeta.DoNotDisrupt)
	if !until.IsZero() {
		message = fmt.Sprintf("asks to be left alone until %s, by its annotation %s", why.Moment(until), nodemeta.DoNotDisrupt)
	}
	say(o, decision.NodeBlocked, decision.CodePod, fmt.Sprintf("if it may be evicted: kubectl -n %s annotate pod %s %s-", shellword.Quote(namespace), shellword.Quote(name), nodemeta.DoNotDisrupt),
		"pod %q %s", pod, message)
}

// noEviction says why the budget allows no eviction of the pod, and what helps.
func noEviction(b *policyv1.PodDisruptionBudget, pod *corev1.Pod, of string) (message, remedy string) {
	limit, bound, namespace := "maxUnavailable", cmp.Or(b.Spec.MaxUnavailable, &intstr.IntOrString{}), shellword.Quote(pod.Namespace)
	if b.Spec.MinAvailable != nil {
		limit, bound = "minAvailable", b.Spec.MinAvailable
	}
	has := b.Status
	message = fmt.Sprintf("the disruption budget %q of pod %q allows no eviction (%s %s of %s", b.Name, of, limit, bound, why.Count(int(has.ExpectedPods), "pod"))
	remedy = fmt.Sprintf("let it allow an eviction: kubectl -n %s edit poddisruptionbudget %s", namespace, shellword.Quote(b.Name))
	kind, name, _ := strings.Cut(owner(pod), "/")
	scaled := slices.Contains([]string{"Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"}, kind)
	replicas := enough(*bound, has.ExpectedPods)
	switch {
	case has.CurrentHealthy < has.DesiredHealthy:
		message += fmt.Sprintf(", %d healthy", has.CurrentHealthy)
		remedy = "see which pods are not ready: kubectl -n " + namespace + " get pods"
	case limit == "minAvailable" && scaled && replicas > 0:
		remedy = fmt.Sprintf("run one pod more than the budget needs: kubectl -n %s scale %s %s --replicas=%d", namespace, strings.ToLower(shellword.Quote(kind)),
			shellword.Quote(name), replicas)
	}
	return message + ")", remedy
}

// enough is the least number of pods, above the present one, of which one may go while the others are available. It is 0 for none.
func enough(available intstr.IntOrString, pods int32) int {
	least := int(max(pods, available.IntVal)) + 1
	for n := least; n <= least+100; n++ { // 99 % need a hundred pods
		if stay, err := intstr.GetScaledValueFromIntOrPercent(&available, n, true); err == nil && stay < n {
			return n
		}
	}
	return 0
}

// asked is the reason of a node that is to go for another cause than scale-down, made from the reason that it has otherwise.
func asked(state decision.NodeState, r decision.Reason, cause string) decision.Reason {
	switch {
	case state == decision.NodeDraining && r.Code == decision.CodeUnneeded:
		r.Message = cause + ", and it is drained"
	case state == decision.NodeUnneeded:
		r.Message = cause + ", and it goes, one node after the other"
	case state == decision.NodeBlocked || state == decision.NodeNeeded:
		r.Message = cause + ", but " + r.Message
	}
	return r
}

// replacement enters the move of a node.
func (k *cluster) replacement(o *decision.Node, node *corev1.Node, unseen bool) {
	s, moves := move.StateOf(node)
	held, waits := k.facts.held[node.Name]
	if held.Hold == move.HeldStarting {
		o.Reason.Message = held.Message
	}
	if moves {
		o.Move = &decision.Move{Reason: s.Reason, Cause: s.Cause, Since: s.Since, Replacement: s.Replacement, Failures: s.Failures, Retry: s.Retry}
		if s.Step == move.Placing && !unseen && !nodemeta.ToGo(node) {
			o.Reason = asked(o.State, o.Reason, fmt.Sprintf("it is to be replaced (%s: %s)", s.Reason, s.Cause))
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
