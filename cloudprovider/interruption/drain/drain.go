// Package drain moves the pods off a node that is about to go, in the time that is left.
//
// It evicts pods through the API server, so disruption budgets and grace periods hold, and it asks again where a budget refuses.
// Pods of DaemonSets, static pods and finished pods stay. In the last seconds it deletes the pods that a budget still holds back,
// if the plan says so, with the grace that is left: the instance would take them down without any.
//
// Every call has a deadline of its own and is made once. So an API server that answers "retry after ten seconds" holds back one pod.
// Evictions without an answer hold up the others of their namespace only where there are evictionsAtOnce of them, and until their
// deadline. They never hold up a deletion.
//
// A Drainer waits for the goroutines it starts. It remembers no drain: one that was cut off is begun again.
package drain

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

const (
	// again is the pause between two looks at the node.
	again = time.Second
	// A pod that was not let go is asked again after askFirst, and askMore later each time, at most askMost: hundreds may be held
	// back at once, and every answer costs the API server a look at the budget.
	askFirst, askMore, askMost = time.Second, 250 * time.Millisecond, 5 * time.Second
	// soon is the pause while pods may go at any moment.
	soon = 500 * time.Millisecond
	// deletionsAtOnce bounds the deletions under way for one node.
	deletionsAtOnce = 10
	// evictionsAtOnce bounds the evictions under way in one namespace, of all nodes. Evictions under one budget write the same
	// object: one of them wins, and each of the others waits half a second in the API server. So hundreds at once take longer than
	// a few after each other.
	evictionsAtOnce = 8
	// evictTime bounds one eviction. The API server itself tries for ten seconds where a budget is contended (kubernetes
	// pkg/registry/core/pod/storage/eviction.go, EvictionsRetry), and a request that ends earlier uses up the budget for two minutes
	// without moving the pod.
	evictTime = 12 * time.Second
	// deleteTime bounds one deletion, listTime one list of a node's pods.
	deleteTime, listTime = 10 * time.Second, 10 * time.Second
)

// Plan is how long a drain may take. It is asked for anew at every look, for it may change on the way.
type Plan struct {
	// Deadline is when the node goes; zero is never.
	Deadline time.Time
	// Force is when what is still held back is deleted; zero is never.
	Force time.Time
	// HandsOff says that somebody else drains the node: nothing is evicted, only waited for.
	HandsOff bool
}

// Result is what came of a drain.
type Result struct {
	Evicted int // pods that went by eviction, or by themselves once asked to
	Forced  int // pods that were deleted because a budget would not let them go in time
	Lost    int // pods still there when the time was over
	// Unseen says that the node's pods could not be listed when the time was over: there may be some.
	Unseen bool
	// Owners are the controllers of the pods that were asked to go, each once.
	Owners []types.UID
}

// Drainer drains nodes. Safe for concurrent use.
type Drainer struct {
	Client kubernetes.Interface
	// Pods is a cache of all pods that has Indexers. What it shows is confirmed by a list before a node counts as empty.
	Pods  cache.Indexer
	Clock clock.Clock
	// Moved is called with each pod that is evicted or, if forced, deleted; may be nil.
	Moved func(pod *corev1.Pod, forced bool)
	// Stuck is called once with each pod that could not be moved for another reason than a budget; may be nil.
	Stuck func(pod *corev1.Pod, err error)

	mu        sync.Mutex
	evictions map[string]chan struct{} // by namespace, one token for each eviction under way. Guarded by mu
}

// evictionSlots are the tokens of a namespace. Who evicts puts one in, and takes it out at the end.
func (d *Drainer) evictionSlots(namespace string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.evictions[namespace] == nil {
		if d.evictions == nil {
			d.evictions = map[string]chan struct{}{}
		}
		d.evictions[namespace] = make(chan struct{}, evictionsAtOnce)
	}
	return d.evictions[namespace]
}

// byNode is the index of the pods by the name of their node.
const byNode = "asg-autoscaler/node"

// Indexers are what a Drainer needs of its cache of pods.
var Indexers = cache.Indexers{byNode: func(object any) ([]string, error) {
	if pod, ok := object.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
		return []string{pod.Spec.NodeName}, nil
	}
	return nil, nil
}}

// Occupied reports whether the cache knows a pod that a drain of the node would move. It makes no call.
func (d *Drainer) Occupied(node string) bool { return len(d.cached(node)) > 0 }

// cached are the pods to move as the cache has them. They are shared: nobody may change them.
func (d *Drainer) cached(node string) []*corev1.Pod {
	objects, err := d.Pods.ByIndex(byNode, node)
	if err != nil {
		return nil // without the index every look is a list
	}
	now := d.Clock.Now()
	var pods []*corev1.Pod
	for _, object := range objects {
		if pod, ok := object.(*corev1.Pod); ok && Moves(pod, now) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// Drain moves the pods off the node until none is left, the plan's deadline has come, or ctx ends, whose error it then returns.
// Errors of the API server are no end: they are logged, and it tries again.
func (d *Drainer) Drain(ctx context.Context, node string, plan func() Plan) (Result, error) {
	r := &round{Drainer: d, node: node, deletions: make(chan struct{}, deletionsAtOnce), outcomes: make(chan outcome),
		asking: map[types.UID]bool{}, tried: map[types.UID]try{}, moved: map[types.UID]bool{}, gone: map[types.UID]bool{},
		stuck: map[types.UID]bool{}, owners: map[types.UID]bool{}}
	return r.run(ctx, plan)
}
