package scaledown

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// settled is how old a failure is before rollback looks at it. By then the node cache shows what the core has done.
const settled = 2 * time.Second

// unwell is the pause of rollback after an error, and of Requests at a node whose removal could not begin.
const unwell = 30 * time.Second

// abandoned is for how long a node has the core's taint and counts in its group, without a removal, before rollback puts it back into use. By then
// a reading shows which instances were gone before the core could end them.
const abandoned = time.Minute

// rollback finishes what the core leaves of a removal that failed. The core taints and cordons nodes before it removes them. If it cannot taint all of
// them, or a removal fails, it takes that back. If the API server refuses that, the core leaves the node as it is, until it chooses the node again after five
// minutes or more, or until its next start (taintNodesSync and CleanUpAndRecordFailedScaleDownEvent, read 2026-11). rollback takes it back in a later loop.
//
// It also puts nodes back into use whose removal nobody goes on with. A warm pool may have given the instance back. Or the API server has
// refused to let a new leader take back the taint of the leader before, which the core tries once (cleanUpIfRequired, read 2026-11).
type rollback struct {
	clock    clock.PassiveClock
	chosen   []*corev1.Node       // by this loop
	failed   map[string]time.Time // nodes whose removal failed, with the time
	cordoned map[string]bool      // nodes that somebody else had cordoned when they were chosen
	broken   bool                 // Requests could not begin a removal in this loop
	failing  time.Time            // when Requests last could not begin a removal
	refused  move.Refusals        // nodes whose removal alone could not begin, as where a policy refuses each write of them
	rests    time.Time            // until then
	again    map[string]time.Time // when Requests may try a node again whose removal failed
	tainted  map[string]time.Time // nodes with a taint of ours, and since when nobody removes them: zero while somebody does, long ago for no members
	isMember func(*corev1.Node) bool
	ended    func(node string, result scaledownstatus.NodeDeleteResult)
}

func newRollback(c clock.PassiveClock) *rollback {
	return &rollback{clock: c, failed: map[string]time.Time{}, cordoned: map[string]bool{}, again: map[string]time.Time{},
		tainted: map[string]time.Time{}, isMember: func(*corev1.Node) bool { return false }, ended: func(string, scaledownstatus.NodeDeleteResult) {}}
}

// process takes back the taints of removals that failed. After an error it pauses, because the API server may be unwell and the loop waits for
// each call.
func (r *rollback) process(ctx *cacontext.AutoscalingContext, s *scaledownstatus.ScaleDownStatus) {
	now := r.clock.Now()
	if s.Result == scaledownstatus.ScaleDownError || r.broken {
		for _, n := range r.chosen {
			r.failed[n.Name], r.again[n.Name] = now, now.Add(unwell)
		}
	}
	if r.broken {
		r.failing = now
		if len(r.chosen) == 1 {
			r.refused.Add(r.chosen[0].Name, unwell, now)
		}
	}
	r.chosen, r.broken = nil, false
	maps.DeleteFunc(r.again, func(_ string, at time.Time) bool { return at.Before(now) })
	for name, result := range s.NodeDeleteResults {
		r.ended(name, result)
		if result.ResultType != scaledownstatus.NodeDeleteOk {
			r.failed[name], r.again[name] = now, now.Add(ctx.ScaleDownDelayAfterFailure)
		} else {
			delete(r.cordoned, name)
		}
	}
	empty, drained := ctx.ScaleDownActuator.CheckStatus().DeletionsInProgress()
	removing := append(empty, drained...)
	r.findLeft(ctx, removing, now)
	for _, name := range removing {
		delete(r.failed, name)
	}
	for name, since := range r.failed { // in any order, so that no node stands in the way of the others
		if now.Sub(since) < settled || now.Before(r.rests) {
			continue
		}
		if err := release(ctx, name, r.cordoned[name]); err != nil {
			klog.ErrorS(err, "Could not put a node back whose removal failed, trying again soon", "node", name)
			r.rests = now.Add(unwell)
			return
		}
		delete(r.failed, name)
		delete(r.cordoned, name)
	}
}

// findLeft has the nodes released whose removal nobody goes on with. A taint that another autoscaler has set since our start stays: pods that
// came to the node would be lost at the end of its drain. An instance that the core has ended counts in no group. If it counts again, a
// warm pool has given it back for pods that wait.
func (r *rollback) findLeft(ctx *cacontext.AutoscalingContext, removing []string, now time.Time) {
	before := r.tainted
	r.tainted = map[string]time.Time{}
	all, _ := ctx.AllNodeLister().List()
	for _, n := range all {
		since, known := before[n.Name]
		switch {
		case !known: // as nearly all
		case slices.Contains(removing, n.Name):
			r.tainted[n.Name] = time.Time{}
		case !taints.HasToBeDeletedTaint(n):
		case !r.isMember(n):
			r.tainted[n.Name] = now.Add(-abandoned)
		default:
			since = cmp.Or(since, now)
			if r.tainted[n.Name] = since; now.Sub(since) >= abandoned {
				r.failed[n.Name] = since
			}
		}
	}
}

// KeepCordons notes the nodes that have the core's taint, before the first loop. If somebody else had cordoned one before an earlier
// process tainted it, the cordon is put back. The core lifts it with the taint in its first loop (cleanUpIfRequired, read 2026-11).
func (r *rollback) KeepCordons(nodes []*corev1.Node) {
	for _, n := range nodes {
		if taints.HasToBeDeletedTaint(n) {
			r.tainted[n.Name] = time.Time{}
		}
		if nodemeta.CordonedBefore(n) && r.isMember(n) && !taints.HasTaint(n, interruption.Taint) {
			r.cordoned[n.Name], r.failed[n.Name] = true, r.clock.Now()
		}
	}
}

// release takes the core's taint off the node, and the core's cordon with it. If the node was cordoned before, the cordon stays, or comes back where
// the core has lifted it with its taint. It leaves nodes whose instances are on their way out.
func release(ctx *cacontext.AutoscalingContext, name string, cordoned bool) error {
	node, err := ctx.AllNodeLister().Get(name)
	if errors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	tainted := taints.HasToBeDeletedTaint(node)
	lifted := !tainted && cordoned && ctx.CordonNodeBeforeTerminate && !node.Spec.Unschedulable
	if stays, err := ctx.CloudProvider.HasInstance(node); !tainted && !lifted || err == nil && !stays {
		return nil
	}
	uncordon := ctx.CordonNodeBeforeTerminate && !cordoned && !taints.HasTaint(node, interruption.Taint)
	node, err = taints.CleanToBeDeleted(node, ctx.ClientSet, uncordon) // which reads a node anew that has no taint
	if err == nil && lifted {
		node.Spec.Unschedulable = true
		_, err = ctx.ClientSet.CoreV1().Nodes().Update(context.TODO(), node, metav1.UpdateOptions{}) // as the core
	}
	return err
}

func (r *rollback) chose(removable []simulator.NodeToBeRemoved) {
	for _, n := range removable {
		r.chosen = append(r.chosen, n.Node)
		r.tainted[n.Node.Name] = time.Time{} // also if the removal fails before the loop ends
		switch {
		case taints.HasToBeDeletedTaint(n.Node): // the core's own cordon may be left of a removal that failed
		case n.Node.Spec.Unschedulable && !taints.HasTaint(n.Node, interruption.Taint): // the interruption lifts its own cordon
			r.cordoned[n.Node.Name] = true
		default:
			delete(r.cordoned, n.Node.Name)
		}
	}
}
