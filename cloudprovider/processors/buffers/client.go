package buffers

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/client/clientset/versioned"
	typed "k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/client/clientset/versioned/typed/autoscaling.x-k8s.io/v1beta1"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

// client is the client of buffers that the core uses. It leaves out writes that change nothing, and keeps the loop's own for run. Its
// watch also shows the controller which namespaces to look at again. It is safe for concurrent use.
type client struct {
	versioned.Interface
	wanted, visits chan struct{} // have a token while their map has entries

	mu         sync.Mutex
	store      cache.Store                   // of the informer, nil until that is filled
	conditions map[string][]metav1.Condition // to be written, by the buffer's key
	namespaces map[string]bool               // to be looked at
}

func newClient(objects versioned.Interface) *client {
	return &client{Interface: objects, wanted: make(chan struct{}, 1), visits: make(chan struct{}, 1),
		conditions: map[string][]metav1.Condition{}, namespaces: map[string]bool{}}
}

// read has the client compare with the objects in the store.
func (c *client) read(store cache.Store) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store = store
}

// cached returns the buffer in the store, or nil.
func (c *client) cached(key string) *v1beta1.CapacityBuffer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store == nil {
		return nil
	}
	object, _, _ := c.store.GetByKey(key)
	buffer, _ := object.(*v1beta1.CapacityBuffer)
	return buffer
}

// want has run write a condition. The last one of its type counts.
func (c *client) want(buffer *v1beta1.CapacityBuffer, condition metav1.Condition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cache.MetaObjectToName(buffer).String()
	list := c.conditions[key]
	meta.SetStatusCondition(&list, condition)
	c.conditions[key] = list
	wake(c.wanted)
}

func (c *client) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wanted:
		}
		c.mu.Lock()
		wanted := c.conditions
		c.conditions = map[string][]metav1.Condition{}
		c.mu.Unlock()
		for key, conditions := range wanted {
			c.write(ctx, key, conditions)
		}
	}
}

// write writes conditions that the buffer lacks. The loop that comes next wants them again if that fails.
func (c *client) write(ctx context.Context, key string, conditions []metav1.Condition) {
	before := c.cached(key)
	if before == nil {
		return
	}
	buffer, changed := before.DeepCopy(), false
	for _, condition := range conditions {
		changed = meta.SetStatusCondition(&buffer.Status.Conditions, condition) || changed
	}
	if !changed {
		return
	}
	_, err := c.Interface.AutoscalingV1beta1().CapacityBuffers(buffer.Namespace).UpdateStatus(ctx, buffer, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		klog.FromContext(ctx).Error(err, "Could not write the status of a capacity buffer", "buffer", key)
	}
}

// IsWatchListSemanticsUnSupported has the informer list before it watches. So each watch begins at a known version.
func (*client) IsWatchListSemanticsUnSupported() bool { return true }

// AutoscalingV1beta1 returns the client of the only version that the core uses.
func (c *client) AutoscalingV1beta1() typed.AutoscalingV1beta1Interface {
	return group{c.Interface.AutoscalingV1beta1(), c}
}

type group struct {
	typed.AutoscalingV1beta1Interface
	client *client
}

func (g group) CapacityBuffers(namespace string) typed.CapacityBufferInterface {
	return objects{g.AutoscalingV1beta1Interface.CapacityBuffers(namespace), g.client}
}

type objects struct {
	typed.CapacityBufferInterface
	client *client
}

// UpdateStatus writes a status that differs from the one in the cache. If only the condition Provisioning differs, the core's loop is the
// caller, and run writes it. A status made from an older object is a conflict without a call.
func (o objects) UpdateStatus(ctx context.Context, b *v1beta1.CapacityBuffer, opts metav1.UpdateOptions) (*v1beta1.CapacityBuffer, error) {
	before := o.client.cached(cache.MetaObjectToName(b).String())
	if before == nil {
		return o.CapacityBufferInterface.UpdateStatus(ctx, b, opts)
	}
	if before.ResourceVersion != b.ResourceVersion {
		return nil, apierrors.NewConflict(v1beta1.Resource("capacitybuffers"), b.Name, errors.New("the cache has a newer one"))
	}
	provisioning, is := apart(b)
	was, others := apart(before)
	switch {
	case !equality.Semantic.DeepEqual(is, others):
		return o.CapacityBufferInterface.UpdateStatus(ctx, b, opts)
	case provisioning != nil && !equality.Semantic.DeepEqual(provisioning, was):
		o.client.want(b, *provisioning)
	}
	return b, nil
}

// apart takes the condition that the core's loop writes out of the status.
func apart(b *v1beta1.CapacityBuffer) (*metav1.Condition, *v1beta1.CapacityBufferStatus) {
	rest := b.Status.DeepCopy()
	meta.RemoveStatusCondition(&rest.Conditions, capacitybuffer.ProvisioningCondition)
	return meta.FindStatusCondition(b.Status.Conditions, capacitybuffer.ProvisioningCondition), rest
}

// visit has the core's controller look at all buffers of the namespace.
func (c *client) visit(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.namespaces[namespace] = true
	wake(c.visits)
}

// visited takes the namespaces to be looked at.
func (c *client) visited() (list []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for namespace := range c.namespaces {
		list = append(list, namespace)
	}
	clear(c.namespaces)
	return list
}

// Watch also shows a buffer that comes and goes at once in each namespace to be looked at, because the core's controller looks at a
// namespace when a buffer comes, and cannot be asked to. Nobody can make an object of such a name, and no strategy of the core's is its own.
func (o objects) Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	inner, err := o.CapacityBufferInterface.Watch(ctx, opts)
	if err != nil {
		return nil, err
	}
	events := make(chan watch.Event)
	outer := watch.NewProxyWatcher(events)
	send := func(e watch.Event) bool {
		select {
		case events <- e:
			return true
		case <-outer.StopChan():
			return false
		}
	}
	go func() {
		defer close(events)
		defer inner.Stop()
		visitor := &v1beta1.CapacityBuffer{Spec: v1beta1.CapacityBufferSpec{ProvisioningStrategy: ptr.To("none")}}
		visitor.Name, visitor.ResourceVersion = "(visit)", opts.ResourceVersion
		for {
			select {
			case <-outer.StopChan():
				return
			case e, open := <-inner.ResultChan():
				if !open || !send(e) {
					return
				}
				if buffer, ok := e.Object.(*v1beta1.CapacityBuffer); ok {
					visitor.ResourceVersion = buffer.ResourceVersion
				}
			case <-o.client.visits:
				for _, namespace := range o.client.visited() {
					now := visitor.DeepCopy()
					now.Namespace = namespace
					if !send(watch.Event{Type: watch.Added, Object: now}) || !send(watch.Event{Type: watch.Deleted, Object: now}) {
						o.client.visit(namespace) // by the next watch
					}
				}
			}
		}
	}()
	return outer, nil
}
