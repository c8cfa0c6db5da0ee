package interruption_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
)

// hanging is a cluster whose first updates of nodes hang until their context ends, as behind a webhook.
type hanging struct {
	kubernetes.Interface
	first, begun, now, most atomic.Int32
}

func (c *hanging) CoreV1() corev1client.CoreV1Interface { return hangingCore{c.Interface.CoreV1(), c} }

type hangingCore struct {
	corev1client.CoreV1Interface
	c *hanging
}

func (c hangingCore) Nodes() corev1client.NodeInterface {
	return hangingNodes{c.CoreV1Interface.Nodes(), c.c}
}

type hangingNodes struct {
	corev1client.NodeInterface
	c *hanging
}

func (n hangingNodes) Update(ctx context.Context, node *corev1.Node, o metav1.UpdateOptions) (*corev1.Node, error) {
	if n.c.begun.Add(1) > n.c.first.Load() {
		return n.NodeInterface.Update(ctx, node, o)
	}
	if now := n.c.now.Add(1); now > n.c.most.Load() {
		n.c.most.Store(now)
	}
	defer n.c.now.Add(-1)
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestHangingWritesLeaveTheDrainItsTime(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hangs int32 // updates
		limit time.Duration
	}{
		{"once", 1, 15 * time.Second},
		{"always", 1000, 40 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
				w.silent()
				warned := w.inService()[0]
				w.run(warned, "a")
				c := &hanging{Interface: w.cluster}
				c.first.Store(tt.hangs)
				w.running(func(o *interruption.Options) { o.Cordons = c })
				w.send(warning(warned, time.Now()))
				w.within(tt.limit, "terminated", func() bool { return w.terminations() == 1 })
				if w.evictions("a") != 1 {
					t.Errorf("%d evictions, want one", w.evictions("a"))
				}
			})
		})
	}
}
