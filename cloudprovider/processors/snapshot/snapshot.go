package snapshot

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/predicate"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/store"
	csisnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/csi/snapshot"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
)

// Snapshot is the core's own snapshot with safe look-ups. It keeps what the core works out of each pod as long as the pod stays the same.
// Like the core's, it is for one goroutine at a time.
type Snapshot struct {
	*predicate.PredicateSnapshot
	known   map[types.UID]*framework.PodInfo
	prefers map[types.UID]string // see Prefer
}

// New makes an empty Snapshot as the options say. With CSINodes it runs predicates in one goroutine, because each fork that the
// core reverts forgets look-ups, and the next predicate of every node does them again.
func New(options config.AutoscalingOptions, handle *framework.Handle) *Snapshot {
	parallelism := options.PredicateParallelism
	if options.CSINodeAwareSchedulingEnabled {
		parallelism = 1
	}
	return &Snapshot{PredicateSnapshot: predicate.NewPredicateSnapshot(store.NewDeltaSnapshotStore(options.ClusterSnapshotParallelism), handle,
		options.DynamicResourceAllocationEnabled, parallelism, options.CSINodeAwareSchedulingEnabled)}
}

// ForDeletions changes the options so that the core's own snapshots of nodes it deletes are safe, too, and need no CSINode, which a node
// may lack. The core reads these options for nothing else once it has a Snapshot and its provider of CSINodes.
func ForDeletions(options config.AutoscalingOptions) config.AutoscalingOptions {
	options.PredicateParallelism, options.CSINodeAwareSchedulingEnabled = 1, false
	return options
}

// SetClusterState replaces the contents. It looks up the claims of all pods, and the predicates need no more, because they look up device
// classes in their first phase, and one goroutine runs that phase.
//
// The claims are the informer's own objects. The fork keeps them as they are, because changes go to copies in a layer above.
func (s *Snapshot) SetClusterState(nodes []*corev1.Node, scheduled []*corev1.Pod, claims *drasnapshot.Snapshot,
	volumes *csisnapshot.Snapshot) error {
	if claims != nil {
		claims.Fork()
	}
	if err := s.PredicateSnapshot.SetClusterState(nil, nil, claims, volumes); err != nil {
		return err
	}
	infos := make(map[string]*framework.NodeInfo, len(nodes))
	for _, node := range nodes {
		infos[node.Name] = s.nodeInfo(node)
	}
	known := make(map[types.UID]*framework.PodInfo, len(scheduled))
	for _, pod := range scheduled {
		on := infos[pod.Spec.NodeName]
		if on == nil {
			continue
		}
		info := s.podInfo(pod, claims)
		known[pod.UID] = info
		on.AddPod(info)
	}
	s.known = known
	for _, node := range nodes {
		if err := s.StoreNodeInfo(infos[node.Name]); err != nil {
			return err
		}
	}
	return nil
}

// nodeInfo returns a new NodeInfo without pods. It has no CSINode if the node has none: kubelet's comes a moment after its Node, and where
// no kubelet runs none ever does.
func (s *Snapshot) nodeInfo(node *corev1.Node) *framework.NodeInfo {
	published, _ := s.DraSnapshot().NodeResourceSlices(node.Name)
	info := framework.NewNodeInfo(node, published)
	if csiNode, err := s.CsiSnapshot().Get(node.Name); err == nil {
		info.SetCSINode(csiNode)
	}
	return info
}

// podInfo returns the pod with its claims. They are left out where nobody reads claims, and where one of them is unknown, because anybody
// may bind a pod whose claim does not exist. Such a pod fits on no other node. A pod without claims keeps its PodInfo, which has the sum
// of its requests.
func (s *Snapshot) podInfo(pod *corev1.Pod, read *drasnapshot.Snapshot) *framework.PodInfo {
	var claims []*resourceapi.ResourceClaim
	last := s.known[pod.UID]
	if read != nil {
		var err error
		if claims, err = read.PodClaims(pod); err != nil && (last == nil || len(last.NeededResourceClaims) > 0) {
			klog.Background().Info("Counted a pod without its resource claims", "pod", klog.KObj(pod), "node", pod.Spec.NodeName,
				"reason", err.Error())
		}
	}
	if last != nil && last.Pod == pod && len(last.NeededResourceClaims)+len(claims) == 0 {
		return last
	}
	return framework.NewPodInfo(pod, claims)
}

// Prefer has SchedulePodOnAnyNodeMatching try a node first, for each of these pods.
func (s *Snapshot) Prefer(nodes map[types.UID]string) { s.prefers = nodes }

func (s *Snapshot) SchedulePodOnAnyNodeMatching(pod *corev1.Pod, options clustersnapshot.SchedulingOptions) (string, clustersnapshot.SchedulingError) {
	if node := s.prefers[pod.UID]; node != "" {
		info, err := s.GetNodeInfo(node)
		if err == nil && (options.IsNodeAcceptable == nil || options.IsNodeAcceptable(info)) && s.SchedulePod(pod, node) == nil {
			return node, nil
		}
	}
	return s.PredicateSnapshot.SchedulePodOnAnyNodeMatching(pod, options)
}

// RemoveNodeInfo removes a node with its pods. It removes pods with borrowed claims first, because the core removes a pod's own
// claims with the pod and panics over the next pod that uses one.
func (s *Snapshot) RemoveNodeInfo(name string) error {
	info, err := s.GetNodeInfo(name)
	if err != nil {
		return err
	}
	for _, pod := range info.Pods() {
		if !s.borrows(pod.Pod) {
			continue
		}
		if err := s.ForceRemovePod(pod.Namespace, pod.Name, name); err != nil {
			return err
		}
	}
	return s.PredicateSnapshot.RemoveNodeInfo(name)
}

// borrows reports whether the pod uses an unknown claim or a claim that another pod owns.
func (s *Snapshot) borrows(pod *corev1.Pod) bool {
	claims, err := s.DraSnapshot().PodClaims(pod)
	return err != nil || slices.ContainsFunc(claims, func(claim *resourceapi.ResourceClaim) bool {
		return metav1.GetControllerOf(claim) != nil && !metav1.IsControlledBy(claim, pod)
	})
}
