package buffers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/client/clientset/versioned"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer"
	cbclient "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/client"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/controller"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/fakepods"
	filter "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/filters"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/metrics"
	translator "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/translators"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/updater"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
)

// Buffers are the CapacityBuffers of the cluster.
type Buffers struct {
	core    *cbclient.CapacityBufferClient
	client  *client
	changed chan struct{} // has a token when a buffer has changed that the next loop has to see
}

// New fills the caches of buffers and of the objects that they may refer to. It waits for them as long as that takes, as the core does.
func New(kube *rest.Config) (*Buffers, error) {
	objects, err := versioned.NewForConfig(kube)
	if err != nil {
		return nil, fmt.Errorf("client of buffers: %w", err)
	}
	others, err := kubernetes.NewForConfig(kube)
	if err != nil {
		return nil, fmt.Errorf("client of their objects: %w", err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(others.Discovery()))
	scales, err := scale.NewForConfig(kube, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(others.Discovery()))
	if err != nil {
		return nil, fmt.Errorf("client of their scales: %w", err)
	}
	return of(objects, others, scales, mapper)
}

func of(objects versioned.Interface, others kubernetes.Interface, scales scale.ScalesGetter, mapper meta.RESTMapper) (_ *Buffers, err error) {
	b := &Buffers{client: newClient(objects), changed: make(chan struct{}, 1)}
	if b.core, err = cbclient.NewCapacityBufferClientFromClients(b.client, others, scales, mapper); err != nil {
		return nil, err
	}
	b.client.read(b.core.GetBufferInformer().GetStore())
	_, err = b.core.GetBufferInformer().AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: b.updated,
		DeleteFunc: func(any) { wake(b.changed) }})
	return b, err
}

// updated wakes the loop for a buffer of another size.
func (b *Buffers) updated(before, now any) {
	was, is := before.(*v1beta1.CapacityBuffer).Status, now.(*v1beta1.CapacityBuffer).Status
	if ptr.Equal(was.Replicas, is.Replicas) && ptr.Equal(was.PodTemplateGeneration, is.PodTemplateGeneration) {
		return
	}
	wake(b.changed)
}

// wake leaves a token for the receiver, unless there is one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Changed has a token when a buffer has another size or other pods, or is gone.
func (b *Buffers) Changed() <-chan struct{} { return b.changed }

// Run writes what the loops find out about the buffers, until ctx ends. A failed write is left to the next loop.
func (b *Buffers) Run(ctx context.Context) error { return b.client.run(ctx) }

// strategies are those that the core's controller looks after. The second is the default.
var strategies = []string{capacitybuffer.ActiveProvisioningStrategy, ""}

// Control runs the core's controller until ctx ends, and publishes when it has looked at the buffers.
func (b *Buffers) Control(ctx context.Context, resolver fakepods.Resolver) {
	times := metrics.NewReconciliationCache()
	go b.controller(resolver, times).Run(ctx.Done())
	metrics.RegisterReconciliationTimestampCollector(b.core, strategies, times, clock.RealClock{})
}

func (b *Buffers) controller(resolver fakepods.Resolver, times *metrics.ReconciliationCache) controller.BufferController {
	return controller.NewBufferController(b.core, filter.NewStrategyFilter(strategies), translator.NewCombinedTranslator([]translator.Translator{
		translator.NewPodTemplateBufferTranslator(b.core, resolver),
		percentages{translator.NewDefaultScalableObjectsTranslator(b.core, resolver)},
	}), *updater.NewStatusUpdater(b.core), clock.RealClock{}, times)
}

// Scaled returns the handler that has the controller look again at the buffers of an object of the kind, when the number of its pods or
// their template changes. The core itself looks every five minutes.
func (b *Buffers) Scaled(kind string) cache.ResourceEventHandler {
	visit := func(object any) {
		key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
		if err != nil {
			return
		}
		namespace, name, _ := cache.SplitMetaNamespaceKey(key)
		for _, object := range b.core.GetBufferInformer().GetStore().List() {
			buffer := object.(*v1beta1.CapacityBuffer)
			if ref := buffer.Spec.ScalableRef; ref != nil && buffer.Namespace == namespace && ref.Kind == kind && ref.Name == name {
				b.client.visit(namespace)
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

// size is the generation of an object, and how many pods it has. Either decides on a buffer.
func size(object any) [2]int64 {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return [2]int64{o.Generation, int64(o.Status.Replicas)}
	case *appsv1.ReplicaSet:
		return [2]int64{o.Generation, int64(o.Status.Replicas)}
	case *appsv1.StatefulSet:
		return [2]int64{o.Generation, int64(o.Status.Replicas)}
	case *corev1.ReplicationController:
		return [2]int64{o.Generation, int64(o.Status.Replicas)}
	case *batchv1.Job:
		return [2]int64{o.Generation}
	}
	return [2]int64{}
}
