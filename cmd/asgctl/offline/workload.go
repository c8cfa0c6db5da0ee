package offline

import (
	"cmp"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// maxPods bounds the pods that are made of workloads, whatever a manifest asks for.
const maxPods = 50_000

// workloads make the pods of a manifest, as its controller would.
var workloads = map[metav1.TypeMeta]func(*Cluster, object) error{
	kind("apps/v1", "Deployment"): func(c *Cluster, o object) error {
		return decoded(o, func(d *appsv1.Deployment) error { return c.addReplicas(o, d.Spec.Replicas, d.Spec.Template, nil) })
	},
	kind("apps/v1", "ReplicaSet"): func(c *Cluster, o object) error {
		return decoded(o, func(r *appsv1.ReplicaSet) error { return c.addReplicas(o, r.Spec.Replicas, r.Spec.Template, nil) })
	},
	kind("apps/v1", "StatefulSet"): func(c *Cluster, o object) error {
		return decoded(o, func(s *appsv1.StatefulSet) error {
			return c.addReplicas(o, s.Spec.Replicas, s.Spec.Template, s.Spec.VolumeClaimTemplates)
		})
	},
	kind("batch/v1", "Job"): func(c *Cluster, o object) error {
		return decoded(o, func(j *batchv1.Job) error { return c.addReplicas(o, j.Spec.Parallelism, j.Spec.Template, nil) })
	},
	kind("batch/v1", "CronJob"): func(c *Cluster, o object) error {
		return decoded(o, func(j *batchv1.CronJob) error {
			job := j.Spec.JobTemplate.Spec
			return c.addReplicas(o, job.Parallelism, job.Template, nil)
		})
	},
}

// addReplicas keeps the pods of a workload, named by their ordinals, and their claims.
func (c *Cluster) addReplicas(o object, replicas *int32, template corev1.PodTemplateSpec, claims []corev1.PersistentVolumeClaim) error {
	count := int(ptr.Deref(replicas, 1))
	if c.pods += max(0, count); c.pods > maxPods {
		return fmt.Errorf("the workloads have more than %d pods", maxPods)
	}
	namespace := cmp.Or(o.Metadata.Namespace, metav1.NamespaceDefault)
	uid := types.UID(o.Kind + "/" + namespace + "/" + o.Metadata.Name)
	for at := range count {
		pod := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
		pod.Namespace, pod.Name = namespace, fmt.Sprintf("%s-%d", o.Metadata.Name, at)
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Metadata.Name, UID: uid, Controller: ptr.To(true)}}
		for _, claim := range claims {
			claim := claim.DeepCopy()
			volume := claim.Name
			claim.TypeMeta, claim.Namespace, claim.Name = kind("v1", "PersistentVolumeClaim"), namespace, volume+"-"+pod.Name
			if err := c.keep(claim.TypeMeta, claim); err != nil {
				return err
			}
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name}}})
		}
		if err := c.addPod(pod); err != nil {
			return err
		}
	}
	return nil
}
