package decisions

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

func (k *cluster) keeps(o *decision.Node, m member, group *decision.Group, n unremovable) {
	pods := "its pods"
	if buffers := k.facts.buffers[o.Name]; len(buffers) > 0 { // whose pods do not exist
		pods += " and those of " + why.Named("capacity buffer", buffers)
	}
	idle, none := k.facts.unneeded[o.Name], "" // the flag that lets no such node go
	if k.Core.MaxScaleDownParallelism < 1 {
		none = "--max-scale-down-parallelism"
	} else if k.Core.MaxDrainParallelism < 1 && k.drained == 0 && k.used()[o.Name] {
		none = "--max-drain-parallelism"
	}
	switch n.Reason {
	case simulator.NoReason, simulator.NotUnneededLongEnough, simulator.NotUnreadyLongEnough:
		switch goes := idle.Since.Add(idle.Length); {
		case none != "":
			say(o, decision.NodeBlocked, decision.CodeScaleDownOff, "raise "+none, "it is not needed, but no such node goes with %s below 1", none)
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
		n.blockedByPod(o, k.Core.BspDisruptionTimeout)
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
		if none != "" {
			say(o, decision.NodeBlocked, decision.CodeScaleDownOff, "raise "+none, "%s below 1 keeps it", none)
		} else if _, failed := k.facts.refused[o.Name]; !failed && k.Provider.FailsToEnd(m.node, k.Core.ScaleDownDelayAfterFailure) {
			say(o, decision.NodeBlocked, decision.CodeScaleDownOff, "", "no node of its group is drained for a while after AWS failed to terminate one"+
				" (--scale-down-delay-after-failure=%s)", decision.Span(k.Core.ScaleDownDelayAfterFailure))
		}
	case simulator.AtomicScaleDownFailed:
		say(o, decision.NodeBlocked, decision.CodeOther, "", "group %q is scaled to zero at once, and other nodes of it are needed", group.Name)
	case simulator.RecentlyUnremovable:
		say(o, decision.NodeNeeded, decision.CodeOther, "", "it could not be removed a moment ago and is looked at again soon")
		if failed, known := k.facts.refused[o.Name]; known { // it was asked to go, or moves
			failed.say(o, "soon")
		}
	case simulator.NotUnneededOtherReason: // from scaledown.Requests alone
		say(o, decision.NodeNeeded, decision.CodeOther, "", "another node of its group starts or is drained first")
	default:
		say(o, decision.NodeNeeded, decision.CodeOther, "look into the autoscaler's log", "the core keeps it after an error")
	}
}

func (n unremovable) blockedByPod(o *decision.Node, systemPods time.Duration) {
	pod := n.BlockingPod.Pod
	namespace := shellword.Quote(pod.Namespace)
	annotate := fmt.Sprintf("kubectl -n %s annotate pod %s cluster-autoscaler.kubernetes.io/safe-to-evict=true --overwrite", namespace, shellword.Quote(pod.Name))
	message, remedy := fmt.Sprintf("pod %q ", o.Pod), "if it may be evicted: "+annotate
	const custom = "--skip-nodes-with-custom-controller-pods"
	controller := cmp.Or(drain.ControllerRef(pod), &metav1.OwnerReference{})
	owner := path.Join(controller.Kind, controller.Name)
	switch n.BlockingPod.Reason {
	case drain.NotReplicated:
		if owner == "" {
			message, remedy = message+"has no controller that would start it elsewhere", "if it may end with the node, for good: "+annotate
		} else {
			message += fmt.Sprintf("belongs to %q, and %s keeps the nodes of such pods", owner, custom)
			remedy = "set " + custom + "=false, or if this pod may be evicted: " + annotate
		}
	case drain.ControllerNotFound: // the core looks for it before it looks at annotations
		message = fmt.Sprintf("the controller %q of pod %q does not exist, or is another project's kind of the same name", owner, o.Pod)
		remedy = fmt.Sprintf("set %s=false, or if this pod may end for good: kubectl -n %s delete pod %s", custom, namespace, shellword.Quote(pod.Name))
	case drain.MinReplicasReached: // the same
		message = fmt.Sprintf("the controller of pod %q has fewer replicas than --min-replica-count", o.Pod)
		remedy = "lower --min-replica-count, or run more replicas"
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
		if !pod.CreationTimestamp.IsZero() {
			message += fmt.Sprintf(", and keeps the node until %s (--blocking-system-pod-distruption-timeout=%s)", why.Moment(pod.CreationTimestamp.Add(systemPods)),
				decision.Span(systemPods))
		}
	case drain.NotEnoughPdb:
		message, remedy = fmt.Sprintf("another node goes first, whose pods need the disruption budget of pod %q", o.Pod), ""
		switch {
		case len(n.budgets) > 1:
			message = fmt.Sprintf("more than one disruption budget selects pod %q (%s), and the API server refuses each eviction of such a pod", o.Pod,
				strings.Join(n.budgets, ", "))
			remedy = fmt.Sprintf("leave it one, by their selectors: kubectl -n %s edit poddisruptionbudget", namespace)
			for _, name := range n.budgets {
				remedy += " " + shellword.Quote(name)
			}
		case n.budget != nil:
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
	kind, name := nodemeta.Owner(pod)
	scaled := slices.Contains([]string{"Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"}, kind)
	replicas := enough(*bound, has.ExpectedPods)
	switch {
	case has.CurrentHealthy < has.ExpectedPods:
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

// budgets returns the disruption budget of the pod that allows no eviction, or nil, and the names of all that select it.
func (f *facts) budgets(pod *corev1.Pod) (used *policyv1.PodDisruptionBudget, names []string) {
	if f.context == nil || f.context.ListerRegistry == nil {
		return nil, nil
	}
	list, _ := f.context.PodDisruptionBudgetLister().List() // the lister reads a cache
	for _, b := range list {
		if b.Namespace != pod.Namespace {
			continue
		}
		if selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err != nil || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		if names = append(names, b.Name); used == nil && b.Status.DisruptionsAllowed <= 0 {
			used = b
		}
	}
	slices.Sort(names)
	return used, names
}
