package nodetemplate

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Learnt holds facts observed on real nodes of a group that the next node, started from the same description, will show too:
//   - by instance type, capacity and allocatable CPU, memory, ephemeral storage and pods. Only a node knows what its kernel,
//     its image and its kubelet's settings leave of EC2's figures.
//   - labels that only the image or its bootstrap can have set: with the same value on most nodes and on at least two.
//     Kubernetes, AWS and device vendors label nodes by kind and place, so their keys do not count.
//
// Taints and other resources only refute what else is known of the next node, because a node carries many taints for a while, and a
// device plugin may be late. Labels with a value of one node are not observed. A Learnt is immutable and shares nothing with its nodes.
type Learnt struct {
	types    map[string]measured // by instance type
	labels   map[string]string
	odd      map[[2]string]bool // labels with their values that the next node is not expected to carry
	shown    map[string]bool    // taints and extended resources, as in Observed
	complete bool               // enough nodes have had the time to show all their resources
	refused  []refusal          // of present nodes, by name
}

type refusal struct{ node, figures, why string }

// Observed holds the facts of one node. It is immutable and shares nothing with the node.
type Observed struct {
	Node         string
	instanceType string
	hugePages    int64 // bytes that kubelet sets aside beside the allocatable memory
	measured     measured
	labels       map[string]string
	shown        map[string]bool // extended resources by name, and taints, but those of Kubernetes and of the core, which come and go
	complete     bool            // it has had the time to show all its resources
}

type measured struct{ capacity, allocatable amounts }

const (
	// settledAfter is how long a node must have been Ready before it counts, as in the core.
	settledAfter = time.Minute
	// A resource that a node lacks counts once the node has been Ready for completeAfter. It is the core's default of
	// --max-node-startup-time, for which the autoscaler waits for a resource. kubelet writes the status every five minutes, and each
	// time the node is observed again.
	completeAfter = 15 * time.Minute
	// At least minCompleteNodes nodes must lack a resource, because one device plugin may be broken.
	minCompleteNodes = 2
	// maxObservedLabels bounds the labels of one node. The labels of a node with more do not count.
	maxObservedLabels = 100
	// minLabelledNodes is how many nodes must carry a label: somebody may have labelled one node by hand.
	minLabelledNodes = 2
	// maxRefusals bounds the refusals kept for one group.
	maxRefusals = 20
)

// These bound how far a figure may be from the catalogue. Kernel and firmware keep between 0.9 % (r3.large) and 17.3 %
// (t3.nano) of the memory for themselves on the 607 measured types, and 12 % at most from 2 GiB up. Disabling simultaneous
// multithreading halves the CPUs. A node of testdata/real_nodes.csv gives pods at least 86 % of its memory capacity and 96 % of
// its CPUs, and a kubelet may reserve more than the EKS images do. These reserve memory for each pod, which is more than half of a
// small node with many pods.
const (
	leastMemoryOfType  = 0.75
	leastCPUOfType     = 0.5
	leastOfferedToPods = 0.5
	// mostPods is the most that EKS recommends for a node of any type (max-pods-calculator.sh of awslabs/amazon-eks-ami). A node that
	// states more could excuse any figure.
	mostPods = 250
	// leastOfMedian is how far a node may stay behind others of its type. Nodes of one type and version differ by less than 0.3 %.
	leastOfMedian = 0.98
)

// Settled reports whether the node represents others like it at that time: it has been Ready for a minute, and nobody is
// removing it or has set it aside. Somebody who set it aside may have labelled it as well.
func Settled(node *corev1.Node, now time.Time) bool {
	return !node.Spec.Unschedulable && node.DeletionTimestamp == nil && nodemeta.Ready(node) &&
		now.Sub(nodemeta.ReadySince(node)) > settledAfter
}

func Observe(node *corev1.Node, instanceType string, now time.Time) *Observed {
	o := figuresOf(node, instanceType)
	o.labels, o.shown, o.complete = map[string]string{}, map[string]bool{}, now.Sub(nodemeta.ReadySince(node)) > completeAfter
	for _, taint := range node.Spec.Taints {
		if lastingTaint(taint) {
			o.shown[shownTaint+taintName(taint)] = true
		}
	}
	for name, q := range node.Status.Allocatable {
		if Extended(name) && !q.IsZero() {
			o.shown[string(name)] = true
		}
	}
	own := ownWords(node, instanceType)
	for key, value := range node.Labels {
		if lasting(key, value, own) {
			o.labels[key] = value
		}
	}
	if len(o.labels) > maxObservedLabels {
		o.labels = map[string]string{}
	}
	return o
}

// figuresOf returns the figures of a node without its labels.
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

func (o *Observed) Equal(other *Observed) bool { return reflect.DeepEqual(o, other) }

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
	refuse := func(o *Observed, why string) {
		refused[o] = true
		if slices.Contains(present, o) {
			l.refuse(o, why)
		}
	}
	byType := map[string][]*Observed{}
	for _, o := range all {
		byType[o.instanceType] = append(byType[o.instanceType], o)
	}
	for name, nodes := range byType {
		t, known := facts(name)
		nodes = slices.DeleteFunc(nodes, func(o *Observed) bool {
			why, wrong := o.implausible(t, known)
			if wrong {
				refuse(o, why)
			}
			return wrong
		})
		if !reservedAlike(nodes, t) {
			nodes = slices.DeleteFunc(nodes, func(o *Observed) bool {
				keeps := o.reservesMuch(t)
				if keeps {
					refuse(o, "a node offers pods at least half of what it has, or the memory that the EKS images leave")
				}
				return keeps
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
	if _, wrong := o.implausible(t, known); wrong {
		return known
	}
	if l == nil {
		l = &Learnt{}
	}
	if m, seen := l.types[instanceType]; seen {
		return o.measured.less(m)
	}
	return known && o.reservesMuch(t)
}

// Odd reports whether the next node is not expected to carry the label, though a node does or did: most nodes lack its key or share another
// value, or it is the value of one node alone.
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

// untainted reports whether the group's nodes have lost a taint with which they registered.
func (l *Learnt) untainted(taint corev1.Taint) bool {
	return l != nil && lastingTaint(taint) && !l.Tainted(taint)
}

// Tainted reports whether a node of the group shows the taint, if one that lasts.
func (l *Learnt) Tainted(taint corev1.Taint) bool {
	return l != nil && l.shown[shownTaint+taintName(taint)]
}

// shownTaint begins the names of taints among the shown things, because a taint is often called like a resource.
const shownTaint = "taint "

func taintName(taint corev1.Taint) string { return taint.Key + ":" + string(taint.Effect) }

// lastingTaint reports whether neither Kubernetes nor the core puts such taints on nodes, and takes them off, by what happens to them.
func lastingTaint(taint corev1.Taint) bool {
	return !strings.Contains(taint.Key, "kubernetes.io/") && !strings.HasSuffix(taint.Key, "ClusterAutoscaler")
}

func (l *Learnt) refuse(o *Observed, why string) {
	c, a := o.measured.capacity, o.measured.allocatable
	l.refused = append(l.refused, refusal{o.Node, fmt.Sprintf("%s: CPU %s of %s, memory %s of %s, %d of %d pods", o.instanceType, text(millis(a.cpuMillis)),
		text(millis(c.cpuMillis)), text(binary(a.memoryBytes)), text(binary(c.memoryBytes)), a.pods, c.pods), why})
}

func text(q resource.Quantity) string { return q.String() }

var compared = []func(measured) int64{
	func(m measured) int64 { return m.capacity.cpuMillis }, func(m measured) int64 { return m.allocatable.cpuMillis },
	func(m measured) int64 { return m.capacity.memoryBytes }, func(m measured) int64 { return m.allocatable.memoryBytes },
	func(m measured) int64 { return m.allocatable.diskBytes }, func(m measured) int64 { return m.allocatable.pods },
}

// less reports whether a node has less of something than another one of its type and version would.
func (m measured) less(than measured) bool {
	return slices.ContainsFunc(compared, func(of func(measured) int64) bool { return float64(of(m)) < leastOfMedian*float64(of(than)) })
}

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
// a group of half on-demand and half spot nodes, each value of several nodes may be the next node's.
func (l *Learnt) shareLabels(nodes []*Observed) {
	l.labels, l.odd = map[string]string{}, map[[2]string]bool{}
	count, keys := map[[2]string]int{}, map[string]int{}
	for _, o := range nodes {
		for key, value := range o.labels {
			count[[2]string{key, value}]++
			keys[key]++
		}
	}
	for label, carriers := range count {
		if 2*carriers > len(nodes) && carriers >= minLabelledNodes {
			l.labels[label[0]] = label[1]
		}
	}
	for label, carriers := range count {
		_, shared := l.labels[label[0]]
		several := !shared && 2*keys[label[0]] > len(nodes) && carriers >= minLabelledNodes
		if 2*carriers <= len(nodes) && !several {
			l.odd[label] = true
		}
	}
}

func (l *Learnt) Equal(o *Learnt) bool { return reflect.DeepEqual(l, o) }

func amountsOf(list corev1.ResourceList) amounts {
	return amounts{cpuMillis: list.Cpu().MilliValue(), memoryBytes: list.Memory().Value(),
		diskBytes: list.StorageEphemeral().Value(), pods: list.Pods().Value()}
}

func (a amounts) least(b amounts) amounts {
	return amounts{cpuMillis: min(a.cpuMillis, b.cpuMillis), memoryBytes: min(a.memoryBytes, b.memoryBytes),
		diskBytes: min(a.diskBytes, b.diskBytes), pods: min(a.pods, b.pods)}
}

func (a amounts) or(b amounts) amounts {
	return amounts{cpuMillis: cmp.Or(a.cpuMillis, b.cpuMillis), memoryBytes: cmp.Or(a.memoryBytes, b.memoryBytes),
		diskBytes: cmp.Or(a.diskBytes, b.diskBytes), pods: cmp.Or(a.pods, b.pods)}
}

// implausible says why the next node cannot look like this one, however much it reserves. A node must report what every node reports (a
// kubelet may be configured not to count its disk), must not contradict itself, and must be near the catalogue's figures, if they are known.
func (o *Observed) implausible(t instancetypes.Type, known bool) (why string, wrong bool) {
	c, a := o.measured.capacity, o.measured.allocatable
	switch {
	case min(a.cpuMillis, a.memoryBytes, a.pods) <= 0 || a.diskBytes < 0:
		return "a node offers pods CPU, memory and a number of pods", true
	case a.least(c) != a:
		return "more is allocatable than there is", true
	case known && !near(c, t):
		return fmt.Sprintf("EC2 states %d CPUs and %s for the type, of which a node has half the CPUs and three quarters of the memory at least",
			t.VCPU, text(binary(t.MemoryBytes))), true
	}
	return "", false
}

// reservesMuch reports whether a node offers pods less than half of what it has, and less memory than the EKS images would leave them.
func (o *Observed) reservesMuch(t instancetypes.Type) bool {
	c, a := o.measured.capacity, o.measured.allocatable
	kept := c
	kept.pods = min(kept.pods, mostPods)
	left := (&Input{}).unreserved(t, kept, Declared{})
	return float64(a.cpuMillis) < leastOfferedToPods*float64(c.cpuMillis) ||
		float64(a.memoryBytes)+float64(o.hugePages) < min(leastOfferedToPods*float64(c.memoryBytes), float64(left.memoryBytes))
}

func near(capacity amounts, t instancetypes.Type) bool {
	cpu, memory := float64(t.VCPU)*1000, float64(t.MemoryBytes)
	return float64(capacity.cpuMillis) <= cpu && float64(capacity.cpuMillis) >= leastCPUOfType*cpu &&
		float64(capacity.memoryBytes) <= memory && float64(capacity.memoryBytes) >= leastMemoryOfType*memory
}

// measured returns the observed figures of type t. It ignores figures that no such machine can have.
func (in *Input) measured(t instancetypes.Type) (m measured, ok bool) {
	if in.Learnt != nil {
		m, ok = in.Learnt.types[t.Name]
	}
	return m, ok && near(m.capacity, t)
}

func (in *Input) refusals() (problems []Problem) {
	if in.Learnt == nil {
		return nil
	}
	for _, r := range in.Learnt.refused {
		problems = append(problems, Problem{Group: in.Group, Subject: "figures of node", Key: r.node, Value: r.figures, Reason: ReasonImplausibleNode,
			Expected: "the figures of a sound node: " + r.why + ", so look at the node, or state with tags " + resourcesPrefix + "cpu and " + resourcesPrefix + "memory what all nodes have"})
	}
	return problems
}

func observedSource(t instancetypes.Type) Source {
	return Source{Kind: SourceLearnt, Detail: "the least that a " + t.Name + " of this group has shown"}
}

// foreignDomains are the domains of label keys whose owners label a node by kind, by place, or by events. The labels that every
// node of the group carries are known from elsewhere, and the others come late or go again.
var foreignDomains = []string{"kubernetes.io", "k8s.io", "amazonaws.com", "aws", "karpenter.sh", "nvidia.com", "amd.com", "intel.com", "habana.ai"}

// machineMade matches UUIDs, hashes, serial numbers and times. With only one node, they look the same as values that all nodes share.
var machineMade = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{12}|[0-9]{8}`)

// lasting reports whether the next node will carry the label, too. own are the words that name this node.
func lasting(key, value string, own []string) bool {
	domain, _, prefixed := strings.Cut(key, "/")
	if prefixed && slices.ContainsFunc(foreignDomains, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) }) {
		return false
	}
	lower := strings.ToLower(value)
	return ValidName(key) && ValidValue(value) && !machineMade.MatchString(lower) &&
		!slices.ContainsFunc(own, func(word string) bool { return strings.Contains(lower, word) })
}

// ownWords returns, in lower case, the words that distinguish a node from others of its group.
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
