package nodetemplate

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Learnt is what real nodes of a group have shown that the next one started from the same description will show, too:
//   - by instance type, capacity and allocatable CPU, memory, ephemeral storage and pods. Only a node knows what its
//     kernel, its image and its kubelet's settings leave of what EC2 sells.
//   - labels that only the image or its bootstrap can have set: on most nodes and on two at least, with the same value, of a
//     key that belongs to nobody who labels nodes by what they are or where (Kubernetes, AWS, the vendors of devices).
//
// Not learnt are taints, for a node carries many for a while only (not ready, cordoned, to be deleted, starting); any other
// resource, for a device plugin may be late, absent or set up differently tomorrow; and labels with a value of one node.
// It is immutable and shares nothing with the nodes it was learnt from.
type Learnt struct {
	types   map[string]measured // by instance type
	labels  map[string]string
	odd     map[[2]string]bool // labels, each with its value, that most nodes do not carry
	refused []Refusal
}

// Refusal is something that nodes have shown and that is not promised for the next one.
type Refusal struct {
	Node  string // that showed it; "" for a label
	What  string // figure or label as shown
	Why   string
	Wrong bool // with the node; a label that few nodes carry is nothing wrong
}

// Observed is what one node has shown. It is immutable and shares nothing with the node.
type Observed struct {
	Node         string
	instanceType string
	hugePages    int64 // bytes that kubelet sets aside beside the allocatable memory
	measured     measured
	labels       map[string]string
}

// measured is what a node of one type has shown.
type measured struct{ capacity, allocatable amounts }

const (
	// settledAfter is how long a node must have been Ready before anything is learnt from it, as in the core.
	settledAfter = time.Minute
	// maxLearntLabels is how many labels are learnt from one node; one with more teaches none.
	maxLearntLabels = 100
	// leastWitnesses is how many nodes must carry a label: one may have been labelled by hand.
	leastWitnesses = 2
	// maxRefusals is how many refusals are kept of one group.
	maxRefusals = 20
)

// How near to the catalogue a figure must be. Kernel and firmware keep between 0.9 % (r3.large) and 17.3 % (t3.nano) of the
// memory for themselves on the 607 types that were measured, and 12 % at most from 2 GiB up. A kernel that is told to disable
// simultaneous multithreading halves the CPUs. Of its capacity, a node of testdata/real_nodes.csv gives pods 86 % of the memory
// and 96 % of the CPUs or more, and a kubelet may be told to reserve more than those of EKS's images.
const (
	leastMemoryOfType  = 0.75
	leastCPUOfType     = 0.5
	leastOfferedToPods = 0.5
	// leastOfMedian is how far a node may stay behind others of its type. Nodes of one type and version differ by less than 0.3 %.
	leastOfMedian = 0.98
)

// Settled reports whether at that time the node is a fair witness of what others like it will be: Ready for a minute, and not
// on its way out or set aside by somebody, who may have labelled it as well.
func Settled(node *corev1.Node, now time.Time) bool {
	if node.Spec.Unschedulable || node.DeletionTimestamp != nil {
		return false
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue && now.Sub(c.LastTransitionTime.Time) > settledAfter
		}
	}
	return false
}

// Observe returns what a settled node of the instance type shows.
func Observe(node *corev1.Node, instanceType string) *Observed {
	o := figuresOf(node, instanceType)
	o.labels = map[string]string{}
	own := ownWords(node, instanceType)
	for key, value := range node.Labels {
		if learnable(key, value, own) {
			o.labels[key] = value
		}
	}
	if len(o.labels) > maxLearntLabels {
		o.labels = map[string]string{}
	}
	return o
}

// figuresOf is what a node shows, but for its labels.
func figuresOf(node *corev1.Node, instanceType string) *Observed {
	o := &Observed{Node: node.Name, instanceType: instanceType,
		measured: measured{capacity: amountsOf(node.Status.Capacity), allocatable: amountsOf(node.Status.Allocatable)}}
	for name, q := range node.Status.Capacity {
		if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
			o.hugePages += q.Value()
		}
	}
	return o
}

// Equal reports whether both show the same.
func (o *Observed) Equal(other *Observed) bool {
	if o == nil || other == nil {
		return o == other
	}
	return o.Node == other.Node && o.instanceType == other.instanceType && o.hugePages == other.hugePages &&
		o.measured == other.measured && maps.Equal(o.labels, other.labels)
}

// Conclude returns what the next node may be expected to show, given the nodes there are and those that are gone. facts are what
// the catalogue states of an instance type; a type it does not know is not judged. Nodes that are gone count only where there is
// no other: their figures where no node of the type is left, their labels where there are fewer than two nodes. It is nil without
// nodes.
func Conclude(present, gone []*Observed, facts func(instanceType string) (instancetypes.Type, bool)) *Learnt {
	all := slices.Concat(present, gone)
	if len(all) == 0 {
		return nil
	}
	l := &Learnt{types: map[string]measured{}}
	refused := map[*Observed]bool{}
	refuse := func(o *Observed, why string) {
		refused[o] = true
		if slices.Contains(present, o) {
			l.refuse(o, why)
		}
	}
	for name, nodes := range byType(all) {
		t, known := facts(name)
		for _, o := range nodes {
			if why, wrong := o.implausible(t, known); wrong {
				refuse(o, why)
			}
		}
		nodes = slices.DeleteFunc(nodes, func(o *Observed) bool { return refused[o] })
		for _, o := range behind(nodes) {
			refuse(o, "other nodes of the type have more")
		}
	}
	for _, nodes := range [][]*Observed{gone, present} {
		least := map[string]measured{}
		for _, o := range nodes {
			if m := o.measured; !refused[o] {
				if have, ok := least[o.instanceType]; ok {
					m = measured{capacity: have.capacity.least(m.capacity), allocatable: have.allocatable.least(m.allocatable)}
				}
				least[o.instanceType] = m
			}
		}
		maps.Copy(l.types, least)
	}
	if len(present) >= leastWitnesses {
		all = present
	}
	l.shareLabels(all)
	slices.SortFunc(l.refused, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(b.Node, a.Node), cmp.Compare(a.What, b.What)) // labels last
	})
	l.refused = l.refused[:min(len(l.refused), maxRefusals)]
	return l
}

// Refused is what the nodes there are have shown that is not promised, figures first, and labels that few nodes carry; 20 at most.
func (l *Learnt) Refused() []Refusal {
	if l == nil {
		return nil
	}
	return slices.Clone(l.refused)
}

// Refuses reports whether the figures of a node, or of what is remembered of one, are not what the next node will have: they are
// implausible for the type, of which facts are those of Conclude, or behind those of the nodes that were learnt from.
func (l *Learnt) Refuses(node *corev1.Node, instanceType string, facts func(instanceType string) (instancetypes.Type, bool)) bool {
	t, known := facts(instanceType)
	o := figuresOf(node, instanceType)
	if _, wrong := o.implausible(t, known); wrong {
		return known
	}
	if l == nil {
		return false
	}
	m, seen := l.types[instanceType]
	return seen && slices.ContainsFunc(compared, func(of func(measured) int64) bool {
		return float64(of(o.measured)) < leastOfMedian*float64(of(m))
	})
}

// Odd reports whether most nodes do not carry the label, though one does or did.
func (l *Learnt) Odd(key, value string) bool { return l != nil && l.odd[[2]string{key, value}] }

func (l *Learnt) refuse(o *Observed, why string) {
	c, a := o.measured.capacity, o.measured.allocatable
	l.refused = append(l.refused, Refusal{Node: o.Node, Why: why, Wrong: true,
		What: fmt.Sprintf("%s: CPU %s of %s, memory %s of %s, %d of %d pods", o.instanceType, text(millis(a.cpuMillis)), text(millis(c.cpuMillis)),
			text(binary(a.memoryBytes)), text(binary(c.memoryBytes)), a.pods, c.pods)})
}

func text(q resource.Quantity) string { return q.String() }

func byType(nodes []*Observed) map[string][]*Observed {
	types := map[string][]*Observed{}
	for _, o := range nodes {
		types[o.instanceType] = append(types[o.instanceType], o)
	}
	return types
}

// compared are the figures in which nodes of one type are alike.
var compared = []func(measured) int64{
	func(m measured) int64 { return m.capacity.cpuMillis }, func(m measured) int64 { return m.allocatable.cpuMillis },
	func(m measured) int64 { return m.capacity.memoryBytes }, func(m measured) int64 { return m.allocatable.memoryBytes },
	func(m measured) int64 { return m.allocatable.diskBytes }, func(m measured) int64 { return m.allocatable.pods },
}

// behind returns the nodes of one type that have less of something than most have. Of fewer than three, nobody can tell which one is
// right.
func behind(nodes []*Observed) []*Observed {
	if len(nodes) < 3 {
		return nil
	}
	var few []*Observed
	for _, of := range compared {
		var figures []int64
		for _, o := range nodes {
			figures = append(figures, of(o.measured))
		}
		slices.Sort(figures)
		least := leastOfMedian * float64(figures[(len(figures)-1)/2])
		for _, o := range nodes {
			if float64(of(o.measured)) < least && !slices.Contains(few, o) {
				few = append(few, o)
			}
		}
	}
	return few
}

// shareLabels learns each label that most of the nodes carry, if they are two at least.
func (l *Learnt) shareLabels(nodes []*Observed) {
	l.labels, l.odd = map[string]string{}, map[[2]string]bool{}
	count := map[[2]string]int{}
	for _, o := range nodes {
		for key, value := range o.labels {
			count[[2]string{key, value}]++
		}
	}
	for label, carriers := range count {
		refused := Refusal{What: label[0] + "=" + label[1]}
		switch {
		case 2*carriers <= len(nodes):
			refused.Why = "most nodes do not carry this label"
			l.odd[label] = true
		case carriers < leastWitnesses:
			refused.Why = "no second node has been seen to carry this label"
		default:
			l.labels[label[0]] = label[1]
			continue
		}
		l.refused = append(l.refused, refused)
	}
}

// Equal reports whether both tell the same.
func (l *Learnt) Equal(o *Learnt) bool {
	if l == nil || o == nil {
		return l == o
	}
	return maps.Equal(l.types, o.types) && maps.Equal(l.labels, o.labels) && maps.Equal(l.odd, o.odd) && slices.Equal(l.refused, o.refused)
}

func amountsOf(list corev1.ResourceList) amounts {
	return amounts{cpuMillis: list.Cpu().MilliValue(), memoryBytes: list.Memory().Value(),
		diskBytes: list.StorageEphemeral().Value(), pods: list.Pods().Value()}
}

func (a amounts) least(b amounts) amounts {
	return amounts{cpuMillis: min(a.cpuMillis, b.cpuMillis), memoryBytes: min(a.memoryBytes, b.memoryBytes),
		diskBytes: min(a.diskBytes, b.diskBytes), pods: min(a.pods, b.pods)}
}

// within reports whether nothing is more than in limit.
func (a amounts) within(limit amounts) bool { return a.least(limit) == a }

// or is a with the amounts of b where a has none.
func (a amounts) or(b amounts) amounts {
	return amounts{cpuMillis: cmp.Or(a.cpuMillis, b.cpuMillis), memoryBytes: cmp.Or(a.memoryBytes, b.memoryBytes),
		diskBytes: cmp.Or(a.diskBytes, b.diskBytes), pods: cmp.Or(a.pods, b.pods)}
}

// implausible says why no such node can be what the next one will be. It must say what every node does (a kubelet may be told not to
// count its disk), must not contradict itself, and must be near what the catalogue states, if that is known.
func (o *Observed) implausible(t instancetypes.Type, known bool) (why string, wrong bool) {
	c, a := o.measured.capacity, o.measured.allocatable
	switch {
	case min(a.cpuMillis, a.memoryBytes, a.pods) <= 0 || a.diskBytes < 0:
		return "a node offers pods CPU, memory and a number of pods", true
	case !a.within(c):
		return "more is allocatable than there is", true
	case float64(a.cpuMillis) < leastOfferedToPods*float64(c.cpuMillis), float64(a.memoryBytes)+float64(o.hugePages) < leastOfferedToPods*float64(c.memoryBytes):
		return "a node offers pods at least half of what it has", true
	case known && !near(c, t):
		return fmt.Sprintf("EC2 states %d CPUs and %s for the type, of which a node has half the CPUs and three quarters of the memory at least",
			t.VCPU, text(binary(t.MemoryBytes))), true
	}
	return "", false
}

// near reports whether a node of type t can have that capacity.
func near(capacity amounts, t instancetypes.Type) bool {
	cpu, memory := float64(t.VCPU)*1000, float64(t.MemoryBytes)
	return float64(capacity.cpuMillis) <= cpu && float64(capacity.cpuMillis) >= leastCPUOfType*cpu &&
		float64(capacity.memoryBytes) <= memory && float64(capacity.memoryBytes) >= leastMemoryOfType*memory
}

// measured returns what a node of type t has shown, if one has. What no such machine can have is not believed.
func (in *Input) measured(t instancetypes.Type) (m measured, ok bool) {
	if in.Learnt == nil {
		return measured{}, false
	}
	m, ok = in.Learnt.types[t.Name]
	return m, ok && near(m.capacity, t)
}

// refusals are the problems with nodes that are not what nodes of their type are.
func (in *Input) refusals() []Problem {
	var problems []Problem
	for _, r := range in.Learnt.Refused() {
		if r.Wrong {
			problems = append(problems, Problem{Group: in.Group, Subject: "figures of node", Key: r.Node, Value: r.What, Reason: ReasonImplausibleNode,
				Expected: "the figures of a sound node: " + r.Why + "; look at the node, or state with tags " + resourcesPrefix + "cpu and " + resourcesPrefix + "memory what all nodes have"})
		}
	}
	return problems
}

func learntSource(t instancetypes.Type) Source {
	return Source{Kind: SourceLearnt, Detail: "the least that a " + t.Name + " of this group has shown"}
}

// notLearnt are the domains of label keys whose owners label a node for what it is, where it is, or what happens to it.
// Whatever in them every node of the group carries is known from elsewhere, and the rest comes late or goes again.
var notLearnt = []string{"kubernetes.io", "k8s.io", "amazonaws.com", "aws", "karpenter.sh", "nvidia.com", "amd.com", "intel.com", "habana.ai"}

// machineMade matches what people do not write: UUIDs, hashes, serial numbers and times. Of one node only, they cannot be told
// from what all nodes share.
var machineMade = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{12}|[0-9]{8}`)

// learnable reports whether the next node will carry the label, too. own are the words that name this node.
func learnable(key, value string, own []string) bool {
	domain, _, prefixed := strings.Cut(key, "/")
	if prefixed && slices.ContainsFunc(notLearnt, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) }) {
		return false
	}
	lower := strings.ToLower(value)
	return validName(key) && validValue(value) && !machineMade.MatchString(lower) &&
		!slices.ContainsFunc(own, func(word string) bool { return strings.Contains(lower, word) })
}

// ownWords are those, in lower case, that tell a node from others of its group: its name, instance, addresses, zone and type.
func ownWords(node *corev1.Node, instanceType string) []string {
	words := []string{node.Name, instanceType, string(node.UID), node.Status.NodeInfo.MachineID, node.Labels[corev1.LabelHostname],
		node.Labels[corev1.LabelTopologyZone], node.Labels[labelZoneID]}
	if at := strings.LastIndexByte(node.Spec.ProviderID, '/'); at >= 0 {
		words = append(words, node.Spec.ProviderID[at+1:])
	}
	for _, a := range node.Status.Addresses {
		words = append(words, a.Address, strings.ReplaceAll(a.Address, ".", "-"))
	}
	for i := range words {
		words[i] = strings.ToLower(words[i])
	}
	return slices.DeleteFunc(words, func(word string) bool { return word == "" })
}
