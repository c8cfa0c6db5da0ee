package leastwaste

import (
	"fmt"
	"math"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/klog/v2"
)

// Verdict is the result for an option, with its reason.
type Verdict string

const (
	Chosen      Verdict = "chosen"
	IdleDevices Verdict = "accelerators that no pod asks for" // and another option has none
	FewerPods   Verdict = "fewer pods"                        // than another that wastes no more for each, or as little in all
	WastesMore  Verdict = "wastes more"
)

// judge sets the Verdict of each explanation. At least one is Chosen if there is any.
func judge(explanations []Explanation) {
	contenders := withoutIdleDevices(explanations)
	contenders = withoutFewerPods(explanations, contenders)
	lowest, most := math.Inf(1), 0
	for _, i := range contenders {
		lowest = min(lowest, explanations[i].Score)
	}
	for _, i := range contenders {
		if e := &explanations[i]; e.Score-tolerance(e.Used, e.Offered) <= lowest {
			e.Verdict = Chosen
			most = max(most, e.Pods)
		} else {
			e.Verdict = WastesMore
		}
	}
	for _, i := range contenders {
		if e := &explanations[i]; e.Verdict == Chosen && e.Pods < most {
			e.Verdict = FewerPods
		}
	}
}

// withoutIdleDevices has those with accelerators that no pod asks for lose to any without accelerators.
func withoutIdleDevices(explanations []Explanation) []int {
	var left, idle []int
	plain := false
	for i, e := range explanations {
		plain = plain || e.Offered.Accelerators <= 0
		if e.idles() {
			idle = append(idle, i)
		} else {
			left = append(left, i)
		}
	}
	if !plain {
		return append(left, idle...)
	}
	for _, i := range idle {
		explanations[i].Verdict = IdleDevices
	}
	return left
}

// withoutFewerPods has those lose that place fewer pods than another which wastes no more of anything for each.
func withoutFewerPods(explanations []Explanation, contenders []int) []int {
	left := contenders[:0:0]
	for _, i := range contenders {
		e := &explanations[i]
		for _, j := range contenders {
			other := explanations[j]
			switch {
			case other.Pods <= e.Pods || e.Pods > 0 && !wastesNoMore(other, *e):
			case e.Score <= other.Score:
				e.Verdict = FewerPods
			case e.Verdict == "":
				e.Verdict = WastesMore
			}
		}
		if e.Verdict == "" {
			left = append(left, i)
		}
	}
	return left
}

type Size struct {
	CPUMillis    int64
	MemoryBytes  int64
	Accelerators int64
}

// Score returns the mean idle ratio of the offered resources less the used ones: 0 is full, 1 is empty. Accelerators count
// where any are offered. It is below 0 only where more is used than offered, and always finite.
func Score(used, offered Size) float64 {
	cpu, memory := idleRatio(used.CPUMillis, offered.CPUMillis), idleRatio(used.MemoryBytes, offered.MemoryBytes)
	if offered.Accelerators <= 0 {
		return (cpu + memory) / 2 // the halved sum is exact in binary floating point: equal values stay equal
	}
	return (cpu + memory + idleRatio(used.Accelerators, offered.Accelerators)) / 3
}

// idleRatio takes a resource that is not offered for wholly idle, so that it never helps the option.
func idleRatio(used, offered int64) float64 {
	if offered <= 0 {
		return 1
	}
	return float64(offered-used) / float64(offered)
}

// alikeRatio is the difference in allocatable up to which two nodes are alike (the core's MaxAllocatableDifferenceRatio).
// Between g4dn.xlarge and g6.xlarge, with 16 GiB each by EC2, it is 4 % of the memory.
const alikeRatio = 0.05

// tolerance returns by how much a score may be above the lowest and still share the first place: how much lower it would be on
// similar nodes with less memory.
func tolerance(used, offered Size) float64 {
	resources := 2.0
	if offered.Accelerators > 0 {
		resources = 3
	}
	usedRatio := 1 - idleRatio(used.MemoryBytes, offered.MemoryBytes)
	return alikeRatio * min(max(usedRatio, 0), 1) / resources
}

// wastesNoMore reports whether a leaves no more of anything idle for each of its pods than b does.
func wastesNoMore(a, b Explanation) bool {
	noMore := func(ofA, ofB int64) bool { return float64(ofA)/float64(a.Pods) <= float64(ofB)/float64(b.Pods) }
	return noMore(a.Offered.CPUMillis-a.Used.CPUMillis, b.Offered.CPUMillis-b.Used.CPUMillis) &&
		noMore(a.Offered.MemoryBytes-a.Used.MemoryBytes, b.Offered.MemoryBytes-b.Used.MemoryBytes) &&
		noMore(a.Offered.Accelerators-a.Used.Accelerators, b.Offered.Accelerators-b.Used.Accelerators)
}

// Explanation is the judgement of one option.
type Explanation struct {
	NodeGroup   string  // ID of the node group
	Nodes       int     // nodes the option adds
	Pods        int     // pods that find a place on them
	Accelerator string  // resource of the accelerators that all the nodes have, "" for none
	Used        Size    // sum of what those pods request
	Offered     Size    // what all the nodes together have for them
	Score       float64 // mean of the idle ratios, the lowest wins
	Verdict     Verdict
}

// String returns the explanation as one line, with ratios rounded to three digits.
func (e Explanation) String() string {
	devices := ""
	if e.Offered.Accelerators > 0 {
		devices = fmt.Sprintf(", %.3f of %s", idleRatio(e.Used.Accelerators, e.Offered.Accelerators), e.Accelerator)
	}
	return fmt.Sprintf("%s: %d node(s) for %d pod(s) leave %.3f of CPU, %.3f of memory%s idle, score %.3f: %s",
		e.NodeGroup, e.Nodes, e.Pods, idleRatio(e.Used.CPUMillis, e.Offered.CPUMillis), idleRatio(e.Used.MemoryBytes, e.Offered.MemoryBytes), devices,
		e.Score, e.Verdict)
}

func explain(option expander.Option, info *framework.NodeInfo, requests requestCache) Explanation {
	each := acceleratorsOf(info)
	e := Explanation{
		NodeGroup: option.NodeGroup.Id(), Nodes: option.NodeCount, Pods: len(option.Pods), Accelerator: each.name,
		Used: requests.sum(option.Pods), Offered: offeredBy(info, int64(option.NodeCount), requests),
	}
	if each.count > 0 {
		e.Used.Accelerators = each.used(option.Pods, option.NodeCount, requests)
		e.Offered.Accelerators = each.count * int64(option.NodeCount)
	}
	e.Score = Score(e.Used, e.Offered)
	return e
}

// LeavesAcceleratorsIdle reports whether the option's nodes have accelerators that none of its pods asks for.
func LeavesAcceleratorsIdle(option expander.Option, info *framework.NodeInfo) bool {
	return explain(option, info, requestCache{}).idles()
}

func (e Explanation) idles() bool { return e.Offered.Accelerators > 0 && e.Used.Accelerators <= 0 }

func offeredBy(info *framework.NodeInfo, nodes int64, requests requestCache) Size {
	list := publishedBy(info)
	var everywhere []*apiv1.Pod
	for _, pod := range info.Pods() {
		everywhere = append(everywhere, pod.Pod)
	}
	taken := requests.sum(everywhere)
	return Size{CPUMillis: (list.Cpu().MilliValue() - taken.CPUMillis) * nodes,
		MemoryBytes: (list.Memory().Value() - taken.MemoryBytes) * nodes}
}

// request is what one pod asks for. It stays a pair of quantities until all are added up: rounding each pod up to a
// whole millicore first would give another sum.
type request struct {
	cpu, memory  resource.Quantity
	accelerators apiv1.ResourceList
}

// requestCache keeps what each pod asks for, because the same pods stand in the options of many groups.
type requestCache map[*apiv1.Pod]request

func (c requestCache) of(pod *apiv1.Pod) request {
	r, known := c[pod]
	if !known {
		list := podutils.PodRequests(pod)
		r = request{cpu: list.Cpu().DeepCopy(), memory: list.Memory().DeepCopy(), accelerators: acceleratorsIn(list)}
		c[pod] = r
	}
	return r
}

// sum adds up the pods' requests without accelerators.
func (c requestCache) sum(pods []*apiv1.Pod) Size {
	var total request
	for _, pod := range pods {
		r := c.of(pod)
		total.cpu.Add(r.cpu)
		total.memory.Add(r.memory)
	}
	return Size{CPUMillis: total.cpu.MilliValue(), MemoryBytes: total.memory.Value()}
}

// Filter keeps the options that leave the least idle. It implements the core's expander.Filter. The zero value is ready.
type Filter struct {
	last map[string]fmt.Stringer // see Words
}

// Words returns the judgements of the options of the last BestOptions, by node group ID. The map is not changed any more.
func (f *Filter) Words() map[string]fmt.Stringer { return f.last }

// BestOptions keeps the given order. It leaves out an option whose group has no node template, and returns nil if none can be judged.
func (f *Filter) BestOptions(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []expander.Option {
	explanations, judged := explainAll(options, nodeInfos)
	f.last = make(map[string]fmt.Stringer, len(explanations))
	var best []expander.Option
	for i, e := range explanations {
		f.last[e.NodeGroup] = e
		klog.Background().V(4).Info("Judged a scale-up option", "explanation", e)
		if e.Verdict == Chosen {
			best = append(best, judged[i])
		}
	}
	return best
}

// explainAll returns the options that could be judged, and an explanation for each under the same index.
func explainAll(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) ([]Explanation, []expander.Option) {
	var explanations []Explanation
	var judged []expander.Option
	requests := requestCache{}
	for _, option := range options {
		info := nodeInfos[option.NodeGroup.Id()]
		if info == nil || info.Node() == nil {
			klog.Background().V(2).Info("Left out a scale-up option without a node template", "nodeGroup", option.NodeGroup.Id())
			continue
		}
		explanations = append(explanations, explain(option, info, requests))
		judged = append(judged, option)
	}
	judge(explanations)
	return explanations, judged
}
