package why

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// NodeFacts are what the core knows about one node.
type NodeFacts struct {
	Name                   string                        // of the node, for remedies
	Reason                 string                        // the core's UnremovableReason in words, such as "NotUnderutilized", or "" for a node that goes
	Utilization, Threshold float64                       // 0 to 1, -1 for a utilization that was not computed
	Resource               string                        // whose utilization it is, such as "cpu", "" where it is not known
	BlockingPod            string                        // namespace/name
	BlockingReason         string                        // the core's BlockingPodReason in words, such as "NotReplicated"
	Until                  time.Time                     // when the pod that asks to be left alone no longer blocks, zero for never
	Owner                  string                        // of the blocking pod, such as "Deployment/web", or ""
	Budget                 *policyv1.PodDisruptionBudget // of the blocking pod, nil where it is not known
	LookedAt, NextLook     time.Time                     // the core looks at a blocked node now and then, zero where it looked just now
	UnneededSince          time.Time
	Delay                  time.Duration // --scale-down-unneeded-time, or the group's own
	Group                  *decision.Group
	Now                    time.Time
	Buffers                []string // capacity buffers with room on the node, as namespace/name
}

// DoNotDisrupt is the annotation, and as a reason or BlockingReason beside those of the core what it does.
const DoNotDisrupt = "karpenter.sh/do-not-disrupt"

// Node says why a node stays or goes.
func Node(f NodeFacts) (decision.NodeState, decision.Reason) {
	group := &decision.Group{}
	if f.Group != nil {
		group = f.Group
	}
	is := func(state decision.NodeState, code decision.Code, remedy, format string, args ...any) (decision.NodeState, decision.Reason) {
		return state, decision.Reason{Code: code, Message: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	switch f.Reason {
	case "", "NoReason":
		return f.unneeded()
	case "NotUnneededLongEnough", "NotUnreadyLongEnough":
		return f.unneeded()
	case "NotUnderutilized":
		return is(decision.NodeNeeded, decision.CodeNeeded, "", "%s request %s, which is above the threshold of %s", f.pods(), f.share(), percent(f.Threshold))
	case "BlockedByPod":
		state, r := f.blockedByPod()
		if !f.LookedAt.IsZero() {
			r.Message += fmt.Sprintf(" (as of %s, looked at again at %s)", clock(f.LookedAt), clock(f.NextLook))
		}
		return state, r
	case "BlockedByOnCompletionPod":
		return is(decision.NodeBlocked, decision.CodePod, "", "a pod on it is safe to evict only when it has completed (cluster-autoscaler.kubernetes.io/safe-to-evict: on-completion)")
	case "NoPlaceToMovePods":
		if f.BlockingPod != "" {
			return is(decision.NodeNeeded, decision.CodeNoPlace, "raise maxSkew, or set nodeTaintsPolicy: Honor in the constraint",
				"the topologySpreadConstraints of pod %s leave it no other place while this node exists", quote(f.BlockingPod))
		}
		return is(decision.NodeNeeded, decision.CodeNoPlace, "", "%s fit on no other node", f.pods())
	case "NodeGroupMinSizeReached":
		return is(decision.NodeBlocked, decision.CodeMinSize, Resize(group, "min", group.AtMin), "%s", AtMin(group))
	case "MinimalResourceLimitExceeded":
		return is(decision.NodeBlocked, decision.CodeMinQuota, "lower the minimum in --cores-total, --memory-total or --gpu-total",
			"without it the cluster would have less than its minimum of cores, memory or GPUs")
	case "ScaleDownDisabledAnnotation":
		return is(decision.NodeBlocked, decision.CodeAnnotation, "take it off: kubectl annotate node "+shell(f.Name)+" cluster-autoscaler.kubernetes.io/scale-down-disabled-",
			"its annotation cluster-autoscaler.kubernetes.io/scale-down-disabled keeps it")
	case DoNotDisrupt:
		return is(decision.NodeBlocked, decision.CodeAnnotation, "take it off: kubectl annotate node "+shell(f.Name)+" "+DoNotDisrupt+"-",
			"its annotation %s keeps it", DoNotDisrupt)
	case "ScaleDownUnreadyDisabled":
		return is(decision.NodeBlocked, decision.CodeScaleDownOff, "", "it is not ready, and --scale-down-unready-enabled=false keeps such nodes")
	case "NotAutoscaled":
		return is(decision.NodeNeeded, decision.CodeNotAutoscaled, "", "it belongs to no group of this autoscaler")
	case "CurrentlyBeingDeleted":
		return is(decision.NodeDraining, decision.CodeUnneeded, "", "it is drained because it is not needed")
	case "NodeGroupMaxDeletionCountReached":
		return is(decision.NodeUnneeded, decision.CodeUnneeded, "", "it goes after other nodes of its group")
	case "AtomicScaleDownFailed":
		return is(decision.NodeBlocked, decision.CodeOther, "", "group %s is scaled to zero at once, and other nodes of it are needed", quote(group.Name))
	case "RecentlyUnremovable":
		return is(decision.NodeNeeded, decision.CodeOther, "", "it could not be removed a moment ago and is looked at again soon")
	case "NotUnneededOtherReason":
		return is(decision.NodeNeeded, decision.CodeOther, "", "it has not been looked at yet, because other nodes go first")
	}
	return is(decision.NodeNeeded, decision.CodeOther, "", "the core keeps it: %s", clean(f.Reason, maxName))
}

// pods names the pods that need the node. The pods of a capacity buffer do not exist.
func (f NodeFacts) pods() string {
	if len(f.Buffers) == 0 {
		return "its pods"
	}
	return "its pods and those of " + named("capacity buffer", f.Buffers)
}

// Requested is the reason of a node whose removal somebody asks for, made from the reason that it has otherwise.
func Requested(state decision.NodeState, r decision.Reason) decision.Reason {
	const asked = "somebody asks for its removal, "
	switch {
	case state == decision.NodeDraining && r.Code == decision.CodeUnneeded:
		r.Message = asked + "and it is drained"
	case state == decision.NodeUnneeded:
		r.Message = asked + "and it goes, one node after the other"
	case state == decision.NodeBlocked || state == decision.NodeNeeded:
		r.Message = asked + "but " + r.Message
	}
	return r
}

// Replaced is the reason of a node that is to be replaced first, made from the reason that it has otherwise.
func Replaced(r decision.Reason, g *decision.Group) decision.Reason {
	switch {
	case r.Code != decision.CodeMinSize && (r.Code != decision.CodeNoPlace || r.Remedy != ""):
	case g.Starting > 0:
		r.Message, r.Remedy = fmt.Sprintf("a node of group %s must be ready first, which starts", quote(g.Name)), ""
	case g.State != decision.GroupReady:
		r.Message += ", and no replacement can come: " + g.Reason.Message
		r.Remedy = g.Reason.Remedy
	}
	return r
}

// Late is the reason of an instance that has been there since a moment without a node, and that the core gives up at another. setting
// names the flag or tag that sets that limit. cause and remedy are "" while they are not known.
func Late(instance, group string, since, until time.Time, setting, cause, remedy string) decision.Reason {
	if cause != "" {
		cause = ": " + cause
	}
	return decision.Reason{Code: decision.CodeNotReady,
		Message: fmt.Sprintf("instance %s of group %s has run since %s without joining the cluster, and is given up at %s (%s)%s",
			clean(instance, maxName), quote(group), clock(since), clock(until), setting, cause),
		Remedy: cmp.Or(remedy, "look at its console output: "+bootstrap(instance, " --latest"))}
}

// Unjoined is the reason of a group that the core leaves alone until a moment, because no node registered in time. The instances came up.
// setting names the flag or tag that sets that time.
func Unjoined(group *decision.Group, instances []string, within time.Duration, setting string, until time.Time) decision.Reason {
	name, came, remedy := quote(group.Name), "no instance came up", "look at its launches: aws autoscaling describe-scaling-activities --auto-scaling-group-name "+
		shell(autoScaling(group))
	if len(instances) > 0 {
		came = Count(len(instances), "instance") + " came up and registered no node"
		remedy = "the autoscaler has terminated such instances, and EC2 keeps their console output for at least an hour: " +
			bootstrap(instances[0], "")
	}
	return decision.Reason{Code: decision.CodeNotReady, Remedy: remedy, Message: fmt.Sprintf("group %s cannot grow now: %s within %s (%s)%s",
		name, came, decision.Span(within), setting, nextTry(decision.CodeNotReady, time.Time{}, until))}
}

// bootstrap shows the console output of an instance that does not become a node, and says what is usually wrong. options are of the command.
func bootstrap(instance, options string) string {
	return "aws ec2 get-console-output --instance-id " + shell(instance) + options + " --output text\n" +
		"usual causes: a wrong cluster name or API endpoint in its user data, a node role that the cluster does not map, " +
		"a security group or route that keeps it from the API server, a limit below the time that such nodes need to boot"
}

// GivenUp is the reason of the end of such an instance.
func GivenUp(since time.Time) decision.Reason {
	return decision.Reason{Code: decision.CodeNotReady, Message: "its instance was given up, because it had not joined the cluster since " + clock(since)}
}

// unneeded says when the node goes.
func (f NodeFacts) unneeded() (decision.NodeState, decision.Reason) {
	r := decision.Reason{Code: decision.CodeUnneeded, Message: "it is not needed and goes now"}
	left := f.UnneededSince.Add(f.Delay).Sub(f.Now)
	if !f.UnneededSince.IsZero() && left > 0 {
		r = decision.Reason{Code: decision.CodeUnneededDelay, Message: fmt.Sprintf("it is not needed since %s and goes at %s, after %s",
			clock(f.UnneededSince), clock(f.UnneededSince.Add(f.Delay)), decision.Span(f.Delay))}
	}
	return decision.NodeUnneeded, r
}

// share is the part of the node that its pods request, in words.
func (f NodeFacts) share() string {
	if f.Resource == "" {
		return percent(f.Utilization) + " of it"
	}
	return percent(f.Utilization) + " of its " + clean(f.Resource, maxName)
}

func percent(ratio float64) string { return fmt.Sprintf("%.0f %%", ratio*100) }

// blockedByPod says which pod keeps the node, and how.
func (f NodeFacts) blockedByPod() (decision.NodeState, decision.Reason) {
	namespace, name, _ := strings.Cut(f.BlockingPod, "/")
	pod := "pod " + quote(f.BlockingPod)
	annotate := fmt.Sprintf("kubectl -n %s annotate pod %s cluster-autoscaler.kubernetes.io/safe-to-evict=true --overwrite", shell(namespace), shell(name))
	r := decision.Reason{Code: decision.CodePod, Remedy: "if it may be evicted: " + annotate}
	switch f.BlockingReason {
	case "NotReplicated":
		r.Message = pod + " has no controller that would start it elsewhere"
		r.Remedy = "if it may end with the node, for good: " + annotate
	case "ControllerNotFound":
		r.Message = "the controller of " + pod + " does not exist"
		r.Remedy = "if it may end with the node, for good: " + annotate
	case "MinReplicasReached":
		r.Message = "the controller of " + pod + " has no more replicas than it must have (--min-replica-count)"
	case "LocalStorageRequested":
		r.Message = pod + " has local storage, an emptyDir or hostPath volume, that it would lose"
		r.Remedy = "if it may lose them: " + annotate
	case "NotSafeToEvictAnnotation":
		r.Message = pod + " has the annotation cluster-autoscaler.kubernetes.io/safe-to-evict: \"false\""
	case DoNotDisrupt:
		r.Message = fmt.Sprintf("%s has the annotation %s: \"true\"", pod, DoNotDisrupt)
		if !f.Until.IsZero() {
			r.Message = fmt.Sprintf("%s asks to be left alone until %s, by its annotation %s", pod, moment(f.Until), DoNotDisrupt)
		}
		r.Remedy = fmt.Sprintf("if it may be evicted: kubectl -n %s annotate pod %s %s-", shell(namespace), shell(name), DoNotDisrupt)
	case "UnmovableKubeSystemPod":
		r.Message = pod + " is a system pod without a disruption budget"
		r.Remedy = "give it a PodDisruptionBudget, or if it may be evicted: " + annotate
	case "NotEnoughPdb":
		r.Message = "the disruption budget of " + pod + " allows no eviction"
		r.Remedy = fmt.Sprintf("see which: kubectl -n %s get poddisruptionbudgets", shell(namespace))
		if f.Budget != nil {
			r.Message, r.Remedy = f.noEviction(pod, shell(namespace))
		}
	default:
		r.Message = fmt.Sprintf("%s keeps it (%s)", pod, clean(f.BlockingReason, maxName))
	}
	return decision.NodeBlocked, r
}

// noEviction says why the budget allows no eviction of the pod, and what helps.
func (f NodeFacts) noEviction(pod, namespace string) (message, remedy string) {
	b := f.Budget
	limit, bound := "maxUnavailable", b.Spec.MaxUnavailable
	if b.Spec.MinAvailable != nil {
		limit, bound = "minAvailable", b.Spec.MinAvailable
	}
	if bound == nil {
		bound = &intstr.IntOrString{}
	}
	has := b.Status
	message = fmt.Sprintf("the disruption budget %s of %s allows no eviction (%s %s of %s", quote(b.Name), pod, limit, clean(bound.String(), maxName),
		Count(int(has.ExpectedPods), "pod"))
	remedy = fmt.Sprintf("let it allow an eviction: kubectl -n %s edit poddisruptionbudget %s", namespace, shell(b.Name))
	kind, name, owned := strings.Cut(f.Owner, "/")
	switch replicas := has.ExpectedPods + 1; {
	case has.CurrentHealthy < has.DesiredHealthy:
		message += fmt.Sprintf(", %d healthy", has.CurrentHealthy)
		remedy = fmt.Sprintf("see which pods are not ready: kubectl -n %s get pods", namespace)
	case limit == "minAvailable" && bound.String() != "100%" && owned && kind != "Job" && kind != "DaemonSet":
		remedy = fmt.Sprintf("run one pod more than the budget needs: kubectl -n %s scale %s %s --replicas=%d", namespace, strings.ToLower(shell(kind)), shell(name), max(replicas, bound.IntVal+1))
	}
	return message + ")", remedy
}
