package leastcost

import (
	"slices"
	"strings"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/klog/v2"
)

// place is one node that was asked for, with the pods that the plan has on it.
type place struct {
	groups []string // possible groups of the node: the equally good options, then the groups balanced with them
	pods   []types.UID
}

// places puts pods on the nodes planned for them, in the core's snapshot of the cluster. See Filter.Places.
type places struct {
	filter  *Filter
	groupOf func(*apiv1.Node) string
}

// Places returns a processor for the core's list of pending pods, to be set before all others. The core packs pending pods on
// upcoming nodes in its own order, spread over all of them. Pods planned for another node then take the room of the pods for
// which the nodes were requested, and these cause another scale-up. So the processor first puts the pods of earlier scale-ups
// on their planned nodes, as far as the scheduler's filters agree, and takes them off the list. Other pending pods find the
// remaining room, as without a plan.
//
// groupOf returns the group of a node of the snapshot, real or a placeholder, or "". A place is forgotten when its pods are no
// longer pending or no node is found for it. The processor belongs on the goroutine of the core's loop, as the Filter does.
func (f *Filter) Places(groupOf func(*apiv1.Node) string) pods.PodListProcessor {
	return &places{filter: f, groupOf: groupOf}
}

// remember stores the places of the nodes about to be requested.
func (f *Filter) remember(candidates []candidate, b choice) {
	if b.nodes == 0 {
		return
	}
	groups := b.groups(candidates)
	for _, pods := range b.nodePods {
		f.places = append(f.places, place{groups: groups, pods: uids(pods)})
	}
}

// groups are the IDs of the groups that may get the chosen nodes: the equally good options, then the groups balanced with them.
func (b choice) groups(candidates []candidate) []string {
	var groups []string
	for _, i := range b.chosen {
		groups = append(groups, candidates[i].id)
	}
	for _, i := range b.chosen {
		for _, similar := range candidates[i].option.SimilarNodeGroups {
			if id := similar.Id(); !slices.Contains(groups, id) {
				groups = append(groups, id)
			}
		}
	}
	return groups
}

func uids(pods []*apiv1.Pod) []types.UID {
	list := make([]types.UID, len(pods))
	for i, pod := range pods {
		list[i] = pod.UID
	}
	return list
}

// Process puts planned pods in their places, and returns the others.
func (p *places) Process(ctx *cacontext.AutoscalingContext, pending []*apiv1.Pod) ([]*apiv1.Pod, error) {
	if len(p.filter.places) == 0 || len(pending) == 0 {
		p.filter.places = nil
		return pending, nil
	}
	nodes, err := p.nodes(ctx.ClusterSnapshot)
	if err != nil {
		return pending, err
	}
	byUID := make(map[types.UID]*apiv1.Pod, len(pending))
	for _, pod := range pending {
		byUID[pod.UID] = pod
	}
	placed := make(map[types.UID]bool)
	kept := p.filter.places[:0]
	for _, at := range p.filter.places {
		at.pods = slices.DeleteFunc(at.pods, func(uid types.UID) bool { return byUID[uid] == nil || placed[uid] })
		if put(ctx.ClusterSnapshot, at, byUID, nodes, placed) {
			kept = append(kept, at)
		}
	}
	clear(p.filter.places[len(kept):])
	p.filter.places = kept
	if len(placed) > 0 {
		klog.Background().V(4).Info("Put pending pods on the nodes planned for them", "pods", len(placed), "nodes", len(kept))
	}
	return slices.DeleteFunc(slices.Clone(pending), func(pod *apiv1.Pod) bool { return placed[pod.UID] }), nil
}

// put places the pods on the next node of their groups that takes the first of them, and reports whether there was one. Pods
// that the node does not take stay pending. A node that was tried is not tried for another place.
func put(snapshot clustersnapshot.ClusterSnapshot, at place, pending map[types.UID]*apiv1.Pod, nodes map[string][]string,
	placed map[types.UID]bool) bool {
	if len(at.pods) == 0 {
		return false
	}
	for _, group := range at.groups {
		for len(nodes[group]) > 0 {
			node := nodes[group][0]
			nodes[group] = nodes[group][1:]
			if snapshot.SchedulePod(pending[at.pods[0]], node) != nil {
				continue
			}
			placed[at.pods[0]] = true
			for _, uid := range at.pods[1:] {
				if snapshot.SchedulePod(pending[uid], node) == nil {
					placed[uid] = true
				}
			}
			return true
		}
	}
	return false
}

// nodes are the names of the nodes by group, sorted.
func (p *places) nodes(snapshot clustersnapshot.ClusterSnapshot) (map[string][]string, error) {
	infos, err := snapshot.ListNodeInfos()
	if err != nil {
		return nil, err
	}
	nodes := make(map[string][]string)
	for _, info := range infos {
		if group := p.groupOf(info.Node()); group != "" {
			nodes[group] = append(nodes[group], info.Node().Name)
		}
	}
	for _, names := range nodes {
		slices.SortFunc(names, strings.Compare)
	}
	return nodes, nil
}

// CleanUp implements the core's PodListProcessor.
func (p *places) CleanUp() {}
