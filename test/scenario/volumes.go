package scenario

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
)

const (
	ebsDriver = "ebs.csi.aws.com"
	ebsZone   = "topology.ebs.csi.aws.com/zone"

	provisionerAnnotation  = "volume.kubernetes.io/storage-provisioner" // by the controller manager, names the driver
	selectedNodeAnnotation = "volume.kubernetes.io/selected-node"       // by the scheduler, for claims that wait for a pod

	// provisionRetry is the pause before a failed volume is made again.
	provisionRetry = time.Second
)

// provisionVolumes plays the controller of the EBS driver until ctx ends, and blocks until then. A claim for whose pod the scheduler has
// chosen a node gets a volume in that node's zone. Nothing is attached anywhere, and volumes outlive their claims.
func provisionVolumes(ctx context.Context, client kubernetes.Interface) {
	factory := informers.NewSharedInformerFactory(client, provisionRetry)
	provision := func(claim *corev1.PersistentVolumeClaim) {
		_ = provisionVolume(ctx, client, claim) // a failure comes again with the next resync
	}
	handler := handle(provision, func(*corev1.PersistentVolumeClaim) {})
	if _, err := factory.Core().V1().PersistentVolumeClaims().Informer().AddEventHandler(handler); err != nil {
		return // the informer has ended, as ctx has
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
}

// provisionVolume makes the claim's volume if it is due.
func provisionVolume(ctx context.Context, client kubernetes.Interface, claim *corev1.PersistentVolumeClaim) error {
	node := claim.Annotations[selectedNodeAnnotation]
	if claim.Annotations[provisionerAnnotation] != ebsDriver || node == "" || claim.Spec.VolumeName != "" {
		return nil
	}
	selected, err := client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("provision a volume for %q: %w", claim.Name, err)
	}
	_, err = client.CoreV1().PersistentVolumes().Create(ctx, volumeFor(claim, selected.Labels[ebsZone]), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("provision a volume for %q: %w", claim.Name, err)
	}
	return nil
}

// volumeFor is the volume that the driver makes for the claim in a zone.
func volumeFor(claim *corev1.PersistentVolumeClaim, zone string) *corev1.PersistentVolume {
	class := ""
	if claim.Spec.StorageClassName != nil {
		class = *claim.Spec.StorageClassName
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(claim.UID), Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": ebsDriver}},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      claim.Spec.Resources.Requests,
			StorageClassName:              class,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: ebsDriver, VolumeHandle: "vol-" + string(claim.UID)}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: ebsZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
			}}}},
		},
	}
}
