package simulate

import (
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

// scheduler binds pods as kube-scheduler does by default, as far as it matters here. It binds one pod after the other, each to
// the fitting node with the highest score. Emptier nodes and nodes with a better balance of CPU and memory score higher
// (NodeResourcesFit with LeastAllocated, NodeResourcesBalancedAllocation). It knows nothing of a plan.
type scheduler struct {
	names []corev1.ResourceName
	nodes []*boundNode
}

// boundNode is a node with the pods bound to it.
type boundNode struct {
	node *corev1.Node
	room []int64 // by resource, CPU and memory first
	size []int64
	pods []*corev1.Pod
	// taken are the things of which the node had one.
	taken map[string]bool
}

func newScheduler(pods []*corev1.Pod) *scheduler {
	s := &scheduler{names: []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods}}
	for _, pod := range pods {
		for name := range mix.Requests(pod) {
			if !slices.Contains(s.names, name) {
				s.names = append(s.names, name)
			}
		}
	}
	return s
}

// add adds a node with its free resources, on which some pods run already.
func (s *scheduler) add(node *corev1.Node, offers corev1.ResourceList, running []*framework.PodInfo) {
	b := &boundNode{node: node, size: s.amounts(offers), taken: map[string]bool{}}
	b.room = slices.Clone(b.size)
	for _, info := range running {
		b.put(info.Pod, s.requests(info.Pod))
	}
	s.nodes = append(s.nodes, b)
}

// bind binds the pods in their order, and returns the pods that fit no node.
func (s *scheduler) bind(pods []*corev1.Pod) []*corev1.Pod {
	var pending []*corev1.Pod
	suits := map[[2]string]bool{}
	suit := func(pod *corev1.Pod, node *boundNode) bool {
		key := [2]string{pod.OwnerReferences[0].Name, node.node.Labels["asg-autoscaler/group"]}
		if _, known := suits[key]; !known {
			suits[key] = mix.Suits(pod, node.node)
		}
		return suits[key]
	}
	for _, pod := range pods {
		requests := s.requests(pod)
		spread := s.spread(pod, suit)
		var best *boundNode
		highest := math.Inf(-1)
		for _, node := range s.nodes {
			if !suit(pod, node) || !node.takes(pod, requests) || !spread(node) {
				continue
			}
			if score := node.score(requests); score > highest {
				best, highest = node, score
			}
		}
		if best == nil {
			pending = append(pending, pod)
			continue
		}
		best.put(pod, requests)
		best.pods = append(best.pods, pod)
	}
	return pending
}

// spread reports for each node whether the pod's topology spread allows it, as PodTopologySpread does, over the nodes that suit
// the pod.
func (s *scheduler) spread(pod *corev1.Pod, suit func(*corev1.Pod, *boundNode) bool) func(*boundNode) bool {
	if len(pod.Spec.TopologySpreadConstraints) == 0 {
		return func(*boundNode) bool { return true }
	}
	constraint := pod.Spec.TopologySpreadConstraints[0]
	counts, fewest := map[string]int{}, math.MaxInt
	for _, node := range s.nodes {
		if suit(pod, node) {
			counts[node.node.Labels[constraint.TopologyKey]] += node.count(pod)
		}
	}
	for _, n := range counts {
		fewest = min(fewest, n)
	}
	return func(node *boundNode) bool {
		return counts[node.node.Labels[constraint.TopologyKey]]+1-fewest <= int(constraint.MaxSkew)
	}
}

// count counts the pods of the pod's owner on the node.
func (b *boundNode) count(like *corev1.Pod) int {
	count := 0
	for _, pod := range b.pods {
		if pod.OwnerReferences[0].Name == like.OwnerReferences[0].Name {
			count++
		}
	}
	return count
}

func (b *boundNode) takes(pod *corev1.Pod, requests []int64) bool {
	for i, n := range requests {
		if n > b.room[i] {
			return false
		}
	}
	for _, name := range mix.Exclusive(pod) {
		if b.taken[name] {
			return false
		}
	}
	return true
}

func (b *boundNode) put(pod *corev1.Pod, requests []int64) {
	for i, n := range requests {
		b.room[i] -= n
	}
	for _, name := range mix.Exclusive(pod) {
		b.taken[name] = true
	}
}

// score is the sum of the two scores of kube-scheduler, each from 0 to 100, with the pod on the node.
func (b *boundNode) score(requests []int64) float64 {
	var used [2]float64
	for i := range used {
		used[i] = 1 - float64(b.room[i]-requests[i])/float64(max(1, b.size[i]))
	}
	mean := (used[0] + used[1]) / 2
	return math.Floor(100*(1-mean)) + math.Floor(100*(1-math.Abs(used[0]-used[1])/2))
}

func (s *scheduler) requests(pod *corev1.Pod) []int64 {
	list := s.amounts(mix.Requests(pod))
	list[2] = 1
	return list
}

func (s *scheduler) amounts(list corev1.ResourceList) []int64 {
	amounts := make([]int64, len(s.names))
	for i, name := range s.names {
		q := list[name]
		if name == corev1.ResourceCPU {
			amounts[i] = q.MilliValue()
		} else {
			amounts[i] = q.Value()
		}
	}
	return amounts
}
