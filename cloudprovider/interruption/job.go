package interruption

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
)

// rememberFor is how long it is known which instances were dealt with.
const rememberFor = time.Hour

// job is the work on one instance.
type job struct {
	instance, group string
	resumed         mark          // what stood on the node as work began; the zero value if nothing did
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

// begin returns the job of the instance, which is begun if there is none. It is not if ctx ends, or if the node has to wait: planned
// drains of a group go one at a time.
func (h *Handler) begin(ctx context.Context, instance, group string, c cause) (*job, bool) {
	j := newJob(instance, group, c)
	h.mu.Lock()
	if under := h.jobs[j.instance]; under != nil {
		h.mu.Unlock()
		under.hurry(j.cause)
		return under, true
	}
	if now := h.Clock.Now(); j.cause.waitsForOthers(now) {
		for _, other := range h.jobs {
			if other.group == j.group && other.current().holdsUpOthers(now) {
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

// remember has it known that the instance was dealt with.
func (h *Handler) remember(instance string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.finished[instance] = h.Clock.Now()
}

// dealtWith reports whether the instance was dealt with already.
func (h *Handler) dealtWith(instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.finished[instance]
	return ok
}

// attempt is a planned drain of an instance for an event.
type attempt struct{ event, instance string }

// givenUpFor is how long a planned drain that was given up is not begun again for the same event. Its queue keeps no message longer.
const givenUpFor = 24 * time.Hour

// noteGivenUp remembers which planned drains of the event were given up. Otherwise two nodes of one event, both held by budgets, would
// take turns for as long as its message comes again.
func (h *Handler) noteGivenUp(e event.Event, jobs []*job) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.Clock.Now()
	maps.DeleteFunc(h.gaveUp, func(_ attempt, at time.Time) bool { return now.Sub(at) > givenUpFor })
	for _, j := range jobs {
		select {
		case <-j.done:
			if j.outcome == gaveUp {
				h.gaveUp[attempt{e.ID, j.instance}] = now
			}
		default:
		}
	}
}

// givenUp reports whether the planned drain of the instance was given up for this event.
func (h *Handler) givenUp(e event.Event, instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, was := h.gaveUp[attempt{e.ID, instance}]
	return was && e.ID != ""
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
