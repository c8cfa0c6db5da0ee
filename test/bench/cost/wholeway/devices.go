package wholeway

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

// A publisher publishes the GPUs of each node that registers as NVIDIA's driver for claims does. Safe for concurrent use.
type publisher struct {
	client  kubernetes.Interface
	devices map[string]int // of a node, by group
	close   func()         // ends it, and waits until it has ended

	mu      sync.Mutex
	failure error
}

// publish publishes from now on, until it is closed.
func publish(ctx context.Context, client kubernetes.Interface, m *mix.Mix) (*publisher, error) {
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactory(client, 0)
	p := &publisher{client: client, devices: map[string]int{}, close: func() { cancel(); factory.Shutdown() }}
	for _, g := range m.Groups {
		p.devices[g.Name] = g.Devices
	}
	_, err := factory.Core().V1().Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(node any) { p.registered(ctx, node.(*corev1.Node)) },
	})
	factory.Start(ctx.Done())
	return p, err
}

func (p *publisher) registered(ctx context.Context, node *corev1.Node) {
	count := p.devices[node.Labels[mix.LabelGroup]]
	if count == 0 {
		return
	}
	slice := &resourceapi.ResourceSlice{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name + "-" + mix.DeviceClass, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}},
		Spec: resourceapi.ResourceSliceSpec{Driver: mix.DeviceClass, NodeName: &node.Name,
			Pool: resourceapi.ResourcePool{Name: node.Name, Generation: 1, ResourceSliceCount: 1}},
	}
	for n := range count {
		slice.Spec.Devices = append(slice.Spec.Devices, resourceapi.Device{Name: fmt.Sprintf("gpu-%d", n),
			Attributes: map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{"type": {StringValue: new("gpu")}}})
	}
	if _, err := p.client.ResourceV1().ResourceSlices().Create(ctx, slice, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) && ctx.Err() == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.failure = fmt.Errorf("publish the devices of %q: %w", node.Name, err)
	}
}

// failed returns the last failure, or nil.
func (p *publisher) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}
