package informers

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

var stripManagedFields = cache.TransformStripManagedFields()

// Trim trims an object in place. It is the transform of an informer. It takes off what only the core and the adapters may note on their copies: a
// node's kubelet can annotate the Node, and a pod's owner the pod.
func Trim(object any) (any, error) {
	if o, err := meta.Accessor(object); err == nil {
		annotations := o.GetAnnotations()
		if _, isNode := object.(*corev1.Node); !isNode { // a write of a node would remove the annotation from it
			delete(annotations, corev1.LastAppliedConfigAnnotation)
		}
		for _, note := range nodemeta.Notes {
			delete(annotations, string(note))
		}
		delete(annotations, cloudprovider.FakeNodeReasonAnnotation)
		delete(annotations, coreannotations.NodeUpcomingAnnotation)
		delete(o.GetLabels(), nodemeta.ZoneAssumed)
		delete(o.GetLabels(), nodemeta.KindAssumed)
	}
	switch o := object.(type) {
	case *corev1.Pod:
		trimSpec(&o.Spec)
		trimStatus(o)
		alike.share(o)
	case *corev1.Node:
		o.Status.Images = nil // image locality only ranks nodes, which no simulation asks for
	case *corev1.ReplicationController:
		if o.Spec.Template != nil {
			trimSpec(&o.Spec.Template.Spec)
		}
	case *appsv1.Deployment:
		trimSpec(&o.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		trimSpec(&o.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		trimSpec(&o.Spec.Template.Spec)
	case *batchv1.Job:
		trimSpec(&o.Spec.Template.Spec)
	}
	return stripManagedFields(object)
}

// trimSpec drops the fields of a pod or of a template that only a kubelet needs. Ports, resources and volumes decide on which nodes the pod
// fits. The templates of DaemonSets keep all, because the environment of the VPC CNI says how many pods a node takes.
func trimSpec(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			c := &containers[i]
			containers[i] = corev1.Container{Name: c.Name, Ports: c.Ports, Resources: c.Resources, RestartPolicy: c.RestartPolicy,
				RestartPolicyRules: c.RestartPolicyRules} // a node must declare that it knows them
		}
	}
	spec.Volumes = kept(spec.Volumes, func(v corev1.Volume) bool {
		return v.Projected == nil && v.ConfigMap == nil && v.Secret == nil && v.DownwardAPI == nil
	})
	spec.EphemeralContainers, spec.SecurityContext, spec.DNSConfig, spec.HostAliases, spec.ImagePullSecrets = nil, nil, nil, nil, nil
	spec.ServiceAccountName, spec.DeprecatedServiceAccount, spec.DNSPolicy, spec.EnableServiceLinks = "", "", "", nil
}

// kept returns the elements that are kept, in a slice without room for the others.
func kept[T any](all []T, keep func(T) bool) []T {
	if some := slices.DeleteFunc(all, func(one T) bool { return !keep(one) }); len(some) < len(all) {
		return append([]T(nil), some...)
	}
	return all
}

// trimStatus keeps the conditions that are read, and the resources of containers that are being resized.
func trimStatus(pod *corev1.Pod) {
	s := &pod.Status
	s.Conditions = kept(s.Conditions, func(c corev1.PodCondition) bool {
		return c.Type != corev1.PodReadyToStartContainers && c.Type != corev1.PodInitialized && c.Type != corev1.ContainersReady
	})
	s.InitContainerStatuses = resized(s.InitContainerStatuses, pod.Spec.InitContainers)
	s.ContainerStatuses = resized(s.ContainerStatuses, pod.Spec.Containers)
	s.EphemeralContainerStatuses = nil
	s.HostIP, s.HostIPs, s.PodIP, s.PodIPs = "", nil, "", nil
}

// resized returns the resources of the containers that have others than the spec says. All others have those of the spec.
func resized(statuses []corev1.ContainerStatus, containers []corev1.Container) []corev1.ContainerStatus {
	statuses = kept(statuses, func(s corev1.ContainerStatus) bool {
		return s.Resources != nil && !slices.ContainsFunc(containers, func(c corev1.Container) bool {
			return c.Name == s.Name && equality.Semantic.DeepEqual(c.Resources.Requests, s.AllocatedResources) &&
				equality.Semantic.DeepEqual(c.Resources.Requests, s.Resources.Requests) && equality.Semantic.DeepEqual(c.Resources.Limits, s.Resources.Limits)
		})
	})
	for i := range statuses {
		s := &statuses[i]
		statuses[i] = corev1.ContainerStatus{Name: s.Name, AllocatedResources: s.AllocatedResources, Resources: s.Resources}
	}
	return statuses
}
