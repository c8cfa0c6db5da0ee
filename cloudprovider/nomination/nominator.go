package nomination

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodeready"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

const (
	// workers is how many writes are under way at once. The client's rate limit bounds them, too. They are many because nodes may be Ready
	// seconds after they register, and until then kube-scheduler tries all waiting pods again and again, which keeps the API server busy.
	workers = 64
	// groupPause is the time between two looks for the group of a node whose instance no reading of the groups has yet.
	groupPause = time.Second
)

// Options of a Nominator.
type Options struct {
	*plan.Plan
	Client kubernetes.Interface
	// Nodes and Pods are informers of all nodes and pods. New adds handlers to them.
	Nodes, Pods cache.SharedIndexInformer
	// Group returns the node group of a node, "" for none. Several goroutines call it.
	Group  func(*corev1.Node) string
	Events record.EventRecorder
	// ReadyTime is how long after its registration a node is expected to become ready.
	ReadyTime time.Duration
	// UsableOnly is for a core that sees the nominations and the nodes as they are. Pods are nominated for a node when it can take them, and
	// no node is held.
	UsableOnly bool
	Registerer prometheus.Registerer
	Clock      clock.WithTicker
}

// Nominator nominates planned pods for the nodes that register for them. Run is called once. The other methods are safe for concurrent
// use, before Run, too.
type Nominator struct {
	Options
	metric *prometheus.CounterVec
	queue  workqueue.TypedDelayingInterface[key]

	mu       sync.Mutex
	fresh    map[string]bool // registered nodes for which no plan was found yet, by name
	targets  map[types.UID]*target
	on       map[string]map[types.UID]bool // targets of each node
	held     map[string]*held              // nodes that are cordoned until their pods are nominated
	tried    time.Time                     // when a target came or changed last, mostly because kube-scheduler tried the pod
	placed   map[string][]placed           // on the nodes of targets at placedAt, see lacksRoom
	placedAt time.Time
	slow     time.Time     // when a write last took long, or zero, see busy
	denied   time.Time     // when the permission was found missing, or zero
	said     sync.Once     // the missing permission is logged
	changed  chan struct{} // a target or a held node has changed
}

// key is what a worker looks at: a node that has registered, such a node that is to be held, or a target.
type key struct {
	node string
	hold bool
	pod  types.UID
}

// New makes a Nominator.
func New(o Options) (*Nominator, error) {
	n := &Nominator{Options: o, fresh: map[string]bool{}, targets: map[types.UID]*target{}, on: map[string]map[types.UID]bool{},
		held: map[string]*held{}, changed: make(chan struct{}, 1),
		queue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[key]{Clock: o.Clock})}
	var err error
	if n.metric, err = newMetric(o.Registerer); err != nil {
		return nil, err
	}
	if _, err := o.Nodes.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{AddFunc: n.nodeAdded, UpdateFunc: n.nodeUpdated, DeleteFunc: n.nodeDeleted}); err != nil {
		return nil, fmt.Errorf("watch nodes: %w", err)
	}
	if _, err := o.Pods.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: n.podUpdated, DeleteFunc: n.podDeleted}); err != nil {
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	return n, nil
}

// Asked adds nodes that were asked for in a group, each with its pods, to the plan. It withdraws nominations that the pods have for other nodes.
func (n *Nominator) Asked(group string, perNode [][]*corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Plan.Asked(group, perNode)
	for _, pods := range perNode {
		for _, pod := range pods {
			if t := n.targets[pod.UID]; t != nil {
				t.replanned = true
				n.queue.Add(key{pod: pod.UID})
			}
		}
	}
	for name := range n.fresh {
		n.queue.Add(key{node: name})
	}
}

// Run nominates until ctx ends. It returns when all goroutines have stopped. Nominations stay, and the next leader takes them up.
func (n *Nominator) Run(ctx context.Context) error {
	n.ask(ctx)
	n.adopt()
	earlier := n.adoptHeld() // before the workers hold others
	var work sync.WaitGroup
	for range workers {
		work.Go(func() {
			for {
				k, ended := n.queue.Get()
				if ended {
					return
				}
				if ctx.Err() == nil {
					n.look(ctx, k)
				}
				n.queue.Done(k)
			}
		})
	}
	n.releaseHeld(ctx, earlier)
	n.queue.ShutDown()
	work.Wait()
	return nil
}

func (n *Nominator) look(ctx context.Context, k key) {
	switch {
	case k.hold:
		n.hold(ctx, k.node)
	case k.node != "":
		n.lookAtNode(ctx, k)
	default:
		n.lookAtPod(ctx, k)
	}
}

// adopt takes up nominations of an earlier leader: kube-scheduler nominates for no node that was never ready.
func (n *Nominator) adopt() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, object := range n.Pods.GetStore().List() {
		pod, ok := object.(*corev1.Pod)
		if !ok || pod.Spec.NodeName != "" || pod.Status.NominatedNodeName == "" {
			continue
		}
		node := n.node(pod.Status.NominatedNodeName)
		if node == nil || nodeready.Is(node) || n.Clock.Since(node.CreationTimestamp.Time) >= n.ReadyTime {
			continue
		}
		if group := n.Group(node); group != "" {
			n.assign(pod, group, target{node: node.Name, nominated: node.Name})
		}
	}
}

// assign plans the pod for a node that has registered, and makes it a target. It needs the lock.
func (n *Nominator) assign(pod *corev1.Pod, group string, t target) {
	n.Plan.Add(plan.Node{Group: group, Name: t.node, Asked: n.Clock.Now(), Pods: []plan.Pod{plan.Named(pod)}})
	t.namespace, t.name = pod.Namespace, pod.Name
	n.follow(pod.UID, t)
}

// follow makes the pod a target. It keeps the memory of an earlier nomination. It needs the lock.
func (n *Nominator) follow(uid types.UID, t target) {
	if before := n.targets[uid]; before != nil {
		t.nominated = before.nominated
		n.forget(uid)
	}
	n.targets[uid], n.tried = &t, n.Clock.Now()
	if n.on[t.node] == nil {
		n.on[t.node] = map[types.UID]bool{}
	}
	n.on[t.node][uid] = true
	n.queue.Add(key{pod: uid})
}

// forget needs the lock.
func (n *Nominator) forget(uid types.UID) {
	t := n.targets[uid]
	if t == nil {
		return
	}
	delete(n.targets, uid)
	delete(n.on[t.node], uid)
	if len(n.on[t.node]) == 0 {
		delete(n.on, t.node)
	}
	if len(n.targets) == 0 {
		n.placed = nil
	}
}

// lookAtNode looks for the plan of a node that has registered. A node that is Ready before there is a plan was asked for by
// somebody else.
func (n *Nominator) lookAtNode(ctx context.Context, k key) {
	n.mu.Lock()
	fresh := n.fresh[k.node]
	n.mu.Unlock()
	if !fresh {
		return
	}
	node := n.node(k.node)
	if node == nil || n.Clock.Since(node.CreationTimestamp.Time) > n.ReadyTime {
		n.known(k.node)
		return
	}
	group := n.Group(node)
	if group == "" {
		n.queue.AddAfter(k, groupPause)
		return
	}
	permitted := n.permitted(ctx)
	planned, found, hold := n.take(node, group, permitted)
	if !found {
		if nodeready.Is(node) {
			n.known(k.node)
		}
		return
	}
	n.known(k.node)
	if !permitted {
		n.metric.WithLabelValues(string(forbidden)).Add(float64(len(planned.Pods)))
		return
	}
	klog.FromContext(ctx).V(2).Info("A node registered for which pods are planned", "node", klog.KObj(node), "group", group, "pods", len(planned.Pods),
		"asked", planned.Asked.UTC().Format(time.RFC3339), "cordoned", hold)
	if hold {
		n.queue.AddAfter(key{node: node.Name, hold: true}, holdPause)
	}
}

// take takes the node from the plan and makes its pods targets. It also returns whether to hold the node, as is done where pods are planned
// for others, too.
func (n *Nominator) take(node *corev1.Node, group string, permitted bool) (planned plan.Node, found, hold bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if planned, found = n.Plan.Take(group, node.Name); !found || !permitted {
		return planned, found, false
	}
	hold = !n.UsableOnly && !nodeready.Is(node) && (len(n.on) > 0 || !n.Plan.Empty()) && !n.busy()
	if hold {
		n.held[node.Name] = &held{}
	}
	for _, pod := range planned.Pods {
		n.follow(pod.UID, target{namespace: pod.Namespace, name: pod.Name, node: node.Name})
	}
	return planned, true, hold
}

// known ends the search for a node's plan.
func (n *Nominator) known(node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.fresh, node)
}

// lookAtPod does the next step for a target. The queue lets one worker at a time look at it, so only Asked and follow change it beside.
func (n *Nominator) lookAtPod(ctx context.Context, k key) {
	n.mu.Lock()
	followed := n.targets[k.pod]
	if followed == nil {
		n.mu.Unlock()
		return
	}
	t, from, tried, busy := *followed, n.nominateFrom(followed.node), n.tried, n.busy()
	pod, node := n.pod(t.namespace, t.name, k.pod), n.node(t.node)
	full := pod != nil && node != nil && pod.Status.NominatedNodeName == t.node && n.settled(&t) && n.lacksRoom(node, pod)
	n.mu.Unlock()
	next := t.decide(pod, node, n.Clock.Now(), from, tried, full, n.ReadyTime)
	switch {
	case next.nominate && busy:
		next = step{after: busyTime}
	case next.nominate, next.clear:
		next = n.write(ctx, &t, pod, next)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.targets[k.pod]; now != followed { // it got another node meanwhile
		if now != nil {
			now.nominated = t.nominated
		}
		return
	}
	t.replanned = followed.replanned
	if t != *followed || next.end != "" {
		n.notify()
	}
	*followed = t
	switch {
	case next.end != "":
		n.metric.WithLabelValues(string(next.end)).Inc()
		n.forget(k.pod)
		if !t.replanned {
			n.Plan.Drop(k.pod)
		}
		switch {
		case next.end == elsewhere:
			n.exchange(pod, t.node)
		case next.end == kept && !t.last.IsZero():
			n.Events.Eventf(pod, corev1.EventTypeNormal, "NodeNominated", "Node %s was launched for this pod and nominated for it", t.node)
		}
	case next.after > 0:
		n.queue.AddAfter(k, next.after)
	}
}

// nominateFrom is the moment from which pods may be nominated for a node that cannot take them yet. It needs the lock.
func (n *Nominator) nominateFrom(node string) time.Time {
	switch h := n.held[node]; {
	case n.UsableOnly, h != nil && !h.open:
		return n.Clock.Now().Add(n.ReadyTime)
	case h != nil:
		return time.Time{}
	}
	return n.tried.Add(calm)
}

// exchange gives the place of a pod that got another node to a pod of the same owner that is planned there and still waits. It needs the
// lock.
func (n *Nominator) exchange(pod *corev1.Pod, node string) {
	owner, left := metav1.GetControllerOf(pod), n.node(node)
	if owner == nil || left == nil {
		return
	}
	for _, other := range n.waitingFor(pod.Spec.NodeName) {
		if metav1.IsControlledBy(other, &metav1.ObjectMeta{UID: owner.UID}) {
			n.assign(other, n.Group(left), target{node: node})
			return
		}
	}
}
