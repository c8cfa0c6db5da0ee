package loop

import (
	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// selectedNode is on the claims whose volume waits for its first pod. The scheduler writes it once that pod has a node.
const selectedNode = "volume.kubernetes.io/selected-node"

// ClaimHandler returns the handler that wakes the Trigger when a claim has got its volume. No node helps the pod before. The pod
// is unschedulable before and after, so PodHandler sees no change. Add it to the informer whose lister the loop reads.
func (t *Trigger) ClaimHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{UpdateFunc: t.updateClaim}
}

// updateClaim counts a claim that becomes bound before a pod has a node as a pod of the burst.
func (t *Trigger) updateClaim(before, after any) {
	old, okOld := before.(*apiv1.PersistentVolumeClaim)
	claim, ok := after.(*apiv1.PersistentVolumeClaim)
	if ok && okOld && old.Status.Phase != apiv1.ClaimBound && claim.Status.Phase == apiv1.ClaimBound && claim.Annotations[selectedNode] == "" {
		t.pods.add(t.clock.Now())
	}
}

// ResourceClaimHandler returns the handler that wakes the Trigger when a claim of devices that several pods share is bound to a node, or
// free again. Both change which node helps the other pods, and these are unschedulable before and after. Add it to the informer whose
// lister the loop reads.
func (t *Trigger) ResourceClaimHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{UpdateFunc: t.updateResourceClaim}
}

// updateResourceClaim counts a shared claim as a pod of the burst. A claim that was made for one pod is bound when that pod gets its node,
// which helps no other.
func (t *Trigger) updateResourceClaim(before, after any) {
	old, okOld := before.(*resourceapi.ResourceClaim)
	claim, ok := after.(*resourceapi.ResourceClaim)
	if ok && okOld && metav1.GetControllerOfNoCopy(claim) == nil && (old.Status.Allocation == nil) != (claim.Status.Allocation == nil) {
		t.pods.add(t.clock.Now())
	}
}
