package mix

import (
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// DeviceClass is of NVIDIA's driver for claims, and the driver's name.
	DeviceClass = "gpu.nvidia.com"
	// VolumeDriver is of EBS.
	VolumeDriver = "ebs.csi.aws.com"

	storageClass = "gp3"
)

// StorageClass is the class of all volumes: a volume is made where its pod is.
func StorageClass() *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: storageClass}, Provisioner: VolumeDriver,
		VolumeBindingMode: new(storagev1.VolumeBindingWaitForFirstConsumer)}
}

// VolumeClaim is the claim of each volume.
func VolumeClaim() corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		StorageClassName: new(storageClass), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}},
	}
}

// DeviceClaim is the claim of a pod with Devices.
func DeviceClaim(pod *corev1.Pod) resourceapi.ResourceClaimSpec {
	return resourceapi.ResourceClaimSpec{Devices: resourceapi.DeviceClaim{Requests: []resourceapi.DeviceRequest{{
		Name: pod.Spec.ResourceClaims[0].Name, Exactly: &resourceapi.ExactDeviceRequest{
			DeviceClassName: DeviceClass, AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: int64(Devices(pod)),
		}}}}}
}
