package scaledown

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

func TestLongSearchRests(t *testing.T) {
	ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{ScanInterval: 10 * time.Second}}
	for took, rest := range map[time.Duration]time.Duration{time.Millisecond: 10 * time.Second, 5 * time.Second: 95 * time.Second,
		20 * time.Minute: 10 * time.Minute} {
		c := &Consolidation{Reason: &move.Consolidate{}, made: make(chan search, 1)}
		c.made <- search{took: took}
		c.consider(ctx, nil, nil, true, true, false, start)
		assert.Equalf(t, start.Add(rest), c.next, "the next search after one of %s", took)
		c.consider(ctx, nil, nil, true, true, false, start.Add(rest-time.Second))
		assert.Nilf(t, c.made, "a search after one of %s", took)
	}
}

// Each node has one device.
func TestPodsTakeTheirClaimsToTheirNewNode(t *testing.T) {
	for name, owned := range map[string]bool{"a claim of its own": true, "a claim that others may use": false} {
		t.Run(name, func(t *testing.T) {
			slices := map[string][]*resourceapi.ResourceSlice{}
			var nodes []*corev1.Node
			for _, name := range []string{"dear", "other"} {
				nodes = append(nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name},
					Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("10")}}})
				slices[name] = []*resourceapi.ResourceSlice{{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: resourceapi.ResourceSliceSpec{Driver: "gpu", NodeName: &name,
					Pool: resourceapi.ResourcePool{Name: name, ResourceSliceCount: 1}, Devices: []resourceapi.Device{{Name: "gpu-0"}}}}}
			}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: "pod", UID: "pod"},
				Spec: corev1.PodSpec{NodeName: "dear", ResourceClaims: []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: new("claim")}}}}
			claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: "claim", UID: "claim"},
				Spec: resourceapi.ResourceClaimSpec{Devices: resourceapi.DeviceClaim{Requests: []resourceapi.DeviceRequest{{Name: "gpu",
					Exactly: &resourceapi.ExactDeviceRequest{DeviceClassName: "gpu", AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: 1}}}}},
				Status: resourceapi.ResourceClaimStatus{ReservedFor: []resourceapi.ResourceClaimConsumerReference{{Resource: "pods", Name: "pod", UID: "pod"}},
					Allocation: &resourceapi.AllocationResult{
						Devices: resourceapi.DeviceAllocationResult{Results: []resourceapi.DeviceRequestAllocationResult{
							{Request: "gpu", Driver: "gpu", Pool: "dear", Device: "gpu-0"}}},
						NodeSelector: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
							{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"dear"}}}}}}}}}
			if owned {
				claim.OwnerReferences = []metav1.OwnerReference{{Kind: "Pod", Name: "pod", UID: "pod", Controller: new(true)}}
			}
			s := snapshot.New(config.AutoscalingOptions{DynamicResourceAllocationEnabled: true, PredicateParallelism: 1}, framework.NewTestFrameworkHandleOrDie(t))
			require.NoError(t, s.SetClusterState(nodes, []*corev1.Pod{pod}, drasnapshot.NewSnapshot(
				map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim{drasnapshot.GetClaimId(claim): claim}, slices, nil,
				map[string]*resourceapi.DeviceClass{"gpu": {ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}}), nil))
			c := &Consolidation{Rules: rules.Rules{}}
			for range 2 { // a try leaves everything as it was
				places, _, err := c.try(&cacontext.AutoscalingContext{ClusterSnapshot: s}, move.Plan{Nodes: []string{"dear"}, On: []string{"other"}}, nil, time.Hour, start)
				require.NoError(t, err)
				assert.Equal(t, map[types.UID]string{"pod": "other"}, places)
			}
			pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "job", Controller: new(true)}}
			_, stays, err := c.try(&cacontext.AutoscalingContext{ClusterSnapshot: s}, move.Plan{Nodes: []string{"dear"}, On: []string{"other"}}, nil, time.Hour, start)
			assert.Error(t, err)
			assert.Equal(t, "dear", stays, "the node that a pod of a Job keeps")
		})
	}
}
