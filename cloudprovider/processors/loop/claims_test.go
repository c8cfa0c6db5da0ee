package loop

import (
	"testing"

	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// A pod with an unbound claim is unschedulable before and after, so no change of the pod itself wakes the loop.
func TestClaimThatBecomesBoundWakesLoop(t *testing.T) {
	claim := func(phase apiv1.PersistentVolumeClaimPhase, node string) *apiv1.PersistentVolumeClaim {
		return &apiv1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{selectedNode: node}},
			Status: apiv1.PersistentVolumeClaimStatus{Phase: phase}}
	}
	for _, tt := range []struct {
		name          string
		before, after *apiv1.PersistentVolumeClaim
		reason        WakeReason
	}{
		{"bound", claim(apiv1.ClaimPending, ""), claim(apiv1.ClaimBound, ""), PodsPending},
		{"bound before", claim(apiv1.ClaimBound, ""), claim(apiv1.ClaimBound, ""), ScanInterval},
		{"lost", claim(apiv1.ClaimPending, ""), claim(apiv1.ClaimLost, ""), ScanInterval},
		{"bound for a pod that has its node", claim(apiv1.ClaimPending, "node"), claim(apiv1.ClaimBound, "node"), ScanInterval},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectAfter(t, tt.reason, func(trigger *Trigger) { trigger.ClaimHandler().OnUpdate(tt.before, tt.after) })
		})
	}
}

// Pods that share a claim are unschedulable before and after, too.
func TestSharedClaimOfDevicesWakesLoop(t *testing.T) {
	claim := func(owner string, bound bool) *resourceapi.ResourceClaim {
		c := &resourceapi.ResourceClaim{}
		if owner != "" {
			c.OwnerReferences = []metav1.OwnerReference{{Kind: owner, Name: "web", Controller: ptr.To(true)}}
		}
		if bound {
			c.Status.Allocation = &resourceapi.AllocationResult{}
		}
		return c
	}
	for _, tt := range []struct {
		name          string
		before, after *resourceapi.ResourceClaim
		reason        WakeReason
	}{
		{"bound", claim("", false), claim("", true), PodsPending},
		{"free again", claim("", true), claim("", false), PodsPending},
		{"bound before", claim("", true), claim("", true), ScanInterval},
		{"bound for its own pod", claim("Pod", false), claim("Pod", true), ScanInterval},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectAfter(t, tt.reason, func(trigger *Trigger) { trigger.ResourceClaimHandler().OnUpdate(tt.before, tt.after) })
		})
	}
}
