package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
)

// Emptied are nodes whose pods look for other places while the core scales up. These nodes take no pod meanwhile.
type Emptied struct {
	Nodes map[string]*framework.NodeInfo // as they were, by name
	pods  map[types.UID]bool             // that are off these nodes
}

// Take closes a node in the snapshot and takes pods off it, which it returns as pods that wait for a node. What they hold is free for
// them elsewhere: claimed devices, volumes, and their part in a spread or an anti-affinity. Their ProvisioningRequest has had its nodes, so
// they consume none.
func (e *Emptied) Take(s clustersnapshot.ClusterSnapshot, info *framework.NodeInfo, pods []*corev1.Pod) (free []*corev1.Pod) {
	name := info.Node().Name
	if err := replaceNode(s, shut(info, len(info.GetPods())-len(pods)), info); err != nil {
		klog.ErrorS(err, "Could not count the pods of a node as pending", "node", name)
		return nil
	}
	if e.Nodes == nil {
		e.Nodes, e.pods = map[string]*framework.NodeInfo{}, map[types.UID]bool{}
	}
	e.Nodes[name] = info
	for _, p := range pods {
		if err := s.UnschedulePod(p.Namespace, p.Name, name); err != nil {
			klog.ErrorS(err, "Could not take a pod off its node in the snapshot", "node", name, "pod", klog.KObj(p))
			continue
		}
		e.pods[p.UID] = true
		free = append(free, WithoutRequest(Unbound(p)))
	}
	return free
}

// Restore takes the pods off the nodes on which the core has put them, and puts their own nodes back as they were. It returns the nodes
// that the core has found for them. book, which may be nil, books the room of ProvisioningRequests again while the pods are there that are first.
func (e *Emptied) Restore(s clustersnapshot.ClusterSnapshot, book func(), first func(*corev1.Pod) bool) map[types.UID]*corev1.Node {
	if len(e.Nodes) == 0 {
		return nil
	}
	places := map[types.UID]*corev1.Node{}
	for _, all := range []bool{book == nil, true} {
		infos, err := s.ListNodeInfos()
		if err != nil {
			klog.ErrorS(err, "Could not look for the places of pods that are to leave their nodes")
		}
		for _, info := range infos {
			for _, p := range Pods(info) {
				if e.pods[p.UID] && (all || !first(p)) {
					places[p.UID] = info.Node()
				} else if all || string(p.UID) != p.Namespace+"/"+p.Name { // as the core names the pods of bookings
					continue
				}
				if err := s.UnschedulePod(p.Namespace, p.Name, info.Node().Name); err != nil {
					klog.ErrorS(err, "Could not take a pod off its new place in the snapshot", "pod", klog.KObj(p))
				}
			}
		}
		if all {
			break
		}
		book()
	}
	for name, info := range e.Nodes {
		for _, p := range info.Pods() {
			if !e.pods[p.UID] {
				continue
			}
			for _, claim := range p.NeededResourceClaims { // one that is not the pod's own stays in the snapshot, without its devices
				_ = s.DraSnapshot().ResourceClaims().SignalClaimPendingAllocation(claim.UID, claim.DeepCopy())
			}
			_ = s.ForceAddPod(p.Pod, name) // with its own claims, which leave the snapshot with the node
		}
		if err := replaceNode(s, info, nil); err != nil {
			klog.ErrorS(err, "Could not put a node back whose pods were counted as pending, this loop does without it", "node", name)
		}
	}
	e.Nodes, e.pods = nil, nil
	return places
}

// shut returns a copy of the node that takes no more than a number of pods.
func shut(info *framework.NodeInfo, pods int) *framework.NodeInfo {
	closed := info.DeepCopy()
	full := closed.Node() // whatever pods tolerate
	full.Spec.Unschedulable = true
	full.Status.Allocatable = corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(int64(pods), resource.DecimalSI)}
	closed.SetNode(full)
	return closed
}

// replaceNode puts a node into the snapshot in the place of another form of it. If that fails it puts the other form back.
func replaceNode(s clustersnapshot.ClusterSnapshot, now, before *framework.NodeInfo) error {
	if err := s.RemoveNodeInfo(now.Node().Name); err != nil {
		return err
	}
	err := s.AddNodeInfo(now)
	if err != nil && before != nil {
		_ = s.AddNodeInfo(before)
	}
	return err
}
