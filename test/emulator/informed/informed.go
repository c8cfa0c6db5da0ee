package informed

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// A watch of a fake clientset panics if more events than this wait for its reader, as when a test changes hundreds of nodes at once.
func init() { watch.DefaultChanSize = 10_000 }

// Start starts the informers of a factory of the clientset. It returns once each has listed and watches.
// The informers end with the context.
func Start(ctx context.Context, t testing.TB, client *fake.Clientset, factory informers.SharedInformerFactory) {
	var watches atomic.Int64
	client.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := client.Tracker().Watch(action.GetResource(), action.GetNamespace())
		if err == nil {
			watches.Add(1)
		}
		return true, w, err
	})
	factory.Start(ctx.Done())
	synced := factory.WaitForCacheSync(ctx.Done())
	for deadline := time.Now().Add(time.Minute); watches.Load() < int64(len(synced)); time.Sleep(time.Millisecond) {
		require.Falsef(t, time.Now().After(deadline), "%d of %d informers watch", watches.Load(), len(synced))
	}
}
