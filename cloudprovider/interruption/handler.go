package interruption

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
)

// Deadline is what happens to pods that disruption budgets hold back until the last seconds.
type Deadline string

// Deadlines.
const (
	Force Deadline = "force" // they are deleted, with the grace that is left
	Leave Deadline = "leave" // they are left to end with the instance
)

// OnRebalance is what is done about a rebalance recommendation.
type OnRebalance string

// What can be done about rebalance recommendations.
const (
	Count OnRebalance = "count"
	Drain OnRebalance = "drain"
)

// groups are the Auto Scaling groups, and what is done to them. Implemented by asg.Cache.
type groups interface {
	Snapshot() *asg.Snapshot
	Reread(ctx context.Context, name string) (*asg.Group, error)
	Terminate(ctx context.Context, name string, ids []string) (*asg.Group, error)
	Replace(ctx context.Context, name string, ids []string) (*asg.Group, error)
	Interrupted(pool asg.Pool, message string)
	LaunchFailed(name string)
}

// hooksAPI are the calls about lifecycle actions.
type hooksAPI interface {
	CompleteLifecycleAction(context.Context, *autoscaling.CompleteLifecycleActionInput,
		...func(*autoscaling.Options)) (*autoscaling.CompleteLifecycleActionOutput, error)
	RecordLifecycleActionHeartbeat(context.Context, *autoscaling.RecordLifecycleActionHeartbeatInput,
		...func(*autoscaling.Options)) (*autoscaling.RecordLifecycleActionHeartbeatOutput, error)
}

// Options of a Handler.
type Options struct {
	Groups groups
	Hooks  hooksAPI
	SQS    queue.API
	// Queue is the name or URL of the queue; empty: none is read, and only drains that are under way are finished.
	Queue string
	// Cordons writes nodes, Client evicts pods: each with a rate of its own, so that the hundredth cordon does not wait for the
	// evictions from ninety-nine nodes.
	Cordons, Client kubernetes.Interface
	// Nodes and Pods are informers of all nodes and pods. New adds indexes to them.
	Nodes, Pods cache.SharedIndexInformer
	Events      record.EventRecorder
	// AtDeadline and Rebalance are the flags of these names; empty: Force, Count.
	AtDeadline Deadline
	Rebalance  OnRebalance
	// Wake has the core's loop run now.
	Wake       func()
	Registerer prometheus.Registerer
	Clock      clock.WithTicker
}

// Handler deals with interruptions. Run is called once; the other methods are safe for concurrent use.
type Handler struct {
	Options
	drainer *drain.Drainer
	returns *returns
	metrics *metrics
	starts  chan *job // to Run, which owns their goroutines

	ownersTime time.Duration // ownersTime, but in tests

	mu       sync.Mutex
	jobs     map[string]*job       // by instance; guarded by mu
	finished map[string]time.Time  // instances that were dealt with, and when; guarded by mu
	gaveUp   map[attempt]time.Time // planned drains that were given up, and when; guarded by mu
}

// byInstance is the index of the nodes by instance.
const byInstance = "asg-autoscaler/instance"

// New makes a Handler.
func New(o Options) (*Handler, error) {
	if o.AtDeadline == "" {
		o.AtDeadline = Force
	}
	if o.Rebalance == "" {
		o.Rebalance = Count
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	err := o.Nodes.AddIndexers(cache.Indexers{byInstance: func(object any) ([]string, error) {
		if node, ok := object.(*corev1.Node); ok {
			if id := instanceOf(node); id != "" {
				return []string{id}, nil
			}
		}
		return nil, nil
	}})
	if err != nil {
		return nil, fmt.Errorf("index the nodes by instance: %w", err)
	}
	if err := errors.Join(o.Pods.AddIndexers(drain.Indexers), o.Pods.AddIndexers(startingPods)); err != nil {
		return nil, fmt.Errorf("index the pods by node and by controller: %w", err)
	}
	h := &Handler{Options: o, starts: make(chan *job), jobs: map[string]*job{}, finished: map[string]time.Time{}, gaveUp: map[attempt]time.Time{},
		ownersTime: ownersTime}
	if h.metrics, err = newMetrics(o.Registerer); err != nil {
		return nil, err
	}
	h.drainer = &drain.Drainer{Client: o.Client, Pods: o.Pods.GetIndexer(), Clock: o.Clock, Moved: h.tellMoved, Stuck: h.tellStuck}
	h.returns = newReturns(o.Groups, o.Clock)
	return h, nil
}

// sweepEvery is how often nodes are looked for whose drain nobody pursues.
const sweepEvery = 5 * time.Second

// Run takes up the drains that are under way, and then what comes from the queue, until ctx ends. It returns when all has
// stopped; what is unfinished stands on the nodes and in the queue.
func (h *Handler) Run(ctx context.Context) error {
	var work sync.WaitGroup
	if h.Queue != "" {
		consumer := queue.New(queue.Config{API: h.SQS, Queue: h.Queue, Handle: h.Handle, Clock: h.Clock,
			Failed: func(call string, _ error) { h.metrics.failures.WithLabelValues(call).Inc() }})
		work.Go(func() { _ = consumer.Run(ctx) })
	}
	ticker := h.Clock.NewTicker(sweepEvery)
	defer ticker.Stop()
	work.Go(func() { h.sweep(ctx) })
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case j := <-h.starts:
			work.Go(func() { h.do(ctx, j) })
		case <-ticker.C():
			work.Go(func() { h.sweep(ctx) })
		}
	}
	work.Wait()
	return nil
}

// node is the node of an instance, or nil.
func (h *Handler) node(instance string) *corev1.Node {
	found, err := h.Nodes.GetIndexer().ByIndex(byInstance, instance)
	if err != nil || len(found) == 0 {
		return nil
	}
	return found[0].(*corev1.Node)
}

// Handle deals with one message, and returns when its instances are dealt with, or it is clear that another time is better.
func (h *Handler) Handle(ctx context.Context, m queue.Message) queue.Verdict {
	e, err := event.Parse(m.Body)
	if err != nil {
		return h.discard(ctx, m, err)
	}
	h.metrics.received.WithLabelValues(string(e.Kind)).Inc()
	verdict, what := h.judge(ctx, m, e)
	h.metrics.handled.WithLabelValues(string(e.Kind), string(what)).Inc()
	klog.FromContext(ctx).V(3).Info("Dealt with a message", "kind", e.Kind, "event", e.ID, "instances", e.Instances, "outcome", what)
	return verdict
}

// discard counts a message that nothing can be done with.
func (h *Handler) discard(ctx context.Context, m queue.Message, err error) queue.Verdict {
	what := broken
	var why *event.Unusable
	if errors.As(err, &why) {
		what = outcome(why.Reason)
	}
	h.metrics.received.WithLabelValues(string(unusable)).Inc()
	h.metrics.handled.WithLabelValues(string(unusable), string(what)).Inc()
	klog.FromContext(ctx).V(2).Info("Dropped a message that nothing can be done with", "message", m.ID, "reason", what, "err", err)
	return queue.Done()
}

// tellMoved tells of a pod that was asked to go.
func (h *Handler) tellMoved(pod *corev1.Pod, forced bool) {
	how := "Evicted"
	if forced {
		how = "Deleted against its disruption budget, for the time is over,"
	}
	h.Events.Eventf(pod, corev1.EventTypeNormal, "NodeInterrupted", "%s from node %s, which AWS takes away", how, pod.Spec.NodeName)
}

// tellStuck tells of a pod that cannot be asked to go.
func (h *Handler) tellStuck(pod *corev1.Pod, err error) {
	h.Events.Eventf(pod, corev1.EventTypeWarning, "NodeInterrupted", "Could not be evicted from node %s, which AWS takes away: %v",
		pod.Spec.NodeName, err)
}
