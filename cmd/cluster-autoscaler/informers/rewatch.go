package informers

import (
	"context"
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
)

const (
	// client-go takes a watch without events that is shorter than shortWatch for a failure (handleAnyWatch in tools/cache).
	shortWatch = time.Second
	// firstPause is the pause after such a watch. It doubles with each further one in a row, up to longestPause.
	firstPause, longestPause = 50 * time.Millisecond, 5 * time.Second
)

// New makes a factory of informers for the client. Transform sees each object before anybody else does.
func New(client kubernetes.Interface, transform cache.TransformFunc) informers.SharedInformerFactory {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(transform))
	register(factory)
	return factory
}

// register makes the factory's informers of pods and nodes watch again soon. Nobody must have asked the factory for them before.
func register(factory informers.SharedInformerFactory) {
	factory.InformerFor(&corev1.Pod{}, func(client kubernetes.Interface, resync time.Duration) cache.SharedIndexInformer {
		pods := client.CoreV1().Pods(metav1.NamespaceAll)
		return informer(client, &corev1.Pod{}, resync, pods.List, pods.Watch)
	})
	factory.InformerFor(&corev1.Node{}, func(client kubernetes.Interface, resync time.Duration) cache.SharedIndexInformer {
		nodes := client.CoreV1().Nodes()
		return informer(client, &corev1.Node{}, resync, nodes.List, nodes.Watch)
	})
}

// informer is the one of client-go's generated factory, but for its watches.
func informer[List runtime.Object](client kubernetes.Interface, example runtime.Object, resync time.Duration,
	list func(context.Context, metav1.ListOptions) (List, error), watches func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.SharedIndexInformer {
	w := &watcher{example: example, watches: watches}
	return cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return list(ctx, o) },
		WatchFuncWithContext: w.watch,
	}, client), example, resync, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
}

// watcher watches for one informer.
type watcher struct {
	example runtime.Object
	watches func(context.Context, metav1.ListOptions) (watch.Interface, error)
	pause   atomic.Int64 // before the end of the last short watch without events, 0 if the last watch was none
}

// watch starts a watch.
func (w *watcher) watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	inner, err := w.watches(ctx, o)
	if err != nil {
		return nil, err
	}
	s := soften(inner)
	go w.pass(s, o.ResourceVersion)
	return s, nil
}

// pass passes the events on until the inner watch ends. The watch begins at the version. A watch that lists first has none, and begins
// with the bookmark that ends its list.
func (w *watcher) pass(s *softened, version string) {
	defer close(s.events)
	began, empty := time.Now(), true
	for event := range s.inner.ResultChan() {
		if !s.send(event) {
			return
		}
		if empty = event.Type == watch.Bookmark && endsList(event.Object); empty {
			began, version = time.Now(), versionOf(event.Object)
		}
	}
	if !empty || version == "" || time.Since(began) >= shortWatch {
		w.pause.Store(0)
		return
	}
	pause := min(max(firstPause, 2*time.Duration(w.pause.Load())), longestPause)
	w.pause.Store(int64(pause))
	if s.sleep(pause) {
		s.send(watch.Event{Type: watch.Bookmark, Object: w.bookmark(version)})
	}
}

func (w *watcher) bookmark(version string) runtime.Object {
	object := w.example.DeepCopyObject()
	if o, err := meta.Accessor(object); err == nil {
		o.SetResourceVersion(version)
	}
	return object
}

func versionOf(object runtime.Object) string {
	o, err := meta.Accessor(object)
	if err != nil {
		return ""
	}
	return o.GetResourceVersion()
}

func endsList(bookmark runtime.Object) bool {
	o, err := meta.Accessor(bookmark)
	return err == nil && o.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
}

// softened is a watch that ends softly.
type softened struct {
	*watch.ProxyWatcher
	inner  watch.Interface
	events chan watch.Event
}

func soften(inner watch.Interface) *softened {
	events := make(chan watch.Event)
	return &softened{ProxyWatcher: watch.NewProxyWatcher(events), inner: inner, events: events}
}

// Stop ends the watch.
func (s *softened) Stop() {
	s.ProxyWatcher.Stop()
	s.inner.Stop()
}

// send reports false if the watch was stopped.
func (s *softened) send(event watch.Event) bool {
	select {
	case s.events <- event:
		return true
	case <-s.StopChan():
		return false
	}
}

// sleep reports false if the watch was stopped.
func (s *softened) sleep(pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return true
	case <-s.StopChan():
		return false
	}
}
