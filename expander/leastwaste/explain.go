package leastwaste

import (
	"fmt"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
)

// Explanation is how one option came to its score. It is a plain value: comparable, and fit for logs and JSON.
type Explanation struct {
	NodeGroup       string  // ID of the node group
	Nodes           int     // nodes the option adds
	Pods            int     // pods that find a place on them
	Used            Size    // sum of what those pods request
	Offered         Size    // capacity of all the nodes together
	IdleCPURatio    float64 // unused share of the offered CPU, 1 where none is offered
	IdleMemoryRatio float64 // unused share of the offered memory, 1 where none is offered
	Score           float64 // mean of the idle ratios; the lowest wins
}

// String tells the explanation in one line, ratios rounded to three digits.
func (e Explanation) String() string {
	return fmt.Sprintf("%s: %d node(s) for %d pod(s) leave %.3f of CPU and %.3f of memory idle, score %.3f",
		e.NodeGroup, e.Nodes, e.Pods, e.IdleCPURatio, e.IdleMemoryRatio, e.Score)
}

// explain scores one option on nodes such as node.
func explain(option expander.Option, node *apiv1.Node, requests requestCache) Explanation {
	used := requests.sum(option.Pods)
	offered := offeredBy(node, option.NodeCount)
	cpu := idleRatio(used.CPUMillis, offered.CPUMillis)
	memory := idleRatio(used.MemoryBytes, offered.MemoryBytes)
	return Explanation{
		NodeGroup:       option.NodeGroup.Id(),
		Nodes:           option.NodeCount,
		Pods:            len(option.Pods),
		Used:            used,
		Offered:         offered,
		IdleCPURatio:    cpu,
		IdleMemoryRatio: memory,
		Score:           mean(cpu, memory),
	}
}

// offeredBy is the capacity of count nodes such as node. Capacity rather than allocatable, as the Cluster Autoscaler's
// own expander has it.
func offeredBy(node *apiv1.Node, count int) Size {
	capacity := node.Status.Capacity
	return Size{
		CPUMillis:   capacity.Cpu().MilliValue() * int64(count),
		MemoryBytes: capacity.Memory().Value() * int64(count),
	}
}

// nodeOf is the node behind the template of a group, nil when the group has none.
func nodeOf(nodeInfos map[string]*framework.NodeInfo, group string) *apiv1.Node {
	info := nodeInfos[group]
	if info == nil {
		return nil
	}
	return info.Node()
}

// request is what one pod asks for. It stays a pair of quantities until all are added up: rounding each pod up to a
// whole millicore first would give another sum.
type request struct {
	cpu, memory resource.Quantity
}

// requestCache keeps what each pod asks for, because the same pods stand in the options of many groups.
type requestCache map[*apiv1.Pod]request

func (c requestCache) of(pod *apiv1.Pod) request {
	r, known := c[pod]
	if !known {
		list := podutils.PodRequests(pod)
		r = request{cpu: list.Cpu().DeepCopy(), memory: list.Memory().DeepCopy()}
		c[pod] = r
	}
	return r
}

// sum adds up what the pods request.
func (c requestCache) sum(pods []*apiv1.Pod) Size {
	var total request
	for _, pod := range pods {
		r := c.of(pod)
		total.cpu.Add(r.cpu)
		total.memory.Add(r.memory)
	}
	return Size{CPUMillis: total.cpu.MilliValue(), MemoryBytes: total.memory.Value()}
}
