package interruption

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// beginReboot begins the job of a node that is to be rebooted (package move). Pods of a node that is not Ready are of no use and may be
// stuck. The reboot waits for them as long as the end of an instance after a warning, and then takes place if the node is still not Ready.
func (h *Handler) beginReboot(ctx context.Context, node *corev1.Node, now time.Time) {
	s, _ := move.StateOf(node)
	id := nodemeta.InstanceOf(node)
	instance, group := h.Groups.Snapshot().Instance(id)
	r := reason{Kind: event.Reboot, Text: "a repair reboots it: " + s.Cause, Began: now,
		Deadline: now.Add(min(s.Began.Add(plannedTime).Sub(now), plannedTime))}
	if !s.AwaitsReboot(node) || move.Disabled(node) || instance == nil || instance.Lifecycle != "InService" ||
		r.Deadline.Sub(now) < notice || nodemeta.DrainedByCore(node) || h.has(id) || h.dealtWith(id) {
		return
	}
	if !nodemeta.Ready(node) {
		r.Deadline = now.Add(notice)
	}
	h.begin(ctx, id, group.Name, r)
}

const unwanted, rebootTries = "nobody wants its reboot any more", 3

// takenBack returns why a planned drain is to end, or "": the machine of package move has taken its reboot back, its group is no longer ours,
// so that nobody here would end the instance, or it was paused after a recommendation, before its instance was terminated.
func (h *Handler) takenBack(j *job) (why string) {
	switch c, node, g := j.current(), h.node(j.instance), h.Groups.Snapshot().Group(j.group); {
	case c.Kind == event.Reboot && node != nil:
		if s, _ := move.StateOf(node); s.Step != move.Rebooting {
			return unwanted
		}
	case c.Kind != event.Reboot && c.planned() && g == nil:
		return "its group is no longer autoscaled"
	case c.Kind == event.Rebalance && j.resumed.Terminating.IsZero() && g.LeftAlone(h.Clock.Now(), true).Down:
		cause, _ := g.LeftAlone(h.Clock.Now(), true).Why(j.group)
		return "its group is paused" + cause
	}
	return ""
}

// reboot reboots the instance, and puts its node back into use once that has come back. The annotation of the node records the call first,
// so that the next leader makes no second one. The outcome is "" if AWS takes the instance meanwhile.
func (h *Handler) reboot(ctx context.Context, j *job, nodes []*corev1.Node) outcome {
	node := h.node(j.instance)
	if node == nil {
		return h.giveUp(ctx, j, nodes, "it has no node")
	}
	s, _ := move.StateOf(node)
	if j.resumed.Terminating.IsZero() {
		switch {
		case !s.AwaitsReboot(node) || nodemeta.DrainedByCore(node) || !h.inGroup(j.instance):
			return h.giveUp(ctx, j, nodes, unwanted)
		case h.hasOther(ctx, j.instance, nodes):
			return broken
		}
		wanted := true
		written := h.write(ctx, node, j.current().drainBy(), func(n *corev1.Node) *corev1.Node {
			if s, _ = move.StateOf(n); !s.AwaitsReboot(n) { // the cache has not shown it yet
				wanted = false
				return nil
			}
			return cordoned(n, annotation{reason: j.current(), Group: j.group, Excluded: true, Terminating: h.Clock.Now()})
		})
		switch {
		case written:
		case j.current().Kind != event.Reboot:
			return ""
		case !wanted:
			return h.giveUp(ctx, j, nodes, unwanted)
		default:
			return broken
		}
		once, err := func(o *ec2.Options) { o.RetryMaxAttempts = 1 }, error(nil) // the SDK would repeat one without an answer, too
		for try := 0; try == 0 || try < rebootTries && (awsclient.IsThrottled(err) || awsclient.IsUnsent(err)); try++ {
			sleep(ctx, h.Clock, time.Duration(try)*time.Second)
			_, err = h.EC2.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: []string{j.instance}}, once)
		}
		if awsclient.IsRefused(err) || awsclient.IsThrottled(err) { // for its rate, which EC2 answers by 503
			return h.giveUp(ctx, j, nodes, "EC2 did not reboot the instance: "+refusal(err, "ec2:RebootInstances"))
		}
		klog.FromContext(ctx).Info("Asked EC2 to reboot the instance", "node", klog.KObj(node), "err", err) // without an answer it may reboot, too
	}
	for ; ; sleep(ctx, h.Clock, time.Second) {
		switch node = h.node(j.instance); {
		case ctx.Err() != nil:
			return unfinished
		case j.current().Kind != event.Reboot:
			return ""
		case node != nil && nodemeta.Ready(node) && s.Boot != "" && node.Status.NodeInfo.BootID != s.Boot:
			return h.giveUp(ctx, j, nodes, "the instance has rebooted")
		case !h.Clock.Now().Before(s.Began.Add(move.RebootTime)):
			return h.giveUp(ctx, j, nodes, "the instance has not come back from its reboot in time")
		}
	}
}
