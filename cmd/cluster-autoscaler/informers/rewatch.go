package informers

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
)

// mostWatches begin at once, one more each second. They are counted by kind.
const mostWatches = 10

// longestBlind is how long the API server may refuse pods or nodes. What the caches have from before is no ground to decide by then.
const longestBlind = 3 * time.Minute

// New makes a factory of informers for the client. Transform sees each object before anybody else does. The informers of pods and nodes watch
// again at once.
func New(client kubernetes.Interface, transform cache.TransformFunc) informers.SharedInformerFactory {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(transform))
	factory.InformerFor(&corev1.Pod{}, func(client kubernetes.Interface, resync time.Duration) cache.SharedIndexInformer {
		pods := client.CoreV1().Pods(metav1.NamespaceAll)
		return informer(client, &corev1.Pod{}, resync, pods.List, pods.Watch)
	})
	factory.InformerFor(&corev1.Node{}, func(client kubernetes.Interface, resync time.Duration) cache.SharedIndexInformer {
		nodes := client.CoreV1().Nodes()
		return informer(client, &corev1.Node{}, resync, nodes.List, nodes.Watch)
	})
	return factory
}

// informer is the one of client-go's generated factory, but for its watches.
func informer[List runtime.Object](client kubernetes.Interface, example runtime.Object, resync time.Duration,
	list func(context.Context, metav1.ListOptions) (List, error), watches func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.SharedIndexInformer {
	limiter := flowcontrol.NewTokenBucketRateLimiter(1, mostWatches)
	i := &observed{}
	i.SharedIndexInformer = cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			objects, err := list(ctx, o)
			i.note(err)
			return objects, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if err := limiter.Wait(ctx); err != nil {
				return nil, err
			}
			inner, err := watches(ctx, o)
			i.note(err)
			if err != nil {
				return nil, err
			}
			return softened(inner, example, o.ResourceVersion), nil
		},
	}, client), example, resync, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	return i
}

// observed is an informer that knows whether its cache fills.
type observed struct {
	cache.SharedIndexInformer
	blind atomic.Pointer[blind] // nil while lists and watches succeed
}

// blind is the first failure since a list or a watch succeeded.
type blind struct {
	since time.Time
	err   error
}

func (o *observed) note(err error) {
	if err == nil {
		o.blind.Store(nil)
	} else {
		o.blind.CompareAndSwap(nil, &blind{time.Now(), err})
	}
}

// Blind returns an error if the pods or the nodes of a factory of New can no longer be read. client-go tries on, and keeps what it has.
func Blind(factory informers.SharedInformerFactory) error {
	core := factory.Core().V1()
	for _, i := range []cache.SharedIndexInformer{core.Pods().Informer(), core.Nodes().Informer()} {
		if b := i.(*observed).blind.Load(); b != nil && time.Since(b.since) > longestBlind {
			return fmt.Errorf("pods or nodes could not be read for %s: %w: this process ends, to restart with fresh caches; "+
				"to mend it, let the API server answer lists and watches of both", longestBlind, b.err)
		}
	}
	return nil
}

// softened returns a watch that begins at the version, passes on the events of another one, and ends with a bookmark of the last version.
// A watch that lists first has no version before its first event.
func softened(inner watch.Interface, example runtime.Object, version string) watch.Interface {
	events := make(chan watch.Event)
	outer := watch.NewProxyWatcher(events)
	send := func(event watch.Event) (stopped bool) {
		select {
		case events <- event:
			return false
		case <-outer.StopChan():
			return true
		}
	}
	go func() {
		defer close(events)
		defer inner.Stop()
		for {
			select {
			case event, more := <-inner.ResultChan():
				if !more {
					if bookmark := example.DeepCopyObject(); version != "" && meta.NewAccessor().SetResourceVersion(bookmark, version) == nil {
						send(watch.Event{Type: watch.Bookmark, Object: bookmark})
					}
					return
				}
				if object, err := meta.Accessor(event.Object); err == nil {
					version = object.GetResourceVersion()
				}
				if send(event) {
					return
				}
			case <-outer.StopChan():
				return
			}
		}
	}()
	return outer
}
