package buffers

import (
	"context"
	"errors"
	"io"
	"net/http"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/client/clientset/versioned"
	typed "k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/client/clientset/versioned/typed/autoscaling.x-k8s.io/v1beta1"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// maxVisits bounds the namespaces that wait for the controller, before the informers of scaled objects wait, too.
const maxVisits = 1000

// client is the client of buffers for the core. It leaves out writes that change nothing, and keeps what the core's loop writes for
// Buffers.Run. Its watch shows the controller the namespaces to look at again.
type client struct {
	versioned.Interface
	visits       chan string                    // namespaces
	store        cache.Store                    // of the informer
	provisioning map[types.UID]metav1.Condition // what the loop under way found, by buffer. The loop alone uses it
	found        chan []*v1beta1.CapacityBuffer // to be written
}

// IsWatchListSemanticsUnSupported has the informer list before it watches. So each watch begins at a known version.
func (*client) IsWatchListSemanticsUnSupported() bool { return true }

// AutoscalingV1beta1 returns the only client that the core uses.
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
// caller, and Buffers.Run writes it. A status made from an older object is a conflict without a call.
func (o objects) UpdateStatus(ctx context.Context, b *v1beta1.CapacityBuffer, opts metav1.UpdateOptions) (*v1beta1.CapacityBuffer, error) {
	object, _, _ := o.client.store.Get(b)
	before, known := object.(*v1beta1.CapacityBuffer)
	if !known || before.ResourceVersion != b.ResourceVersion {
		return nil, apierrors.NewConflict(v1beta1.Resource("capacitybuffers"), b.Name, errors.New("the cache has another one, or none"))
	}
	provisioning, others := apart(b)
	was, othersWere := apart(before)
	if !equality.Semantic.DeepEqual(others, othersWere) {
		return o.CapacityBufferInterface.UpdateStatus(ctx, b, opts)
	}
	if provisioning != nil && !equality.Semantic.DeepEqual(provisioning, was) {
		o.client.provisioning[b.UID] = *provisioning
	}
	return b, nil
}

// apart takes the condition that the core's loop writes out of the status.
func apart(b *v1beta1.CapacityBuffer) (*metav1.Condition, *v1beta1.CapacityBufferStatus) {
	rest := b.Status.DeepCopy()
	meta.RemoveStatusCondition(&rest.Conditions, capacitybuffer.ProvisioningCondition)
	return meta.FindStatusCondition(b.Status.Conditions, capacitybuffer.ProvisioningCondition), rest
}

// Watch also shows a buffer that comes and goes at once in each namespace to be looked at, because the core's controller looks at a
// namespace when a buffer comes, and cannot be asked to. Nobody can make an object of such a name, and the core serves no such strategy.
func (o objects) Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	inner, err := o.CapacityBufferInterface.Watch(ctx, opts)
	if err != nil {
		return nil, err
	}
	return watch.NewStreamWatcher(&events{Interface: inner, visits: o.client.visits, version: opts.ResourceVersion},
		apierrors.NewClientErrorReporter(http.StatusInternalServerError, http.MethodGet, "ClientWatchDecoding")), nil
}

// events come from a watch, with visits among them.
type events struct {
	watch.Interface
	visits  <-chan string
	version string                  // of the last object
	visitor *v1beta1.CapacityBuffer // that goes next, nil for none
}

func (e *events) Decode() (watch.EventType, runtime.Object, error) {
	if gone := e.visitor; gone != nil {
		e.visitor = nil
		return watch.Deleted, gone, nil
	}
	select {
	case next, open := <-e.ResultChan():
		if !open {
			return "", nil, io.EOF
		}
		if b, known := next.Object.(*v1beta1.CapacityBuffer); known {
			e.version = b.ResourceVersion
		}
		return next.Type, next.Object, nil
	case namespace := <-e.visits:
		e.visitor = &v1beta1.CapacityBuffer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "(visit)", ResourceVersion: e.version},
			Spec: v1beta1.CapacityBufferSpec{ProvisioningStrategy: ptr.To("none")}}
		return watch.Added, e.visitor.DeepCopy(), nil
	}
}

func (e *events) Close() { e.Stop() }
