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
	reasons string      // the plugin's, one a line
	detail  string
}

// compacted returns the pods in a form that takes little memory. The core gives all equivalent pods the same maps of answers.
func compacted(pods []corestatus.NoScaleUpInfo) unhelped {
	c := compactor{unhelped: unhelped{count: len(pods)}, places: map[string]int{}, refusals: map[refusal]*refusal{}}
	kinds := map[[2]uintptr]int{}
	for _, p := range pods {
		maps := [2]uintptr{reflect.ValueOf(p.RejectedNodeGroups).Pointer(), reflect.ValueOf(p.SkippedNodeGroups).Pointer()}
		at, known := kinds[maps]
		if !known {
			at = len(c.kinds)
			kinds[maps], c.kinds = at, append(c.kinds, kind{answers: c.answers(p)})
		}
		c.kinds[at].pods = append(c.kinds[at].pods, p.Pod)
	}
	return c.unhelped
}

type compactor struct {
	unhelped
	places   map[string]int // of the groups
	refusals map[refusal]*refusal
}

func (c *compactor) answers(p corestatus.NoScaleUpInfo) []*refusal {
	list := make([]*refusal, len(c.groups))
	enter := func(answers map[string]corestatus.Reasons, skipped bool) {
		for group, reasons := range answers {
			at, known := c.places[group]
			if !known {
				at = len(c.groups)
				c.places[group], c.groups, list = at, append(c.groups, group), append(list, nil)
			}
			list[at] = c.refusal(reasons, skipped)
		}
	}
	enter(p.RejectedNodeGroups, false)
	enter(p.SkippedNodeGroups, true)
	return list
}

// refusal returns the one refusal with the content.
func (c *compactor) refusal(reasons corestatus.Reasons, skipped bool) *refusal {
	r := refusal{skipped: skipped}
	if e, ok := reasons.(clustersnapshot.SchedulingError); ok && e.FailingPredicateName() != "" {
		r.plugin, r.reasons, r.detail = e.FailingPredicateName(), strings.Join(e.FailingPredicateReasons(), "\n"), detail(e)
	} else if reasons != nil {
		r.cores = refused(reasons)
	}
	if c.refusals[r] == nil {
		kept := r // or each answer would take memory
		c.refusals[r] = &kept
	}
	return c.refusals[r]
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
