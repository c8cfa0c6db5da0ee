package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// A recorder records the pods of namespace default. Safe for concurrent use.
type recorder struct {
	start time.Time
	bound map[string]string // zones of volumes, by pod
	close func()            // ends it, and waits until it has ended

	mu   sync.Mutex
	pods map[types.UID]*pod
}

// record records from now on, until it is closed or ctx ends. It returns once it watches.
func record(ctx context.Context, client kubernetes.Interface, start time.Time, bound map[string]string) (*recorder, error) {
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(corev1.NamespaceDefault))
	r := &recorder{start: start, bound: bound, pods: map[types.UID]*pod{}, close: func() { cancel(); factory.Shutdown() }}
	informer := factory.Core().V1().Pods().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    r.seen,
		UpdateFunc: func(_, object any) { r.seen(object) },
		DeleteFunc: r.gone,
	}); err != nil {
		r.close()
		return nil, fmt.Errorf("watch the pods: %w", err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		r.close()
		return nil, fmt.Errorf("watch the pods: %w", context.Cause(ctx))
	}
	return r, nil
}

func (r *recorder) seen(object any) {
	seen, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pods[seen.UID]
	if p == nil {
		p = &pod{Name: seen.Name, Zone: r.bound[seen.Name], Created: since(r.start, time.Now())}
		r.pods[seen.UID] = p
	}
	p.Node = seen.Spec.NodeName
	if seen.Status.Phase == corev1.PodRunning && p.Running == 0 {
		p.Running = since(r.start, time.Now())
	}
}

func (r *recorder) gone(object any) {
	if lost, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = lost.Obj
	}
	gone, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pods[gone.UID]; p != nil {
		p.Gone = since(r.start, time.Now())
	}
}

// timeline is the record so far, with the group's instances from the account's events.
func (r *recorder) timeline(events []fakeaws.Event) timeline {
	t := timeline{End: since(r.start, time.Now()), Instances: instances(events, r.start)}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pods {
		t.Pods = append(t.Pods, *p)
	}
	slices.SortFunc(t.Pods, pod.compare)
	return t
}

// running counts the pods that run now.
func (r *recorder) running() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, p := range r.pods {
		if p.Running > 0 && p.Gone == 0 {
			n++
		}
	}
	return n
}

// instances are the group's instances launched since the start, in that order.
func instances(events []fakeaws.Event, start time.Time) []instance {
	var all []instance
	for _, e := range events {
		if e.Group != group || e.Instance == "" {
			continue
		}
		at := since(start, e.Time)
		if e.Kind == fakeaws.Launched {
			all = append(all, instance{ID: e.Instance, Type: e.InstanceType, Zone: e.Zone, Launched: at})
			continue
		}
		n := slices.IndexFunc(all, func(i instance) bool { return i.ID == e.Instance })
		if n < 0 {
			continue
		}
		switch i := &all[n]; e.Kind {
		case fakeaws.NodeRegistered:
			i.Node = e.Node
		case fakeaws.NodeReady:
			i.Ready = at
		case fakeaws.TerminateRequested, fakeaws.ScaleInKill, fakeaws.Reclaimed, fakeaws.Replaced:
			i.Released = at
		case fakeaws.Terminated:
			i.Gone = at
		}
	}
	return all
}

// since rounds to the millisecond, and is above zero, which would mean that it has not happened.
func since(start, at time.Time) seconds {
	return seconds(max(1, math.Round(at.Sub(start).Seconds()*1000)) / 1000)
}
