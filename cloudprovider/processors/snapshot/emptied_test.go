package snapshot

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

// A pod holds the only device of its node, and the other node has one that is free.
func TestPodsLookForAPlaceWithoutTheDevicesThatTheyHold(t *testing.T) {
	for name, own := range map[string]bool{"by a claim of its own": true, "by a claim that others may use": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(2, 0, false)
			w.devices(1)
			pod := newPod("a", "n0")
			pod.Annotations = map[string]string{provreqv1.ProvisioningRequestPodAnnotationKey: "job"}
			var owner *corev1.Pod
			if own {
				owner = pod
			}
			claim := w.claim(pod, owner)
			claim.Status = resourceapi.ResourceClaimStatus{
				ReservedFor: []resourceapi.ResourceClaimConsumerReference{{Resource: "pods", Name: pod.Name, UID: pod.UID}},
				Allocation: &resourceapi.AllocationResult{
					Devices: resourceapi.DeviceAllocationResult{Results: []resourceapi.DeviceRequestAllocationResult{
						{Request: "gpu", Driver: "gpu.example.com", Pool: "n0", Device: "gpu-0"}}},
					NodeSelector: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
						{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"n0"}}}}}}}}
			before := claim.DeepCopy()
			w.pods = []*corev1.Pod{pod}
			s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
			w.load(t, s)
			info, err := s.GetNodeInfo("n0")
			require.NoError(t, err)
			var e Emptied
			free := e.Take(s, info, Pods(info))
			placed, err := Place(s, free, Nodes{Anywhere: func(*corev1.Pod) bool { return true }})
			require.NoError(t, err)
			require.Truef(t, len(free) == 1 && placed[free[0]] == "n1", "places %v, want one on n1", placed)
			assert.Truef(t, len(free[0].Annotations) == 0 && len(pod.Annotations) == 1, "the core launches a node for it: %v", free[0].Annotations)
			assert.Equal(t, "n1", e.Restore(s, nil, nil)[pod.UID].Name)
			assert.Nil(t, e.Restore(s, nil, nil), "places of no pod")
			for node, pods := range map[string]int{"n0": 1, "n1": 0} {
				info, err := s.GetNodeInfo(node)
				require.NoError(t, err)
				assert.Lenf(t, info.GetPods(), pods, "pods on %s", node)
			}
			claims, err := s.DraSnapshot().PodClaims(pod)
			require.NoError(t, err)
			assert.Empty(t, cmp.Diff([]*resourceapi.ResourceClaim{before}, claims), "the claim in the snapshot (-before +after)")
			assert.Empty(t, cmp.Diff(before, claim), "the informer's claim (-before +after)")
		})
	}
}

// The pod of one node comes before the booking, and the pod of another one after it.
func TestBookingTakesThePlaceOfPodsThatAreNotFirst(t *testing.T) {
	w := newWorld(4, 0, false)
	w.pods = []*corev1.Pod{newPod("repaired", "n0"), newPod("rotated", "n1")}
	s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
	w.load(t, s)
	var e Emptied
	for at, to := range []string{"n2", "n3"} {
		info, err := s.GetNodeInfo(w.pods[at].Spec.NodeName)
		require.NoError(t, err)
		for _, p := range e.Take(s, info, Pods(info)) {
			require.NoError(t, s.ForceAddPod(p, to))
		}
	}
	booked := map[string]bool{}
	e.Restore(s, func() {
		for _, node := range []string{"n0", "n1", "n2", "n3"} {
			info, err := s.GetNodeInfo(node)
			require.NoError(t, err)
			booked[node] = len(info.GetPods()) == 0 && !info.Node().Spec.Unschedulable
		}
	}, func(p *corev1.Pod) bool { return p.Name == "repaired" })
	assert.Equal(t, map[string]bool{"n0": false, "n1": false, "n2": false, "n3": true}, booked, "room for bookings")
	for node, pods := range map[string]int{"n0": 1, "n1": 1, "n2": 0, "n3": 0} {
		info, err := s.GetNodeInfo(node)
		require.NoError(t, err)
		assert.Lenf(t, info.GetPods(), pods, "pods on %s", node)
	}
}
