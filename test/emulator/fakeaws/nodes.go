package fakeaws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	nodeWorkers = 8 // requests to the cluster at a time
	syncTimeout = 30 * time.Second
	callTimeout = 10 * time.Second
)

// A publisher keeps the Nodes of a cluster in step with the instances: it creates them, publishes their devices some time after
// they are Ready, and deletes them.
type publisher struct {
	client   kubernetes.Interface
	timeline *timeline
	events   *eventLog
	queue    workqueue.TypedRateLimitingInterface[string]

	mu    sync.Mutex
	nodes map[string]*publishedNode // by name
}

type publishedNode struct {
	nodeSpec
	created   bool
	mayReady  bool // its time to be Ready has come
	released  bool // nothing keeps KWOK from making it Ready
	ready     bool
	due       bool // devices are to be published
	published bool
	lift      bool // the agents of its start-up taints have started
	lifted    bool
	gone      bool // to be deleted
	down, up  bool // to go down for a reboot, and to come back
	boot      string
}

// Attach publishes the Nodes of the groups that name no cluster from now on, existing ones at once. It returns when it has read
// the cluster's nodes, or the reason why it cannot. The client should have no rate limit to speak of. KWOK, or a test, is
// expected to make the Nodes Ready.
func (s *Server) Attach(client kubernetes.Interface) error { return s.AttachCluster("", client) }

// AttachCluster is Attach for the groups that name another cluster of the same account.
func (s *Server) AttachCluster(cluster string, client kubernetes.Interface) error {
	p := &publisher{
		client: client, timeline: s.timeline, events: s.events, nodes: map[string]*publishedNode{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](50*time.Millisecond, 2*time.Second)),
	}
	s.mu.Lock()
	_, taken := s.nodes[cluster]
	if !taken {
		s.nodes[cluster] = p
	}
	s.mu.Unlock()
	if taken {
		return fmt.Errorf("attach fakeaws: it has a cluster %q already", cluster)
	}
	if err := p.start(s); err != nil {
		return fmt.Errorf("attach fakeaws: %w", err)
	}
	s.account.attach(cluster, p)
	return nil
}

// attach hands over every Node that is due.
func (a *account) attach(cluster string, nodes nodeSink) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nodes[cluster] = nodes
	for _, g := range a.sortedGroups() {
		if g.Cluster != cluster {
			continue
		}
		for _, i := range g.instances {
			if i.nodeDue {
				nodes.register(a.nodeSpec(i))
			}
		}
	}
}

var errClosed = errors.New("fakeaws server is closed")

// start runs the informer and the workers until the Server closes.
func (p *publisher) start(s *Server) error {
	factory := informers.NewSharedInformerFactoryWithOptions(p.client, 0, informers.WithTransform(onlyReadiness))
	informer := factory.Core().V1().Nodes().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    p.observe,
		UpdateFunc: func(_, node any) { p.observe(node) },
	}); err != nil {
		return err
	}
	// Attach has no context to pass on, because publishing lasts as long as the Server, not as long as its caller.
	ctx, cancel := context.WithCancel(context.Background())
	running := s.spawn(func(stop <-chan struct{}) {
		<-stop
		cancel()
		p.queue.ShutDown()
		factory.Shutdown()
	})
	if !running {
		cancel()
		return errClosed
	}
	for range nodeWorkers {
		s.spawn(func(<-chan struct{}) { p.work(ctx) })
	}
	factory.Start(ctx.Done())
	synced, giveUp := context.WithTimeout(ctx, syncTimeout)
	defer giveUp()
	if !cache.WaitForCacheSync(synced.Done(), informer.HasSynced) {
		return fmt.Errorf("nodes of the cluster could not be read within %s", syncTimeout)
	}
	return nil
}

// onlyReadiness drops the fields that the publisher does not read, so that watching large clusters is cheap.
func onlyReadiness(obj any) (any, error) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	slim := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name, ResourceVersion: node.ResourceVersion, UID: node.UID}}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			slim.Status.Conditions = []corev1.NodeCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	return slim, nil
}

func (p *publisher) register(spec nodeSpec) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes[spec.node.Name] = &publishedNode{nodeSpec: spec}
	p.queue.Add(spec.node.Name)
}

func (p *publisher) remove(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.nodes[name]; n != nil {
		n.gone = true
		p.queue.Add(name)
	}
}

// observe notices when a Node becomes Ready, and publishes its devices later.
func (p *publisher) observe(obj any) {
	node, ok := obj.(*corev1.Node)
	if !ok || len(node.Status.Conditions) == 0 || node.Status.Conditions[0].Status != corev1.ConditionTrue {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.nodes[node.Name]
	if n == nil || n.ready || n.gone {
		return
	}
	n.ready = true
	p.emit(n, NodeReady, "")
	if len(n.devices) > 0 {
		p.after(n.gpuDelay, n, &n.due)
	}
	if len(n.startupTaints) > 0 {
		p.after(n.startupDelay, n, &n.lift)
	}
}

// after sets a step of the Node in motion.
func (p *publisher) after(delay time.Duration, n *publishedNode, due *bool) {
	p.timeline.after(delay, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		*due = true
		p.queue.Add(n.node.Name)
	})
}

func (p *publisher) emit(n *publishedNode, kind EventKind, message string) {
	e := n.origin
	e.Kind, e.Node, e.Message = kind, n.node.Name, message
	p.events.add(e)
}

func (p *publisher) work(ctx context.Context) {
	for {
		name, shutdown := p.queue.Get()
		if shutdown {
			return
		}
		if err := p.sync(ctx, name); err != nil {
			p.queue.AddRateLimited(name)
		} else {
			p.queue.Forget(name)
		}
		p.queue.Done(name)
	}
}

// sync takes the next step for one Node. An error means: again later.
func (p *publisher) sync(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	p.mu.Lock()
	n := p.nodes[name]
	p.mu.Unlock()
	if n == nil {
		return nil
	}
	err := p.step(ctx, n)
	if err != nil && ctx.Err() == nil {
		p.emit(n, NodeFailed, err.Error())
	}
	return err
}

func (p *publisher) step(ctx context.Context, n *publishedNode) error {
	p.mu.Lock()
	created, gone, release, publish, lift := n.created, n.gone, n.mayReady && !n.released, n.due && !n.published, n.lift && !n.lifted
	down, up, boot := n.down, n.up, n.boot
	p.mu.Unlock()
	switch {
	case gone:
		return p.delete(ctx, n, created)
	case !created:
		return p.create(ctx, n)
	case down:
		return p.goDown(ctx, n)
	case up:
		return p.comeBack(ctx, n, boot)
	case release:
		return p.release(ctx, n)
	}
	if lift {
		if err := p.liftTaints(ctx, n); err != nil {
			return err
		}
	}
	if publish {
		return p.publish(ctx, n)
	}
	return nil
}

func (p *publisher) create(ctx context.Context, n *publishedNode) error {
	if err := p.createCSINode(ctx, n); err != nil {
		return err
	}
	// The event comes before the Node can be seen to be Ready.
	p.mu.Lock()
	n.created = true
	p.emit(n, NodeRegistered, "")
	p.mu.Unlock()
	_, err := p.client.CoreV1().Nodes().Create(ctx, n.node, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) { // of an earlier run: it may be Ready for long
		var old *corev1.Node
		if old, err = p.client.CoreV1().Nodes().Get(ctx, n.node.Name, metav1.GetOptions{}); err == nil {
			slim, _ := onlyReadiness(old)
			p.observe(slim)
		}
	}
	if err == nil {
		if n.readyDelay != 0 {
			p.after(n.readyDelay, n, &n.mayReady)
		}
		return nil
	}
	p.mu.Lock()
	n.created = false
	p.mu.Unlock()
	return err
}

// release lets KWOK make the Node Ready.
func (p *publisher) release(ctx context.Context, n *publishedNode) error {
	if err := p.patch(ctx, n, fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, keptNotReady)); err != nil {
		return err
	}
	p.mu.Lock()
	n.released = true
	p.mu.Unlock()
	return nil
}

// liftTaints takes the start-up taints off a Node, as the agents that they wait for do.
func (p *publisher) liftTaints(ctx context.Context, n *publishedNode) error {
	node, err := p.client.CoreV1().Nodes().Get(ctx, n.node.Name, metav1.GetOptions{})
	if err == nil {
		node.Spec.Taints = withoutTaints(node.Spec.Taints, n.startupTaints)
		_, err = p.client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{}) // a conflict means: again
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	p.mu.Lock()
	n.lifted = true
	p.emit(n, TaintsLifted, "")
	p.mu.Unlock()
	return nil
}

func (p *publisher) delete(ctx context.Context, n *publishedNode, created bool) error {
	if created {
		err := p.client.CoreV1().Nodes().Delete(ctx, n.node.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	if err := p.deleteCSINode(ctx, n); err != nil {
		return err
	}
	if created {
		p.emit(n, NodeDeleted, "")
	}
	p.mu.Lock()
	delete(p.nodes, n.node.Name)
	p.mu.Unlock()
	return nil
}

func (p *publisher) publish(ctx context.Context, n *publishedNode) error {
	err := p.patchResources(ctx, n.node.Name, n.devices)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	p.mu.Lock()
	n.published = true
	p.mu.Unlock()
	if err == nil {
		p.emit(n, GPUPublished, "")
	}
	return nil
}

// patchResources sets capacity and allocatable, as kubelet does when a device plugin registers.
func (p *publisher) patchResources(ctx context.Context, node string, resources corev1.ResourceList) error {
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"capacity": resources, "allocatable": resources}})
	if err != nil {
		return err
	}
	_, err = p.client.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// publisherOf is the publisher of the Node's cluster, or else the first, or nil.
func (s *Server) publisherOf(node string) *publisher {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.nodes {
		p.mu.Lock()
		_, has := p.nodes[node]
		p.mu.Unlock()
		if has {
			return p
		}
	}
	return s.nodes[""]
}

// SetNodeResources sets extended resources of a Node to the given quantities, as when a device plugin comes late or
// dies and kubelet shows 0.
func (s *Server) SetNodeResources(ctx context.Context, node string, resources map[string]string) error {
	p := s.publisherOf(node)
	if p == nil {
		return errors.New("set node resources: no cluster is attached")
	}
	list := corev1.ResourceList{}
	for name, quantity := range resources {
		q, err := resource.ParseQuantity(quantity)
		if err != nil {
			return fmt.Errorf("set node resources: %q of %q: %w", name, node, err)
		}
		list[corev1.ResourceName(name)] = q
	}
	if err := p.patchResources(ctx, node, list); err != nil {
		return fmt.Errorf("set node resources of %q: %w", node, err)
	}
	return nil
}
