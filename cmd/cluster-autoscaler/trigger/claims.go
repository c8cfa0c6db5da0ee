package trigger

import (
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// selectedNode is on the claims whose volume waits for its first pod. The scheduler writes it once that pod has a node.
const selectedNode = "volume.kubernetes.io/selected-node"

// ClaimHandler returns the handler that tells the Trigger of claims that have got their volume. Before that no node helps the pod.
// The pod is unschedulable before and after, so its own handler hears nothing. Add it to the informer whose lister the loop reads.
func (t *Trigger) ClaimHandler() cache.ResourceEventHandler {
	if t.config.Tick {
		return cache.ResourceEventHandlerFuncs{}
	}
	return cache.ResourceEventHandlerFuncs{UpdateFunc: claimHandler{pods: t.pods, clock: t.clock}.update}
}

// claimHandler tells a burst of claims that become bound before a pod has a node.
type claimHandler struct {
	pods  *burst
	clock clock.PassiveClock
}

func (h claimHandler) update(before, after any) {
	old, okOld := before.(*apiv1.PersistentVolumeClaim)
	claim, ok := after.(*apiv1.PersistentVolumeClaim)
	if !ok || !okOld || old.Status.Phase == apiv1.ClaimBound || claim.Status.Phase != apiv1.ClaimBound || claim.Annotations[selectedNode] != "" {
		return
	}
	now := h.clock.Now()
	h.pods.add(now, now)
}
