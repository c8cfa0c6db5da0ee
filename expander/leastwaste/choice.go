package leastwaste

import "math"

// Verdict is the result for an option, with its reason.
type Verdict string

// The verdicts.
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
		if e := &explanations[i]; e.Score-e.Tolerance <= lowest {
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

// withoutIdleDevices are the explanations left once those with accelerators that no pod asks for have lost to any without
// accelerators.
func withoutIdleDevices(explanations []Explanation) []int {
	var left, idle []int
	plain := false
	for i, e := range explanations {
		plain = plain || e.Offered.Accelerators <= 0
		if e.Offered.Accelerators > 0 && e.Used.Accelerators <= 0 {
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

// withoutFewerPods are the contenders left once those have lost that place fewer pods than another which wastes no more of
// anything for each.
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

// Size is an amount of the resources that are weighed.
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

// idleRatio returns the unused share of offered. A resource that is not offered counts as wholly idle and never helps the
// option.
func idleRatio(used, offered int64) float64 {
	if offered <= 0 {
		return 1
	}
	return float64(offered-used) / float64(offered)
}

// alikeRatio is the difference in allocatable up to which two nodes are alike (the core's MaxAllocatableDifferenceRatio).
// Between g4dn.xlarge and g6.xlarge, with 16 GiB each by EC2, it is 4 % of the memory.
const alikeRatio = 0.05

// tolerance returns how much lower the score would be on similar nodes with less memory.
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
	idle := func(e Explanation) [3]float64 {
		pods := float64(e.Pods)
		return [3]float64{float64(e.Offered.CPUMillis-e.Used.CPUMillis) / pods,
			float64(e.Offered.MemoryBytes-e.Used.MemoryBytes) / pods, float64(e.Offered.Accelerators-e.Used.Accelerators) / pods}
	}
	idleA, idleB := idle(a), idle(b)
	for i := range idleA {
		if idleA[i] > idleB[i] {
			return false
		}
	}
	return true
}
