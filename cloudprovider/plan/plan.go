package plan

import (
	"encoding/json"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// keep bounds the wait for a node. It is longer than any usual --max-node-provision-time, after which the core gives up a node.
	keep = time.Hour
	// mostPods bounds the memory. The oldest nodes make room.
	mostPods = 100_000
)

// Node is a node that a plan adds to a group, and its pods.
type Node struct {
	Group string        // the core's node group ID
	Pods  []*corev1.Pod // those that still wait, as they were when they were planned

	Asked time.Time // zero before the node is asked for
	Name  string    // of the node that registered for it, "" before

	entry *Node // of the Plan, where this is a copy
}

func Nodes(group string, perNode [][]*corev1.Pod) []Node {
	nodes := make([]Node, len(perNode))
	for at, pods := range perNode {
		nodes[at] = Node{Group: group, Pods: pods}
	}
	return nodes
}

// Waiting returns the node's pods that are pending, as they are now.
func (n *Node) Waiting(pending map[types.UID]*corev1.Pod) []*corev1.Pod {
	var waiting []*corev1.Pod
	for _, pod := range n.Pods {
		if now := pending[pod.UID]; now != nil {
			waiting = append(waiting, now)
		}
	}
	return waiting
}

// Shape is the same for pods that fit on the same nodes: a hash of what kube-scheduler's filters read of a pod beside its labels. Pods of
// different shapes may have the same nodes, too.
func Shape(pod *corev1.Pod) uint64 {
	spec := &pod.Spec
	var ports []corev1.ContainerPort
	for at := range spec.Containers { // no copy of a container: the core's loop writes to Env
		ports = append(ports, spec.Containers[at].Ports...)
	}
	for at := range spec.InitContainers { // sidecars, and others that make no difference to a filter
		ports = append(ports, spec.InitContainers[at].Ports...)
	}
	var claims []corev1.Volume // each pod has a token's volume with a name of its own, which no filter reads
	for _, v := range spec.Volumes {
		if nodemeta.HasClaim(v) {
			claims = append(claims, v)
		}
	}
	// A pod of the API server always has a JSON form.
	text, _ := json.Marshal([]any{nodemeta.Requests(pod), ports, spec.NodeSelector, spec.Affinity,
		spec.Tolerations, spec.TopologySpreadConstraints, spec.Priority, claims, spec.ResourceClaims})
	hash := fnv.New64a()
	_, _ = hash.Write(text)
	return hash.Sum64()
}

// shapesOf hashes thousands of pods in a burst, so it is called before the lock.
func shapesOf(pods []*corev1.Pod) []uint64 {
	shapes := make([]uint64, len(pods))
	for at, pod := range pods {
		shapes[at] = Shape(pod)
	}
	return shapes
}

// Plan is the nodes that were asked for. It is safe for concurrent use.
type Plan struct {
	// Changed is called after nodes were asked for, and after pods left the plan. It must return at once. It is set before the Plan is used. It is nil
	// if nobody watches.
	Changed func(asked bool, pods []types.UID)

	clock clock.PassiveClock
	mu    sync.Mutex
	nodes []*Node // the oldest first
	of    map[types.UID]place
}

type place struct {
	node  *Node
	pod   *corev1.Pod
	shape uint64
}

func New(c clock.PassiveClock) *Plan { return &Plan{clock: c, of: map[types.UID]place{}} }

func (p *Plan) Asked(nodes ...Node) {
	var pods []types.UID
	for at := range nodes {
		nodes[at].Asked = p.clock.Now()
		for _, pod := range nodes[at].Pods {
			pods = append(pods, pod.UID)
		}
	}
	p.Add(nodes...)
	p.notify(len(nodes) > 0, pods)
}

// Add adds nodes, the oldest first. Their pods leave the nodes for which they were planned before.
func (p *Plan) Add(nodes ...Node) {
	shapes := make([][]uint64, len(nodes))
	for at, node := range nodes {
		shapes[at] = shapesOf(node.Pods)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, node := range nodes {
		pods := node.Pods
		node.Pods = nil
		for i, pod := range pods {
			p.put(&node, pod, shapes[at][i])
		}
		p.nodes = append(p.nodes, &node)
	}
	excess := len(p.of) - mostPods
	p.nodes = slices.DeleteFunc(p.nodes, func(n *Node) bool {
		if len(n.Pods) > 0 && excess <= 0 && p.clock.Since(n.Asked) < keep {
			return false
		}
		excess -= len(n.Pods)
		for _, pod := range n.Pods {
			delete(p.of, pod.UID)
		}
		return true
	})
}

// Take gives a node that has registered to the oldest entry of its group that has pods and no node, and returns the entry. Entries with
// pods that refuse the node come last: AWS may have chosen its zone and type. whole is the Auto Scaling group of a zone group, which may
// have been divided after the node was asked for.
func (p *Plan) Take(group, whole, name string, refuses func(*corev1.Pod) bool) (Node, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waits := func(n *Node) bool {
		return n.Name == "" && (n.Group == group || n.Group == whole) && len(n.Pods) > 0 && p.clock.Since(n.Asked) < keep
	}
	at := slices.IndexFunc(p.nodes, func(n *Node) bool { return waits(n) && !slices.ContainsFunc(n.Pods, refuses) })
	if at < 0 {
		at = slices.IndexFunc(p.nodes, waits)
	}
	if at < 0 {
		return Node{}, false
	}
	p.nodes[at].Name = name
	return p.nodes[at].copy(), true
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
	shapes := shapesOf(pods)
	p.mu.Lock()
	defer p.mu.Unlock()
	if node.entry.Name != "" || !slices.Contains(p.nodes, node.entry) { // it has registered meanwhile, or is forgotten
		return
	}
	for i, pod := range pods {
		p.put(node.entry, pod, shapes[i])
	}
}

func (p *Plan) Drop(uids ...types.UID) {
	p.mu.Lock()
	dropped := slices.DeleteFunc(slices.Clone(uids), func(uid types.UID) bool { return !p.drop(uid) })
	p.mu.Unlock()
	p.notify(false, dropped)
}

func (p *Plan) notify(asked bool, pods []types.UID) {
	if p.Changed != nil && (asked || len(pods) > 0) {
		p.Changed(asked, pods)
	}
}

func (p *Plan) Has(uid types.UID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[uid].node != nil
}

// NodeOf returns the name of the node that has registered for the pod, "" for none.
func (p *Plan) NodeOf(uid types.UID) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.of[uid].node; n != nil {
		return n.Name
	}
	return ""
}

// Alike reports whether no other pod can take a place of the node's pods: all pods that are planned for its group have one shape, and the
// others cannot run there. taints are those of the node. One that the node's own pods do not tolerate will go.
func (p *Plan) Alike(node Node, taints []corev1.Taint) bool {
	own := node.Pods[0]
	shape := Shape(own)
	p.mu.Lock()
	defer p.mu.Unlock()
	harmless := map[uint64]bool{shape: true} // shapes of pods that take no place away
	for _, at := range p.of {
		if at.shape != shape && at.node.Group == node.Group || !harmless[at.shape] && !keptOut(at.pod, own, taints) {
			return false
		}
		harmless[at.shape] = true
	}
	return true
}

// keptOut reports whether a node selector or a taint keeps the pod from the node for which own is planned.
func keptOut(pod, own *corev1.Pod, taints []corev1.Taint) bool {
	for label, value := range pod.Spec.NodeSelector {
		if has, known := own.Spec.NodeSelector[label]; known && has != value {
			return true
		}
	}
	return slices.ContainsFunc(taints, func(taint corev1.Taint) bool { return Tolerates(own, &taint) && !Tolerates(pod, &taint) })
}

// Tolerates reports whether the taint keeps the pod from no node.
func Tolerates(pod *corev1.Pod, taint *corev1.Taint) bool {
	return taint.Effect == corev1.TaintEffectPreferNoSchedule || scheduling.TolerationsTolerateTaint(klog.Background(), pod.Spec.Tolerations, taint, true)
}

func (p *Plan) put(n *Node, pod *corev1.Pod, shape uint64) {
	p.drop(pod.UID)
	n.Pods = append(n.Pods, pod)
	p.of[pod.UID] = place{n, pod, shape}
}

func (p *Plan) drop(uid types.UID) bool {
	n := p.of[uid].node
	if n == nil {
		return false
	}
	delete(p.of, uid)
	n.Pods = slices.DeleteFunc(n.Pods, func(pod *corev1.Pod) bool { return pod.UID == uid })
	return true
}

// copy is a node that does not change with the plan.
func (n *Node) copy() Node {
	node := *n
	node.Pods, node.entry = slices.Clone(n.Pods), n
	return node
}
