package nodetemplate

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Learnt is what real nodes of a group have shown that the next one started from the same description will show, too:
//   - by instance type, capacity and allocatable CPU, memory, ephemeral storage and pods. Only a node knows what its
//     kernel, its image and its kubelet's settings leave of what EC2 sells.
//   - labels that only the image or its bootstrap can have set: on every node seen, with the same value, of a key that
//     belongs to nobody who labels nodes by what they are or where (Kubernetes, AWS, the vendors of devices).
//
// Not learnt are taints, for a node carries many for a while only (not ready, cordoned, to be deleted, starting); any other
// resource, for a device plugin may be late, absent or set up differently tomorrow; and labels with a value of one node.
// It is immutable and shares nothing with the nodes it was learnt from.
type Learnt struct {
	types  map[string]measured // by instance type
	labels map[string]string
}

// measured is what a node of one type has shown.
type measured struct{ capacity, allocatable amounts }

const (
	// settledAfter is how long a node must have been Ready before anything is learnt from it, as in the core.
	settledAfter = time.Minute
	// maxLearntLabels is how many labels are learnt from one node; one with more teaches none.
	maxLearntLabels = 100
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

// Learn returns what a settled node of the instance type tells.
func Learn(node *corev1.Node, instanceType string) *Learnt {
	l := &Learnt{types: map[string]measured{}, labels: map[string]string{}}
	m := measured{capacity: amountsOf(node.Status.Capacity), allocatable: amountsOf(node.Status.Allocatable)}
	if m.plausible() {
		l.types[instanceType] = m
	}
	own := ownWords(node, instanceType)
	for key, value := range node.Labels {
		if learnable(key, value, own) {
			l.labels[key] = value
		}
	}
	if len(l.labels) > maxLearntLabels {
		l.labels = map[string]string{}
	}
	return l
}

// Together is what several nodes tell: of each type the least that one has shown, and the labels that all carry. Without any
// it is nil; nil ones are left out.
func Together(all ...*Learnt) *Learnt {
	var sum *Learnt
	for _, l := range all {
		switch {
		case l == nil:
		case sum == nil:
			sum = &Learnt{types: maps.Clone(l.types), labels: maps.Clone(l.labels)}
		default:
			for name, m := range l.types {
				if have, ok := sum.types[name]; ok {
					m = measured{capacity: have.capacity.least(m.capacity), allocatable: have.allocatable.least(m.allocatable)}
				}
				sum.types[name] = m
			}
			maps.DeleteFunc(sum.labels, func(key, value string) bool {
				other, ok := l.labels[key]
				return !ok || other != value
			})
		}
	}
	return sum
}

// Equal reports whether both tell the same.
func (l *Learnt) Equal(o *Learnt) bool {
	if l == nil || o == nil {
		return l == o
	}
	return maps.Equal(l.types, o.types) && maps.Equal(l.labels, o.labels)
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

// plausible reports whether the node says what every node does (a kubelet may be told not to count its disk), and nothing
// that contradicts itself.
func (m measured) plausible() bool {
	a := m.allocatable
	return min(a.cpuMillis, a.memoryBytes, a.pods) > 0 && a.diskBytes >= 0 && a.within(m.capacity)
}

// measured returns what a node of type t has shown, if one has. What no such machine can have is not believed.
func (in *Input) measured(t instancetypes.Type) (m measured, ok bool) {
	if in.Learnt == nil {
		return measured{}, false
	}
	m, ok = in.Learnt.types[t.Name]
	if !ok || m.capacity.cpuMillis > int64(t.VCPU)*1000 || m.capacity.memoryBytes > t.MemoryBytes {
		return measured{}, false
	}
	return m, true
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
