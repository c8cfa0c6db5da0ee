package chaos

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// Workloads of zonal plans.
const (
	evenPods   = "even"   // spread evenly over the zones, whatever it takes
	diskPods   = "disk"   // a volume each, in the zone that its number says
	pinnedPods = "pinned" // need pinnedZone by their node selector

	pinnedZone = zoneC
)

const (
	// volumes is the number of volumes, as many in each zone.
	volumes     = 9
	volumeClaim = "data"
	ebsDriver   = "ebs.csi.aws.com"
	ebsZone     = "topology.ebs.csi.aws.com/zone"
)

// createZonalWorkloads makes the workloads of zonal plans, without pods at first, and the volumes.
func createZonalWorkloads(ctx context.Context, client kubernetes.Interface) error {
	even := deployment(evenPods, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("800m")})
	even.Spec.Template.Spec.NodeSelector[poolLabel] = webPods
	even.Spec.Template.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: selector(evenPods),
	}}
	pinned := deployment(pinnedPods, wholeNode())
	pinned.Spec.Template.Spec.NodeSelector = map[string]string{poolLabel: dbPool, corev1.LabelTopologyZone: pinnedZone}
	for _, d := range []*appsv1.Deployment{even, pinned} {
		if _, err := client.AppsV1().Deployments(namespace).Create(ctx, d, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create the workload %q: %w", d.Name, err)
		}
	}
	for n := range volumes {
		if _, err := client.CoreV1().PersistentVolumes().Create(ctx, volume(n), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create volume %d: %w", n, err)
		}
	}
	if _, err := client.AppsV1().StatefulSets(namespace).Create(ctx, disks(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the workload %q: %w", diskPods, err)
	}
	return nil
}

// wholeNode leaves no room for a second such pod on a node.
func wholeNode() corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")}
}

func disks() *appsv1.StatefulSet {
	t := template(diskPods, wholeNode())
	t.Spec.NodeSelector = map[string]string{poolLabel: dbPool}
	t.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: volumeClaim, MountPath: "/data"}}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: diskPods},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](0), ServiceName: diskPods, Selector: selector(diskPods), Template: t,
			PodManagementPolicy: appsv1.ParallelPodManagement,
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: volumeClaim},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: ptr.To(""),
					Resources: corev1.VolumeResourceRequirements{Requests: gibibyte()},
				},
			}},
		},
	}
}

func gibibyte() corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
}

// diskZone is the zone of a disk pod's volume.
func diskZone(number int) string { return zones[number%len(zones)] }

// volume is the volume of the disk pod with the number.
func volume(number int) *corev1.PersistentVolume {
	name := fmt.Sprintf("%s-%s-%d", volumeClaim, diskPods, number) // as the StatefulSet names its claim
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:                      gibibyte(),
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Namespace: namespace, Name: name},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: ebsDriver, VolumeHandle: "vol-" + name}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: ebsZone, Operator: corev1.NodeSelectorOpIn, Values: []string{diskZone(number)}}},
			}}}},
		},
	}
}
