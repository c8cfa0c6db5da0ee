package wholeway

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

const (
	namespace = metav1.NamespaceDefault // of the mix's pods, and of nothing else
	image     = "app"
)

// Prepare creates all that the pods depend on, and the DaemonSets.
func Prepare(ctx context.Context, client kubernetes.Interface, m *mix.Mix) error {
	if anyPod(m, hasVolumes) {
		if _, err := client.StorageV1().StorageClasses().Create(ctx, mix.StorageClass(), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if anyPod(m, claims) {
		if err := prepareClaims(ctx, client, m); err != nil {
			return err
		}
	}
	for _, pod := range append([]*corev1.Pod{kubeProxy()}, m.DaemonSets...) {
		labels := map[string]string{"daemon": pod.Name}
		template := TemplateOf(pod)
		template.Labels = labels
		if _, err := client.AppsV1().DaemonSets(metav1.NamespaceSystem).Create(ctx, &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name},
			Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template},
		}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// kubeProxy is the pod that EKS runs on each node (amazon-eks, kube-proxy add-on: 100m of CPU).
func kubeProxy() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-proxy"},
		Spec: corev1.PodSpec{
			PriorityClassName: "system-node-critical",
			Tolerations:       []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{Name: "kube-proxy", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
			}}},
		},
	}
}

func prepareClaims(ctx context.Context, client kubernetes.Interface, m *mix.Mix) error {
	if _, err := client.ResourceV1().DeviceClasses().Create(ctx, &resourceapi.DeviceClass{
		ObjectMeta: metav1.ObjectMeta{Name: mix.DeviceClass},
		Spec: resourceapi.DeviceClassSpec{Selectors: []resourceapi.DeviceSelector{{
			CEL: &resourceapi.CELDeviceSelector{Expression: fmt.Sprintf("device.driver == %q", mix.DeviceClass)},
		}}},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, pods := range workloads(m.Pods) {
		if !claims(pods[0]) {
			continue
		}
		template := &resourceapi.ResourceClaimTemplate{
			ObjectMeta: metav1.ObjectMeta{Name: *pods[0].Spec.ResourceClaims[0].ResourceClaimTemplateName},
			Spec:       resourceapi.ResourceClaimTemplateSpec{Spec: mix.DeviceClaim(pods[0])},
		}
		if _, err := client.ResourceV1().ResourceClaimTemplates(namespace).Create(ctx, template, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// workloads are the pods by owner, in their order.
func workloads(pods []*corev1.Pod) [][]*corev1.Pod {
	var list [][]*corev1.Pod
	index := map[string]int{}
	for _, pod := range pods {
		owner := pod.OwnerReferences[0].Name
		if _, known := index[owner]; !known {
			index[owner] = len(list)
			list = append(list, nil)
		}
		list[index[owner]] = append(list[index[owner]], pod)
	}
	return list
}

// createPods creates the owners of the pods, whose controllers create these.
func createPods(ctx context.Context, client kubernetes.Interface, m *mix.Mix) error {
	for _, pods := range workloads(m.Pods) {
		if err := createOwner(ctx, client, pods); err != nil {
			return err
		}
	}
	return nil
}

func createOwner(ctx context.Context, client kubernetes.Interface, pods []*corev1.Pod) error {
	name, replicas := pods[0].OwnerReferences[0].Name, int32(len(pods))
	meta := metav1.ObjectMeta{Name: name}
	template, selector := TemplateOf(pods[0]), &metav1.LabelSelector{MatchLabels: pods[0].Labels}
	if !hasVolumes(pods[0]) {
		_, err := client.AppsV1().ReplicaSets(namespace).Create(ctx, &appsv1.ReplicaSet{
			ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, Selector: selector, Template: template},
		}, metav1.CreateOptions{})
		return err
	}
	set := &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{
		Replicas: &replicas, Selector: selector, Template: template, PodManagementPolicy: appsv1.ParallelPodManagement,
	}}
	for _, volume := range pods[0].Spec.Volumes {
		set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: volume.Name},
			Spec:       mix.VolumeClaim(),
		})
	}
	_, err := client.AppsV1().StatefulSets(namespace).Create(ctx, set, metav1.CreateOptions{})
	return err
}

// TemplateOf makes pods like this one. Claims of volumes are left to the StatefulSet.
func TemplateOf(pod *corev1.Pod) corev1.PodTemplateSpec {
	spec := *pod.Spec.DeepCopy()
	spec.Volumes = nil
	spec.TerminationGracePeriodSeconds = new(int64(0))
	for i := range spec.Containers {
		c := &spec.Containers[i]
		c.Image = image
		for _, claim := range spec.ResourceClaims {
			c.Resources.Claims = append(c.Resources.Claims, corev1.ResourceClaim{Name: claim.Name})
		}
		for name, q := range c.Resources.Requests {
			if strings.Contains(string(name), "/") { // extended resources need a limit
				if c.Resources.Limits == nil {
					c.Resources.Limits = corev1.ResourceList{}
				}
				c.Resources.Limits[name] = q
			}
		}
	}
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: spec}
}
