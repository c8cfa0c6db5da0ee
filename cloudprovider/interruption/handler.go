package interruption

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Answers to disruption budgets that hold pods back until the last seconds, and to rebalance recommendations.
const (
	Force = "force" // the pods are deleted, with the grace that is left
	Leave = "leave" // they end with the instance
	Count = "count" // recommendations are counted
	Drain = "drain" // their nodes are drained
)

// groups reads and changes the Auto Scaling groups. Implemented by asg.Cache.
type groups interface {
	Snapshot() *group.Snapshot
	Reread(ctx context.Context, name string) (*group.Group, error)
	TerminateTogether(ctx context.Context, name string, ids []string, replace bool, wait time.Duration, stays func(id string) error) error
	Interrupted(pool cooldown.Pool, message string)
	LaunchFailed(name string)
}

type Options struct {
	Groups groups
	Hooks  awsclient.Hooks
	EC2    *ec2.Client
	SQS    queue.API
	// Queue is the name or URL of the queue. If it is empty, the Handler reads none and only finishes drains that are under
	// way.
	Queue string
	// Cordons writes nodes, Client evicts pods. Each has its own rate limit, so that the hundredth cordon does not wait for the
	// evictions from ninety-nine nodes.
	Cordons, Client kubernetes.Interface
	// Nodes and Pods are informers of all nodes and pods. New adds indexes to them.
	Nodes, Pods cache.SharedIndexInformer
	Events      record.EventRecorder
	// AtDeadline is Force or Leave, Rebalance is Count or Drain.
	AtDeadline, Rebalance string
	// Draining is called when the drain of a node begins, with the name of its Auto Scaling group and why AWS takes it. It must return
	// at once, and may be called by several goroutines.
	Draining func(node, group, reason string)
	// Full reports whether a limit other than its maximum size keeps an Auto Scaling group from another instance. Instances that are about to
	// go count against such a limit. Nil is for no limit.
	Full func(group string) bool
	// Halted reports whether the core ends its loops before it helps pods, because too many nodes are not Ready.
	Halted func() bool
	// Elsewhere returns which node with another provider ID an instance without a node may be, and what helps, or nothing.
	Elsewhere func(instance string) (cause, remedy string)
	// SeeCluster has Groups know which nodes are ours, and so which groups are another cluster's. Run calls it before the first message,
	// and then every few seconds, because a replica of a plugin may run no loop that does so.
	SeeCluster func()
	// Wake starts a loop of the core now.
	Wake func()
	// CoreElsewhere means that the core is another process. It plans no pods that still run, so planned drains do not wait for it.
	CoreElsewhere bool
	Registerer    prometheus.Registerer
	Clock         clock.WithTicker
}

// Handler handles interruptions. Run is called once. The other methods are safe for concurrent use.
type Handler struct {
	Options
	*jobs
	drainer    *drain.Drainer
	metrics    *metrics
	planned    atomic.Int32  // messages of planned drains that are being handled
	hooks      atomic.Int32  // messages of lifecycle hooks whose drains are awaited
	ownersTime time.Duration // ownersTime, but in tests

	readings awsclient.Batcher[string, struct{}, error]         // of groups, by name
	timeouts awsclient.Batcher[hookOf, struct{}, time.Duration] // of hooks
}

func New(o Options) *Handler {
	_ = o.Nodes.AddIndexers(nodemeta.NodesByInstance) // before the end of the process, an informer refuses only an index that it has
	_, _ = o.Pods.AddIndexers(nodemeta.PodsByNode), o.Pods.AddIndexers(startingPods)
	h := &Handler{Options: o, jobs: newJobs(o.Clock), metrics: newMetrics(o.Registerer), ownersTime: ownersTime}
	h.drainer = &drain.Drainer{Client: o.Client, Pods: o.Pods.GetIndexer(), Clock: o.Clock, Moved: h.reportMoved, Stuck: h.reportStuck}
	h.readings.Clock, h.readings.Call = o.Clock, func(ctx context.Context, group string, take func() []struct{}) error {
		take()
		_, err := o.Groups.Reread(ctx, group)
		return err
	}
	h.timeouts.Clock, h.timeouts.Call = o.Clock, h.heartbeatTimeout
	return h
}

// reconcileEvery is the pause between two looks for annotated nodes without a job.
const reconcileEvery = 5 * time.Second

// Run takes up the drains that are under way and then handles the queue's messages, until ctx ends. It returns when all
// goroutines have stopped. Unfinished work stays recorded on the nodes and in the queue.
func (h *Handler) Run(ctx context.Context) error {
	h.SeeCluster()
	var work sync.WaitGroup
	if h.Queue != "" {
		consumer := queue.New(queue.Config{API: h.SQS, Queue: h.Queue, Handle: h.Handle, Clock: h.Clock,
			Failed: func(call string) { h.metrics.failures.WithLabelValues(call).Inc() }})
		work.Go(func() { _ = consumer.Run(ctx) })
	}
	work.Go(func() {
		for ; ctx.Err() == nil; h.SeeCluster() {
			h.reconcile(ctx)
			sleep(ctx, h.Clock, reconcileEvery)
		}
	})
	for {
		select {
		case <-ctx.Done():
			work.Wait()
			return nil
		case j := <-h.starts:
			work.Go(func() { h.do(ctx, j) })
		}
	}
}

// nodes returns the nodes of the instance, Ready ones first. It has several if its kubelet registered under another name.
func (h *Handler) nodes(instance string) (nodes []*corev1.Node) {
	for _, node := range nodemeta.NodesOf(h.Nodes.GetIndexer(), instance) {
		at := len(nodes)
		if nodemeta.Ready(node) {
			at = 0
		}
		nodes = slices.Insert(nodes, at, node)
	}
	return nodes
}

// node returns the node that the instance's pods run on, nil without one.
func (h *Handler) node(instance string) *corev1.Node {
	if nodes := h.nodes(instance); len(nodes) > 0 {
		return nodes[0]
	}
	return nil
}

// Handle handles one message. It returns when the message's instances are dealt with, or when the message should be retried
// later.
func (h *Handler) Handle(ctx context.Context, m queue.Message) queue.Result {
	e, err := event.Parse(m.Body)
	if why, bad := errors.AsType[*event.Unusable](err); bad {
		h.metrics.received.WithLabelValues(string(unusable)).Inc()
		h.metrics.handled.WithLabelValues(string(unusable), string(why.Reason)).Inc()
		klog.FromContext(ctx).V(2).Info("Dropped an unusable message", "message", m.ID, "reason", why.Reason, "err", why)
		return queue.Done()
	}
	h.metrics.received.WithLabelValues(string(e.Kind)).Inc()
	result, out := h.classify(ctx, m, e)
	h.metrics.handled.WithLabelValues(string(e.Kind), string(out)).Inc()
	klog.FromContext(ctx).V(3).Info("Dealt with a message", "kind", e.Kind, "event", e.ID, "instances", e.Instances, "outcome", out)
	return result
}

func (h *Handler) reportMoved(pod *corev1.Pod, forced, held bool) {
	how := "Evicted"
	switch {
	case forced && held:
		how = "Deleted against its disruption budget, because the time is over,"
	case forced:
		how = "Deleted without an eviction, because the time is over,"
	}
	also := ""
	if asks, _, _ := nodemeta.LeftAlone(pod, h.Clock.Now()); asks {
		also = ", although it asks to be left alone"
	}
	h.Events.Eventf(pod, corev1.EventTypeNormal, "NodeInterrupted", "%s from node %s, which is interrupted%s", how, pod.Spec.NodeName, also)
}

func (h *Handler) reportStuck(pod *corev1.Pod, err error) {
	h.Events.Eventf(pod, corev1.EventTypeWarning, "NodeInterrupted", "Could not be evicted from node %s, which is interrupted: %v",
		pod.Spec.NodeName, err)
}
