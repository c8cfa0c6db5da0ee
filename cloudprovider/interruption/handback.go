package interruption

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// returnGather is how long giving back an instance waits for others of its group.
	returnGather = 100 * time.Millisecond
	// returnFirst and returnMost bound the pause after a failure; returnTime how long it is tried.
	returnFirst, returnMost = time.Second, 15 * time.Second
	returnTime              = 3 * time.Minute
	// returnSettle is how long a reading of AWS may not show a termination that a leader before us has made; returnReserve is what is
	// left of the instance's time at least.
	returnSettle, returnReserve = 30 * time.Second, 10 * time.Second
	// lateDecision is how long a group at its minimum is given for a raise that the core is about to make.
	lateDecision = 10 * time.Second
)

// handBack terminates the instance and lowers the desired capacity by it, or has AWS replace it where the minimum size does not
// permit that. node is nil for an instance without one. That it has begun stands on the node first, so that the next leader does
// not do it again before it can see what came of it.
func (h *Handler) handBack(ctx context.Context, j *job, node *corev1.Node) bool {
	log := klog.FromContext(ctx)
	if since := j.resumed.handedBack; !since.IsZero() {
		until := since.Add(returnSettle)
		if latest := j.current().by().Add(-returnReserve); latest.Before(until) {
			until = latest
		}
		for h.Clock.Now().Before(until) && h.belongs(j.instance) && ctx.Err() == nil {
			sleep(ctx, h.Clock, time.Second)
		}
	}
	if ctx.Err() != nil {
		return false
	}
	if !h.belongs(j.instance) {
		log.V(1).Info("The instance is on its way out already")
		return true
	}
	if node != nil {
		writing, cancel := context.WithTimeout(ctx, max(time.Second, j.current().by().Sub(h.Clock.Now())-returnReserve))
		h.write(writing, node, func(n *corev1.Node) *corev1.Node {
			return marked(n, mark{cause: j.current(), handedBack: h.Clock.Now()})
		})
		cancel()
	}
	end := h.Clock.Now().Add(returnTime)
	for pause := returnFirst; ; pause = min(2*pause, returnMost) {
		err := h.giveBack(ctx, j)
		if err == nil || errors.Is(err, asg.ErrGroupNotFound) {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if other := (*asg.OtherClusterError)(nil); errors.As(err, &other) {
			log.Info("The instance may be another cluster's", "reason", other.Why)
			return false
		}
		log.Error(err, "Could not give the instance back, trying again", "reason", awsclient.Reason(err), "in", pause)
		if h.Clock.Now().Add(pause).After(end) {
			if node != nil {
				h.Events.Eventf(node, corev1.EventTypeWarning, "InterruptionNotHandedBack", "Drained, but %s", notHandedBack(j.group, err))
			}
			return false
		}
		sleep(ctx, h.Clock, pause)
	}
}

// notHandedBack says for people why an instance could not be given back.
func notHandedBack(group string, err error) string {
	text := fmt.Sprintf("Auto Scaling group %q does not take the instance back: %s", group, awsclient.Brief(err))
	if awsclient.IsDenied(err) {
		text += "; allow autoscaling:TerminateInstanceInAutoScalingGroup on it"
	}
	return text
}

// belongs reports whether the instance counts in its group, as far as is known. One that does not is on its way out, or in
// standby, where it costs the group nothing.
func (h *Handler) belongs(instance string) bool {
	i, _ := h.Groups.Snapshot().Instance(instance)
	return i != nil && i.Lifecycle.Counts()
}

// giveBack gives the instance back once.
func (h *Handler) giveBack(ctx context.Context, j *job) error {
	if g := h.Groups.Snapshot().Group(j.group); g != nil && g.CapacityRebalance {
		return h.returns.give(ctx, j.group, j.instance, true) // AWS has launched a replacement, or is about to
	}
	err := h.returns.give(ctx, j.group, j.instance, false)
	var limit *asg.LimitError
	if !errors.As(err, &limit) {
		return err
	}
	// The core may be about to raise the group, for pods whose replacement it has not decided on yet.
	if j.doomed() != "" {
		timer := h.Clock.NewTimer(lateDecision)
		defer timer.Stop()
		select {
		case <-j.decided:
		case <-timer.C():
		case <-ctx.Done():
			return ctx.Err()
		}
		if err = h.returns.give(ctx, j.group, j.instance, false); !errors.As(err, &limit) {
			return err
		}
	}
	klog.FromContext(ctx).Info("The group is at its minimum size: AWS replaces the instance")
	return h.returns.give(ctx, j.group, j.instance, true)
}

// returns gathers the instances of a group that are given back within a moment, so that they go by one call. Safe for concurrent use.
type returns struct {
	groups groups
	clock  clock.Clock

	mu   sync.Mutex
	open map[returnKey]*batch // guarded by mu
}

type returnKey struct {
	group   string
	replace bool
}

// batch is one call to come.
type batch struct {
	ids  []string // guarded by returns.mu until the batch is closed
	done chan struct{}
	err  error // set when done is closed
}

func newReturns(g groups, c clock.Clock) *returns {
	return &returns{groups: g, clock: c, open: map[returnKey]*batch{}}
}

// give terminates the instance, together with those of other callers, and returns why it stays.
func (r *returns) give(ctx context.Context, group, instance string, replace bool) error {
	key := returnKey{group, replace}
	r.mu.Lock()
	b := r.open[key]
	first := b == nil
	if first {
		b = &batch{done: make(chan struct{})}
		r.open[key] = b
	}
	b.ids = append(b.ids, instance)
	r.mu.Unlock()
	if first {
		r.clock.Sleep(returnGather)
		r.mu.Lock()
		delete(r.open, key)
		r.mu.Unlock()
		if replace {
			_, b.err = r.groups.Replace(ctx, group, b.ids)
		} else {
			_, b.err = r.groups.Terminate(ctx, group, b.ids)
		}
		close(b.done)
	}
	<-b.done
	var partial *asg.TerminationError
	if errors.As(b.err, &partial) {
		return partial.Stays[instance]
	}
	return b.err
}

// sleep waits, but not beyond ctx.
func sleep(ctx context.Context, c clock.Clock, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-c.After(d):
	}
}
