package loop

import (
	"testing"
	"testing/synctest"
	"time"

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
		want          time.Duration
	}{
		{"bound", claim(apiv1.ClaimPending, ""), claim(apiv1.ClaimBound, ""), PodsPending, 2050 * time.Millisecond},
		{"bound before", claim(apiv1.ClaimBound, ""), claim(apiv1.ClaimBound, ""), ScanInterval, 10 * time.Second},
		{"lost", claim(apiv1.ClaimPending, ""), claim(apiv1.ClaimLost, ""), ScanInterval, 10 * time.Second},
		{"bound for a pod that has its node", claim(apiv1.ClaimPending, "node"), claim(apiv1.ClaimBound, "node"), ScanInterval, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trigger := started(t, settings)
				time.AfterFunc(2*time.Second, func() { trigger.ClaimHandler().OnUpdate(tt.before, tt.after) })
				expect(t, trigger, tt.reason, tt.want)
			})
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
		want          time.Duration
	}{
		{"bound", claim("", false), claim("", true), PodsPending, 2050 * time.Millisecond},
		{"free again", claim("", true), claim("", false), PodsPending, 2050 * time.Millisecond},
		{"bound before", claim("", true), claim("", true), ScanInterval, 10 * time.Second},
		{"bound for its own pod", claim("Pod", false), claim("Pod", true), ScanInterval, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trigger := started(t, settings)
				time.AfterFunc(2*time.Second, func() { trigger.ResourceClaimHandler().OnUpdate(tt.before, tt.after) })
				expect(t, trigger, tt.reason, tt.want)
			})
		})
	}
}
