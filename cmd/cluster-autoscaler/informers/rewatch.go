package informers

import (
	"context"
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
	return cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return list(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if err := limiter.Wait(ctx); err != nil {
				return nil, err
			}
			inner, err := watches(ctx, o)
			if err != nil {
				return nil, err
			}
			return softened(inner, example, o.ResourceVersion), nil
		},
	}, client), example, resync, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
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
