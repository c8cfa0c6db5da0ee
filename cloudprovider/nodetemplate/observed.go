package nodetemplate

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// Observed holds the facts of one node. It is immutable and shares nothing with the node.
type Observed struct {
	Node         string
	instanceType string
	hugePages    int64 // bytes that kubelet sets aside beside the allocatable memory
	measured     measured
	labels       map[string]string
	shown        map[string]bool // extended resources by name, and taints, but those of Kubernetes and of the core, which come and go
	complete     bool            // it has had the time to show all its resources
	created      time.Time
	zone         string
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
	o := &Observed{Node: node.Name, instanceType: instanceType, created: node.CreationTimestamp.Time, zone: nodemeta.Zone(node.Spec.ProviderID),
		measured: measured{capacity: amountsOf(node.Status.Capacity), allocatable: amountsOf(node.Status.Allocatable)}}
	for name, q := range node.Status.Capacity {
		if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
			o.hugePages += q.Value()
		}
	}
	return o
}

func (o *Observed) Equal(other *Observed) bool { return reflect.DeepEqual(o, other) }

// shownTaint begins the names of taints among the shown things, because a taint is often called like a resource.
const shownTaint = "taint "

func taintName(taint corev1.Taint) string { return taint.Key + ":" + string(taint.Effect) }

// lastingTaint reports whether neither Kubernetes nor the core puts such taints on nodes, and takes them off, by what happens to them.
func lastingTaint(taint corev1.Taint) bool {
	return !strings.Contains(taint.Key, "kubernetes.io/") && !strings.HasSuffix(taint.Key, "ClusterAutoscaler")
}

var compared = []func(measured) int64{
	func(m measured) int64 { return m.capacity.cpuMillis }, func(m measured) int64 { return m.allocatable.cpuMillis },
	func(m measured) int64 { return m.capacity.memoryBytes }, func(m measured) int64 { return m.allocatable.memoryBytes },
	func(m measured) int64 { return m.allocatable.diskBytes }, func(m measured) int64 { return m.allocatable.pods },
}

// less reports whether a node has less of something than another one of its type and version would.
func (m measured) less(than measured) bool {
	return slices.ContainsFunc(compared, func(of func(measured) int64) bool { return float64(of(m)) < leastOfMedian*float64(of(than)) })
}

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

// implausible says why the next node cannot look like this one, however much it reserves, "" if it can. A node must report what every
// node reports (a kubelet may be configured not to count its disk), must not contradict itself, and must be near the catalogue's figures,
// if they are known.
func (o *Observed) implausible(t instancetypes.Type, known bool) string {
	c, a := o.measured.capacity, o.measured.allocatable
	switch {
	case min(a.cpuMillis, a.memoryBytes, a.pods) <= 0 || a.diskBytes < 0:
		return "a node offers pods CPU, memory and a number of pods"
	case a.least(c) != a:
		return "more is allocatable than there is"
	case known && !near(c, t):
		return fmt.Sprintf("EC2 states %d CPUs and %s for the type, of which a node has half the CPUs and three quarters of the memory at least",
			t.VCPU, text(binary(t.MemoryBytes)))
	}
	return ""
}

// reservesMuch reports whether a node offers pods less than half of what it has, and less memory than the EKS images would leave them.
func (o *Observed) reservesMuch(t instancetypes.Type) bool {
	c, a := o.measured.capacity, o.measured.allocatable
	kept := c
	kept.pods = max(min(kept.pods, mostPods), int64(t.ENIMaxPods()))
	left := (&Input{AMIFamily: Bottlerocket}).unreserved(t, kept, Declared{})
	return float64(a.cpuMillis) < leastOfferedToPods*float64(c.cpuMillis) ||
		float64(a.memoryBytes)+float64(o.hugePages) < min(leastOfferedToPods*float64(c.memoryBytes), float64(left.memoryBytes))
}

func near(capacity amounts, t instancetypes.Type) bool {
	cpu, memory := float64(t.VCPU)*1000, float64(t.MemoryBytes)
	return float64(capacity.cpuMillis) <= cpu && float64(capacity.cpuMillis) >= leastCPUOfType*cpu &&
		float64(capacity.memoryBytes) <= memory && float64(capacity.memoryBytes) >= leastMemoryOfType*memory
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
		node.Labels[corev1.LabelTopologyZone], node.Labels[podzone.LabelZoneID]}
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
