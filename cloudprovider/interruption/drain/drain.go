package drain

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// lookEvery is the pause between two looks at the node.
	lookEvery = time.Second
	// lookSoon is the pause while pods may go at any moment.
	lookSoon = 500 * time.Millisecond
	// deletionsAtOnce bounds the concurrent deletions for one node.
	deletionsAtOnce = 10
	// evictionsAtOnce bounds the concurrent evictions of one controller's pods, over all nodes. They are mostly under one budget,
	// and write the same object. One of them wins, and each of the others waits half a second in the API server, so hundreds at
	// once take longer than a few at a time. evictionsInAll bounds all evictions.
	evictionsAtOnce, evictionsInAll = 8, 160
	// evictionShares bounds the memory of controllers that are gone. Two controllers seldom meet in one.
	evictionShares = 4096
	// evictTime bounds one eviction. The API server itself tries for ten seconds where a budget is contended (kubernetes
	// pkg/registry/core/pod/storage/eviction.go, EvictionsRetry). A request that ends earlier uses up the budget for two
	// minutes without moving the pod. Two webhooks that hang delay it by twenty seconds, by their default.
	evictTime = 22 * time.Second
	// deleteTime bounds one deletion, listTime one list of a node's pods, and markTime what may delay a deletion.
	deleteTime, listTime, markTime = 10 * time.Second, 10 * time.Second, time.Second
)

// Plan bounds a drain. Drain asks for it again at every look, because it may change meanwhile.
type Plan struct {
	// At Deadline the instance is terminated. Zero means never.
	Deadline time.Time
	// From Force on, pods that are still held back are deleted. Zero means never.
	Force time.Time
	// HandsOff reports whether somebody else moves the pod, so that Drain does not evict it and only waits. Nil means of none.
	HandsOff   func(*corev1.Pod) bool
	Latecomers *Latecomers // may be nil
}

// Latecomers are pods that come while their node is drained, although it is cordoned. Their next ones would come, too, without end. So a pod stays,
// as one of a DaemonSet does, if it came after others of its controller that had come late and were moved: one if it tolerates the taint, and
// otherwise mostInTurn. kube-scheduler or a volume may have bound some late. One drain after another may use it.
type Latecomers struct {
	Cordoned  bool // otherwise the pods come as usual
	Tolerates func(*corev1.Pod) bool

	first map[types.UID]int // pods, and how many latecomers of their controller had been moved when they were first seen. -1 for other pods
	moved map[types.UID]int // latecomers that were moved, by controller
}

const mostInTurn, notLate = 10, -1

// see notes new pods. Pods of the first look are not late.
func (l *Latecomers) see(pods []*corev1.Pod, first bool) {
	if l == nil {
		return
	}
	if l.first == nil {
		l.first, l.moved = map[types.UID]int{}, map[types.UID]int{}
	}
	for _, p := range pods {
		if _, seen := l.first[p.UID]; seen {
			continue
		}
		l.first[p.UID] = notLate
		if c := metav1.GetControllerOfNoCopy(p); c != nil && l.Cordoned && !first {
			l.first[p.UID] = l.moved[c.UID]
		}
		if l.stays(p) {
			klog.Background().Info("A pod came back to a node that is drained, and stays", "pod", klog.KObj(p), "node", klog.KRef("", p.Spec.NodeName))
		}
	}
}

func (l *Latecomers) left(pod *corev1.Pod) {
	if l != nil && l.first[pod.UID] != notLate {
		l.moved[metav1.GetControllerOfNoCopy(pod).UID]++
	}
}

func (l *Latecomers) stays(pod *corev1.Pod) bool {
	return l != nil && l.Cordoned && (l.first[pod.UID] >= mostInTurn || l.first[pod.UID] > 0 && l.Tolerates(pod))
}

// Result counts the pods of a drain.
type Result struct {
	Evicted int // pods that were evicted, or ended by themselves once asked to
	Forced  int // pods that were deleted because they could not be evicted to the end
	Lost    int // pods still there at the deadline
	// Unseen means that the node's pods could not be listed at the deadline, so there may be some.
	Unseen bool
	// Owners are the controllers of the evicted or deleted pods, each once.
	Owners []types.UID
}

// Drainer drains nodes. Safe for concurrent use.
type Drainer struct {
	Client kubernetes.Interface
	// Pods caches all pods and has nodemeta.PodsByNode. A list confirms it before a node counts as empty.
	Pods  cache.Indexer
	Clock clock.Clock
	// Moved is called with each pod that is evicted or, if forced, deleted, and whether a budget has held it back.
	Moved func(pod *corev1.Pod, forced, held bool)
	// Stuck is called once with each pod that could not be moved for another reason than a budget.
	Stuck func(pod *corev1.Pod, err error)

	evictions sync.Map // chan struct{} by hash of the controller's UID or of the namespace, one token per eviction under way
}

// evictionSlots are the tokens of a pod's controller, or of its namespace if it has none, and then of all pods. Each eviction puts
// one into each, and takes them out at the end.
func (d *Drainer) evictionSlots(pod *corev1.Pod) []chan struct{} {
	of := pod.Namespace
	if c := metav1.GetControllerOf(pod); c != nil {
		of = string(c.UID)
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(of))
	own, _ := d.evictions.LoadOrStore(hash.Sum32()%evictionShares, make(chan struct{}, evictionsAtOnce))
	all, _ := d.evictions.LoadOrStore(metav1.NamespaceAll, make(chan struct{}, evictionsInAll))
	return []chan struct{}{own.(chan struct{}), all.(chan struct{})}
}

// Occupied reports whether the cache has a pod that a drain of the nodes would move. It makes no call.
func (d *Drainer) Occupied(nodes ...string) bool {
	return slices.ContainsFunc(d.cached(nodes), func(pod *corev1.Pod) bool { return Moves(pod, d.Clock.Now()) })
}

// cached are the pods of the nodes according to the cache. They are shared and must not be changed.
func (d *Drainer) cached(nodes []string) (pods []*corev1.Pod) {
	for _, node := range nodes {
		pods = append(pods, nodemeta.PodsOn(d.Pods, node)...)
	}
	return pods
}

// Drain moves the pods off the nodes until none is left, until the plan's deadline, or until ctx ends, whose error it then
// returns. It logs errors of the API server and tries again. It asks for the names of the nodes at every look, and leaves the
// pods of a node alone that is no longer among them.
func (d *Drainer) Drain(ctx context.Context, nodes func() []string, plan func() Plan) (Result, error) {
	r := &round{Drainer: d, nodes: nodes, deletions: make(chan struct{}, deletionsAtOnce), outcomes: make(chan outcome),
		asking: map[types.UID]bool{}, tried: map[types.UID]try{}, moved: map[types.UID]bool{}, absent: map[types.UID]bool{},
		alive: map[types.UID]time.Time{}, stuck: map[types.UID]bool{}, owners: map[types.UID]bool{}}
	return r.run(ctx, plan)
}

// The Cluster Autoscaler gives up on a pod that is still terminating when its grace ended longTerminating ago.
const longTerminating = 30 * time.Second

// Moves reports whether a drain moves the pod. These are the rules by which the Cluster Autoscaler drains a node for
// scale-down, without the ones that keep a node because of a pod: this node goes anyway.
func Moves(pod *corev1.Pod, now time.Time) bool {
	return !nodemeta.BelongsToNode(pod) && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed && !overdue(pod, now)
}

// overdue reports whether the pod should have ended long ago. Its kubelet is dead, or a finalizer holds it, and a drain cannot
// help it.
func overdue(pod *corev1.Pod, now time.Time) bool {
	grace := time.Duration(ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)) * time.Second
	return pod.DeletionTimestamp != nil && pod.DeletionTimestamp.Add(grace+longTerminating).Before(now)
}
