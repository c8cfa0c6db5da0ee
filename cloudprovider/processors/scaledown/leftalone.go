package scaledown

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
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
	if !nodemeta.DoNotDisrupt.On(pod) || !leaves(pod) || drain.IsPodLongTerminating(pod, ctx.Timestamp) {
		return drainability.NewUndefinedStatus()
	}
	asks, until, _ := nodemeta.LeftAlone(pod)
	if !asks || !until.IsZero() && !r.clock.Now().Before(until) {
		return drainability.NewUndefinedStatus()
	}
	return drainability.NewBlockedStatus(drain.NotSafeToEvictAnnotation, fmt.Errorf("pod %s asks to be left alone (%s)", pod.Name, nodemeta.DoNotDisrupt))
}

// leaves reports whether a drain would end the pod before its own end.
func leaves(pod *corev1.Pod) bool {
	return !podutils.IsMirrorPod(pod) && !podutils.IsDaemonSetPod(pod) && !drain.IsPodTerminal(pod)
}

// LeftAlone keeps nodes that ask to be left alone, and unneeded nodes with a pod that asks for it for a time. The core would not look at such
// a node for minutes after its time has ended, because it remembers which nodes a pod blocked.
//
// It follows the pods by its Handler. The core's loop alone calls filter.
type LeftAlone struct {
	events  record.EventRecorder
	clock   clock.PassiveClock
	checker *eligibility.Checker
	kept    atomic.Pointer[map[string]KeptBy] // by node, of the last loop. Nobody changes the map

	mu    sync.Mutex
	timed map[string]map[types.UID]KeptBy // pods with a time, by node
}

// KeptBy is a pod that keeps its node until a moment.
type KeptBy struct {
	Pod   string // namespace/name
	Until time.Time
}

// NewLeftAlone makes a LeftAlone that knows of no pod.
func NewLeftAlone(c nodegroupconfig.NodeGroupConfigProcessor, events record.EventRecorder, clock clock.PassiveClock) *LeftAlone {
	return &LeftAlone{events: events, clock: clock, checker: eligibility.NewChecker(c), timed: map[string]map[types.UID]KeptBy{}}
}

// Kept returns the nodes that the last loop kept for the time of a pod. Nil has none. It is safe for concurrent use.
func (l *LeftAlone) Kept() map[string]KeptBy {
	if l == nil || l.kept.Load() == nil {
		return nil
	}
	return *l.kept.Load()
}

// filter leaves out the nodes that are kept. Nil leaves out none.
func (l *LeftAlone) filter(ctx *cacontext.AutoscalingContext, candidates []*corev1.Node) []*corev1.Node {
	if l == nil {
		return candidates
	}
	now, kept := l.clock.Now(), map[string]KeptBy{}
	candidates = slices.DeleteFunc(candidates, func(n *corev1.Node) bool {
		if nodemeta.DoNotDisrupt.Of(n) == "true" {
			return true
		}
		by := l.longest(n.Name)
		if !now.Before(by.Until) {
			return false
		}
		unneeded, _, _ := l.checker.FilterOutUnremovable(ctx, []*corev1.Node{n}, now, unremovable.NewNodes())
		if len(unneeded) > 0 {
			kept[n.Name] = by
		}
		return len(unneeded) > 0
	})
	l.kept.Store(&kept)
	return candidates
}

// longest returns the pod of the node whose time ends last, zero for none.
func (l *LeftAlone) longest(node string) (longest KeptBy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, by := range l.timed[node] {
		if by.Until.After(longest.Until) {
			longest = by
		}
	}
	return longest
}

// Handler returns the handler that learns which pods ask for a time, and publishes an event on a pod with another value. Add it to the
// informer of all pods.
func (l *LeftAlone) Handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(pod any) { l.see(nil, pod) },
		UpdateFunc: l.see,
		DeleteFunc: func(pod any) {
			if unknown, missed := pod.(cache.DeletedFinalStateUnknown); missed {
				pod = unknown.Obj
			}
			l.see(pod, nil)
		},
	}
}

// see takes in the states of a pod before and after a change, nil for none.
func (l *LeftAlone) see(before, after any) {
	old, _ := before.(*corev1.Pod)
	pod, _ := after.(*corev1.Pod)
	was, is := old != nil && nodemeta.DoNotDisrupt.On(old), pod != nil && nodemeta.DoNotDisrupt.On(pod)
	if !was && !is {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if was {
		delete(l.timed[old.Spec.NodeName], old.UID)
		if len(l.timed[old.Spec.NodeName]) == 0 {
			delete(l.timed, old.Spec.NodeName)
		}
	}
	if !is {
		return
	}
	_, until, err := nodemeta.LeftAlone(pod)
	if err != nil && (!was || nodemeta.DoNotDisrupt.Of(old) != nodemeta.DoNotDisrupt.Of(pod)) {
		l.events.Eventf(pod, corev1.EventTypeWarning, "DoNotDisruptIgnored", "The annotation %s is ignored: %v", nodemeta.DoNotDisrupt, err)
	}
	if node := pod.Spec.NodeName; !until.IsZero() && node != "" && pod.DeletionTimestamp == nil && leaves(pod) {
		if l.timed[node] == nil {
			l.timed[node] = map[types.UID]KeptBy{}
		}
		l.timed[node][pod.UID] = KeptBy{pod.Namespace + "/" + pod.Name, until}
	}
}
