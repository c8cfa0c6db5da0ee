package interruption

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// replaceFirst has the core decide on the replacement of the nodes' pods. A planned drain waits until all of them have a place on
// Ready nodes, or until as little time is left as after a warning. It also waits while the core drains the node. The core may give up,
// and looks for no place for the pods that it leaves. It reports whether the pods are to be evicted: those without such a place only if
// AWS ends the instance, or if it is rebooted.
func (h *Handler) replaceFirst(ctx context.Context, j *job, nodes []*corev1.Node) bool {
	if h.replacedByAWS(j) {
		j.decide()
		return true
	}
	waited := false
	for ; h.drainedByCore(j); waited = true {
		c := j.current()
		late := !h.Clock.Now().Before(c.placedBy())
		if !c.planned() || late || ctx.Err() != nil || !h.inGroup(j.instance) || !h.drainer.Occupied(h.names(nodes)...) {
			j.decide()
			return !late || c.evictsAll()
		}
		sleep(ctx, h.Clock, time.Second)
	}
	if waited { // the core has lifted the cordon
		for _, node := range nodes {
			for ctx.Err() == nil && j.current().planned() && !h.cordon(ctx, j, node, annotation{}) {
			}
		}
	}
	j.setDraining(h.names(nodes))
	if !h.awaitDecision(ctx, j) && !j.current().planned() {
		klog.FromContext(ctx).V(1).Info("The core did not decide on the replacement in time, evicting all the same", "waited", decisionTime)
	}
	for ; ctx.Err() == nil; sleep(ctx, h.Clock, time.Second) {
		c := j.current()
		switch {
		case c.planned() && h.drainedByCore(j): // the core counts the pods of a node that it drains
			j.setDraining(nil)
			j.placed.Store(false)
			return h.replaceFirst(ctx, j, nodes)
		case h.takenBack(j) != "":
			return false
		case !c.planned(), j.placed.Load(), h.CoreElsewhere:
			return true
		case !h.Clock.Now().Before(c.placedBy()):
			return c.evictsAll()
		}
	}
	return true
}

func (h *Handler) drainedByCore(j *job) bool {
	node := h.node(j.instance)
	return node != nil && nodemeta.DrainedByCore(node)
}

// replacedByAWS reports whether the group launches a replacement of the instance itself.
func (h *Handler) replacedByAWS(j *job) bool {
	g := h.Groups.Snapshot().Group(j.group)
	i, _ := h.Groups.Snapshot().Instance(j.instance)
	return g != nil && g.CapacityRebalance && rebalances(j.current().Kind) && (i == nil || !i.Lifecycle.ReplacesRootVolume())
}

// rebalances reports whether Capacity Rebalancing replaces an instance that goes for this. It acts on spot instances alone, and neither
// on a planned change nor on a recommendation that came before it was turned on.
func rebalances(k event.Kind) bool { return !reason{Kind: k}.planned() && k != event.ReservationEnd }

// awaitDecision wakes the core's loop until it has counted the node's pods, because the first loop may not have seen the cordon
// yet. It reports whether the core was in time.
func (h *Handler) awaitDecision(ctx context.Context, j *job) bool {
	for until := h.Clock.Now().Add(decisionTime); h.Clock.Now().Before(until); {
		h.Wake()
		select {
		case <-j.decided:
			return true
		case <-h.Clock.After(wakeAgain):
		case <-ctx.Done():
			return true
		}
	}
	return false
}

// awaitPodsReady waits until the moved pods run on other nodes, or the time is over. While the core is halted, AWS launches a node for them
// once the instance is gone.
func (h *Handler) awaitPodsReady(ctx context.Context, j *job, owners []types.UID) {
	began := h.Clock.Now()
	for len(owners) > 0 && ctx.Err() == nil && h.inGroup(j.instance) {
		most := podsReadyTime
		if g := h.Groups.Snapshot().Group(j.group); g != nil && (g.Room() <= 0 || h.Full != nil && h.Full(j.group) || h.Halted() ||
			h.replacedByAWS(j) && g.Excess() == 0) {
			most = podsReadyTimeFull
		}
		if now := h.Clock.Now(); now.Sub(began) >= most || j.current().drainBy().Sub(now) < podsReadyReserve {
			return
		}
		sleep(ctx, h.Clock, time.Second) // their controllers take a moment, too
		if !slices.ContainsFunc(owners, h.waitsForPods) {
			return
		}
	}
}

// byStarting indexes the pods that are still to become ready by the UID of their controller. The informer keeps it once for all
// drains: a hundred of them look every second, and a controller may have twenty thousand pods.
const byStarting = "asg-autoscaler/starting"

var startingPods = cache.Indexers{byStarting: func(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if ok && pod.DeletionTimestamp == nil && !podutil.IsPodTerminal(pod) && !podutil.IsPodReady(pod) {
		if c := metav1.GetControllerOf(pod); c != nil {
			return []string{string(c.UID)}, nil
		}
	}
	return nil, nil
}}

func (h *Handler) waitsForPods(owner types.UID) bool {
	keys, err := h.Pods.GetIndexer().IndexKeys(byStarting, string(owner))
	return err == nil && len(keys) > 0
}
