package decisions

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
)

// unhelped are the pods that no group helps. An answer of a group takes 8 bytes, where the core's own takes half a kilobyte.
type unhelped struct {
	count  int // of pods
	groups []string
	kinds  []kind
}

// kind are equivalent pods, and the answers of the groups in their order, nil for none. Groups that were asked later are missing.
type kind struct {
	pods    []*corev1.Pod
	answers []*refusal
}

// refusal is an answer. Many groups share one.
type refusal struct {
	skipped bool
	cores   why.Refusal // a reason of the core's own, or ours
	plugin  string      // of the scheduler, "" for a reason of the core's own
	reasons string      // the plugin's
	detail  string
}

// compacted returns the pods in a form that takes little memory. The core gives all equivalent pods the same maps of answers.
func compacted(pods []corestatus.NoScaleUpInfo) unhelped {
	u := unhelped{count: len(pods)}
	kinds, places, refusals := map[[2]uintptr]int{}, map[string]int{}, map[refusal]*refusal{}
	answers := func(p corestatus.NoScaleUpInfo) []*refusal {
		list := make([]*refusal, len(u.groups))
		for i, said := range []map[string]corestatus.Reasons{p.RejectedNodeGroups, p.SkippedNodeGroups} {
			for group, reasons := range said {
				at, known := places[group]
				if !known {
					at = len(u.groups)
					places[group], u.groups, list = at, append(u.groups, group), append(list, nil)
				}
				r := refusalOf(reasons, i == 1)
				if refusals[r] == nil {
					refusals[r] = new(r) // or each answer would take memory
				}
				list[at] = refusals[r]
			}
		}
		return list
	}
	for _, p := range pods {
		maps := [2]uintptr{reflect.ValueOf(p.RejectedNodeGroups).Pointer(), reflect.ValueOf(p.SkippedNodeGroups).Pointer()}
		at, known := kinds[maps]
		if !known {
			at = len(u.kinds)
			kinds[maps], u.kinds = at, append(u.kinds, kind{answers: answers(p)})
		}
		u.kinds[at].pods = append(u.kinds[at].pods, p.Pod)
	}
	return u
}

func refusalOf(reasons corestatus.Reasons, skipped bool) refusal {
	if e, ok := reasons.(clustersnapshot.SchedulingError); ok && e.FailingPredicateName() != "" {
		return refusal{skipped: skipped, plugin: e.FailingPredicateName(),
			reasons: strings.Join(e.FailingPredicateReasons(), ", "), detail: detail(e)}
	}
	if reasons == nil {
		return refusal{skipped: skipped}
	}
	return refusal{skipped: skipped, cores: refused(reasons)}
}

// refused returns the kind of the core's reason. The core has a value for most, and makes those with figures, and one of atomic
// groups, anew.
func refused(reasons corestatus.Reasons) why.Refusal {
	switch reasons {
	case orchestrator.BackoffReason:
		return why.Refusal{Kind: why.RefusedBackoff}
	case orchestrator.MaxLimitReachedReason:
		return why.Refusal{Kind: why.RefusedFull}
	case orchestrator.NotReadyReason:
		return why.Refusal{Kind: why.RefusedNotReady}
	case orchestrator.AllOrNothingReason:
		return why.Refusal{Kind: why.RefusedAllOrNothing}
	case orchestrator.ExpansionOptionsFilteredOutReason:
		return why.Refusal{Kind: why.RefusedNotChosen}
	}
	if r, ours := reasons.(why.Refusal); ours {
		return r
	}
	text := strings.Join(reasons.Reasons(), ", ")
	switch _, quota := reasons.(*orchestrator.MaxResourceLimitReached); {
	case quota:
		return why.Refusal{Kind: why.RefusedQuota, Text: text}
	case text == atomicTooLarge:
		return why.Refusal{Kind: why.RefusedAtomic}
	}
	return why.Refusal{Text: text}
}

// atomicTooLarge is the reason that the core makes anew for each group (core/scaleup/orchestrator/orchestrator.go, IsNodeGroupResourceExceeded).
const atomicTooLarge = "atomic scale-up exceeds cluster node count limit"

// byName returns the places of the groups by their names.
func (u *unhelped) byName() []int {
	order := make([]int, len(u.groups))
	for at := range order {
		order[at] = at
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(u.groups[a], u.groups[b]) })
	return order
}

// detail returns what went wrong in a plugin that gives no reason. The rest of the error's text is different for each group.
func detail(e clustersnapshot.SchedulingError) string {
	if len(e.FailingPredicateReasons()) > 0 {
		return ""
	}
	_, text, _ := strings.Cut(strings.TrimSuffix(e.Error(), ")"), "unexpectedError=")
	return strings.Clone(text)
}
