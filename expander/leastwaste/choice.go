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
