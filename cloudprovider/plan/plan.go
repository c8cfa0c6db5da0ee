package plan

import (
	"encoding/json"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// keep bounds the wait for a node. It is longer than any usual --max-node-provision-time, after which the core gives up a node.
	keep = time.Hour
	// mostPods bounds the memory. The oldest nodes make room. 100,000 pods take about 24 MB.
	mostPods = 100_000
)

// Node is a node that was asked for, and its pods.
type Node struct {
	Group string // the core's node group ID
	Name  string // of the node that registered for it, "" before
	Pods  []Pod  // those that still wait
	Asked time.Time

	entry *Node // of the plan, where this is a copy
}

// Pod names a pod. A pod that was deleted and made again has another UID.
type Pod struct {
	Namespace, Name string
	UID             types.UID
	// Shape is the same for pods that fit on the same nodes. Pods of different shapes may have the same nodes, too.
	Shape uint64

	selector    map[string]string
	tolerations []corev1.Toleration
}

// Named is the Pod for a pod of the API server.
func Named(pod *corev1.Pod) Pod {
	return Pod{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Shape: shape(&pod.Spec), selector: pod.Spec.NodeSelector, tolerations: pod.Spec.Tolerations}
}

// shape is a hash of what kube-scheduler's filters read of a pod beside its labels.
func shape(spec *corev1.PodSpec) uint64 {
	var ports []corev1.ContainerPort
	for _, c := range spec.Containers {
		ports = append(ports, c.Ports...)
	}
	var claims []corev1.Volume // each pod has a token's volume with a name of its own, which no filter reads
	for _, v := range spec.Volumes {
		if v.PersistentVolumeClaim != nil || v.Ephemeral != nil {
			claims = append(claims, v)
		}
	}
	text, err := json.Marshal([]any{resource.PodRequests(&corev1.Pod{Spec: *spec}, resource.PodResourcesOptions{}), ports, spec.NodeSelector, spec.Affinity,
		spec.Tolerations, spec.TopologySpreadConstraints, spec.Priority, claims, spec.ResourceClaims})
	if err != nil { // a pod of the API server always is JSON
		return 0
	}
	hash := fnv.New64a()
	_, _ = hash.Write(text)
	return hash.Sum64()
}

// Plan is safe for concurrent use.
type Plan struct {
	clock  clock.PassiveClock
	mu     sync.Mutex
	nodes  []*Node             // the oldest first
	of     map[types.UID]*Node // of each pod
	shapes map[kind]*alike
}

// kind is a shape of pods that are planned for a group.
type kind struct {
	group string
	shape uint64
}

// alike are the pods of a kind.
type alike struct {
	count int
	one   Pod
}

// New makes an empty Plan.
func New(c clock.PassiveClock) *Plan {
	return &Plan{clock: c, of: map[types.UID]*Node{}, shapes: map[kind]*alike{}}
}

// Asked adds nodes of one group that were asked for now, each with its pods.
func (p *Plan) Asked(group string, perNode [][]*corev1.Pod) {
	nodes := make([]Node, len(perNode))
	for at, pods := range perNode {
		nodes[at] = Node{Group: group, Asked: p.clock.Now()}
		for _, pod := range pods {
			nodes[at].Pods = append(nodes[at].Pods, Named(pod))
		}
	}
	p.Add(nodes...)
}

// Add adds nodes, the oldest first. Their pods leave the nodes for which they were planned before.
func (p *Plan) Add(nodes ...Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, node := range nodes {
		pods := node.Pods
		node.Pods = nil
		for _, pod := range pods {
			p.put(&node, pod)
		}
		p.nodes = append(p.nodes, &node)
	}
	excess := len(p.of) - mostPods
	p.remove(func(n *Node) bool {
		if len(n.Pods) > 0 && excess <= 0 && p.clock.Since(n.Asked) < keep {
			return false
		}
		excess -= len(n.Pods)
		return true
	})
}

// Take gives a node that has registered to the oldest entry of its group that has pods and no node, and returns the entry.
func (p *Plan) Take(group, name string) (Node, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.nodes {
		if n.Name == "" && n.Group == group && len(n.Pods) > 0 && p.clock.Since(n.Asked) < keep {
			n.Name = name
			return n.copy(), true
		}
	}
	return Node{}, false
}

// Planned returns the nodes that pods wait for, the oldest first.
func (p *Plan) Planned() []Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	var nodes []Node
	for _, n := range p.nodes {
		if len(n.Pods) > 0 && p.clock.Since(n.Asked) < keep {
			nodes = append(nodes, n.copy())
		}
	}
	return nodes
}

// Join adds pods to one of Planned that has not registered. They leave the nodes for which they were planned before.
func (p *Plan) Join(node Node, pods []*corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if node.entry.Name != "" || !slices.Contains(p.nodes, node.entry) { // it has registered meanwhile, or is forgotten
		return
	}
	for _, pod := range pods {
		p.put(node.entry, Named(pod))
	}
}

// Drop forgets pods that no longer wait.
func (p *Plan) Drop(uids ...types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range uids {
		p.drop(uid)
	}
}

// Has reports whether a node was asked for the pod.
func (p *Plan) Has(uid types.UID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[uid] != nil
}

// NodeOf returns the name of the node that has registered for the pod, "" for none.
func (p *Plan) NodeOf(uid types.UID) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.of[uid]; n != nil {
		return n.Name
	}
	return ""
}

// Alike reports whether no other pod can take a place of the node's pods: all pods that are planned for its group have one shape, and the
// others cannot run there. taints are those of the node. One that the node's own pods do not tolerate will go.
func (p *Plan) Alike(node Node, taints []corev1.Taint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := node.Pods[0]
	for kind, other := range p.shapes {
		if kind.shape != own.Shape && (kind.group == node.Group || !keptOut(other.one, own, taints)) {
			return false
		}
	}
	return true
}

// keptOut reports whether a node selector or a taint keeps the pod from the node for which own is planned.
func keptOut(pod, own Pod, taints []corev1.Taint) bool {
	for label, value := range pod.selector {
		if has, known := own.selector[label]; known && has != value {
			return true
		}
	}
	return slices.ContainsFunc(taints, func(taint corev1.Taint) bool {
		return taint.Effect != corev1.TaintEffectPreferNoSchedule && own.tolerates(&taint) && !pod.tolerates(&taint)
	})
}

func (p *Pod) tolerates(taint *corev1.Taint) bool {
	return scheduling.TolerationsTolerateTaint(klog.Background(), p.tolerations, taint, true)
}

// put plans the pod for the node, and for no other.
func (p *Plan) put(n *Node, pod Pod) {
	p.drop(pod.UID)
	n.Pods = append(n.Pods, pod)
	p.of[pod.UID] = n
	k := kind{n.Group, pod.Shape}
	if p.shapes[k] == nil {
		p.shapes[k] = &alike{one: pod}
	}
	p.shapes[k].count++
}

func (p *Plan) drop(uid types.UID) {
	n := p.of[uid]
	if n == nil {
		return
	}
	at := slices.IndexFunc(n.Pods, func(pod Pod) bool { return pod.UID == uid })
	p.forget(n, n.Pods[at])
	n.Pods = slices.Delete(n.Pods, at, at+1)
}

func (p *Plan) forget(n *Node, pod Pod) {
	delete(p.of, pod.UID)
	k := kind{n.Group, pod.Shape}
	if p.shapes[k].count--; p.shapes[k].count == 0 {
		delete(p.shapes, k)
	}
}

// remove removes nodes with their pods.
func (p *Plan) remove(which func(*Node) bool) {
	p.nodes = slices.DeleteFunc(p.nodes, func(n *Node) bool {
		if !which(n) {
			return false
		}
		for _, pod := range n.Pods {
			p.forget(n, pod)
		}
		return true
	})
}

// copy is a node that does not change with the plan.
func (n *Node) copy() Node {
	node := *n
	node.Pods, node.entry = slices.Clone(n.Pods), n
	return node
}
