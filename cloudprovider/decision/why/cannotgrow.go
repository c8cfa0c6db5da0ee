package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// order is the order in which reasons of groups that cannot grow are named: limits that the operator set come first, then faults, then
// what passes.
var order = []decision.Code{decision.CodePaused, decision.CodeMaxSize, decision.CodeSpendCap, decision.CodeQuota, decision.CodeMaxNodesTotal, decision.CodeDenied, decision.CodeDegraded,
	decision.CodeAccelerator, decision.CodeConfiguration, decision.CodeAccountLimit, decision.CodeStale, decision.CodeCoolDown, decision.CodeBackoff,
	decision.CodeNotReady}

// lasting is the place of the code in the order, the last one for codes that are not in it.
func lasting(c decision.Code) int {
	if at := slices.Index(order, c); at >= 0 {
		return at
	}
	return len(order)
}

// byUrgency compares reasons: by their order, and of one code the one first that does not pass by itself.
func byUrgency(a, b decision.Reason) int {
	passes := map[bool]int{true: 1}
	return cmp.Or(lasting(a.Code)-lasting(b.Code), passes[a.Passes]-passes[b.Passes])
}

// cannotGrow is the reason of groups that would take the pod, but cannot grow now. It names two kinds of causes at most, and the next
// step of either, unless the second one passes by itself.
func cannotGrow(list []candidate) decision.Reason {
	slices.SortStableFunc(list, func(a, b candidate) int { return byUrgency(a.Reason, b.Reason) })
	r := list[0].Reason
	var clauses []string
	others := len(list)
	for at, same := range grouped(list, (*candidate).kind) {
		if at > 1 {
			break
		}
		step, _, _ := strings.Cut(same[0].Reason.Remedy, "\n")
		if at == 1 && step != "" && r.Remedy != "" && !same[0].Reason.Passes {
			r.Remedy += fmt.Sprintf("\nor, for %s: %s", Named("group", names(same)), step)
		}
		clauses, others = append(clauses, alike(same)), others-len(same)
	}
	if others > 0 {
		clauses = append(clauses, Count(others, "more group")+" cannot grow either")
	}
	r.Message = clean(strings.Join(clauses, ", and "), maxMessage)
	return r
}

// kind is equal for groups that one remedy helps.
func (c *candidate) kind() string {
	if c.Reason.Code == decision.CodeMaxSize {
		return string(c.Reason.Code) // with figures in the remedy
	}
	name := shell(autoScaling(c.group))
	words := slices.DeleteFunc(strings.Fields(c.Reason.Remedy), func(word string) bool { return strings.TrimRight(word, ":") == name })
	return string(c.Reason.Code) + strings.Join(words, " ")
}

// alike says why groups cannot grow that have the same kind of reason.
func alike(list []candidate) string {
	switch r := list[0].Reason; {
	case len(list) == 1, r.Code == decision.CodeStale:
		return r.Message
	case r.Code == decision.CodeMaxSize:
		return Named("group", names(list)) + " have their maximum size"
	default:
		return r.Message + ", likewise " + Named("group", names(list[1:]))
	}
}

func names(list []candidate) []string {
	all := make([]string, len(list))
	for i, c := range list {
		all[i] = c.Group
	}
	return all
}
