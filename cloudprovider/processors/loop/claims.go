package loop

import (
	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// selectedNode is on the claims whose volume waits for its first pod. The scheduler writes it once that pod has a node.
const selectedNode = "volume.kubernetes.io/selected-node"

// ClaimHandler returns the handler that wakes the Trigger when a claim has got its volume before a pod has a node. The pod
// is unschedulable before and after, so PodHandler sees no change. Add it to the informer whose lister the loop reads.
func (t *Trigger) ClaimHandler() cache.ResourceEventHandler {
	return changes(t.pods, t.clock, func(old, claim *apiv1.PersistentVolumeClaim) bool {
		return old.Status.Phase != apiv1.ClaimBound && claim.Status.Phase == apiv1.ClaimBound && claim.Annotations[selectedNode] == ""
	})
}

// ResourceClaimHandler returns the handler that wakes the Trigger when a claim of devices that several pods share is bound to a node, or
// free again. Both change which node helps the other pods, and these are unschedulable before and after. A claim that was made for one pod
// is bound when that pod gets its node, which helps no other. Add it to the informer whose lister the loop reads.
func (t *Trigger) ResourceClaimHandler() cache.ResourceEventHandler {
	return changes(t.pods, t.clock, func(old, claim *resourceapi.ResourceClaim) bool {
		return metav1.GetControllerOfNoCopy(claim) == nil && (old.Status.Allocation == nil) != (claim.Status.Allocation == nil)
	})
}

// changes returns the handler that counts the changes of objects that it is about as pods of the burst.
func changes[T any](b *burst, c clock.PassiveClock, counts func(old, now T) bool) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{UpdateFunc: func(before, after any) {
		old, okOld := before.(T)
		if now, ok := after.(T); ok && okOld && counts(old, now) {
			b.add(c.Now())
		}
	}}
}
