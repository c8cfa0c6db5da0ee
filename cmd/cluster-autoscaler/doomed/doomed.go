// Package doomed makes the core count the pods of nodes that AWS is about to take as pending, so that it decides on their
// replacement while they still run.
//
// It does for interrupted nodes what the core does for those it drains itself. A node counts once the loop sees it cordoned: before
// that, its pods would seem to fit on it. When the scale-up of a loop is over, whoever drains the nodes is told that the
// replacement of their pods is decided on. A pod that is evicted between two loops is pending by itself, and finds the node
// that was asked for.
package doomed

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	podutil "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/klog/v2"
)

// Drains knows the nodes. Implemented by interruption.Handler.
type Drains interface {
	// Doomed are the names of nodes that are being drained.
	Doomed() []string
	// Decided is told of those whose pods have been counted in a scale-up.
	Decided(nodes []string)
}

// Pods adds the pods of doomed nodes to those that wait for a node. It implements the core's PodListProcessor and, in the same
// loop, its ScaleUpStatusProcessor, and is used by the core's loop alone.
type Pods struct {
	drains  Drains
	counted []string // nodes whose pods this loop counts
}

// NewPods makes a Pods.
func NewPods(d Drains) *Pods { return &Pods{drains: d} }

// List is the PodListProcessor's side. It belongs before the core's own, which drops what fits on the nodes there are.
type List struct{ *Pods }

// Process adds the pods.
func (l List) Process(ctx *cacontext.AutoscalingContext, unschedulable []*corev1.Pod) ([]*corev1.Pod, error) {
	l.counted = l.counted[:0]
	for _, name := range l.drains.Doomed() {
		info, err := ctx.ClusterSnapshot.GetNodeInfo(name)
		if err != nil { // the node is gone
			l.counted = append(l.counted, name)
			continue
		}
		if !info.Node().Spec.Unschedulable {
			continue
		}
		var pods []*corev1.Pod
		for _, pod := range info.Pods() {
			if pod.Pod.DeletionTimestamp == nil {
				pods = append(pods, pod.Pod)
			}
		}
		pods = podutil.FilterRecreatablePods(pods)
		klog.V(2).InfoS("Counted the pods of a node that is about to go as pending", "node", klog.KRef("", name), "pods", len(pods))
		unschedulable = append(unschedulable, podutil.ClearPodNodeNames(pods)...)
		l.counted = append(l.counted, name)
	}
	return unschedulable, nil
}

// CleanUp implements the core's PodListProcessor.
func (List) CleanUp() {}

// Status is the ScaleUpStatusProcessor's side.
type Status struct{ *Pods }

// Process tells that the scale-up is over.
func (s Status) Process(*cacontext.AutoscalingContext, *status.ScaleUpStatus) {
	if len(s.counted) > 0 {
		s.drains.Decided(slices.Clone(s.counted))
		s.counted = s.counted[:0]
	}
}

// CleanUp implements the core's ScaleUpStatusProcessor.
func (Status) CleanUp() {}
