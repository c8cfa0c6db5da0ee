package simulate

import (
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

// volumeClaims are the claims of the pods' volumes, and their class.
func volumeClaims(pods []*corev1.Pod) []runtime.Object {
	var list []runtime.Object
	for _, pod := range pods {
		for _, v := range pod.Spec.Volumes {
			list = append(list, &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: v.PersistentVolumeClaim.ClaimName, UID: types.UID(v.PersistentVolumeClaim.ClaimName)},
				Spec:       mix.VolumeClaim(),
				Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
			})
		}
	}
	if len(list) == 0 {
		return nil
	}
	return append(list, mix.StorageClass())
}

// deviceClaims are the pods' claims, none of them allocated, and the class of the devices.
func deviceClaims(pods []*corev1.Pod) *drasnapshot.Snapshot {
	claims := map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim{}
	for _, pod := range pods {
		for _, status := range pod.Status.ResourceClaimStatuses {
			claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{
				Namespace: pod.Namespace, Name: *status.ResourceClaimName, UID: types.UID(*status.ResourceClaimName),
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: new(true)}},
			}, Spec: mix.DeviceClaim(pod)}
			claims[drasnapshot.GetClaimId(claim)] = claim
		}
	}
	return drasnapshot.NewSnapshot(claims, nil, nil, map[string]*resourceapi.DeviceClass{
		mix.DeviceClass: {ObjectMeta: metav1.ObjectMeta{Name: mix.DeviceClass}},
	})
}
