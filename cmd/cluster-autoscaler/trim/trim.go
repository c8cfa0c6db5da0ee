package trim

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

var stripManagedFields = cache.TransformStripManagedFields()

// Transform trims an object in place. It is the transform of an informer, and so sees each object before anybody else does.
func Transform(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		trimPod(o)
	case *corev1.Node:
		o.Status.Images = nil // image locality only ranks nodes, which no simulation asks for
	}
	return stripManagedFields(object)
}

// trimPod drops the fields that only a kubelet needs. Ports, resources and volumes decide on which nodes the pod fits.
func trimPod(p *corev1.Pod) {
	for _, containers := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range containers {
			trimContainer(&containers[i])
		}
	}
	for _, v := range p.Spec.Volumes {
		if v.Projected != nil {
			v.Projected.Sources = nil
		}
	}
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range statuses {
			trimStatus(&statuses[i])
		}
	}
	p.Status.EphemeralContainerStatuses = nil
}

func trimContainer(c *corev1.Container) {
	c.Command, c.Args, c.WorkingDir = nil, nil, ""
	c.EnvFrom, c.Env = nil, nil
	c.VolumeMounts, c.VolumeDevices = nil, nil
	c.LivenessProbe, c.ReadinessProbe, c.StartupProbe, c.Lifecycle = nil, nil, nil, nil
	c.TerminationMessagePath, c.TerminationMessagePolicy = "", ""
}

// trimStatus keeps the resources that a resized container has.
func trimStatus(s *corev1.ContainerStatus) {
	s.State, s.LastTerminationState = corev1.ContainerState{}, corev1.ContainerState{}
	s.Image, s.ImageID, s.ContainerID = "", "", ""
	s.VolumeMounts = nil
}
