package loop

import (
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// selectedNode is on the claims whose volume waits for its first pod. The scheduler writes it once that pod has a node.
const selectedNode = "volume.kubernetes.io/selected-node"

// ClaimHandler returns the handler that wakes the Trigger when a claim has got its volume. No node helps the pod before. The pod
// is unschedulable before and after, so PodHandler sees no change. Add it to the informer whose lister the loop reads.
func (t *Trigger) ClaimHandler() cache.ResourceEventHandler {
	if t.config.Tick {
		return cache.ResourceEventHandlerFuncs{}
	}
	return cache.ResourceEventHandlerFuncs{UpdateFunc: t.updateClaim}
}

// updateClaim counts a claim that becomes bound before a pod has a node as a pod of the burst.
func (t *Trigger) updateClaim(before, after any) {
	old, okOld := before.(*apiv1.PersistentVolumeClaim)
	claim, ok := after.(*apiv1.PersistentVolumeClaim)
	if !ok || !okOld || old.Status.Phase == apiv1.ClaimBound || claim.Status.Phase != apiv1.ClaimBound || claim.Annotations[selectedNode] != "" {
		return
	}
	now := t.clock.Now()
	t.pods.add(now, now)
}
