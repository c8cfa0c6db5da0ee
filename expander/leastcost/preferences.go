package leastcost

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

const whole = 10_000

// Preferences has plans follow what pods merely prefer: preferred node affinity, and topology spread with ScheduleAnyway. The zero value ignores it.
//
// Such a plan is made after the cheapest one, and counts if it costs about the same and places as many pods. There, each class of pods keeps off the
// candidates that it prefers less, among those on which its pods cost about the least. Pods without a place go where they prefer it next.
type Preferences struct {
	// Percent is how much more nodes may cost that suit pods better. Preferences count for nothing with 0.
	Percent float64
	// Running returns the nodes of the cluster with their pods, which count for topology spread, and keep other pods off. Nil counts none.
	Running func() ([]*framework.NodeInfo, error)
}

// asCheap reports whether a cost counts as the same as the least one.
func (p Preferences) asCheap(cost, least float64) bool {
	return cost <= least*(1+p.Percent/100)*(1+costTolerance)
}

// ByPreference returns a copy of the Filter for use behind other expanders. It returns options as they are, unless a plan for them follows what pods
// prefer. It looks for no better plan than the first, because the others have chosen by cost or waste.
func (f *Filter) ByPreference() *Filter {
	behind := *f
	behind.behind = true
	return &behind
}

// narrowed returns the scores of a class, nil where they do not count. They are below 0 for candidates on which its pods cost more than
// about the least: nobody prefers others to these.
func (d *demand) narrowed(i int, candidates []candidate) []int64 {
	class := d.classes[i]
	if !d.narrow || class.scores == nil {
		return nil
	}
	cost := func(c int) float64 { return candidates[c].unit * class.request.largestShare(d.offered[c]) }
	least, scores := math.Inf(1), slices.Clone(class.scores)
	d.ables[i].each(func(c int) { least = min(least, cost(c)) })
	d.ables[i].each(func(c int) {
		if !d.preferences.asCheap(cost(c), least) {
			scores[c] = -1
		}
	})
	return scores
}

// widen adds the shapes that suit pods next best, for the classes that have pods left.
func (p *problem) widen(left []int) (any bool) {
	for i := range p.classes {
		class, next, more := &p.classes[i], int64(-1), []int(nil)
		if class.scores == nil || left[i] == 0 {
			continue
		}
		score := func(s int) int64 { return class.scores[p.shapes[s].groups[0]] }
		class.wide.each(func(s int) {
			if !class.fits.has(s) {
				next, more, any = max(next, score(s)), append(more, s), true
			}
		})
		for _, s := range more {
			if score(s) < 0 || score(s) == next {
				class.fits.set(s)
			}
		}
	}
	return any
}

// scores returns how well the nodes of each candidate suit each pod, by pod and candidate. It is nil for a pod that prefers none of the candidates that
// list it. Each pod of a spread workload prefers the domain that has the fewest of its pods by then, and the fewest of all pods among these.
func (p Preferences) scores(pods []*apiv1.Pod, candidates []candidate, able []bits) [][]int64 {
	all := make([][]int64, len(pods))
	if p.Percent <= 0 || !slices.ContainsFunc(pods, prefers) {
		return all
	}
	byTerms, spread, members := map[string][]int64{}, p.newDomains(pods), byValue(candidates)
	for i, pod := range pods {
		if !prefers(pod) {
			continue
		}
		score := make([]int64, len(candidates))
		if terms := preferredTerms(pod); len(terms) > 0 {
			key := fmt.Sprint(terms)
			if byTerms[key] == nil {
				byTerms[key] = affinityScores(terms, candidates)
			}
			copy(score, byTerms[key])
		}
		for _, c := range pod.Spec.TopologySpreadConstraints {
			if soft(c) {
				spread.deal(pod, c.TopologyKey, members(c.TopologyKey, able[i]), score)
			}
		}
		least, most := int64(math.MaxInt64), int64(0)
		able[i].each(func(c int) { least, most = min(least, score[c]), max(most, score[c]) })
		if least < most {
			all[i] = score
		}
	}
	return all
}

func prefers(pod *apiv1.Pod) bool {
	return len(preferredTerms(pod)) > 0 || slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, soft)
}

func preferredTerms(pod *apiv1.Pod) []apiv1.PreferredSchedulingTerm {
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		return a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

// soft reports whether a constraint is a preference between groups. Every new node is a host of its own.
func soft(c apiv1.TopologySpreadConstraint) bool {
	return c.WhenUnsatisfiable == apiv1.ScheduleAnyway && c.TopologyKey != apiv1.LabelHostname
}

// affinityScores returns the share of the weights that nodes of each candidate meet. A label that may differ counts half.
func affinityScores(terms []apiv1.PreferredSchedulingTerm, candidates []candidate) []int64 {
	scores, all := make([]int64, len(candidates)), int64(0)
	parsed, err := nodeaffinity.NewPreferredSchedulingTerms(terms)
	for _, t := range terms {
		all += int64(t.Weight)
	}
	for c := range candidates {
		if err == nil && all > 0 {
			node := candidates[c].info.Node()
			score := 2 * parsed.Score(node)
			if bare := withoutAssumed(node); bare != node {
				score = score/2 + parsed.Score(bare)
			}
			scores[c] = score * whole / 2 / all
		}
	}
	return scores
}

// assumed are the labels that are not promised on a node with another one.
var assumed = map[string][]string{nodemeta.ZoneAssumed: podzone.Labels,
	nodemeta.KindAssumed: {apiv1.LabelInstanceTypeStable, apiv1.LabelInstanceType}}

// withoutAssumed returns the node without its zone and instance type where AWS may choose others, or the same node.
func withoutAssumed(node *apiv1.Node) *apiv1.Node {
	for by, labels := range assumed {
		if _, has := node.Labels[by]; has {
			node = &apiv1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name, Labels: maps.Clone(node.Labels)}}
			for _, label := range labels {
				delete(node.Labels, label)
			}
		}
	}
	return node
}

type domain struct{ workload, key, value string }

// everybody stands for all workloads, whose names are longer.
const everybody = ""

// domains count the pods in each domain. The plan's pods count, too.
type domains map[domain]int

func (p Preferences) newDomains(pods []*apiv1.Pod) domains {
	s, keys := domains{}, map[string][]string{} // by workload
	for _, pod := range pods {
		for _, c := range pod.Spec.TopologySpreadConstraints {
			for _, name := range []string{workloadOf(pod), everybody} {
				if soft(c) && !slices.Contains(keys[name], c.TopologyKey) {
					keys[name] = append(keys[name], c.TopologyKey)
				}
			}
		}
	}
	if p.Running == nil || len(keys) == 0 {
		return s
	}
	running, _ := p.Running() // with an error, as if none ran
	for _, info := range running {
		for _, key := range keys[everybody] {
			s[domain{everybody, key, info.Node().Labels[key]}] += len(info.Pods())
		}
		for _, pod := range info.Pods() {
			name := workloadOf(pod.Pod)
			for _, key := range keys[name] {
				if pod.DeletionTimestamp == nil {
					s[domain{name, key, info.Node().Labels[key]}]++
				}
			}
		}
	}
	return s
}

// deal gives a pod to the domain with the fewest pods of its workload, and adds to the scores of the domain's members. members are
// candidates by value of the label. A workload of one pod has the fewest in all domains: many of them would share one if all pods did not count then.
func (s domains) deal(pod *apiv1.Pod, key string, members map[string][]int, score []int64) {
	least, workload := "", workloadOf(pod)
	for value := range members {
		more := func(of string) int { return s[domain{of, key, value}] - s[domain{of, key, least}] }
		if least == "" || cmp.Or(more(workload), more(everybody), strings.Compare(value, least)) < 0 {
			least = value
		}
	}
	if least == "" {
		return
	}
	s[domain{workload, key, least}]++
	s[domain{everybody, key, least}]++
	for _, c := range members[least] {
		score[c] += whole
	}
}

// byValue returns a function that sorts candidates of a set by their value of a label. It remembers the answers.
func byValue(candidates []candidate) func(label string, able bits) map[string][]int {
	known := map[string]map[string][]int{}
	return func(label string, able bits) map[string][]int {
		key := label + " " + keyOf(able)
		if known[key] == nil {
			members := map[string][]int{}
			able.each(func(c int) {
				if value := candidates[c].info.Node().Labels[label]; value != "" {
					members[value] = append(members[value], c)
				}
			})
			known[key] = members
		}
		return known[key]
	}
}
