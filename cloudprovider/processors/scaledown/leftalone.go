package scaledown

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/eligibility"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/pdb"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/flowcontrol"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
)

// Rules are the core's rules of a drain, behind one more: a pod that asks to be left alone keeps its node, whatever safe-to-evict says. Like
// safe-to-evict, the wish of a DaemonSet's pod counts for nothing. No wish counts where the move of the node ignores them. A disruption
// budget keeps a node only for pods that it keeps from eviction: a sick node's own pods may have used it up.
func Rules(o options.NodeDeleteOptions, c clock.PassiveClock) rules.Rules {
	all := append(rules.Rules{doNotDisrupt{c}}, rules.Default(o)...)
	for at, rule := range all {
		if rule.Name() == "OnCompletion" {
			rule = completesFirst{rule}
		}
		if slices.Contains(wishes, rule.Name()) {
			all[at] = unlessIgnored{rule}
		} else if rule.Name() == "PDB" {
			all[at] = unlessEvictable{rule}
		} else if rule.Name() == "SafeToEvict" { // behind which no budget counts
			all[at] = ifEvictable{rule}
		}
	}
	return all
}

// completesFirst is the core's rule of pods that complete before their node goes. The core waits for such a pod if it sees the pod before it taints
// the node, and would evict a pod that comes later. So a later pod keeps the node.
type completesFirst struct{ rules.Rule }

func (c completesFirst) Drainable(ctx *drainability.DrainContext, pod *corev1.Pod, node *framework.NodeInfo) drainability.Status {
	s := c.Rule.Drainable(ctx, pod, node)
	if s.Outcome == drainability.WaitForCompletion && ctx.Listers != nil {
		if now, err := ctx.Listers.AllNodeLister().Get(pod.Spec.NodeName); err == nil && taints.HasToBeDeletedTaint(now) {
			return drainability.NewBlockedStatus(drain.NotSafeToEvictAnnotation, fmt.Errorf("pod %s has come, and is to complete first (%s)",
				pod.Name, drain.PodSafeToEvictKey))
		}
	}
	return s
}

// unlessEvictable is the core's rule of disruption budgets, but for pods that the API server evicts although a budget lets no pod go
// (pkg/registry/core/pod/storage/eviction.go of Kubernetes 1.35).
type unlessEvictable struct{ rules.Rule }

func (u unlessEvictable) Drainable(ctx *drainability.DrainContext, pod *corev1.Pod, node *framework.NodeInfo) drainability.Status {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodPending {
		return drainability.NewUndefinedStatus()
	}
	of := ctx.RemainingPdbTracker.MatchingPdbs(pod)
	if len(of) > 1 {
		return tooManyBudgets(pod)
	}
	if len(of) == 1 && !podutil.IsPodReady(pod) {
		always := ptr.Deref(of[0].Spec.UnhealthyPodEvictionPolicy, "") == policyv1.AlwaysAllow
		if has := of[0].Status; always || has.DesiredHealthy > 0 && has.CurrentHealthy >= has.DesiredHealthy {
			return drainability.NewUndefinedStatus()
		}
	}
	return u.Rule.Drainable(ctx, pod, node)
}

// tooManyBudgets keeps the node, because the API server refuses each eviction of a pod that two budgets select, whatever they allow. Other
// pods would be evicted in vain.
func tooManyBudgets(pod *corev1.Pod) drainability.Status {
	return drainability.NewBlockedStatus(drain.NotEnoughPdb, fmt.Errorf("more than one disruption budget selects %s/%s", pod.Namespace, pod.Name))
}

// ifEvictable is the core's rule of pods that are safe to evict, but for pods with too many budgets. Nobody evicts the core's own pods.
type ifEvictable struct{ rules.Rule }

func (i ifEvictable) Drainable(ctx *drainability.DrainContext, pod *corev1.Pod, node *framework.NodeInfo) drainability.Status {
	s := i.Rule.Drainable(ctx, pod, node)
	ends := pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodPending || drain.IsPodTerminal(pod) || podlist.IsFake(pod)
	if s.Outcome == drainability.DrainOk && !ends && len(ctx.RemainingPdbTracker.MatchingPdbs(pod)) > 1 {
		return tooManyBudgets(pod)
	}
	return s
}

// unlessIgnored is a rule of a drain that does not count where no pod keeps a node by its wish.
type unlessIgnored struct{ rules.Rule }

func (u unlessIgnored) Drainable(ctx *drainability.DrainContext, pod *corev1.Pod, node *framework.NodeInfo) drainability.Status {
	if node != nil && node.Node() != nil && move.IgnoresWishes(node.Node()) {
		return drainability.NewUndefinedStatus()
	}
	return u.Rule.Drainable(ctx, pod, node)
}

// wishes are the rules by which a pod asks to be left alone.
var wishes = []string{doNotDisrupt{}.Name(), "NotSafeToEvict", "OnCompletion", "System", "Replicated", "ReplicaCount", "LocalStorage"}

var errMoves = errors.New("the node is not empty, because this pod would move")

// EmptyRules are rules of a drain that only show which nodes are empty. They block at the first pod that would move. The core asks for each node in
// each loop, and without them looks at all pods of the node. A node with nothing but room for pods is empty, because nobody is evicted.
func EmptyRules(of rules.Rules) rules.Rules { return rules.Rules{untilMove{of}} }

type untilMove struct{ rules.Rules }

func (untilMove) Name() string { return "UntilMove" }

func (u untilMove) Drainable(ctx *drainability.DrainContext, pod *corev1.Pod, node *framework.NodeInfo) drainability.Status {
	if podlist.IsFake(pod) {
		return drainability.NewSkipStatus()
	}
	status := u.Rules.Drainable(ctx, pod, node)
	status.Overrides = nil // of the other rules, which have all been asked
	if moves := status.Outcome == drainability.UndefinedOutcome || status.Outcome == drainability.DrainOk; moves && !nodemeta.BelongsToNode(pod) {
		return drainability.NewBlockedStatus(drain.UnexpectedError, errMoves)
	}
	return status
}

// Budgets are what disruption budgets leave to the core's plans. Pods that only the core has made use nothing up: nobody evicts them.
type Budgets struct{ pdb.RemainingPdbTracker }

func (b Budgets) CanRemovePods(pods []*corev1.Pod) (canRemove, inParallel bool, blocking *drain.BlockingPod) {
	return b.RemainingPdbTracker.CanRemovePods(slices.DeleteFunc(slices.Clone(pods), podlist.IsFake))
}

func (b Budgets) RemovePods(pods []*corev1.Pod) {
	b.RemainingPdbTracker.RemovePods(slices.DeleteFunc(slices.Clone(pods), podlist.IsFake))
}

// onceRestarted lets budgets allow the eviction of pods whose Deployment is restarted before their node is drained.
type onceRestarted struct{ pdb.RemainingPdbTracker }

func (b onceRestarted) MatchingPdbs(pod *corev1.Pod) []*policyv1.PodDisruptionBudget {
	budgets := b.RemainingPdbTracker.MatchingPdbs(pod)
	if len(move.Deployments([]*corev1.Pod{pod})) > 0 {
		for at, budget := range budgets {
			budgets[at] = budget.DeepCopy()
			budgets[at].Status.DisruptionsAllowed = math.MaxInt32
		}
	}
	return budgets
}

// doNotDisrupt blocks the drain for a pod that asks to be left alone. It reads the clock and not the time of the loop: FreshCandidates reads
// it before, so the rule keeps no node for a pod whose time FreshCandidates has seen end.
type doNotDisrupt struct{ clock clock.PassiveClock }

func (doNotDisrupt) Name() string { return "DoNotDisrupt" }

func (r doNotDisrupt) Drainable(ctx *drainability.DrainContext, pod *corev1.Pod, _ *framework.NodeInfo) drainability.Status {
	if asks, _, _ := nodemeta.LeftAlone(pod, r.clock.Now()); !asks || !leaves(pod) || drain.IsPodLongTerminating(pod, ctx.Timestamp) {
		return drainability.NewUndefinedStatus()
	}
	return drainability.NewBlockedStatus(drain.NotSafeToEvictAnnotation, fmt.Errorf("pod %s asks to be left alone (%s)", pod.Name, nodemeta.DoNotDisrupt))
}

// leaves reports whether a drain would end the pod before its own end.
func leaves(pod *corev1.Pod) bool {
	return !nodemeta.BelongsToNode(pod) && !drain.IsPodTerminal(pod)
}

// KeptBy is a pod that keeps its node until a moment.
type KeptBy struct {
	Pod   string // namespace/name
	Until time.Time
}

// longest returns the pod of the node whose time ends last, zero for none.
func longest(ctx *cacontext.AutoscalingContext, node string, now time.Time) (longest KeptBy) {
	for _, pod := range podsOn(ctx, node) {
		asks, until, _ := nodemeta.LeftAlone(pod, now)
		if asks && until.After(longest.Until) && leaves(pod) && !drain.IsPodLongTerminating(pod, now) {
			longest = KeptBy{pod.Namespace + "/" + pod.Name, until}
		}
	}
	return longest
}

// ofNodes and ofPods are the annotations of nodes and of pods with the values that they know. DoNotDisrupt of a pod knows others.
var (
	ofNodes = map[nodemeta.Annotation][]string{nodemeta.DoNotDisrupt: {"", "true", "false"}, eligibility.ScaleDownDisabledKey: {"", "true", "false"},
		nodemeta.RemovalRequested: {"", "true", nodemeta.ReplaceFirst, "false"}}
	ofPods = map[nodemeta.Annotation][]string{move.RestartToMove: {"", "true", "false"}, drain.PodSafeToEvictKey: {"", "true", "false", "on-completion"}}
)

// Ignored returns the handler that publishes an event on a pod or node whose annotation counts for nothing, for the informers of both. Thousands of pods
// may have the annotation of one template, so a hundred of them get the event at once, and then one each second.
func Ignored(events record.EventRecorder) cache.ResourceEventHandler {
	nothing, limit := &metav1.ObjectMeta{}, flowcontrol.NewTokenBucketRateLimiter(1, 100)
	see := func(before, after any) {
		was, is, known := before.(metav1.Object), after.(metav1.Object), ofNodes
		pod, ofPod := after.(*corev1.Pod)
		if ofPod {
			known = ofPods
			if _, _, err := nodemeta.LeftAlone(pod, time.Time{}); err != nil && nodemeta.DoNotDisrupt.Of(was) != nodemeta.DoNotDisrupt.Of(is) {
				events.Eventf(pod, corev1.EventTypeWarning, "DoNotDisruptIgnored", "The annotation %s is ignored: %v", nodemeta.DoNotDisrupt, err)
			}
		}
		for key, values := range known {
			if value := key.Of(is); value != key.Of(was) && !slices.Contains(values, value) && (!ofPod || limit.TryAccept()) {
				events.Eventf(after.(runtime.Object), corev1.EventTypeWarning, "AnnotationIgnored", "The annotation %s is ignored: %.80q is none of %s",
					key, value, strings.Join(values[1:], ", "))
			}
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: func(o any) { see(nothing, o) }, UpdateFunc: see}
}
