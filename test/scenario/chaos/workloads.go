package chaos

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

const (
	namespace = "default"
	// Workloads, and the label app of their pods.
	webPods = "web"
	gpuPods = "gpu"
	agent   = "agent" // on every node
	// Of plans with divided GPUs: pods that want a part of one, and a pod that wants a whole one, which no node there has.
	partPods  = "parts"
	wholePods = "whole"
	// Of the crowd in hurried plans, in the groups of web: pods that need a node each, and small ones.
	apartPods = "apart"
	crumbPods = "crumbs"
)

// poolOf is the pool of groups that a workload's pods select. Most workloads have one of their own.
func poolOf(app string) string {
	switch app {
	case wholePods:
		return partPods
	case apartPods, crumbPods:
		return webPods
	}
	return app
}

// workloads are the names of the workloads that the plan wants pods of.
func (p Plan) workloads() []string {
	if p.Zonal {
		return []string{webPods, gpuPods, evenPods, diskPods, pinnedPods}
	}
	all := []string{webPods, gpuPods}
	if p.Traits.Divided {
		all = append(all, partPods)
	}
	if p.Traits.Hurried {
		all = append(all, apartPods, crumbPods)
	}
	return all
}

// createWorkloads makes the workloads, without pods at first, and a DaemonSet.
func createWorkloads(ctx context.Context, client kubernetes.Interface) error {
	apart := deployment(apartPods, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("400m")})
	apart.Spec.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: selector(apartPods), TopologyKey: corev1.LabelHostname}},
	}}
	for _, d := range []*appsv1.Deployment{
		apart,
		deployment(crumbPods, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("150m")}),
		deployment(webPods, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("800m")}),
		deployment(partPods, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), part: resource.MustParse("1")}),
		deployment(wholePods, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), "nvidia.com/gpu": resource.MustParse("1")}),
		deployment(gpuPods, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), "nvidia.com/gpu": resource.MustParse("1")}),
	} {
		if _, err := client.AppsV1().Deployments(namespace).Create(ctx, d, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create the workload %q: %w", d.Name, err)
		}
	}
	set := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: agent},
		Spec: appsv1.DaemonSetSpec{
			Selector: selector(agent),
			Template: template(agent, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}),
		},
	}
	set.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	if _, err := client.AppsV1().DaemonSets(namespace).Create(ctx, set, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the DaemonSet %q: %w", agent, err)
	}
	return nil
}

// createBudgets allows one pod of each workload at a time to be evicted.
func createBudgets(ctx context.Context, client kubernetes.Interface, apps []string) error {
	for _, app := range apps {
		budget := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Name: app},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: selector(app), MaxUnavailable: ptr.To(intstr.FromInt32(1))},
		}
		if _, err := client.PolicyV1().PodDisruptionBudgets(namespace).Create(ctx, budget, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create the budget of %q: %w", app, err)
		}
	}
	return nil
}

func deployment(app string, limits corev1.ResourceList) *appsv1.Deployment {
	t := template(app, limits)
	t.Spec.NodeSelector = map[string]string{poolLabel: poolOf(app)}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To[int32](0), Selector: selector(app), Template: t},
	}
}

func selector(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
}

func template(app string, limits corev1.ResourceList) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To[int64](0),
			Containers: []corev1.Container{{
				Name: app, Image: "registry.example.com/" + app + ":dev", Resources: corev1.ResourceRequirements{Limits: limits},
			}},
		},
	}
}

// scale sets how many pods of a workload are wanted.
func scale(ctx context.Context, client kubernetes.Interface, app string, count int) error {
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, count)
	var err error
	if app == diskPods {
		_, err = client.AppsV1().StatefulSets(namespace).Patch(ctx, app, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	} else {
		_, err = client.AppsV1().Deployments(namespace).Patch(ctx, app, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	}
	if err != nil {
		return fmt.Errorf("scale %q to %d: %w", app, count, err)
	}
	return nil
}

// rollOut replaces the pods of a Deployment by pods of another version.
func rollOut(ctx context.Context, client kubernetes.Interface, app, version string) error {
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{"version":%q}}}}}`, version)
	if _, err := client.AppsV1().Deployments(namespace).Patch(ctx, app, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("roll %q out: %w", app, err)
	}
	return nil
}

// notReadyAnnotation keeps KWOK from making a node Ready.
const notReadyAnnotation = "controlplane/not-ready"

// setReady makes a node Ready again, or not any more, as if its kubelet were well or not.
func setReady(ctx context.Context, client kubernetes.Interface, node string, ready bool) error {
	nodes := client.CoreV1().Nodes()
	value := "null"
	if !ready {
		value = `"true"`
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%s}}}`, notReadyAnnotation, value)
	_, err := nodes.Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err == nil && !ready {
		now, _ := metav1.Now().MarshalJSON()
		patch = fmt.Appendf(nil, `{"status":{"conditions":[{"type":"Ready","status":"False","reason":"KubeletNotReady","lastTransitionTime":%s}]}}`, now)
		_, err = nodes.Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("make node %q ready=%t: %w", node, ready, err)
	}
	return nil
}

// beat renews the nodes' heartbeats and touches the pods that wait to run on them, as kubelets do. A write that etcd's death broke off is not repeated
// otherwise: neither KWOK's, which makes a node Ready and a pod run, nor kube-controller-manager's, which lifts the not-ready taint. Both look at an
// object again when it changes.
func beat(ctx context.Context, client kubernetes.Interface) error {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	for _, n := range list.Items {
		if len(n.Status.Conditions) == 0 {
			continue // the kubelet has not posted yet
		}
		now, _ := metav1.Now().MarshalJSON()
		patch := fmt.Appendf(nil, `{"status":{"conditions":[{"type":%q,"lastHeartbeatTime":%s}]}}`, n.Status.Conditions[0].Type, now)
		_, err := client.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("renew the heartbeat of node %q: %w", n.Name, err)
		}
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName!=,status.phase=Pending"})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for _, p := range pods.Items {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/touched":%q}}}`, time.Now().Format(time.RFC3339))
		_, err := client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("touch pod %q: %w", p.Name, err)
		}
	}
	return nil
}

// removeOrphans removes the pods whose node is gone, which in a real cluster takes the pod garbage collector a minute.
func removeOrphans(ctx context.Context, client kubernetes.Interface) error {
	// Pods come first, so that a pod's node is read after it, unless the node is gone.
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	there := map[string]bool{"": true}
	for _, n := range nodes.Items {
		there[n.Name] = true
	}
	for _, p := range pods.Items {
		if there[p.Spec.NodeName] {
			continue
		}
		err := client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{
			GracePeriodSeconds: ptr.To[int64](0), Preconditions: metav1.NewUIDPreconditions(string(p.UID)),
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("remove pod %q of a node that is gone: %w", p.Name, err)
		}
	}
	return nil
}

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
