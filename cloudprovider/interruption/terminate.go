package interruption

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
)

const (
	// A termination waits terminateGather for others of its group.
	terminateGather = 100 * time.Millisecond
	// terminateRetryFirst and terminateRetryMost bound the pause after a failure, terminateTime the tries.
	terminateRetryFirst, terminateRetryMost = time.Second, 15 * time.Second
	terminateTime                           = 3 * time.Minute
	// A reading of AWS may not show a termination by an earlier leader for terminateSettle. That wait and the write of the
	// annotations end terminateReserve before the instance's deadline.
	terminateSettle, terminateReserve = 30 * time.Second, 10 * time.Second
	// A group at its minimum waits lateDecision for a raise that the core is about to make.
	lateDecision = 10 * time.Second
)

// terminate terminates the instance and decrements the desired capacity, or has AWS replace it where the minimum size forbids
// the decrement. The annotations of its nodes record the beginning first, so that the next leader waits for the result before it
// terminates again. An instance that somebody stops, and that AWS keeps, stays. One that waits for its hook is left to Auto Scaling, which
// ends it or replaces its root volume. One of a reboot stays. The outcome is "" unless the job has to begin again, or has ended.
func (h *Handler) terminate(ctx context.Context, j *job, nodes []*corev1.Node) outcome {
	log := klog.FromContext(ctx)
	if j.current().Kind == event.Reboot { // its instance stays
		if out := h.reboot(ctx, j, nodes); out != "" {
			return out
		}
		return h.drain(ctx, j, nodes)
	}
	if since := j.resumed.Terminating; !since.IsZero() {
		latest := j.current().drainBy().Add(-terminateReserve).Sub(since)
		until := since.Add(min(latest, terminateSettle))
		for h.Clock.Now().Before(until) && h.inGroup(j.instance) && ctx.Err() == nil {
			sleep(ctx, h.Clock, time.Second)
		}
	}
	switch {
	case ctx.Err() != nil:
		return terminateFailed
	case h.hasOther(ctx, j.instance, nodes):
		return broken
	}
	if !h.inGroup(j.instance) {
		log.V(1).Info("The instance has left its group already")
		return ""
	}
	if j.current().Kind == event.TerminateHook {
		log.V(1).Info("The instance stays in its group, and Auto Scaling goes on with it")
		return ""
	}
	// AWS keeps it, so that whoever stopped it may start it again (EC2 Auto Scaling user guide, Suspend and resume processes, read 2026-11).
	if g := h.Groups.Snapshot().Group(j.group); g != nil && j.current().Kind == event.StateChange &&
		slices.ContainsFunc([]string{"HealthCheck", "ReplaceUnhealthy", group.ProcessTerminate}, g.Suspended) {
		log.Info("The instance stays, because its group has suspended a process by which AWS would replace it")
		return ""
	}
	for _, node := range nodes {
		writing, cancel := context.WithTimeout(ctx, max(time.Second, j.current().drainBy().Sub(h.Clock.Now())-terminateReserve))
		h.cordon(writing, j, node, annotation{Excluded: true, Terminating: h.Clock.Now()})
		cancel()
	}
	end := h.Clock.Now().Add(terminateTime)
	for pause := terminateRetryFirst; ; pause = min(2*pause, terminateRetryMost) {
		if h.hasOther(ctx, j.instance, nodes) {
			return broken
		}
		err := h.terminateOnce(ctx, j)
		if err == nil || errors.Is(err, asg.ErrGroupNotFound) {
			return ""
		}
		if ctx.Err() != nil {
			return terminateFailed
		}
		if other := (*ownership.OtherClusterError)(nil); errors.As(err, &other) {
			log.Info("The instance may be another cluster's", "reason", other.Why)
			return terminateFailed
		}
		log.Error(err, "Could not terminate the instance, trying again", "reason", awsclient.Reason(err), "in", pause)
		if h.Clock.Now().Add(pause).After(end) {
			for _, node := range nodes {
				h.Events.Eventf(node, corev1.EventTypeWarning, "InterruptionNotHandedBack", "Drained, but Auto Scaling group %q did not terminate the instance: %s",
					j.group, refusal(err, "autoscaling:TerminateInstanceInAutoScalingGroup"))
			}
			return terminateFailed
		}
		sleep(ctx, h.Clock, pause)
	}
}

// hasOther reports whether the instance has a node beside the drained ones. Its kubelet has registered meanwhile, or anew, and pods may
// run there.
func (h *Handler) hasOther(ctx context.Context, instance string, drained []*corev1.Node) bool {
	for _, n := range h.nodes(instance) {
		if !slices.ContainsFunc(drained, func(d *corev1.Node) bool { return d.UID == n.UID }) {
			klog.FromContext(ctx).Info("The instance has registered another node, which is drained first", "other", klog.KObj(n))
			return true
		}
	}
	return false
}

// refusal says why AWS did not act on the instance, and names the action if that is denied.
func refusal(err error, action string) string {
	text := awsclient.Brief(err)
	if awsclient.IsDenied(err) {
		text += "; allow " + action + " on it"
	}
	return text
}

// inGroup reports whether the instance is known to count in its group. An instance that does not is terminating, or in
// standby, where it costs the group nothing.
func (h *Handler) inGroup(instance string) bool {
	i, _ := h.Groups.Snapshot().Instance(instance)
	return i != nil && i.Lifecycle.Counts()
}

func (h *Handler) terminateOnce(ctx context.Context, j *job) error {
	// AWS has launched a replacement, or is about to. A group that loses no node for now keeps its desired capacity.
	if g := h.Groups.Snapshot().Group(j.group); h.replacedByAWS(j) || g != nil && g.LeftAlone(h.Clock.Now(), true).Down {
		return h.gatherTermination(ctx, j.group, j.instance, true)
	}
	// The core asks for no replacement now. One that it asked for before may be one too many, and goes once the core acts again.
	if h.Halted() {
		klog.FromContext(ctx).Info("Too many nodes are not Ready for the core to act: AWS replaces the instance unless it keeps surplus ones")
		return h.gatherTermination(ctx, j.group, j.instance, true)
	}
	err := h.gatherTermination(ctx, j.group, j.instance, false)
	if !group.AtMinimum(err) {
		return err
	}
	// The core may be about to raise the group, for pods whose replacement it has not decided on yet.
	if len(j.draining()) > 0 {
		timer := h.Clock.NewTimer(lateDecision)
		defer timer.Stop()
		select {
		case <-j.decided:
		case <-timer.C():
		case <-ctx.Done():
			return ctx.Err()
		}
		if err = h.gatherTermination(ctx, j.group, j.instance, false); !group.AtMinimum(err) {
			return err
		}
	}
	klog.FromContext(ctx).Info("The group is at its minimum size: AWS replaces the instance unless it keeps surplus ones")
	return h.gatherTermination(ctx, j.group, j.instance, true)
}

// gatherTermination terminates the instance, together with other callers' instances, and returns why it stays.
func (h *Handler) gatherTermination(ctx context.Context, group, instance string, replace bool) error {
	err := h.Groups.TerminateTogether(ctx, group, []string{instance}, replace, terminateGather, nil)
	if partial, some := errors.AsType[*asg.TerminationError](err); some {
		return partial.Stays[instance]
	}
	return err
}

// sleep waits, but not beyond ctx.
func sleep(ctx context.Context, c clock.Clock, d time.Duration) {
	_ = awsclient.Pause(ctx, c, d) // the caller sees the end of ctx
}
