package snapshot

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/equivalence"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeports"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
)

type Nodes struct {
	// First are the names of nodes that are tried first, in their order.
	First []string
	// Anywhere reports whether the pod may have any other node but those of But. It is nil for no pod.
	Anywhere func(*corev1.Pod) bool
	But      map[string]bool // by name
	// Over reports whether no further pod is to be tried. It is nil for never.
	Over func() bool
}

// Place puts pods on nodes of the snapshot, one after the other, as far as the scheduler's filters agree. It returns the node of each pod
// that has one. After an error the snapshot has the pods until then.
//
// Once a pod fits nowhere, pods equal to it are not tried. The filters run three times at most for a pod with a place. Resources and host
// ports are compared first, because the filters take a hundred times as long.
func Place(s clustersnapshot.ClusterSnapshot, pods []*corev1.Pod, on Nodes) (map[*corev1.Pod]string, error) {
	next := make(map[*corev1.Pod]*int, len(pods)) // the node that took the last equal pod, below 0 once none did
	for _, equal := range EqualPods(pods) {
		at := 0
		for _, pod := range equal {
			next[pod] = &at
		}
	}
	among := sync.OnceValue(func() sets.Set[string] { return sets.New(on.First...) }) // most pods need none of it
	placed := make(map[*corev1.Pod]string)
	for _, pod := range pods {
		at := next[pod]
		if on.Over != nil && on.Over() {
			break
		}
		if *at < 0 {
			continue
		}
		name, err := onFirst(s, pod, on.First, among, at)
		if err == nil && name == "" && on.Anywhere != nil && on.Anywhere(pod) {
			name, err = onAny(s, pod, func(info *framework.NodeInfo) bool { return !on.But[info.Node().Name] })
		}
		if err != nil {
			return placed, err
		}
		if name == "" {
			*at = -1
		} else {
			placed[pod] = name
		}
	}
	return placed, nil
}

// EqualPods groups the pods as the core does. The core's function writes to the containers of what it compares, and others read the pods of
// the informers meanwhile.
func EqualPods(pods []*corev1.Pod) [][]*corev1.Pod {
	if len(pods) == 1 {
		return [][]*corev1.Pod{pods}
	}
	of := make(map[*corev1.Pod]*corev1.Pod, len(pods))
	copies := make([]*corev1.Pod, len(pods))
	for at, pod := range pods {
		own := *pod
		own.Spec.Containers, own.Spec.InitContainers = slices.Clone(pod.Spec.Containers), slices.Clone(pod.Spec.InitContainers)
		copies[at], of[&own] = &own, pod
	}
	var groups [][]*corev1.Pod
	for _, group := range equivalence.BuildPodGroups(copies) {
		equal := make([]*corev1.Pod, len(group.Pods))
		for at, own := range group.Pods {
			equal[at] = of[own]
		}
		groups = append(groups, equal)
	}
	return groups
}

// onFirst puts the pod on the first of the nodes that takes it, beginning with the one at an index, and sets the index. It returns "" for none.
func onFirst(s clustersnapshot.ClusterSnapshot, pod *corev1.Pod, nodes []string, among func() sets.Set[string], at *int) (string, error) {
	for range nodes {
		name := nodes[*at]
		if info, err := s.GetNodeInfo(name); err == nil && MayFit(info, pod) {
			err := s.SchedulePod(pod, name)
			switch {
			case err == nil:
				return name, nil
			case err.Type() == clustersnapshot.SchedulingInternalError:
				return "", errors.ToAutoscalerError(errors.InternalError, err)
			case len(nodes) == 1:
				return "", nil
			}
			// Filters such as those of anti-affinity look at all pods, and now do so once for all nodes.
			name, failed := onAny(s, pod, func(info *framework.NodeInfo) bool { return among().Has(info.Node().Name) })
			if name != "" {
				*at = slices.Index(nodes, name)
			}
			return name, failed
		}
		*at = (*at + 1) % len(nodes)
	}
	return "", nil
}

// onAny puts the pod on any acceptable node. It returns "" for none.
func onAny(s clustersnapshot.ClusterSnapshot, pod *corev1.Pod, acceptable func(*framework.NodeInfo) bool) (string, error) {
	name, err := s.SchedulePodOnAnyNodeMatching(pod, clustersnapshot.SchedulingOptions{IsNodeAcceptable: func(info *framework.NodeInfo) bool {
		return acceptable(info) && MayFit(info, pod)
	}})
	if err != nil && err.Type() == clustersnapshot.SchedulingInternalError {
		return "", errors.ToAutoscalerError(errors.InternalError, err)
	}
	return name, nil
}

// MayFit reports whether the node has host ports and resources for the pod. Only the filters know whether a resource counts that the node
// does not state.
func MayFit(info *framework.NodeInfo, pod *corev1.Pod) bool {
	if !nodeports.Fits(pod, info) {
		return false
	}
	lacks := noderesources.Fits(pod, info, nil, noderesources.ResourceRequestsOptions{EnablePodLevelResources: true})
	return !slices.ContainsFunc(lacks, func(r noderesources.InsufficientResource) bool {
		_, stated := info.Node().Status.Allocatable[r.ResourceName]
		return stated
	})
}
