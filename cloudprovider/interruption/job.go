package interruption

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
)

const (
	// decisionTime is how long the eviction waits for the core to decide on the replacement.
	decisionTime = 3 * time.Second
	// replacementTime is how long a planned drain waits for the replacement to be ready.
	replacementTime = 5 * time.Minute
	// joiningTime is how long an instance's node is waited for that is not known.
	joiningTime = 2 * time.Second
	// writeRetry is the pause after a write to a node that failed, writeTime how long it is tried.
	writeRetry, writeTime = 200 * time.Millisecond, 15 * time.Second
	// rememberFor is how long it is known which instances were dealt with.
	rememberFor = time.Hour
)

// job is the work on one instance.
type job struct {
	instance, group string
	resumed         mark          // what stood on the node; the zero value if nothing did
	done            chan struct{} // closed when outcome is set
	outcome         outcome
	decided         chan struct{} // closed when the core has looked at the node's pods
	decide          func()

	mu    sync.Mutex
	cause cause  // guarded by mu
	node  string // whose pods are counted as pending; guarded by mu
}

func newJob(instance, group string, c cause) *job {
	j := &job{instance: instance, group: group, cause: c, done: make(chan struct{}), decided: make(chan struct{})}
	j.decide = sync.OnceFunc(func() { close(j.decided) })
	return j
}

func (j *job) current() cause {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cause
}

// hurry makes the cause that of the job if it outranks what the job is done for.
func (j *job) hurry(c cause) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.outranks(j.cause) {
		j.cause = c
	}
}

func (j *job) setDoomed(node string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.node = node
}

func (j *job) doomed() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.node
}

// begin returns the job of the instance, which is begun if there is none. It is not if ctx ends, or if the node has to wait: of a
// group one node at a time is drained on a mere recommendation.
func (h *Handler) begin(ctx context.Context, instance, group string, c cause) (*job, bool) {
	return h.start(ctx, newJob(instance, group, c))
}

func (h *Handler) start(ctx context.Context, j *job) (*job, bool) {
	h.mu.Lock()
	if under := h.jobs[j.instance]; under != nil {
		h.mu.Unlock()
		under.hurry(j.cause)
		return under, true
	}
	if !j.cause.final() {
		for _, other := range h.jobs {
			if other.group == j.group {
				h.mu.Unlock()
				return nil, false
			}
		}
	}
	h.jobs[j.instance] = j
	h.mu.Unlock()
	select {
	case h.starts <- j:
		return j, true
	case <-ctx.Done():
		h.end(j, leftBehind)
		return nil, false
	}
}

// end tells what became of a job.
func (h *Handler) end(j *job, what outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.jobs, j.instance)
	if what != leftBehind && what != gaveUp && what != handBackFailed {
		h.finished[j.instance] = h.Clock.Now()
	}
	j.outcome = what
	close(j.done)
}

// dealtWith reports whether the instance was dealt with already.
func (h *Handler) dealtWith(instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.finished[instance]
	return ok
}

// Doomed are the names of the nodes whose pods are to be counted as pending.
func (h *Handler) Doomed() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var nodes []string
	for _, j := range h.jobs {
		if node := j.doomed(); node != "" {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// Decided tells that the core has decided on the replacement for the pods of these nodes.
func (h *Handler) Decided(nodes []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, j := range h.jobs {
		if node := j.doomed(); node != "" && slices.Contains(nodes, node) {
			j.decide()
		}
	}
}

// do works on one instance until it is dealt with, or ctx ends.
func (h *Handler) do(ctx context.Context, j *job) {
	h.metrics.nodes.Inc()
	defer h.metrics.nodes.Dec()
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("instance", j.instance, "group", j.group))
	what := h.work(ctx, j)
	if ctx.Err() != nil {
		what = leftBehind
	}
	h.end(j, what)
}

func (h *Handler) work(ctx context.Context, j *job) outcome {
	c := j.current()
	if c.takesPool() && j.resumed.kind == "" {
		if i, _ := h.Groups.Snapshot().Instance(j.instance); i != nil {
			h.Groups.Interrupted(asg.Pool{InstanceType: i.Type, Zone: i.Zone}, "EC2 takes back spot instance "+i.ID)
		}
	}
	node := h.joined(ctx, j.instance)
	if node == nil {
		klog.FromContext(ctx).Info("An instance that has no node is about to go", "kind", c.kind, "reason", c.reason)
		if !h.handBack(ctx, j, nil) {
			return handBackFailed
		}
		return noNode
	}
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("node", klog.KRef("", node.Name)))
	h.write(ctx, node, func(n *corev1.Node) *corev1.Node {
		return marked(n, mark{cause: j.current(), handedBack: j.resumed.handedBack})
	})
	klog.FromContext(ctx).Info("Cordoned a node that is about to go", "kind", c.kind, "reason", c.reason,
		"deadline", c.deadline.UTC().Format(time.RFC3339), "resumed", j.resumed.kind != "")
	h.Events.Eventf(node, corev1.EventTypeWarning, "Interruption", "Cordoned and drained, by %s: %s",
		c.deadline.UTC().Format(time.RFC3339), c.reason)
	return h.drain(ctx, j, node)
}

// joined waits a little for the node of an instance; nil if there is none.
func (h *Handler) joined(ctx context.Context, instance string) *corev1.Node {
	for until := h.Clock.Now().Add(joiningTime); ; {
		if node := h.node(instance); node != nil || !h.Clock.Now().Before(until) || ctx.Err() != nil {
			return node
		}
		h.Clock.Sleep(100 * time.Millisecond)
	}
}

// write changes a node, on what the cache has of it or, if that is too old, on what the API server has. It tries until it
// succeeds, the node is gone, or the time for it is over: what follows does not depend on it. It needs no permission but to get
// and to update nodes.
func (h *Handler) write(ctx context.Context, node *corev1.Node, change func(*corev1.Node) *corev1.Node) {
	nodes := h.Client.CoreV1().Nodes()
	until := h.Clock.Now().Add(writeTime)
	for told := false; ctx.Err() == nil && h.Clock.Now().Before(until); {
		_, err := nodes.Update(ctx, change(node), metav1.UpdateOptions{})
		if err == nil || apierrors.IsNotFound(err) {
			return
		}
		if !apierrors.IsConflict(err) {
			if !told && ctx.Err() == nil {
				told = true
				klog.FromContext(ctx).Error(err, "Could not write the node, trying again", "node", klog.KObj(node))
			}
			sleep(ctx, h.Clock, writeRetry)
		}
		fresh, err := nodes.Get(ctx, node.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) || err == nil && fresh.UID != node.UID:
			return
		case err == nil:
			node = fresh
		}
	}
}

// drain empties the node of a job, and gives the instance back.
func (h *Handler) drain(ctx context.Context, j *job, node *corev1.Node) outcome {
	if pods, err := h.drainer.Pods(ctx, node.Name); err != nil || len(pods) > 0 {
		h.replaceFirst(ctx, j, node)
	}
	result, err := h.drainer.Drain(ctx, node.Name, func() drain.Plan { return h.plan(j) })
	h.metrics.evicted.Add(float64(result.Evicted + result.Forced))
	if err != nil {
		return leftBehind
	}
	c := j.current()
	now := h.Clock.Now()
	h.metrics.duration.Observe(now.Sub(c.began).Seconds())
	if result.Lost == 0 {
		h.metrics.timeLeft.Observe(max(0, c.deadline.Sub(now).Seconds()))
	}
	h.metrics.lost.Add(float64(result.Lost))
	klog.FromContext(ctx).Info("Drained a node", "kind", c.kind, "took", now.Sub(c.began).Round(time.Millisecond),
		"evicted", result.Evicted, "forced", result.Forced, "lost", result.Lost)
	if result.Lost > 0 && !c.final() {
		h.lift(ctx, node, "its pods could not be moved in time")
		return gaveUp
	}
	if !h.handBack(ctx, j, node) {
		return handBackFailed
	}
	switch {
	case result.Lost > 0:
		return lost
	case result.Forced > 0:
		return forced
	case result.Evicted > 0:
		return drained
	}
	return empty
}

// plan is how the node of a job is drained, as of now.
func (h *Handler) plan(j *job) drain.Plan {
	c := j.current()
	p := drain.Plan{Deadline: c.deadline}
	if c.final() && h.AtDeadline == Force {
		p.Force = c.force()
	}
	if node := h.node(j.instance); node != nil {
		p.HandsOff = drainedByOther(node)
	}
	return p
}

// replaceFirst has the core decide on the replacement of the node's pods. A planned drain waits until that is there. Where the group
// itself replaces instances at risk, that is left to it.
func (h *Handler) replaceFirst(ctx context.Context, j *job, node *corev1.Node) {
	if g := h.Groups.Snapshot().Group(j.group); g != nil && g.CapacityRebalance || drainedByOther(node) {
		j.decide()
		return
	}
	j.setDoomed(node.Name)
	h.Wake()
	timer := h.Clock.NewTimer(decisionTime)
	defer timer.Stop()
	select {
	case <-j.decided:
	case <-timer.C():
		klog.FromContext(ctx).V(1).Info("The replacement was not decided on in time, evicting all the same", "waited", decisionTime)
	case <-ctx.Done():
	}
	for until := h.Clock.Now().Add(replacementTime); j.current().planned() && ctx.Err() == nil && h.Clock.Now().Before(until) && !h.replaced(); {
		sleep(ctx, h.Clock, time.Second)
	}
}

// replaced reports whether every instance that was asked for has become a ready node.
func (h *Handler) replaced() bool {
	for _, g := range h.Groups.Snapshot().Groups() {
		if g.Missing() > g.Overdue {
			return false
		}
		for _, i := range g.Counted() {
			if node := h.node(i.ID); i.Lifecycle.Starting() || node == nil || !ready(node) {
				return false
			}
		}
	}
	return true
}

// lift puts a node back into use.
func (h *Handler) lift(ctx context.Context, node *corev1.Node, why string) {
	h.write(ctx, node, unmarked)
	klog.FromContext(ctx).Info("Put a node back into use", "node", klog.KObj(node), "reason", why)
	h.Events.Eventf(node, corev1.EventTypeNormal, "InterruptionOver", "Put back into use: %s", why)
}
