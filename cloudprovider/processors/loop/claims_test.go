package loop

import (
	"testing"
	"testing/synctest"
	"time"

	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		{"bound", claim(apiv1.ClaimPending, ""), claim(apiv1.ClaimBound, ""), PodsPending, 2100 * time.Millisecond},
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
