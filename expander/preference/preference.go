package preference

import (
	"maps"
	"math"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// whole is the score of a preference that a node meets.
const whole = 100

// Judge scores nodes.
type Judge struct {
	// Percent is how much more nodes may cost that suit pods better. Preferences count for nothing with 0.
	Percent float64
	// Running returns the nodes of the cluster with their pods, which count for topology spread. Nil counts none.
	Running func() ([]*framework.NodeInfo, error)
}

// AsCheap reports whether a cost counts as the same as the least one. Smaller differences than a billionth come from binary arithmetic.
func (j Judge) AsCheap(cost, least float64) bool { return cost <= least*(1+j.Percent/100)*(1+1e-9) }

// Scores returns how well each node suits each pod, by pod and node. It is nil for a pod that prefers none of the nodes that it is able to use, and
// nil for all where no pod has a preference. Each pod of a spread workload prefers the domain that has the fewest of its pods by then.
func (j Judge) Scores(pods []*apiv1.Pod, nodes []*apiv1.Node, able func(pod, node int) bool) [][]int64 {
	if j.Percent <= 0 || !slices.ContainsFunc(pods, prefers) {
		return nil
	}
	scores := make([][]int64, len(pods))
	byAffinity, spread := map[*apiv1.NodeAffinity][]int64{}, j.newSpread(pods)
	for i, pod := range pods {
		if !prefers(pod) {
			continue
		}
		score := make([]int64, len(nodes))
		if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
			if byAffinity[a.NodeAffinity] == nil { // equal pods share it
				byAffinity[a.NodeAffinity] = affinityScores(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution, nodes)
			}
			copy(score, byAffinity[a.NodeAffinity])
		}
		for c := range pod.Spec.TopologySpreadConstraints {
			if soft(pod.Spec.TopologySpreadConstraints[c]) {
				spread.deal(pod, pod.Spec.TopologySpreadConstraints[c].TopologyKey, nodes, func(node int) bool { return able(i, node) }, score)
			}
		}
		least, most := int64(math.MaxInt64), int64(0)
		for n := range nodes {
			if able(i, n) {
				least, most = min(least, score[n]), max(most, score[n])
			}
		}
		if least < most {
			scores[i] = score
		}
	}
	return scores
}

func prefers(pod *apiv1.Pod) bool {
	a := pod.Spec.Affinity
	return a != nil && a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0 ||
		slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, soft)
}

// soft reports whether a constraint is a preference between groups. Every new node is a host of its own.
func soft(c apiv1.TopologySpreadConstraint) bool {
	return c.WhenUnsatisfiable == apiv1.ScheduleAnyway && c.TopologyKey != apiv1.LabelHostname
}

// affinityScores returns the share of the weights that each node meets.
func affinityScores(terms []apiv1.PreferredSchedulingTerm, nodes []*apiv1.Node) []int64 {
	scores, all := make([]int64, len(nodes)), int64(0)
	parsed, err := nodeaffinity.NewPreferredSchedulingTerms(terms)
	for _, t := range terms {
		all += int64(t.Weight)
	}
	for n := range nodes {
		if err == nil && all > 0 {
			scores[n] = parsed.Score(nodes[n]) * whole / all
		}
	}
	return scores
}

// workload is a set of pods that are spread together, over the values of a label.
type workload struct{ pods, key string }

// spread counts the pods of workloads by domain, the dealt ones included.
type spread struct {
	on     map[string][]*apiv1.Node // where the pods of a workload run
	counts map[workload]map[string]int
}

func (j Judge) newSpread(pods []*apiv1.Pod) spread {
	s := spread{on: map[string][]*apiv1.Node{}, counts: map[workload]map[string]int{}}
	for _, pod := range pods {
		if slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, soft) {
			s.on[nameOf(pod)] = nil
		}
	}
	if j.Running == nil || len(s.on) == 0 {
		return s
	}
	running, err := j.Running()
	if err != nil {
		return s // as if none ran
	}
	for _, info := range running {
		for _, p := range info.Pods() {
			name := nameOf(p.Pod)
			if on, wanted := s.on[name]; wanted && p.DeletionTimestamp == nil {
				s.on[name] = append(on, info.Node())
			}
		}
	}
	return s
}

// nameOf names the workload of a pod: its owner, or its labels if nobody owns it.
func nameOf(pod *apiv1.Pod) string {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		return string(owner.UID)
	}
	return pod.Namespace + " " + labels.Set(pod.Labels).String()
}

// deal gives a pod to the domain with the fewest pods of its workload, and adds to the score of its nodes. A domain counts if the pod is able to use
// one of its nodes.
func (s spread) deal(pod *apiv1.Pod, key string, nodes []*apiv1.Node, able func(node int) bool, score []int64) {
	domains := map[string]bool{}
	for n, node := range nodes {
		if value := node.Labels[key]; value != "" && able(n) {
			domains[value] = true
		}
	}
	if len(domains) < 2 {
		return
	}
	w := workload{nameOf(pod), key}
	if s.counts[w] == nil {
		s.counts[w] = map[string]int{}
		for _, node := range s.on[w.pods] {
			s.counts[w][node.Labels[key]]++
		}
	}
	names := slices.Sorted(maps.Keys(domains))
	least := slices.MinFunc(names, func(a, b string) int { return s.counts[w][a] - s.counts[w][b] })
	s.counts[w][least]++
	for n, node := range nodes {
		if node.Labels[key] == least {
			score[n] += whole
		}
	}
}
