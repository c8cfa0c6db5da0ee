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

// rememberFor is how long an instance stays known as dealt with.
const rememberFor = time.Hour

// job is the work on one instance.
type job struct {
	instance, group string
	resumed         annotation    // the node's annotations when work began, zero if there were none
	done            chan struct{} // closed when outcome is set
	outcome         outcome
	decided         chan struct{} // closed when the core has considered the node's pods
	decide          func()

	mu     sync.Mutex
	reason reason // guarded by mu
	node   string // being drained, its pods count as pending, guarded by mu
}

func newJob(instance, group string, r reason) *job {
	j := &job{instance: instance, group: group, reason: r, done: make(chan struct{}), decided: make(chan struct{})}
	j.decide = sync.OnceFunc(func() { close(j.decided) })
	return j
}

func (j *job) current() reason {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.reason
}

// escalate replaces the job's reason by one that outranks it.
func (j *job) escalate(r reason) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.outranks(j.reason) {
		j.reason = r
	}
}

func (j *job) setDraining(node string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.node = node
}

func (j *job) draining() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.node
}

// begin returns the job of the instance, and begins it if there is none. It begins none if ctx ends, or if the node has to
// wait: planned drains of a group go one at a time.
func (h *Handler) begin(ctx context.Context, instance, group string, r reason) (*job, bool) {
	j := newJob(instance, group, r)
	h.mu.Lock()
	if under := h.jobs[j.instance]; under != nil {
		h.mu.Unlock()
		under.escalate(j.reason)
		return under, true
	}
	if now := h.Clock.Now(); j.reason.waitsForOthers(now) {
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
		h.end(j, unfinished)
		return nil, false
	}
}

// end publishes a job's outcome.
func (h *Handler) end(j *job, out outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.jobs, j.instance)
	if out != unfinished && out != gaveUp && out != terminateFailed {
		h.finished[j.instance] = h.Clock.Now()
	}
	j.outcome = out
	close(j.done)
}

// remember records that the instance was dealt with.
func (h *Handler) remember(instance string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.finished[instance] = h.Clock.Now()
}

func (h *Handler) dealtWith(instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.finished[instance]
	return ok
}

// plannedDrain is a planned drain of an instance for an event.
type plannedDrain struct{ event, instance string }

// givenUpFor is how long a planned drain that was given up is not begun again for the same event. Its queue keeps no message
// longer.
const givenUpFor = 24 * time.Hour

// noteGivenUp remembers which planned drains of the event were given up. Otherwise two nodes of one event, both held by
// budgets, would take turns for as long as its message comes again.
func (h *Handler) noteGivenUp(e event.Event, jobs []*job) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.Clock.Now()
	maps.DeleteFunc(h.gaveUp, func(_ plannedDrain, at time.Time) bool { return now.Sub(at) > givenUpFor })
	for _, j := range jobs {
		select {
		case <-j.done:
			if j.outcome == gaveUp {
				h.gaveUp[plannedDrain{e.ID, j.instance}] = now
			}
		default:
		}
	}
}

func (h *Handler) givenUp(e event.Event, instance string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, was := h.gaveUp[plannedDrain{e.ID, instance}]
	return was && e.ID != ""
}

// NodesBeingDrained are the names of the nodes being drained whose pods count as pending, sorted.
func (h *Handler) NodesBeingDrained() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var nodes []string
	for _, j := range h.jobs {
		if node := j.draining(); node != "" {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// ReplacementsDecided reports that the core has decided on the replacement for the pods of these nodes.
func (h *Handler) ReplacementsDecided(nodes []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, j := range h.jobs {
		if node := j.draining(); node != "" && slices.Contains(nodes, node) {
			j.decide()
		}
	}
}

// do works on one instance until it is dealt with, or ctx ends.
func (h *Handler) do(ctx context.Context, j *job) {
	h.metrics.nodes.Inc()
	defer h.metrics.nodes.Dec()
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("instance", j.instance, "group", j.group))
	out := h.work(ctx, j)
	if ctx.Err() != nil {
		out = unfinished
	}
	h.end(j, out)
}
