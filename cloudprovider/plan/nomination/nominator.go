package nomination

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

const (
	// workers bounds the writes under way at once, so that a slow API server gets fewer. The client's rate limit bounds them, too.
	workers = 16
	// groupPause is the time between two looks for the group of a node whose instance no reading of the groups has yet.
	groupPause = time.Second
)

type Options struct {
	Plan   *plan.Plan
	Client kubernetes.Interface
	// Nodes and Pods are informers of all nodes and pods. New adds handlers to them. Pods has nodemeta.PodsByNode.
	Nodes, Pods cache.SharedIndexInformer
	// Group returns the node group of a node, "" for none, and the name of its whole Auto Scaling group. Several goroutines call it.
	Group   func(*corev1.Node) (group, whole string)
	Volumes podzone.Volumes
	// StartupTaint reports whether the core takes a Ready node with the taint for starting. Nil is for no taint.
	StartupTaint func(key string) bool
	Events       record.EventRecorder
	// ReadyTime is the time in which a node should become Ready after its registration.
	ReadyTime time.Duration
	// LostPlace is called when a waiting pod leaves the plan, because its node did not take it. Nil is for nothing.
	LostPlace  func()
	Registerer prometheus.Registerer
	Clock      clock.WithTicker
}

// Nominator nominates planned pods for the nodes that register for them. Run is called once. The other methods are safe for concurrent
// use, before Run, too.
type Nominator struct {
	Options
	metric *prometheus.CounterVec
	queue  workqueue.TypedDelayingInterface[key]

	mu      sync.Mutex
	fresh   map[string]bool // registered nodes for which no plan was found yet, by name
	targets map[types.UID]*target
	on      map[string]map[types.UID]bool // targets of each node
	tried   time.Time                     // when a target came or changed last, mostly because kube-scheduler tried the pod
	denied  time.Time                     // when the permission was found missing, or zero
	said    sync.Once                     // the missing permission is logged
	refused sync.Once                     // an admission policy's refusal is logged
}

// key names what a worker looks at: a node that has registered, a target, or with neither all nodes that have found no plan yet.
type key struct {
	node string
	pod  types.UID
}

func New(o Options) *Nominator {
	n := &Nominator{Options: o, metric: newMetric(o.Registerer), fresh: map[string]bool{}, targets: map[types.UID]*target{}, on: map[string]map[types.UID]bool{},
		queue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[key]{Clock: o.Clock})}
	o.Plan.Changed = n.planChanged
	// Both fail only at the end of the process.
	_, _ = o.Nodes.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{AddFunc: n.nodeAdded, UpdateFunc: n.nodeUpdated,
		DeleteFunc: n.nodeDeleted})
	_, _ = o.Pods.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: n.podUpdated, DeleteFunc: n.podDeleted})
	return n
}

// planChanged looks at the nodes that have found no plan yet, and withdraws nominations of pods that are planned anew or no longer.
func (n *Nominator) planChanged(asked bool, pods []types.UID) {
	for _, uid := range pods {
		n.queue.Add(key{pod: uid})
	}
	if asked {
		n.queue.Add(key{})
	}
}

// Run nominates until ctx ends, and all goroutines have. Nominations stay: kube-scheduler removes them if the pods do not fit, and
// podlist does not believe those of pods that may not preempt.
func (n *Nominator) Run(ctx context.Context) error {
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
	<-ctx.Done()
	n.queue.ShutDown()
	work.Wait()
	return nil
}

func (n *Nominator) look(ctx context.Context, k key) {
	switch {
	case k.node != "":
		n.lookAtNode(ctx, k)
	case k.pod != "":
		n.lookAtPod(ctx, k)
	default:
		n.mu.Lock()
		defer n.mu.Unlock()
		for name := range n.fresh {
			n.queue.Add(key{node: name})
		}
	}
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

// forget needs the lock, and a target.
func (n *Nominator) forget(uid types.UID) {
	node := n.targets[uid].node
	delete(n.targets, uid)
	delete(n.on[node], uid)
	if len(n.on[node]) == 0 {
		delete(n.on, node)
	}
}

// lookAtNode looks for the plan of a node that has registered. One that is Ready before there is a plan was asked for by somebody else.
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
	group, whole := n.Group(node)
	if group == "" {
		n.queue.AddAfter(k, groupPause)
		return
	}
	planned, found := n.Plan.Take(group, whole, node.Name, func(pod *corev1.Pod) bool { return n.refuses(node, pod) })
	if !found {
		if nodemeta.Ready(node) {
			n.known(k.node)
		}
		return
	}
	n.known(k.node)
	if !n.permitted() {
		n.metric.WithLabelValues(string(forbidden)).Add(float64(len(planned.Pods)))
		return
	}
	alike := n.Plan.Alike(planned, node.Spec.Taints)
	klog.FromContext(ctx).V(2).Info("A node registered for which pods are planned", "node", klog.KObj(node), "group", group, "pods", len(planned.Pods),
		"asked", planned.Asked.UTC().Format(time.RFC3339), "podsAlike", alike)
	if alike {
		return // kube-scheduler cannot lose anything by another order
	}
	targets := make([]target, len(planned.Pods))
	for at, pod := range planned.Pods {
		targets[at] = target{namespace: pod.Namespace, name: pod.Name, shape: plan.Shape(pod), node: node.Name}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for at, pod := range planned.Pods {
		if now := n.pod(pod.Namespace, pod.Name, pod.UID); now != nil && now.Spec.NodeName != "" {
			continue // it runs on a node that is to go, and stays planned until it goes, too
		}
		n.follow(pod.UID, targets[at])
	}
}

// refuses reports whether the pod or its volumes cannot use the node, by what a node shows when it registers: its labels, and the zone in
// its provider ID. The identifier of the zone comes later, so any may be right.
func (n *Nominator) refuses(node *corev1.Node, pod *corev1.Pod) bool {
	zone := nodemeta.Zone(node.Spec.ProviderID)
	return podzone.Refused(pod, n.Volumes.Of(pod), func(string) string { return zone })(zone) ||
		podzone.Refuses(pod, func(key string, _ ...string) (string, bool) { value, known := node.Labels[key]; return value, known })
}

func (n *Nominator) known(node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.fresh, node)
}

// lookAtPod does the next step for a target. The queue lets one worker at a time look at it, so only follow changes it beside.
func (n *Nominator) lookAtPod(ctx context.Context, k key) {
	n.mu.Lock()
	followed := n.targets[k.pod]
	if followed == nil {
		n.mu.Unlock()
		return
	}
	t := *followed
	now := seen{pod: n.pod(t.namespace, t.name, k.pod), node: n.node(t.node), planned: n.Plan.NodeOf(k.pod) == t.node,
		on: nodemeta.PodsOn(n.Pods.GetIndexer(), t.node), tried: n.tried, now: n.Clock.Now()}
	n.mu.Unlock()
	next := t.decide(now, &n.Options)
	if next.nominate || next.clear {
		next = n.write(ctx, &t, now.pod, next)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.targets[k.pod]; now != followed { // it got another node meanwhile
		if now != nil {
			now.nominated = t.nominated
		}
		return
	}
	*followed = t
	switch {
	case next.end != "":
		n.metric.WithLabelValues(string(next.end)).Inc()
		n.forget(k.pod)
		unwritten := next.end == forbidden || next.end == failed && next.nominate // the plan goes on without the nomination
		if !unwritten && n.Plan.NodeOf(k.pod) == t.node {
			n.Plan.Drop(k.pod)
			if n.LostPlace != nil && (next.end == withdrawn || next.end == refused) {
				n.LostPlace()
			}
		}
		switch {
		case next.end == elsewhere:
			n.exchange(now.pod, &t)
			n.lookAgainAt(now.pod.Spec.NodeName)
		case next.end == kept && !t.last.IsZero():
			n.Events.Eventf(now.pod, corev1.EventTypeNormal, "NodeNominated", "Node %s was launched for this pod and nominated for it", t.node)
		}
	case next.after > 0:
		n.queue.AddAfter(k, next.after)
	}
}

// exchange gives the place of a pod that got another node to a pod of its shape that is planned there and still waits. It needs the lock.
func (n *Nominator) exchange(pod *corev1.Pod, t *target) {
	left := n.node(t.node)
	if left == nil {
		return
	}
	for uid := range n.on[pod.Spec.NodeName] {
		other := n.targets[uid]
		waits := n.pod(other.namespace, other.name, uid)
		if waits == nil || waits.Spec.NodeName != "" || other.shape != t.shape {
			continue
		}
		group, _ := n.Group(left)
		n.Plan.Add(plan.Node{Group: group, Name: t.node, Asked: n.Clock.Now(), Pods: []*corev1.Pod{waits}})
		n.follow(uid, target{namespace: other.namespace, name: other.name, shape: other.shape, node: t.node})
		return
	}
}

// result says how the nomination of a pod ended. It is a metric label.
type result string

const (
	kept      result = "kept"      // the pod is on the node that was launched for it
	elsewhere result = "elsewhere" // the pod is on another node
	refused   result = "refused"   // kube-scheduler did not put the pod on the node, although the node is ready, or other pods took the room
	overruled result = "overruled" // somebody else has nominated a node for the pod
	withdrawn result = "withdrawn" // the pod is planned anew, or the node is gone, late or without the pod for long
	gone      result = "gone"      // the pod is gone
	forbidden result = "forbidden" // the permission is missing, or an admission policy refuses
	failed    result = "failed"    // the API server did not accept the nomination
)

func newMetric(registerer prometheus.Registerer) *prometheus.CounterVec {
	metric := promauto.With(registerer).NewCounterVec(prometheus.CounterOpts{Namespace: "asg_autoscaler", Name: "nominations_total",
		Help: "Pods whose planned node has registered, by result: whether kube-scheduler put them there."}, []string{"result"})
	for _, r := range []result{kept, elsewhere, refused, overruled, withdrawn, gone, forbidden, failed} {
		metric.WithLabelValues(string(r))
	}
	return metric
}
