package interruption

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// An instance that is still in service sparedAfter its deadline counts as spared.
const sparedAfter = 5 * time.Minute

// reconcile looks for annotated nodes without a job, and for nodes to reboot. It takes up their drain or, if the instance was spared, puts
// them back into use. It puts back nodes, too, whose annotation somebody has taken off, and forgets instances that were dealt with long ago.
func (h *Handler) reconcile(ctx context.Context) {
	now := h.Clock.Now()
	reused := h.forget(now, h.Groups.Snapshot())
	for _, object := range h.Nodes.GetStore().List() {
		node := object.(*corev1.Node)
		switch m, ok := annotationOf(node); {
		case ctx.Err() != nil:
		case ok || tainted(node) && h.inGroup(nodemeta.InstanceOf(node)):
			h.reconcileNode(ctx, node, m, now, reused)
		default:
			h.beginReboot(ctx, node, now)
		}
	}
}

func (h *Handler) reconcileNode(ctx context.Context, node *corev1.Node, m annotation, now time.Time, reused map[string]bool) {
	id := nodemeta.InstanceOf(node)
	instance, group := h.Groups.Snapshot().Instance(id)
	switch {
	case h.has(id):
	case instance != nil && instance.Lifecycle.Leaving(): // the node goes with it, and a hook that waits has its message
	case m.Kind == event.TerminateHook && instance != nil && instance.Lifecycle != "InService": // it is on its way back
	case now.Sub(m.Deadline) > sparedAfter && (m.Kind != event.Reboot || instance == nil ||
		m.Terminating.IsZero() && now.Sub(m.Began) > turnTime): // else its job decides
		ended := m.Kind == event.TerminateHook || m.Kind != event.Reboot && !m.Terminating.IsZero() // or its warm pool has it
		detached := !ended && nodemeta.Ready(node) && (m.Group == "" || h.Groups.Snapshot().Group(m.Group) != nil)
		if instance != nil || detached {
			h.restore(ctx, node, "the instance is still there")
		}
	case m.Kind == event.TerminateHook && instance != nil:
		// A warm pool has given it back, also where we have not seen it leave, or it has another root volume. Soon after the message the
		// reading may be older.
		if reused[id] || now.Sub(m.Began) > hookSettle {
			h.restore(ctx, node, "the instance is in service again")
		}
	case reused[id] && m.Kind == event.StateChange: // which has ended with its stay in the pool
		if !h.restore(ctx, node, "the instance is in service again") {
			h.remember(id, true) // the next pass tries again, in the place of a drain
		}
	case instance == nil: // terminated or detached: the node goes, or its deadline comes
	case h.dealtWith(id): // terminated, which AWS has yet to show
	case m.Terminating.IsZero() && h.gaveUp(id, m.reason): // its node could not be written
		h.restore(ctx, node, "its drain is over")
	default:
		klog.FromContext(ctx).Info("Taking up a drain", "node", klog.KObj(node), "kind", m.Kind, "deadline", m.Deadline, "terminating", m.Terminating)
		h.begin(ctx, id, group.Name, m.resumed(now))
	}
}
