package statusmap

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"
)

// Client is a client of the API server that updates one ConfigMap in the background. Run does the writes. A Client is safe for
// concurrent use.
type Client struct {
	kubernetes.Interface
	namespace, name string
	wake            chan struct{}
	writing         chan struct{} // has an element during a write or the deletion

	mu     sync.Mutex
	last   *corev1.ConfigMap // as the API server or the core has it, nil before the first reading
	unsent *corev1.ConfigMap // the newest, nil if it is written
}

// New makes a Client for the ConfigMap of this name.
func New(kube kubernetes.Interface, namespace, name string) *Client {
	return &Client{Interface: kube, namespace: namespace, name: name, wake: make(chan struct{}, 1), writing: make(chan struct{}, 1)}
}

// Run writes the newest content after each update, until ctx ends. It logs errors. The next update tries again.
func (c *Client) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		}
		if err := c.write(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Could not write the status", "configMap", klog.KRef(c.namespace, c.name))
		}
	}
}

// write sends the newest content, if it is not sent yet.
func (c *Client) write(ctx context.Context) error {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	c.mu.Lock()
	unsent := c.unsent
	c.unsent = nil
	c.mu.Unlock()
	if unsent == nil {
		return nil
	}
	maps := c.Interface.CoreV1().ConfigMaps(c.namespace)
	written, err := maps.Get(ctx, c.name, metav1.GetOptions{})
	switch {
	case err == nil:
		written.Data, written.Annotations = unsent.Data, unsent.Annotations
		written, err = maps.Update(ctx, written, metav1.UpdateOptions{})
	case apierrors.IsNotFound(err):
		written, err = maps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: c.name, Annotations: unsent.Annotations}, Data: unsent.Data,
		}, metav1.CreateOptions{})
	}
	if err == nil {
		c.mu.Lock()
		c.last = written
		c.mu.Unlock()
	}
	return err
}

// CoreV1 returns the client of the core API group with this ConfigMap in it.
func (c *Client) CoreV1() client.CoreV1Interface { return group{c.Interface.CoreV1(), c} }

type group struct {
	client.CoreV1Interface
	client *Client
}

func (g group) ConfigMaps(namespace string) client.ConfigMapInterface {
	maps := g.CoreV1Interface.ConfigMaps(namespace)
	if namespace != g.client.namespace {
		return maps
	}
	return configMaps{maps, g.client}
}

type configMaps struct {
	client.ConfigMapInterface
	client *Client
}

// Get returns the ConfigMap as it was last seen, and reads it once before.
func (m configMaps) Get(ctx context.Context, name string, opts metav1.GetOptions) (*corev1.ConfigMap, error) {
	c := m.client
	if name != c.name {
		return m.ConfigMapInterface.Get(ctx, name, opts)
	}
	c.mu.Lock()
	last := c.last.DeepCopy()
	c.mu.Unlock()
	if last != nil {
		return last, nil
	}
	read, err := m.ConfigMapInterface.Get(ctx, name, opts)
	if err == nil {
		c.mu.Lock()
		c.last = read.DeepCopy()
		c.mu.Unlock()
	}
	return read, err
}

// Update returns at once.
func (m configMaps) Update(ctx context.Context, updated *corev1.ConfigMap, opts metav1.UpdateOptions) (*corev1.ConfigMap, error) {
	c := m.client
	if updated.Name != c.name {
		return m.ConfigMapInterface.Update(ctx, updated, opts)
	}
	c.mu.Lock()
	c.unsent = updated.DeepCopy()
	c.last = c.unsent
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return updated, nil
}

// Delete waits for the write under way, and drops what is not written yet.
func (m configMaps) Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error {
	if c := m.client; name == c.name {
		select {
		case c.writing <- struct{}{}:
			defer func() { <-c.writing }()
		case <-ctx.Done():
			return ctx.Err()
		}
		c.mu.Lock()
		c.unsent, c.last = nil, nil
		c.mu.Unlock()
	}
	return m.ConfigMapInterface.Delete(ctx, name, opts)
}
