package why

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// How far a group is from taking the pod is the sum over the requirements that its nodes fail. By its selectors and accelerators a pod
// chooses its groups, so a group that fails one of these is further away than one that fails several of the others.
const (
	weightPromise  = 1 // the group has the zone, or the instance type, and does not promise it
	weightSize     = 2 // also what only the scheduler knows
	weightTaint    = 3
	weightZone     = 9
	weightSelector = 10
	weightKind     = 10 // no such device at all, or no huge page of the size
)

// requirement is one thing that a pod asks of a node and that the nodes of a group do not have.
type requirement struct {
	code   decision.Code
	id     string // equal for pods and groups that the same change would bring together
	weight int
	key    string // the label, taint or resource that it is about
	value  string // of the label that a tag would add, "" for none

	resource    corev1.ResourceName
	asks        resource.Quantity
	has, daemon resource.Quantity // of a node, and of it the part of DaemonSets
	taint       corev1.Taint
	phrase      string          // of a selector: the label that is asked for
	refused     bool            // the selector refuses a label that the nodes have
	among       string          // the instance types among which AWS chooses, and that do not all have the label
	said        decision.Reason // by the scheduler
}

// Nodes returns the number of such nodes that the pods fill, one after the other. It looks at requests alone.
func (n *GroupNode) Nodes(pods []*corev1.Pod) int {
	nodes, used := 0, corev1.ResourceList{}
	for _, pod := range pods {
		asked := nodemeta.Requests(pod)
		nodemeta.AddRequests(used, asked)
		if nodes == 0 || len(n.resources(used)) > 0 {
			nodes, used = nodes+1, asked
		}
	}
	return nodes
}

// Takes reports whether a next node of the group has all that the pod asks for, and lies in the zone that it needs.
func (n *GroupNode) Takes(pod *corev1.Pod, need podzone.Need, g *decision.Group) bool {
	return len(n.failing(pod, nodemeta.Requests(pod), need, g)) == 0
}

// failing returns everything that the next node of the group fails, the heaviest first. asked are the pod's requests.
func (n *GroupNode) failing(pod *corev1.Pod, asked corev1.ResourceList, need podzone.Need, g *decision.Group) []requirement {
	all := slices.Concat(n.ofKinds(pod, need, g), n.resources(asked), n.taints(pod))
	slices.SortStableFunc(all, func(a, b requirement) int { return b.weight - a.weight })
	return all
}

// resources are the requests that the node cannot meet.
func (n *GroupNode) resources(asked corev1.ResourceList) (failing []requirement) {
	for name, asks := range asked {
		r := requirement{code: decision.CodeResources, key: string(name), weight: weightSize, resource: name, asks: asks, has: n.Allocatable[name], daemon: n.DaemonSets[name]}
		if asks.Cmp(r.left()) <= 0 || asks.IsZero() {
			continue
		}
		r.id = "resource " + r.key
		if nodetemplate.IsAccelerator(name) {
			r.code = decision.CodeAccelerator
		}
		if r.has.IsZero() && (strings.Contains(r.key, "/") || strings.HasPrefix(r.key, corev1.ResourceHugePagesPrefix)) {
			r.weight = weightKind
		}
		failing = append(failing, r)
	}
	slices.SortFunc(failing, func(a, b requirement) int { return strings.Compare(a.key, b.key) })
	return failing
}

func (n *GroupNode) taints(pod *corev1.Pod) (failing []requirement) {
	for _, taint := range n.Taints {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule && !scheduling.TolerationsTolerateTaint(klog.Background(), pod.Spec.Tolerations, &taint, true) {
			failing = append(failing, requirement{code: decision.CodeTaint, id: "taint " + taint.ToString(), key: taint.Key, weight: weightTaint, taint: taint})
		}
	}
	return failing
}

// ofKinds are the conditions on labels that the node fails. If the pod refuses some of the kinds among which AWS chooses, ofKinds returns what
// the accepted kinds fail. If they fail nothing, it returns what a refused kind fails, as a promise that the group does not make.
func (n *GroupNode) ofKinds(pod *corev1.Pod, need podzone.Need, g *decision.Group) []requirement {
	refuses := func(k nodetemplate.Kind) bool { return podzone.Refuses(pod, k.Label) }
	bad := slices.IndexFunc(n.Kinds, refuses)
	good := slices.IndexFunc(n.Kinds, func(k nodetemplate.Kind) bool { return !refuses(k) })
	if bad < 0 || good < 0 {
		return n.selectors(pod, need, g)
	}
	node := *n
	node.kind = n.Kinds[good]
	if failing := node.selectors(pod, need, g); len(failing) > 0 {
		return failing
	}
	node.kind = n.Kinds[bad]
	failing := node.selectors(pod, need, g)
	for i := range failing {
		failing[i].weight, failing[i].among = weightPromise, n.types()
		failing[i].id += " among " + failing[i].among
	}
	return failing
}

// types names the instance types among which AWS chooses.
func (n *GroupNode) types() string {
	var names []string
	for _, k := range n.Kinds[:min(len(n.Kinds), maxLabels)] {
		names = append(names, clean(k.InstanceType, maxName))
	}
	if len(n.Kinds) > maxLabels {
		names = append(names, "others")
	}
	return enumerate(names)
}

// selectors are the conditions on labels that the node fails. Of the alternative terms of the node affinity the one counts that the
// node fails least.
func (n *GroupNode) selectors(pod *corev1.Pod, need podzone.Need, g *decision.Group) (failing []requirement) {
	is := func(key, value string) {
		e := corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}
		failing = append(failing, n.expression(e, need, g)...)
	}
	if need.OfVolume {
		is(corev1.LabelTopologyZone, need.Zone)
	}
	for _, key := range slices.Sorted(maps.Keys(pod.Spec.NodeSelector)) {
		is(key, pod.Spec.NodeSelector[key])
	}
	if required := podzone.Required(pod); required != nil {
		failing = append(failing, n.affinity(required, need, g)...)
	}
	return n.oneZone(failing)
}

// affinity returns what the node fails of the best term.
func (n *GroupNode) affinity(required *corev1.NodeSelector, need podzone.Need, g *decision.Group) (best []requirement) {
	for i, term := range required.NodeSelectorTerms {
		var failing []requirement
		for _, e := range term.MatchExpressions {
			failing = append(failing, n.expression(e, need, g)...)
		}
		for _, f := range term.MatchFields {
			if f.Operator == corev1.NodeSelectorOpNotIn {
				continue // the next node has another name
			}
			failing = append(failing, requirement{code: decision.CodeNodeSelector, id: "field " + f.Key, key: f.Key, weight: weightSelector,
				phrase: "the name " + enumerate(f.Values)})
		}
		if i == 0 || weigh(failing) < weigh(best) {
			best = failing
		}
	}
	return best
}

// oneZone leaves one requirement about the zone, the heaviest.
func (n *GroupNode) oneZone(failing []requirement) []requirement {
	zones := slices.DeleteFunc(slices.Clone(failing), func(r requirement) bool { return r.code != decision.CodeZone })
	if len(zones) < 2 {
		return failing
	}
	heaviest := slices.MaxFunc(zones, func(a, b requirement) int { return cmp.Or(a.weight-b.weight, strings.Compare(a.value, b.value)) })
	return append(slices.DeleteFunc(failing, func(r requirement) bool { return r.code == decision.CodeZone }), heaviest)
}

// expression returns the expression if the node fails it. The need names the zone whose identifier the pod asks for, if that is known.
func (n *GroupNode) expression(e corev1.NodeSelectorRequirement, need podzone.Need, g *decision.Group) []requirement {
	if e.Key == podzone.LabelZoneID && e.Operator == corev1.NodeSelectorOpIn && need.Zone != "" && !slices.Contains(e.Values, need.Zone) {
		e.Key, e.Values = corev1.LabelTopologyZone, []string{need.Zone}
	}
	if e.Key == nodemeta.KindAssumed { // of the copy of a pod that refuses some kinds of nodes
		return nil
	}
	zone := slices.Contains(podzone.NameLabels, e.Key)
	has, ok := n.kind.Label(e.Key, e.Values...)
	if !ok {
		has, ok = n.Labels[e.Key]
	}
	among := zone && g != nil && len(g.Zones) > 1
	promise := e.Key == nodemeta.ZoneAssumed || among && (e.Operator != corev1.NodeSelectorOpIn ||
		slices.ContainsFunc(e.Values, func(v string) bool { return slices.Contains(g.Zones, v) }))
	if (!among || promise) && holds(e, has, ok) || among && holds(e, has, false) {
		return nil
	}
	values := strings.Join(e.Values, ",")
	r := requirement{code: decision.CodeNodeSelector, id: "label " + e.Key + " " + string(e.Operator) + " " + values, key: e.Key, weight: weightSelector, phrase: phrase(e),
		refused: e.Operator == corev1.NodeSelectorOpNotIn || e.Operator == corev1.NodeSelectorOpDoesNotExist}
	if promise {
		r.code, r.id, r.weight = decision.CodeZone, "zone promise", weightPromise
	} else if zone || e.Key == podzone.LabelZoneID {
		r.code, r.id, r.weight = decision.CodeZone, "zone "+values, weightZone
	}
	if len(e.Values) > 0 && (e.Operator == corev1.NodeSelectorOpIn || e.Operator == "") && e.Key != corev1.LabelHostname { // which no group states
		r.value = e.Values[0]
	}
	return []requirement{r}
}

// holds reports whether a label, or the lack of one, meets the expression.
func holds(e corev1.NodeSelectorRequirement, has string, ok bool) bool {
	var node corev1.Node
	if ok {
		node.Labels = map[string]string{e.Key: has}
	}
	term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{e}}
	met, _ := scheduling.MatchNodeSelectorTerms(&node, &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}})
	return met
}

// phrase is the label that an expression asks for, or refuses.
func phrase(e corev1.NodeSelectorRequirement) string {
	var values []string
	for _, v := range e.Values[:min(len(e.Values), 2*maxNamed)] {
		values = append(values, clean(v, maxName))
	}
	key, all := clean(e.Key, maxName), strings.Join(values, "|")
	switch {
	case e.Operator == corev1.NodeSelectorOpGt:
		return fmt.Sprintf("a label %s above %s", key, all)
	case e.Operator == corev1.NodeSelectorOpLt:
		return fmt.Sprintf("a label %s below %s", key, all)
	case len(values) == 0:
		return "the label " + key
	case len(values) == 1:
		return "the label " + key + "=" + all
	}
	return fmt.Sprintf("one of the labels %s=%s", key, all)
}

func weigh(list []requirement) int {
	sum := 0
	for _, r := range list {
		sum += r.weight
	}
	return sum
}
