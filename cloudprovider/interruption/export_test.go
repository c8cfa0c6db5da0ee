package interruption

import (
	"context"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
)

// LeaveToOthers has messages that are not ours be left to other readers for so long.
func (h *Handler) LeaveToOthers(d time.Duration) { h.ownersTime = d }

// HandBackFails has a piece of work on the instance be under way that has found out that it cannot be handed back, until the returned
// function is called.
func (h *Handler) HandBackFails(instance, group string) (forget func()) {
	now := h.Clock.Now()
	j := newJob(instance, group, cause{kind: event.SpotInterruption, began: now, deadline: now.Add(notice)})
	j.outcome = handBackFailed
	close(j.done)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs[instance] = j
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.jobs, instance)
	}
}

// Sweep looks once for marked nodes that nobody works on.
func (h *Handler) Sweep(ctx context.Context) { h.sweep(ctx) }

// Give terminates the instance, and has AWS replace it if so asked.
func (h *Handler) Give(ctx context.Context, group, instance string, replace bool) error {
	return h.returns.give(ctx, group, instance, replace)
}
