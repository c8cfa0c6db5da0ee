package wholeway

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodeready"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

// An observer follows the pods of the mix and the nodes. Safe for concurrent use.
type observer struct {
	want   int // pods
	client kubernetes.Interface
	close  func() // ends it, and waits until it has ended

	mu      sync.Mutex
	nodeOf  map[types.UID]string // of the pods that exist, "" before they run
	running int
	judged  map[types.UID]bool // pods for which kube-scheduler found no node
	ready   map[string]bool    // nodes that exist
	created time.Time          // when all pods existed for the first time
	allRun  time.Time          // since when all run, zero while they do not
	failure error
}

// observe observes from now on, until it is closed. devices are the GPUs of a node by group, which it publishes as NVIDIA's driver
// does when a node registers.
func observe(ctx context.Context, client kubernetes.Interface, want int, devices map[string]int) (*observer, error) {
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	o := &observer{want: want, client: client, nodeOf: map[types.UID]string{}, judged: map[types.UID]bool{}, ready: map[string]bool{},
		close: func() { cancel(); factory.Shutdown() }}
	pods, nodes := factory.Core().V1().Pods().Informer(), factory.Core().V1().Nodes().Informer()
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: o.podSeen, UpdateFunc: func(_, pod any) { o.podSeen(pod) }, DeleteFunc: o.podGone,
	})
	if err == nil {
		_, err = nodes.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(node any) {
				o.nodeSeen(node)
				o.publish(ctx, node.(*corev1.Node), devices)
			},
			UpdateFunc: func(_, node any) { o.nodeSeen(node) }, DeleteFunc: o.nodeGone,
		})
	}
	factory.Start(ctx.Done())
	if err == nil && !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced, nodes.HasSynced) {
		err = context.Cause(ctx)
	}
	if err != nil {
		o.close()
		return nil, fmt.Errorf("observe the cluster: %w", err)
	}
	return o, nil
}

func (o *observer) podSeen(object any) {
	pod := object.(*corev1.Pod)
	o.mu.Lock()
	defer o.mu.Unlock()
	node, known := o.nodeOf[pod.UID]
	if !known {
		o.nodeOf[pod.UID] = ""
		if len(o.nodeOf) == o.want && o.created.IsZero() {
			o.created = time.Now()
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
			o.judged[pod.UID] = true
		}
	}
	if node == "" && pod.Status.Phase == corev1.PodRunning {
		o.nodeOf[pod.UID] = pod.Spec.NodeName
		o.running++
		o.counted()
	}
}

func (o *observer) podGone(object any) {
	if lost, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = lost.Obj
	}
	pod := object.(*corev1.Pod)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.nodeOf[pod.UID] != "" {
		o.running--
		o.counted()
	}
	delete(o.nodeOf, pod.UID)
}

// counted follows a change of the number of running pods.
func (o *observer) counted() {
	switch {
	case o.running < o.want:
		o.allRun = time.Time{}
	case o.allRun.IsZero():
		o.allRun = time.Now()
	}
}

func (o *observer) nodeSeen(object any) {
	node := object.(*corev1.Node)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ready[node.Name] = nodeready.Is(node)
}

func (o *observer) nodeGone(object any) {
	if lost, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = lost.Obj
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.ready, object.(*corev1.Node).Name)
}

// publish publishes the node's GPUs as NVIDIA's driver for claims does, if it has any.
func (o *observer) publish(ctx context.Context, node *corev1.Node, devices map[string]int) {
	count := devices[node.Labels[mix.LabelGroup]]
	if count == 0 {
		return
	}
	slice := &resourceapi.ResourceSlice{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name + "-" + deviceClass, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}},
		Spec: resourceapi.ResourceSliceSpec{Driver: deviceClass, NodeName: &node.Name,
			Pool: resourceapi.ResourcePool{Name: node.Name, Generation: 1, ResourceSliceCount: 1}},
	}
	for n := range count {
		slice.Spec.Devices = append(slice.Spec.Devices, resourceapi.Device{Name: fmt.Sprintf("gpu-%d", n),
			Attributes: map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{"type": {StringValue: new("gpu")}}})
	}
	if _, err := o.client.ResourceV1().ResourceSlices().Create(ctx, slice, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) && ctx.Err() == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.failure = fmt.Errorf("publish the devices of %q: %w", node.Name, err)
	}
}

// A look is the cluster at one moment.
type look struct {
	running int
	judged  int             // pods, see observer
	ready   int             // nodes
	used    map[string]bool // nodes with a running pod of the mix
	created time.Time       // see observer
	allRun  time.Time
}

func (o *observer) look() (look, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := look{running: o.running, judged: len(o.judged), used: map[string]bool{}, created: o.created, allRun: o.allRun}
	for _, ready := range o.ready {
		if ready {
			l.ready++
		}
	}
	for _, node := range o.nodeOf {
		if node != "" {
			l.used[node] = true
		}
	}
	return l, o.failure
}
