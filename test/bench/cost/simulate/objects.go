package simulate

import (
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

const (
	deviceClass  = "gpu.nvidia.com" // of NVIDIA's driver, and the driver's name
	volumeDriver = "ebs.csi.aws.com"
	storageClass = "gp3"
)

// volumeClaims are the claims of the pods' volumes, and their class: a volume is made where its pod is.
func volumeClaims(pods []*corev1.Pod) []runtime.Object {
	var list []runtime.Object
	for _, pod := range pods {
		for _, v := range pod.Spec.Volumes {
			list = append(list, &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: v.PersistentVolumeClaim.ClaimName, UID: types.UID(v.PersistentVolumeClaim.ClaimName)},
				Spec: corev1.PersistentVolumeClaimSpec{
					StorageClassName: new(storageClass), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}},
				},
				Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
			})
		}
	}
	if len(list) == 0 {
		return nil
	}
	return append(list, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: storageClass}, Provisioner: volumeDriver,
		VolumeBindingMode: new(storagev1.VolumeBindingWaitForFirstConsumer)})
}

// deviceClaims are the pods' claims, none of them allocated, and the class of the devices.
func deviceClaims(pods []*corev1.Pod) *drasnapshot.Snapshot {
	claims := map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim{}
	for _, pod := range pods {
		for _, status := range pod.Status.ResourceClaimStatuses {
			claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{
				Namespace: pod.Namespace, Name: *status.ResourceClaimName, UID: types.UID(*status.ResourceClaimName),
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: new(true)}},
			}}
			claim.Spec.Devices.Requests = []resourceapi.DeviceRequest{{Name: "gpu", Exactly: &resourceapi.ExactDeviceRequest{
				DeviceClassName: deviceClass, AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: int64(mix.Devices(pod)),
			}}}
			claims[drasnapshot.GetClaimId(claim)] = claim
		}
	}
	return drasnapshot.NewSnapshot(claims, nil, nil, map[string]*resourceapi.DeviceClass{
		deviceClass: {ObjectMeta: metav1.ObjectMeta{Name: deviceClass}},
	})
}
