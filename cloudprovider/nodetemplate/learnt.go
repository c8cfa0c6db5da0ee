package nodetemplate

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Learnt holds facts observed on real nodes of a group that the next node, started from the same description, will show too:
//   - by instance type, capacity and allocatable CPU, memory, ephemeral storage and pods. Only a node knows what its kernel,
//     its image and its kubelet's settings leave of EC2's figures.
//   - labels that only the image or its bootstrap can have set: with the same value on most nodes, or on the newest, and on at least two.
//     Kubernetes, AWS and device vendors label nodes by kind and place, so their keys do not count.
//
// Taints and other resources only refute what else is known of the next node, because a node carries many taints for a while, and a
// device plugin may be late. Labels with a value of one node are not observed. A Learnt is immutable and shares nothing with its nodes.
type Learnt struct {
	types    map[string]measured // by instance type
	labels   map[string]string
	odd      map[[2]string]bool // labels with their values that the next node is not expected to carry
	shown    map[string]bool    // taints and extended resources, as in Observed
	past     bool               // nodes that are gone alone show the accelerators among these
	complete bool               // enough nodes have had the time to show all their resources
	refused  []refusal          // of present nodes, by name
}

type refusal struct{ node, figures, why string }

// Conclude returns the facts to expect from the next node, given the present nodes and the nodes that are gone. facts looks up an instance
// type in the catalogue, and nodes of an unknown type are not judged. Gone nodes count only where present ones are missing: their figures
// where no node of the type is left, their labels where fewer than two nodes are left. Conclude returns nil without nodes.
func Conclude(present, gone []*Observed, facts func(instanceType string) (instancetypes.Type, bool)) *Learnt {
	all := slices.Concat(present, gone)
	if len(all) == 0 {
		return nil
	}
	l := &Learnt{types: map[string]measured{}, shown: map[string]bool{}}
	refused := map[*Observed]bool{}
	refuse := func(o *Observed, why string) bool {
		if refused[o] = why != ""; refused[o] && slices.Contains(present, o) {
			l.refuse(o, why)
		}
		return refused[o]
	}
	byType := map[string][]*Observed{}
	for _, o := range all {
		byType[o.instanceType] = append(byType[o.instanceType], o)
	}
	for name, nodes := range byType {
		t, known := facts(name)
		nodes = slices.DeleteFunc(nodes, func(o *Observed) bool { return refuse(o, o.implausible(t, known)) })
		if !reservedAlike(nodes, t) {
			nodes = slices.DeleteFunc(nodes, func(o *Observed) bool {
				return o.reservesMuch(t) && refuse(o, "a node offers pods at least half of what it has, or the memory that the EKS images leave")
			})
		}
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
	if len(present) >= minLabelledNodes {
		all = present
	}
	l.shareLabels(all)
	for _, o := range all {
		maps.Copy(l.shown, o.shown)
	}
	l.past = len(present) == 0 && slices.ContainsFunc(slices.Collect(maps.Keys(l.shown)), func(name string) bool {
		return IsAccelerator(corev1.ResourceName(name))
	})
	complete := slices.DeleteFunc(slices.Clone(present), func(o *Observed) bool { return !o.complete })
	l.complete = len(complete) >= minCompleteNodes
	slices.SortFunc(l.refused, func(a, b refusal) int { return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.figures, b.figures)) })
	l.refused = l.refused[:min(len(l.refused), maxRefusals)]
	return l
}

// Refuses reports whether the next node will not have the figures of this node. They are implausible for the type (facts are as
// in Conclude), or behind the figures of the nodes that count.
func (l *Learnt) Refuses(node *corev1.Node, instanceType string, facts func(instanceType string) (instancetypes.Type, bool)) bool {
	t, known := facts(instanceType)
	o := figuresOf(node, instanceType)
	if o.implausible(t, known) != "" {
		return known
	}
	if m, seen := cmp.Or(l, &Learnt{}).types[instanceType]; seen {
		return o.measured.less(m)
	}
	return known && o.reservesMuch(t)
}

// Odd reports whether the next node is not expected to carry the label, though a node does or did: most nodes lack its key or share another
// value, the newest has another value, or it is the value of one node alone.
func (l *Learnt) Odd(key, value string) bool { return l != nil && l.odd[[2]string{key, value}] }

// Lacks reports whether the group's nodes show, for good, none of a resource that something promises for the next one: they show
// another accelerator of its vendor, or two of them have been Ready for long. A node without branch interfaces says nothing about the
// next one: a node whose interfaces were all in use when security groups for pods were turned on never gets them (the VPC CNI asks for
// them only while a node has room, amazon-vpc-cni-k8s#1202).
func (l *Learnt) Lacks(name corev1.ResourceName) bool {
	if l == nil || l.shown[string(name)] || name == instancetypes.ResourcePodENI {
		return false
	}
	return l.complete && Extended(name) || l.divides(name)
}

// divides reports whether the group's nodes show another accelerator of the vendor in the place of an accelerator.
func (l *Learnt) divides(whole corev1.ResourceName) bool {
	for name := range l.shown {
		if Divides(corev1.ResourceName(name), whole) {
			return true
		}
	}
	return false
}

// Tainted reports whether a node of the group shows the taint, if one that lasts.
func (l *Learnt) Tainted(taint corev1.Taint) bool {
	return l != nil && l.shown[shownTaint+taintName(taint)]
}

func (l *Learnt) refuse(o *Observed, why string) {
	c, a := o.measured.capacity, o.measured.allocatable
	l.refused = append(l.refused, refusal{o.Node, fmt.Sprintf("%s: CPU %s of %s, memory %s of %s, %d of %d pods", o.instanceType, text(millis(a.cpuMillis)),
		text(millis(c.cpuMillis)), text(binary(a.memoryBytes)), text(binary(c.memoryBytes)), a.pods, c.pods), why})
}

func text(q resource.Quantity) string { return q.String() }

// reservedAlike reports whether several nodes of one type, which are all that are known, reserve as much as a misconfigured one might. Nobody
// misconfigures two alike, so the group's nodes are made like that, by a script or image that cannot be read.
func reservedAlike(nodes []*Observed, t instancetypes.Type) bool {
	if len(nodes) < 2 || slices.ContainsFunc(nodes, func(o *Observed) bool { return !o.reservesMuch(t) }) {
		return false
	}
	a, b := nodes[0].measured, nodes[1].measured
	return len(nodes) > 2 || !a.less(b) && !b.less(a) // the ones behind three or more are found below
}

// behind returns the nodes of one type that have less of something than most have. With fewer than three nodes there is no majority.
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

// shareLabels finds the labels that most nodes carry, and the odd ones. Where most nodes carry a key and no value of it has a majority, as in
// a group of half on-demand and half spot nodes, the newest node has the value of the next one, if another node has it, too, and none with
// another value came in the minute before it: a launch may bring both. A value that follows the zone is the next node's in that zone.
func (l *Learnt) shareLabels(nodes []*Observed) {
	l.labels, l.odd = map[string]string{}, map[[2]string]bool{}
	byKey := map[string][]*Observed{}
	for _, o := range nodes {
		for key := range o.labels {
			byKey[key] = append(byKey[key], o)
		}
	}
	for key, carriers := range byKey {
		usual, count := 2*len(carriers) > len(nodes), map[string]int{}
		for _, o := range carriers {
			count[o.labels[key]]++
		}
		shared := slices.DeleteFunc(carriers, func(o *Observed) bool { return count[o.labels[key]] < minLabelledNodes })
		inZone, values, several := map[string]string{}, map[string]bool{}, false // shared values, and whether a zone has several
		for _, o := range shared {
			value := o.labels[key]
			before, known := inZone[o.zone]
			inZone[o.zone], values[value] = value, true
			several = several || known && before != value
		}
		for value := range values {
			if 2*count[value] > len(nodes) && (several || len(values) == 1) {
				l.labels[key] = value
			}
		}
		if _, found := l.labels[key]; !found && several && usual {
			newest := slices.MaxFunc(shared, func(a, b *Observed) int { return a.created.Compare(b.created) })
			if several = !slices.ContainsFunc(shared, func(o *Observed) bool {
				return o.labels[key] != newest.labels[key] && newest.created.Sub(o.created) <= settledAfter
			}); several {
				l.labels[key] = newest.labels[key]
			}
		}
		next, found := l.labels[key]
		for value, number := range count {
			stays := values[value] && !found && !several && usual
			if 2*number <= len(nodes) && !stays && (!found || value != next) {
				l.odd[[2]string{key, value}] = true
			}
		}
	}
}

func (l *Learnt) Equal(o *Learnt) bool { return reflect.DeepEqual(l, o) }

// measured returns the observed figures of type t. It ignores figures that no such machine can have.
func (in *Input) measured(t instancetypes.Type) (m measured, ok bool) {
	m, ok = cmp.Or(in.Learnt, &Learnt{}).types[t.Name]
	return m, ok && near(m.capacity, t)
}

func (in *Input) refusals() (problems []Problem) {
	for _, r := range cmp.Or(in.Learnt, &Learnt{}).refused {
		problems = append(problems, Problem{Group: in.Group, Subject: "figures of node", Key: r.node, Value: r.figures, Reason: ReasonImplausibleNode,
			Expected: "the figures of a sound node: " + r.why + ", so look at the node, or state with tags " + resourcesPrefix + "cpu and " + resourcesPrefix + "memory what all nodes have"})
	}
	return problems
}

func observedSource(t instancetypes.Type) Source {
	return Source{Kind: SourceLearnt, Detail: "the least that a " + t.Name + " of this group has shown"}
}
