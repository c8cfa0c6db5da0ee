package interruption

import (
	"context"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
)

// LateDecision is the time that a group at its minimum waits for a decision of the core.
const LateDecision = lateDecision

// LeaveToOthers sets how long other readers get for messages about unknown instances.
func (h *Handler) LeaveToOthers(d time.Duration) { h.ownersTime = d }

// TerminateFails plants a job whose instance could not be terminated, until the returned function is called.
func (h *Handler) TerminateFails(instance, group string) (forget func()) {
	now := h.Clock.Now()
	j := newJob(instance, group, reason{Kind: event.SpotInterruption, Began: now, Deadline: now.Add(notice)})
	j.outcome = terminateFailed
	close(j.done)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.underWay[instance] = j
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.underWay, instance)
	}
}

// Reconcile looks once for annotated nodes without a job.
func (h *Handler) Reconcile(ctx context.Context) { h.reconcile(ctx) }

// Terminate terminates the instance. With replace, AWS replaces it.
func (h *Handler) Terminate(ctx context.Context, group, instance string, replace bool) error {
	return h.gatherTermination(ctx, group, instance, replace)
}
