package scaledown

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/eligibility"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/unremovable"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Rules are the core's rules of a drain, behind one more: a pod that asks to be left alone keeps its node, whatever safe-to-evict says. Like
// safe-to-evict, the wish of a DaemonSet's pod counts for nothing.
func Rules(o options.NodeDeleteOptions, c clock.PassiveClock) rules.Rules {
	return append(rules.Rules{doNotDisrupt{c}}, rules.Default(o)...)
}

// doNotDisrupt reads the clock and not the time of the loop: LeftAlone reads it before, so the rule keeps no node for a pod whose time
// LeftAlone has seen end.
type doNotDisrupt struct{ clock clock.PassiveClock }

func (doNotDisrupt) Name() string { return "DoNotDisrupt" }

// Drainable blocks the drain for a pod that asks to be left alone.
func (r doNotDisrupt) Drainable(ctx *drainability.DrainContext, pod *corev1.Pod, _ *framework.NodeInfo) drainability.Status {
	if asks, _, _ := nodemeta.LeftAlone(pod, r.clock.Now()); !asks || !leaves(pod) || drain.IsPodLongTerminating(pod, ctx.Timestamp) {
		return drainability.NewUndefinedStatus()
	}
	return drainability.NewBlockedStatus(drain.NotSafeToEvictAnnotation, fmt.Errorf("pod %s asks to be left alone (%s)", pod.Name, nodemeta.DoNotDisrupt))
}

// leaves reports whether a drain would end the pod before its own end.
func leaves(pod *corev1.Pod) bool {
	return !podutils.IsMirrorPod(pod) && !podutils.IsDaemonSetPod(pod) && !drain.IsPodTerminal(pod)
}

// LeftAlone keeps nodes that ask to be left alone, and unneeded nodes with a pod that asks for it for a time. The core would not look at such
// a node for minutes after its time has ended, because it remembers which nodes a pod blocked. The core's loop alone calls filter.
type LeftAlone struct {
	events  record.EventRecorder
	clock   clock.PassiveClock
	checker *eligibility.Checker
	kept    map[string]KeptBy // by node, of the last loop. Nobody changes the map
}

// KeptBy is a pod that keeps its node until a moment.
type KeptBy struct {
	Pod   string // namespace/name
	Until time.Time
}

// NewLeftAlone makes a LeftAlone that has kept no node.
func NewLeftAlone(c nodegroupconfig.NodeGroupConfigProcessor, events record.EventRecorder, clock clock.PassiveClock) *LeftAlone {
	return &LeftAlone{events: events, clock: clock, checker: eligibility.NewChecker(c)}
}

// Kept returns the nodes that the last loop kept for the time of a pod. Nil has none. It is for the core's loop, and between loops for
// whoever waits for the next.
func (l *LeftAlone) Kept() map[string]KeptBy {
	if l == nil {
		return nil
	}
	return l.kept
}

// filter leaves out the nodes that are kept. Nil leaves out none.
func (l *LeftAlone) filter(ctx *cacontext.AutoscalingContext, candidates []*corev1.Node) []*corev1.Node {
	if l == nil {
		return candidates
	}
	now := l.clock.Now()
	l.kept = map[string]KeptBy{}
	return slices.DeleteFunc(candidates, func(n *corev1.Node) bool {
		if nodemeta.DoNotDisrupt.Of(n) == "true" {
			return true
		}
		by := longest(ctx, n.Name, now)
		if by.Pod == "" {
			return false
		}
		unneeded, _, _ := l.checker.FilterOutUnremovable(ctx, []*corev1.Node{n}, now, unremovable.NewNodes())
		if len(unneeded) > 0 {
			l.kept[n.Name] = by
		}
		return len(unneeded) > 0
	})
}

// longest returns the pod of the node whose time ends last, zero for none.
func longest(ctx *cacontext.AutoscalingContext, node string, now time.Time) (longest KeptBy) {
	info, err := ctx.ClusterSnapshot.GetNodeInfo(node)
	if err != nil {
		return longest
	}
	for _, on := range info.Pods() {
		pod := on.Pod
		if asks, until, _ := nodemeta.LeftAlone(pod, now); asks && until.After(longest.Until) && pod.DeletionTimestamp == nil && leaves(pod) {
			longest = KeptBy{pod.Namespace + "/" + pod.Name, until}
		}
	}
	return longest
}

// Handler returns the handler that publishes an event on a pod whose annotation counts for nothing. Add it to the informer of all pods.
func (l *LeftAlone) Handler() cache.ResourceEventHandler {
	see := func(before, after any) {
		pod := after.(*corev1.Pod)
		_, _, err := nodemeta.LeftAlone(pod, l.clock.Now())
		if err != nil && nodemeta.DoNotDisrupt.Of(before.(*corev1.Pod)) != nodemeta.DoNotDisrupt.Of(pod) {
			l.events.Eventf(pod, corev1.EventTypeWarning, "DoNotDisruptIgnored", "The annotation %s is ignored: %v", nodemeta.DoNotDisrupt, err)
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: func(pod any) { see(&corev1.Pod{}, pod) }, UpdateFunc: see}
}
