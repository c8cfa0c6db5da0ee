package buffers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/client/clientset/versioned"
	typed "k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/client/clientset/versioned/typed/autoscaling.x-k8s.io/v1beta1"
	listers "k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/client/listers/autoscaling.x-k8s.io/v1beta1"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer"
	cbclient "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/client"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/controller"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/fakepods"
	filter "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/filters"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/metrics"
	translator "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/translators"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/updater"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
)

// Buffers are the CapacityBuffers of the cluster. It is a PodListProcessor of the core, behind all that give pods room.
type Buffers struct {
	Core     *cbclient.CapacityBufferClient
	Registry *fakepods.Registry // of the buffers whose pods the core's loop looks at
	client   *client
	mapper   meta.RESTMapper // of what buffers refer to
	kube     kubernetes.Interface
	nodes    map[string][]string // see Nodes
}

// New fills the caches of buffers and of the objects that they may refer to. It waits for them, but not beyond ctx.
func New(ctx context.Context, kube *rest.Config) (*Buffers, error) {
	objects, err := versioned.NewForConfig(kube)
	others, failed := kubernetes.NewForConfig(kube)
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(others.Discovery()))
	scales, err := scale.NewForConfig(kube, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(others.Discovery()))
	if err != nil {
		return nil, err
	}
	return of(ctx, objects, others, scales, mapper)
}

func of(ctx context.Context, objects versioned.Interface, others kubernetes.Interface, scales scale.ScalesGetter,
	mapper meta.RESTMapper) (*Buffers, error) {
	c := &client{Interface: objects, AutoscalingV1beta1Interface: objects.AutoscalingV1beta1(), visits: make(chan string),
		provisioning: map[types.UID]metav1.Condition{}, found: make(chan []*v1beta1.CapacityBuffer, 1)}
	var core *cbclient.CapacityBufferClient
	var err error
	made := make(chan struct{})
	go func() { // the core waits for ever
		defer close(made)
		core, err = cbclient.NewCapacityBufferClientFromClients(c, others, scales, mapper)
	}()
	select {
	case <-made:
	case <-ctx.Done():
		return nil, fmt.Errorf("fill the caches of CapacityBuffers and of what they refer to: %w", context.Cause(ctx))
	}
	if err != nil {
		return nil, err
	}
	c.store = core.GetBufferInformer().GetStore()
	return &Buffers{Core: core, Registry: fakepods.NewRegistry(nil), client: c, mapper: mapper, kube: others}, nil
}

// Loop is the client for the core's loop, which makes all pods of the listed buffers. All together have at most limit pods, or one each.
func (b *Buffers) Loop(limit int) (*cbclient.CapacityBufferClient, error) {
	all := listers.NewCapacityBufferLister(b.Core.GetBufferInformer().GetIndexer())
	templates := corelisters.NewPodTemplateLister(b.Core.GetPodTemplateInformer().GetIndexer())
	loop := *b.client
	loop.notes = true
	return cbclient.NewCapacityBufferClient(&loop, b.kube, bounded{all, limit}, templates, nil, nil, nil, nil, nil, nil, nil)
}

// bounded lists copies of the buffers that have too many pods.
type bounded struct {
	listers.CapacityBufferLister
	limit int
}

func (l bounded) List(which labels.Selector) ([]*v1beta1.CapacityBuffer, error) {
	list, err := l.CapacityBufferLister.List(which)
	pods := func(most int) (sum int) {
		for _, b := range list {
			sum += min(asked(b), most)
		}
		return sum
	}
	most := max(1, l.limit)
	for most > 1 && pods(most) > l.limit {
		most = most * 9 / 10
	}
	for at, b := range list {
		if asked(b) > most {
			list[at] = b.DeepCopy()
			list[at].Status.Replicas = ptr.To(int32(most))
		}
	}
	return list, err
}

// asked returns the number of pods that the core makes for the buffer.
func asked(b *v1beta1.CapacityBuffer) int {
	if !slices.Contains(strategies, ptr.Deref(b.Status.ProvisioningStrategy, "")) ||
		meta.IsStatusConditionFalse(b.Status.Conditions, capacitybuffer.ReadyForProvisioningCondition) {
		return 0
	}
	return int(ptr.Deref(b.Status.Replicas, 0))
}

// strategies name the buffers that the core's controller looks after. The second is the default.
var strategies = []string{capacitybuffer.ActiveProvisioningStrategy, ""}

// Control runs the core's controller until ctx ends, and publishes when it has looked at the buffers.
func (b *Buffers) Control(ctx context.Context, resolver fakepods.Resolver) {
	times := metrics.NewReconciliationCache()
	go b.controller(resolver, times).Run(ctx.Done())
	metrics.RegisterReconciliationTimestampCollector(b.Core, strategies, times, clock.RealClock{})
}

func (b *Buffers) controller(resolver fakepods.Resolver, times *metrics.ReconciliationCache) controller.BufferController {
	return controller.NewBufferController(b.Core, filter.NewStrategyFilter(strategies), translator.NewCombinedTranslator([]translator.Translator{
		translator.NewPodTemplateBufferTranslator(b.Core, resolver),
		percentages{translator.NewDefaultScalableObjectsTranslator(b.Core, resolver)},
	}), *updater.NewStatusUpdater(b.Core), clock.RealClock{}, times)
}

// mapperLimit is the greatest age of the mapper's reading. The core looks at a buffer as often.
const mapperLimit = 5 * time.Minute

// Run writes what the loops find out about the buffers, until ctx ends. The next loop finds out again what was not written. It also has
// the mapper find kinds that are installed later.
func (b *Buffers) Run(ctx context.Context) error {
	again := time.NewTicker(mapperLimit)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
			meta.MaybeResetRESTMapper(b.mapper)
		case list := <-b.client.found:
			for _, buffer := range list {
				_, err := b.client.AutoscalingV1beta1Interface.CapacityBuffers(buffer.Namespace).UpdateStatus(ctx, buffer, metav1.UpdateOptions{})
				klog.FromContext(ctx).V(2).Info("Wrote the status of a capacity buffer", "buffer", klog.KObj(buffer), "err", err)
			}
		}
	}
}

// Resized returns a handler for the buffers, which calls resized when one has another size.
func (*Buffers) Resized(resized func()) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{UpdateFunc: func(before, now any) {
		if !ptr.Equal(before.(*v1beta1.CapacityBuffer).Status.Replicas, now.(*v1beta1.CapacityBuffer).Status.Replicas) {
			resized()
		}
	}}
}

// coreLag is how long the core's own caches of these objects may be behind the handler's. The controller reads the core's.
const coreLag = time.Second

// Scaled returns a handler for objects that buffers may scale with. It has the controller look at the buffers of an object that
// changes its template or has another number of pods. The core itself looks every five minutes.
func (b *Buffers) Scaled() cache.ResourceEventHandler {
	visit := func(object any) {
		scaled, known := object.(metav1.Object)
		if !known {
			return
		}
		kind := reflect.TypeOf(object).Elem().Name()
		for _, object := range b.client.store.List() {
			buffer := object.(*v1beta1.CapacityBuffer)
			if ref := buffer.Spec.ScalableRef; ref != nil && buffer.Namespace == scaled.GetNamespace() && ref.Kind == kind && ref.Name == scaled.GetName() {
				time.AfterFunc(coreLag, func() {
					select {
					case b.client.visits <- buffer.Namespace:
					case <-time.After(time.Minute): // nobody watches, such as without the right to
					}
				})
				return
			}
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: visit, DeleteFunc: visit, UpdateFunc: func(before, now any) {
		if size(before) != size(now) {
			visit(now)
		}
	}}
}

// size is the generation of an object, and how many pods it has.
func size(object any) [2]int64 {
	size := [2]int64{object.(metav1.Object).GetGeneration()}
	if pods := reflect.ValueOf(object).Elem().FieldByName("Status").FieldByName("Replicas"); pods.IsValid() { // a Job has none
		size[1] = pods.Int()
	}
	return size
}

// Fulfilled is the condition of a buffer whose capacity is free on Ready nodes. The core's Provisioning says only that the loop looks for it.
const Fulfilled = "Fulfilled"

// Process finds out which pods of buffers have room on Ready nodes. It has Run write the condition Fulfilled, and what the core's loop
// found out, and returns the pods as they are.
func (b *Buffers) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	infos, err := ctx.ClusterSnapshot.ListNodeInfos()
	if err != nil {
		return nil, err
	}
	ready := map[types.UID]int32{}
	b.nodes = map[string][]string{}
	for _, info := range infos {
		node := info.Node()
		if node.Annotations[coreannotations.NodeUpcomingAnnotation] == "true" {
			continue
		}
		for _, on := range info.Pods() {
			if of := b.Registry.GetCapacityBuffer(on.UID); of != nil {
				ready[of.UID]++
				if name := of.Namespace + "/" + of.Name; !slices.Contains(b.nodes[node.Name], name) {
					b.nodes[node.Name] = append(b.nodes[node.Name], name)
				}
			}
		}
	}
	b.client.publish(ready)
	return pending, nil
}

// publish hands over the buffers whose status changes. They replace an earlier loop's, if Run has not begun to write that.
func (c *client) publish(ready map[types.UID]int32) {
	var list []*v1beta1.CapacityBuffer
	for _, object := range c.store.List() {
		b := object.(*v1beta1.CapacityBuffer).DeepCopy()
		s, provisioning := &b.Status, c.provisioning[b.UID]
		if ptr.Deref(s.ProvisioningStrategy, "") != strategies[0] {
			continue
		}
		fulfilled := metav1.Condition{Type: Fulfilled, Status: metav1.ConditionFalse, ObservedGeneration: b.Generation, Reason: "Counted",
			Message: fmt.Sprintf("%d of %d pods have room on Ready nodes", ready[b.UID], ptr.Deref(s.Replicas, 0))}
		if s.Replicas != nil && ready[b.UID] >= *s.Replicas {
			fulfilled.Status = metav1.ConditionTrue
		}
		changed := provisioning.Type != "" && meta.SetStatusCondition(&s.Conditions, provisioning)
		if meta.SetStatusCondition(&s.Conditions, fulfilled) || changed {
			list = append(list, b)
		}
	}
	clear(c.provisioning)
	select {
	case <-c.found:
	default:
	}
	c.found <- list
}

// Nodes returns the buffers that have room on each node, as namespace/name. The next loop replaces the map.
func (b *Buffers) Nodes() map[string][]string { return b.nodes }

func (*Buffers) CleanUp() {}

// percentages sizes buffers as their definition says: the percentage is rounded up, and of replicas and percentage the larger one counts.
// The core rounds down and takes the smaller one. CA pull request 9959 mends that.
type percentages struct{ translator.Translator }

// Translate asks the core for 100 %, which is the number of pods of the scaled object, and works out the size of the buffer from that.
func (t percentages) Translate(list []*v1beta1.CapacityBuffer) (errs []error) {
	for _, b := range list {
		asked, one := b.Spec, []*v1beta1.CapacityBuffer{b}
		if asked.ScalableRef != nil && asked.Percentage != nil {
			b.Spec.Percentage, b.Spec.Replicas, b.Spec.Limits = ptr.To[int32](100), nil, nil
			errs = append(errs, t.Translator.Translate(one)...)
			if b.Status.Replicas != nil {
				share := (int64(*asked.Percentage)*int64(*b.Status.Replicas) + 99) / 100
				share = min(share, math.MaxInt32)
				b.Spec.Percentage, b.Spec.Replicas, b.Spec.Limits = nil, ptr.To(max(int32(share), ptr.Deref(asked.Replicas, 0))), asked.Limits
				b.Status.Replicas = b.Spec.Replicas
			}
		}
		if b.Spec.Percentage == nil && (b.Spec.Limits != nil || asked.Percentage == nil) {
			errs = append(errs, t.Translator.Translate(one)...)
		}
		b.Spec = asked
	}
	return errs
}

// client is the client of buffers for the core's controller and its loop. It leaves out writes that change nothing. Its watch shows the
// controller the namespaces to look at again.
type client struct {
	versioned.Interface
	typed.AutoscalingV1beta1Interface
	visits       chan string                    // namespaces
	store        cache.Store                    // of the informer
	provisioning map[types.UID]metav1.Condition // what the loop under way found, by buffer. The loop alone uses it
	found        chan []*v1beta1.CapacityBuffer // to be written
	notes        bool                           // it is the loop's, which says only whether a buffer is provisioned
}

// IsWatchListSemanticsUnSupported has the informer list before it watches. So each watch begins at a known version.
func (*client) IsWatchListSemanticsUnSupported() bool { return true }

// AutoscalingV1beta1 returns the only client that the core uses.
func (c *client) AutoscalingV1beta1() typed.AutoscalingV1beta1Interface { return c }

func (c *client) CapacityBuffers(namespace string) typed.CapacityBufferInterface {
	return objects{c.AutoscalingV1beta1Interface.CapacityBuffers(namespace), c}
}

type objects struct {
	typed.CapacityBufferInterface
	*client
}

// UpdateStatus writes a status that differs from the one in the cache. One made from an older object is a conflict without a call. It only
// notes a status of the loop, which Buffers.Run writes.
func (o objects) UpdateStatus(ctx context.Context, b *v1beta1.CapacityBuffer, opts metav1.UpdateOptions) (*v1beta1.CapacityBuffer, error) {
	if o.notes {
		if found := meta.FindStatusCondition(b.Status.Conditions, capacitybuffer.ProvisioningCondition); found != nil {
			o.provisioning[b.UID] = *found
		}
		return b, nil
	}
	object, _, _ := o.store.Get(b)
	before, known := object.(*v1beta1.CapacityBuffer)
	if !known || before.ResourceVersion != b.ResourceVersion {
		return nil, apierrors.NewConflict(v1beta1.Resource("capacitybuffers"), b.Name, errors.New("the cache has another one, or none"))
	}
	if equality.Semantic.DeepEqual(b.Status, before.Status) {
		return b, nil
	}
	return o.CapacityBufferInterface.UpdateStatus(ctx, b, opts)
}

// Watch also shows a buffer that comes and goes at once in each namespace to be looked at, because the core's controller looks at a
// namespace when a buffer comes, and cannot be asked to. Nobody can make an object of such a name, and the core serves no such strategy.
func (o objects) Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	inner, err := o.CapacityBufferInterface.Watch(ctx, opts)
	if err != nil {
		return nil, err
	}
	events, version := make(chan watch.Event), opts.ResourceVersion // of the last object
	shown := watch.NewProxyWatcher(events)
	go func() {
		defer close(events)
		defer inner.Stop()
		for {
			var next []watch.Event
			select {
			case <-shown.StopChan():
				return
			case e, open := <-inner.ResultChan():
				if !open {
					return
				}
				if b, known := e.Object.(*v1beta1.CapacityBuffer); known {
					version = b.ResourceVersion
				}
				next = append(next, e)
			case namespace := <-o.visits:
				visitor := &v1beta1.CapacityBuffer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "(visit)", ResourceVersion: version},
					Spec: v1beta1.CapacityBufferSpec{ProvisioningStrategy: ptr.To("none")}}
				next = append(next, watch.Event{Type: watch.Added, Object: visitor}, watch.Event{Type: watch.Deleted, Object: visitor.DeepCopy()})
			}
			for _, e := range next {
				select {
				case events <- e:
				case <-shown.StopChan():
					return
				}
			}
		}
	}()
	return shown, nil
}
