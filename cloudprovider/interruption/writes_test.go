package interruption_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
)

// hanging is a cluster whose first updates of nodes hang until their context ends, as behind a webhook, or are refused.
type hanging struct {
	kubernetes.Interface
	refuses                 error
	stores                  time.Duration // how long an update hangs before it is carried out, zero for ever
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
	if n.c.refuses != nil {
		return nil, n.c.refuses
	}
	if n.c.stores > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(n.c.stores):
			return n.NodeInterface.Update(ctx, node, o)
		}
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// The API server waits ten seconds for a webhook that may fail, and then stores what the caller still waits for.
func TestNodeIsCordonedBehindAHangingWebhook(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
		c := &hanging{Interface: w.cluster, stores: 10 * time.Second}
		c.first.Store(1000)
		w.refused.Store(true)
		w.running(func(o *interruption.Options) { o.Cordons = c })
		w.send(warning(warned, time.Now()))
		w.within(20*time.Second, "cordoned", func() bool { return w.cordoned() == 1 })
	})(t)
}

func TestHangingWritesLeaveTheDrainItsTime(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hangs int32 // updates
		limit time.Duration
	}{
		{"once", 1, 30 * time.Second},
		{"always", 1000, 55 * time.Second},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
			c := &hanging{Interface: w.cluster}
			c.first.Store(tt.hangs)
			w.running(func(o *interruption.Options) { o.Cordons = c })
			w.send(warning(warned, time.Now()))
			w.within(tt.limit, "terminated", func() bool { return w.terminations() == 1 })
			assert.Truef(t, w.evictions("a") == 1, "%d evictions, want one", w.evictions("a"))
		}))
	}
}

// The core decides nothing about a node that is not cordoned, so the evictions do not wait for it.
func TestRefusedCordonHardlyDelaysTheDrain(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
		c, events := &hanging{Interface: w.cluster, refuses: errors.New("a webhook refuses")}, record.NewFakeRecorder(1000)
		c.first.Store(10000)
		w.running(func(o *interruption.Options) { o.Cordons, o.Events, o.Wake = c, events, func() {} })
		w.send(warning(warned, time.Now()))
		w.within(5*time.Second, "evicted", func() bool { return w.evictions("a") == 1 })
		first := <-events.Events
		assert.Truef(t, strings.HasPrefix(first, "Warning Interruption Could not be cordoned, drained all the same, by "), "event %q", first)
		for len(events.Events) > 0 {
			assert.NotContains(t, <-events.Events, "Cordoned and")
		}
		c.first.Store(0)
		w.within(5*time.Second, "cordoned, or gone", func() bool { n := w.nodes()[warned]; return n == nil || n.Spec.Unschedulable })
	})(t)
}

func TestNodeThatCannotBeWrittenIsNotReportedBackInUse(t *testing.T) {
	inBubble(scalingGroup(0, 1, 5), func(t *testing.T, w *world) {
		w.silent()
		w.annotate(w.inService()[0], "cordon,label", time.Now().Add(-6*time.Minute))
		c, events := &hanging{Interface: w.cluster}, record.NewFakeRecorder(1000)
		c.first.Store(1000)
		w.running(func(o *interruption.Options) { o.Cordons, o.Events = c, events })
		time.Sleep(time.Minute)
		require.Empty(t, events.Events, "events about a node that is still cordoned")
		assert.EqualValues(t, 1, c.most.Load(), "writes of one node at once")
		c.first.Store(0)
		w.within(time.Minute, "back in use", func() bool { return w.cordoned() == 0 && len(events.Events) == 1 })
	})(t)
}

// The core has lifted its cordon, and a webhook refuses to let the node be cordoned again.
func TestWarningDuringAPlannedDrainThatCannotCordonIsNotHeldUp(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
		w.edit(warned, func(n *corev1.Node) { n.Spec.Unschedulable, n.Spec.Taints = true, append(n.Spec.Taints, byCore) })
		c := &hanging{Interface: w.cluster, refuses: errors.New("a webhook refuses")}
		w.running(func(o *interruption.Options) { o.Cordons = c })
		w.send(change("REBOOT_MAINTENANCE", time.Now().Add(3*time.Hour), warned))
		w.wait("annotated", func() bool { return w.nodes()[warned].Annotations[interruption.Taint] != "" })
		c.first.Store(10000)
		w.edit(warned, func(n *corev1.Node) {
			n.Spec.Unschedulable, n.Spec.Taints = false, slices.DeleteFunc(n.Spec.Taints, isByCore)
		})
		time.Sleep(time.Minute)
		require.Zero(t, w.evictions("a"), "evictions")
		w.send(warning(warned, time.Now()))
		w.within(25*time.Second, "evicted", func() bool { return w.evictions("a") == 1 })
	})(t)
}

// AWS says but once that its change is over.
func TestNodeThatCannotBePutBackAtOnceIsNotDrainedAgain(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
		w.full.Store(true)
		c := &hanging{Interface: w.cluster, refuses: errors.New("a webhook refuses")}
		w.running(func(o *interruption.Options) { o.Cordons = c })
		retires := change("RETIREMENT", time.Now().Add(4*time.Hour), leaves)
		w.send(said(retires, "arn:1", "open", 0))
		w.wait("cordoned", func() bool { return w.cordoned() == 1 })
		c.first.Store(10000)
		w.send(said(retires, "arn:1", "closed", time.Second))
		time.Sleep(20 * time.Second)
		c.first.Store(0)
		w.within(time.Minute, "back in use", func() bool { return w.cordoned() == 0 })
		time.Sleep(5 * time.Hour)
		assert.Zero(t, w.cordoned()+w.evictions("a")+w.terminations(), "nodes cordoned, evictions and terminations")
	})(t)
}
