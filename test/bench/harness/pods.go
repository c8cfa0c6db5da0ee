package harness

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// A Pod is the history of a pod. The zero time means that something has not happened.
type Pod struct {
	Name, Node string
	App        string // its label
	Created    time.Time
	Refused    time.Time // kube-scheduler found no node for it
	Running    time.Time
	Ended      time.Time // its containers have ended by themselves
	Gone       time.Time
	Disrupted  bool // something else than its owner removes it: an eviction, or the end of its node
}

// A Record has the pods of namespace default. Safe for concurrent use.
type Record struct {
	Close func() // ends it, and waits until it has ended

	mu   sync.Mutex
	pods map[types.UID]*Pod
}

// RecordPods records from now on, until the record is closed or ctx ends. It returns once it watches.
func RecordPods(ctx context.Context, client kubernetes.Interface) (*Record, error) {
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(corev1.NamespaceDefault))
	r := &Record{pods: map[types.UID]*Pod{}, Close: func() { cancel(); factory.Shutdown() }}
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: r.seen, UpdateFunc: func(_, object any) { r.seen(object) }, DeleteFunc: r.gone,
	})
	factory.Start(ctx.Done())
	if err == nil && !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		err = context.Cause(ctx)
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("watch the pods: %w", err)
	}
	return r, nil
}

func (r *Record) seen(object any) {
	pod := object.(*corev1.Pod)
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pods[pod.UID]
	if p == nil {
		p = &Pod{Name: pod.Name, App: pod.Labels["app"], Created: time.Now()}
		r.pods[pod.UID] = p
	}
	p.Node = pod.Spec.NodeName
	p.Disrupted = p.Disrupted || disrupted(pod)
	refused := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable
	})
	if refused && p.Refused.IsZero() {
		p.Refused = time.Now()
	}
	if pod.Status.Phase == corev1.PodRunning && p.Running.IsZero() {
		p.Running = time.Now()
	}
	if (pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed) && p.Ended.IsZero() {
		p.Ended = time.Now()
	}
}

// disrupted reports whether Kubernetes says so. Its eviction API does before it deletes the pod, and so does its collector of pods without a node.
func disrupted(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue
	})
}

func (r *Record) gone(object any) {
	if lost, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = lost.Obj
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pod := object.(*corev1.Pod)
	if p := r.pods[pod.UID]; p != nil {
		p.Gone, p.Disrupted = time.Now(), p.Disrupted || disrupted(pod)
	}
}

// Pods returns all pods so far, by creation and then by name.
func (r *Record) Pods() []Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Pod
	for _, p := range r.pods {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b Pod) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name)) })
	return all
}

// Runs reports whether the pod runs now.
func (p Pod) Runs() bool { return !p.Running.IsZero() && p.Wants() }

// Wants reports whether the pod takes a place on a node now, or waits for one.
func (p Pod) Wants() bool { return p.Ended.IsZero() && p.Gone.IsZero() }
