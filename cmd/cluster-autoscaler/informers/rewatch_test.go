package informers

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
)

// client-go would pause for 0.8 s or more after each short watch.
func TestShortWatches(t *testing.T) {
	for _, tt := range []struct {
		short int32
		took  time.Duration
	}{{0, 0}, {1, 0}, {mostWatches - 1, 0}, {mostWatches + 2, 3 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			client := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "first", Namespace: "default", ResourceVersion: "7"}})
			var watches atomic.Int32
			pods := watch.NewFake()
			client.PrependWatchReactor("pods", func(action clienttesting.Action) (bool, watch.Interface, error) {
				if watches.Add(1) > tt.short {
					return true, pods, nil
				}
				ended := watch.NewFake()
				ended.Stop()
				return true, ended, nil
			})
			client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}, nil
			})
			factory := New(client, nil)
			informer := factory.Core().V1().Pods().Informer()
			began := time.Now()
			factory.Start(t.Context().Done())
			pods.Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "second", Namespace: "default", ResourceVersion: "8"}})
			synctest.Wait()
			if took := time.Since(began); took != tt.took || len(informer.GetStore().List()) != 1 {
				t.Errorf("after %d short watches the store has %d pods after %s, want 1 after %s", tt.short, len(informer.GetStore().List()), took, tt.took)
			}
		})
	}
}

// Somebody takes the permission away and gives it back. The store keeps its nodes meanwhile.
func TestCachesThatNoLongerFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
		var refused atomic.Bool
		refusal := apierrors.NewForbidden(corev1.Resource("nodes"), "", nil)
		client.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) { return refused.Load(), nil, refusal })
		nodes := watch.NewFake()
		client.PrependWatchReactor("nodes", func(clienttesting.Action) (bool, watch.Interface, error) {
			if refused.Load() {
				return true, nil, refusal
			}
			return true, nodes, nil
		})
		factory := New(client, nil)
		informer := factory.Core().V1().Nodes().Informer()
		// client-go's own handler compares this bubble's clock with the real one.
		require.NoError(t, informer.SetWatchErrorHandler(func(*cache.Reflector, error) {}))
		factory.Start(t.Context().Done())
		time.Sleep(time.Hour)
		assert.NoError(t, Blind(factory), "while a watch runs")
		refused.Store(true)
		nodes.Stop()
		nodes = watch.NewFake()
		time.Sleep(longestBlind - time.Second)
		assert.NoError(t, Blind(factory), "in a short outage")
		time.Sleep(2 * time.Second)
		assert.ErrorContains(t, Blind(factory), "nodes is forbidden")
		assert.Len(t, informer.GetStore().List(), 1)
		refused.Store(false)
		time.Sleep(time.Minute)
		assert.NoError(t, Blind(factory), "once they are listed again")
	})
}

func TestWatchThatListsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "9", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"}}}
		inner := watch.NewFake()
		s := softened(inner, &corev1.Pod{}, "")
		go func() {
			inner.Add(&corev1.Pod{})
			inner.Action(watch.Bookmark, end)
			inner.Stop()
		}()
		var got []watch.Event
		for event := range s.ResultChan() {
			got = append(got, event)
		}
		if last := (&corev1.Pod{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "9"}}); len(got) != 3 || got[2].Type != watch.Bookmark || !cmp.Equal(got[2].Object, runtime.Object(last)) {
			t.Errorf("want a pod, the end of the list and a plain bookmark of version 9, got %+v", got)
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := watch.NewFake()
		s := softened(inner, &corev1.Pod{}, "7")
		go inner.Add(&corev1.Pod{}) // nobody takes it
		synctest.Wait()
		s.Stop()
		s.Stop()
		_, open := <-s.ResultChan()
		assert.False(t, open, "an event came after the end")
	})
}
