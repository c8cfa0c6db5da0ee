package interruption

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// spareAfter is how long after its deadline an instance has been spared that still is in service.
const spareAfter = 5 * time.Minute

// sweep looks for marked nodes that nobody works on: their drain is taken up, or, if the instance was spared, they are put back into
// use. It also forgets what was dealt with long ago.
func (h *Handler) sweep(ctx context.Context) {
	now := h.Clock.Now()
	h.mu.Lock()
	for instance, at := range h.finished {
		if now.Sub(at) > rememberFor {
			delete(h.finished, instance)
		}
	}
	h.mu.Unlock()
	for _, object := range h.Nodes.GetStore().List() {
		node, ok := object.(*corev1.Node)
		if !ok {
			continue
		}
		if m, ok := markOf(node); ok && ctx.Err() == nil {
			h.pursue(ctx, node, m, now)
		}
	}
}

// pursue sees to one marked node.
func (h *Handler) pursue(ctx context.Context, node *corev1.Node, m mark, now time.Time) {
	id := instanceOf(node)
	h.mu.Lock()
	under := h.jobs[id] != nil
	h.mu.Unlock()
	instance, group := h.Groups.Snapshot().Instance(id)
	switch {
	case under:
	case instance != nil && instance.Lifecycle.Leaving(): // and its node with it; a hook that waits has its message
	case now.Sub(m.deadline) > spareAfter:
		if instance != nil || ready(node) {
			h.lift(ctx, node, "the instance is still there")
		}
	case instance == nil: // gone, or out of our hands: the node goes, or its time comes
	case h.dealtWith(id): // given back, and AWS has still to show it
	default:
		klog.FromContext(ctx).Info("Taking up a drain", "node", klog.KObj(node), "kind", m.kind, "deadline", m.deadline, "handedBack", m.handedBack)
		h.begin(ctx, id, group.Name, m.resumed(now))
	}
}
