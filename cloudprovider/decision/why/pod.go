package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// GroupNode is the next node of a group, as the scheduler would see it.
type GroupNode struct {
	Group       string // name of the decision.Group
	Labels      map[string]string
	Taints      []corev1.Taint
	Allocatable corev1.ResourceList
	DaemonSets  corev1.ResourceList // requests of the pods that come with every node, their number as "pods"
	Kinds       []nodetemplate.Kind // among which AWS chooses, none where it has no choice
	kind        nodetemplate.Kind   // whose labels it has in the place of its own
}

// NoGroups is about a discovery that selects nothing.
func NoGroups() decision.Reason {
	return decision.Reason{Code: decision.CodeNoGroups, Message: "the autoscaler has found no Auto Scaling group",
		Remedy: "compare --asg-region, --node-group-auto-discovery and --asg-cluster-name with the groups and their tags: asgctl doctor"}
}

// Pod names the one true cause why a pod waits, from the answers of all groups by name. nodes are the next nodes of groups that
// are known. They let it name everything that a pod lacks, where the scheduler stops at the first.
//
// A group that would take the pod and cannot grow is the cause. If there is none, the cause is whatever keeps the closest group from
// taking it, and of several the one that the most groups have in common.
//
// need is the one zone that the pod needs, because of its own fields or of a volume. The zero need means that the pod has a choice.
//
// The cause depends on the pod's namespace, its spec and the need alone, so equivalent pods share it.
func Pod(pod *corev1.Pod, need podzone.Need, answers []decision.Answer, groups map[string]*decision.Group,
	nodes ...*GroupNode) decision.Reason {
	if len(answers) == 0 {
		return NoGroups()
	}
	s := search{pod: pod, asked: nodemeta.Requests(pod), need: need, groups: groups, nodes: make(map[string]*GroupNode, len(nodes)), all: make([]candidate, 0, len(answers))}
	for _, n := range nodes {
		s.nodes[n.Group] = n
	}
	for _, a := range answers {
		s.add(a)
	}
	s.spread()
	takers := slices.DeleteFunc(slices.Clone(s.all), func(c candidate) bool { return c.Verdict != decision.Skipped || c.weight > 0 })
	if len(takers) > 0 {
		return cannotGrow(takers)
	}
	return s.closest()
}

type candidate struct {
	decision.Answer
	group   *decision.Group // with its name alone where nothing else is known
	failing []requirement   // heaviest first
	weight  int
}

// weightUnknown is the weight of a group that cannot grow and of whose nodes nothing is known. It is further away than one whose node is
// too small, and closer than one that the pod does not select.
const weightUnknown = 4

// weightForeign is the weight of another cluster's group, if nothing is known of its nodes. Each group of this cluster is closer.
const weightForeign = 1000

// search finds the cause for one pod.
type search struct {
	pod    *corev1.Pod
	asked  corev1.ResourceList // the pod's requests
	need   podzone.Need
	groups map[string]*decision.Group
	nodes  map[string]*GroupNode
	all    []candidate
}

func (s *search) add(a decision.Answer) {
	c := candidate{Answer: a, group: cmp.Or(s.groups[a.Group], &decision.Group{Name: a.Group})}
	if n := s.nodes[a.Group]; n != nil {
		c.failing = n.failing(s.pod, s.asked, s.need, c.group)
	}
	if missing, known := MissingDevice(s.pod, c.group); known {
		c.failing = slices.DeleteFunc(c.failing, func(r requirement) bool {
			return r.resource != "" && r.has.IsZero() && slices.Contains(resourcesOf(missing), string(r.resource))
		})
		if len(c.failing) == 0 && (a.Verdict == decision.Skipped || a.Reason.Code == decision.CodeResources) {
			c.Verdict, c.Reason, a.Verdict = decision.Skipped, missing, decision.Skipped
		}
	}
	for i, r := range c.failing {
		if _, used := s.nodes[a.Group].Labels[r.key]; !used { // or a tag is in force, which another source contradicts
			c.failing[i] = byProblem(r, c.group)
		}
	}
	if a.Verdict == decision.Rejected && !slices.ContainsFunc(c.failing, func(r requirement) bool { return s.covers(r, a.Reason.Code) }) {
		c.failing = append(c.failing, scheduler(a.Reason))
	}
	c.weight = weigh(c.failing)
	switch unknown := a.Verdict == decision.Skipped && s.nodes[a.Group] == nil; {
	case unknown && a.Reason.Code == decision.CodeOtherCluster:
		c.weight = weightForeign
	case unknown && len(s.nodes) > 0:
		c.weight = weightUnknown
	}
	s.all = append(s.all, c)
}

// MissingDevice is the problem of a group, which may be nil, whose nodes came up without an accelerator that the pod asks for.
func MissingDevice(pod *corev1.Pod, g *decision.Group) (decision.Reason, bool) {
	for _, p := range cmp.Or(g, &decision.Group{}).Problems {
		if p.Code != decision.CodeAccelerator {
			continue
		}
		asked := nodemeta.Requests(pod)
		if slices.ContainsFunc(resourcesOf(p), func(name string) bool { q := asked[corev1.ResourceName(name)]; return !q.IsZero() }) {
			p.Message = fmt.Sprintf("group %s: %s", quote(g.Name), plain(p.Message, g))
			return p, true
		}
	}
	return decision.Reason{}, false
}

// resourcesOf are the resources that a problem of accelerators is about.
func resourcesOf(p decision.Reason) []string { return strings.Split(p.About, ", ") }

// spread enters a reason that holds for every node with the groups that the scheduler was not asked about.
func (s *search) spread() {
	at := slices.IndexFunc(s.all, func(c candidate) bool { return c.Verdict == decision.Rejected && c.Reason.OfPod })
	for i := range s.all {
		if c := &s.all[i]; at >= 0 && c.Verdict == decision.Skipped {
			c.failing = append(c.failing, scheduler(s.all[at].Reason))
			c.weight += weightSize
		}
	}
}

// scheduler is the requirement behind a reason of the scheduler's.
func scheduler(said decision.Reason) requirement {
	r := requirement{code: said.Code, id: string(said.Code) + " " + said.Message, weight: weightSize, said: said}
	if said.Code == decision.CodeNodeSelector || said.Code == decision.CodeZone {
		r.weight = weightSelector
	}
	return r
}

// covers reports whether the requirement says as much as a code of the scheduler's.
func (s *search) covers(r requirement, code decision.Code) bool {
	switch code {
	case decision.CodeVolume:
		return r.code == decision.CodeZone && s.need.OfVolume
	case decision.CodeResources, decision.CodeAccelerator:
		return r.resource != "" || r.code == decision.CodeDegraded
	case decision.CodeNodeSelector, decision.CodeZone:
		return r.phrase != "" || r.code == decision.CodeZone || r.code == decision.CodeDegraded
	case decision.CodeTaint:
		return r.code == decision.CodeTaint
	}
	return false
}

// byProblem replaces a requirement by the problem of the group that is its cause: a malformed tag that names the label or resource.
func byProblem(r requirement, g *decision.Group) requirement {
	if r.taint.Key != "" || r.key == "" {
		return r
	}
	kind := "label"
	if r.resource != "" {
		kind = "resource"
	}
	for _, p := range g.Problems {
		_, tag, _ := strings.Cut(p.About, "/node-template/")
		if of, name, _ := strings.Cut(tag, "/"); name == r.key && strings.HasPrefix(of, kind) { // or of is misspelt, such as labels
			return requirement{code: decision.CodeDegraded, id: "problem " + g.Name + p.Message, weight: weightPromise, said: decision.Reason{
				Message: fmt.Sprintf("group %s: %s", quote(g.Name), clean(plain(p.Message, g), 2*maxText)), Remedy: cmp.Or(r.state(autoScaling(g)), p.Remedy)}}
		}
	}
	return r
}

// state tags a group, whose nodes may then lack what the tag states: a node would be launched for nothing. It is "" for a requirement
// that no tag can state.
func (r *requirement) state(group string) string {
	switch {
	case r.resource != "":
		return "if its nodes have it: " + tagCommand(group, "k8s.io/cluster-autoscaler/node-template/resources/"+r.key, r.asks.String())
	case r.value != "":
		return "if its nodes have it: " + tagCommand(group, "k8s.io/cluster-autoscaler/node-template/label/"+r.key, r.value)
	}
	return ""
}

// grouped puts candidates with the same key together, in the order in which each key first comes.
func grouped(list []candidate, key func(*candidate) string) (groups [][]candidate) {
	index := map[string]int{}
	for _, c := range list {
		k := key(&c)
		at, known := index[k]
		if !known {
			at = len(groups)
			index[k], groups = at, append(groups, nil)
		}
		groups[at] = append(groups[at], c)
	}
	return groups
}

// closest is the reason of the groups that come closest to taking the pod.
func (s *search) closest() decision.Reason {
	least := slices.MinFunc(s.all, func(a, b candidate) int { return a.weight - b.weight }).weight
	near := slices.DeleteFunc(slices.Clone(s.all), func(c candidate) bool { return c.weight != least })
	list := slices.MinFunc(grouped(near, (*candidate).id), func(a, b []candidate) int { return len(b) - len(a) })
	if list[0].Verdict == decision.Skipped && len(list[0].failing) == 0 {
		return cannotGrow(list)
	}
	clauses := []string{s.say(list, 0)}
	if len(list[0].failing) > 1 {
		clause := s.say(list, 1)
		if strings.HasPrefix(clauses[0], "the pod ") {
			clause = strings.TrimPrefix(clause, "the pod ")
		}
		clauses = append(clauses, clause)
	}
	if more := len(list[0].failing) - len(clauses); more > 0 {
		clauses = append(clauses, verb(Count(more, "more requirement"), "fails", "fail"))
	}
	return decision.Reason{Code: list[0].failing[0].code, Message: clean(strings.Join(clauses, ", and "), maxMessage), Remedy: s.remedy(list)}
}

// id is equal for groups that fail the same.
func (c *candidate) id() string {
	if len(c.failing) == 0 {
		return "unknown " + string(c.Reason.Code)
	}
	all := ""
	for _, r := range c.failing {
		all += r.id + "\n"
	}
	return all
}
