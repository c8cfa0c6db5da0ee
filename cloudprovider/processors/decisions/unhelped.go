package decisions

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
)

const (
	// maxRaw is how many of the core's answers wait in the core's own form for a reader. Each takes half a kilobyte.
	maxRaw = 5_000
	// maxKept is how many answers are kept in all. Of the further pods only the different answers are kept, because the cause is among them.
	maxKept = 60_000
)

// unhelped are the pods that no group helps. Equivalent pods share a set of answers.
type unhelped struct {
	pods []*corev1.Pod
	set  []int // index in sets, of each pod
	sets []answers
}

// answers are the answers of the groups to equivalent pods. Only a reader sorts them, because the loop has no use for an order.
type answers struct {
	rejected []answer
	skipped  []answer // shared by several sets
	whole    bool     // the answers of all groups
}

type answer struct {
	group string
	why   *refusal
}

// refusal is an answer in the core's words. Many groups share one.
type refusal struct {
	plugin  string // of the scheduler, "" for a reason of the core's own
	reasons string // one a line
	detail  string
}

// compacted returns the pods in a form that takes little memory, or nil if there are at most so many answers.
func compacted(pods []corestatus.NoScaleUpInfo, most int) *unhelped {
	count, last := 0, uintptr(0)
	for _, p := range pods {
		// The core lists equivalent pods one after the other, with one map.
		if at := identity(p.RejectedNodeGroups); at != last {
			count, last = count+len(p.RejectedNodeGroups), at
		}
	}
	if count <= most {
		return nil
	}
	c := compactor{refusals: map[refusal]*refusal{}, skipped: map[uintptr][]answer{}, room: maxKept}
	return c.compact(pods)
}

// identity tells maps apart. The core gives all equivalent pods the same one.
func identity(m map[string]corestatus.Reasons) uintptr { return reflect.ValueOf(m).Pointer() }

type compactor struct {
	refusals map[refusal]*refusal
	skipped  map[uintptr][]answer
	room     int // for answers
}

func (c *compactor) compact(pods []corestatus.NoScaleUpInfo) *unhelped {
	u := &unhelped{pods: make([]*corev1.Pod, len(pods)), set: make([]int, len(pods))}
	sets := map[[2]uintptr]int{}
	for i, p := range pods {
		key := [2]uintptr{identity(p.RejectedNodeGroups), identity(p.SkippedNodeGroups)}
		at, known := sets[key]
		if !known {
			at = len(u.sets)
			sets[key] = at
			u.sets = append(u.sets, c.answers(p))
		}
		u.pods[i], u.set[i] = p.Pod, at
	}
	return u
}

func (c *compactor) answers(p corestatus.NoScaleUpInfo) answers {
	a := answers{whole: true}
	key := identity(p.SkippedNodeGroups)
	if _, known := c.skipped[key]; !known {
		c.skipped[key] = c.list(p.SkippedNodeGroups)
	}
	a.skipped = c.skipped[key]
	if count := len(p.RejectedNodeGroups) + len(a.skipped); count > c.room {
		a.rejected, a.whole = c.different(p.RejectedNodeGroups), false
	} else {
		a.rejected = c.list(p.RejectedNodeGroups)
		c.room -= count
	}
	return a
}

func (c *compactor) list(m map[string]corestatus.Reasons) []answer {
	list := make([]answer, 0, len(m))
	for group, reasons := range m {
		list = append(list, answer{group, c.refusal(reasons)})
	}
	return list
}

// sortByGroup sorts the answers by name of the group.
func sortByGroup(list []answer) {
	slices.SortFunc(list, func(a, b answer) int { return strings.Compare(a.group, b.group) })
}

// different returns one answer of each kind.
func (c *compactor) different(m map[string]corestatus.Reasons) []answer {
	kinds := map[*refusal]string{}
	for group, reasons := range m {
		r := c.refusal(reasons)
		if first, known := kinds[r]; !known || group < first {
			kinds[r] = group
		}
	}
	list := make([]answer, 0, len(kinds))
	for r, group := range kinds {
		list = append(list, answer{group, r})
	}
	return list
}

// refusal returns the one refusal with the content.
func (c *compactor) refusal(reasons corestatus.Reasons) *refusal {
	var r refusal
	if e, ok := reasons.(clustersnapshot.SchedulingError); ok && e.FailingPredicateName() != "" {
		r.plugin, r.reasons, r.detail = e.FailingPredicateName(), strings.Join(e.FailingPredicateReasons(), "\n"), detail(e)
	} else if reasons != nil {
		r.reasons = strings.Join(reasons.Reasons(), "\n")
	}
	if known := c.refusals[r]; known != nil {
		return known
	}
	kept := r // or each answer would take memory
	c.refusals[r] = &kept
	return &kept
}

// detail returns what went wrong in a plugin that gives no reason. The rest of the error's text is different for each group.
func detail(e clustersnapshot.SchedulingError) string {
	if len(e.FailingPredicateReasons()) > 0 {
		return ""
	}
	_, text, _ := strings.Cut(strings.TrimSuffix(e.Error(), ")"), "unexpectedError=")
	return strings.Clone(text)
}
