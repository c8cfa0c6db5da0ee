package scaledown

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"
)

// Rollback finishes what the core leaves of a removal that failed. The core taints and cordons nodes before it removes them. If it cannot taint all of
// them, or a removal fails, it takes that back with one request. If the API server refuses the request, the node would stay cordoned
// for five minutes or more (taintNodesSync and CleanUpAndRecordFailedScaleDownEvent, read 2026-11). Rollback repeats it in each loop.
//
// It is the core's ScaleDownStatusProcessor and wraps another one. It runs in the core's loop, so no new removal of the node begins beside it.
type Rollback struct {
	status.ScaleDownStatusProcessor
	chosen []string // by this loop
	left   map[string]bool
}

// NewRollback wraps then.
func NewRollback(then status.ScaleDownStatusProcessor) *Rollback {
	return &Rollback{ScaleDownStatusProcessor: then, left: map[string]bool{}}
}

// Process takes back the taints of removals that failed.
func (r *Rollback) Process(ctx *cacontext.AutoscalingContext, s *scaledownstatus.ScaleDownStatus) {
	r.ScaleDownStatusProcessor.Process(ctx, s)
	if s.Result == scaledownstatus.ScaleDownError {
		for _, name := range r.chosen {
			r.left[name] = true
		}
	}
	r.chosen = nil
	for name, result := range s.NodeDeleteResults {
		if result.ResultType != scaledownstatus.NodeDeleteOk {
			r.left[name] = true
		}
	}
	for _, begun := range s.ScaledDownNodes {
		delete(r.left, begun.Node.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.left)) {
		if err := release(ctx, name); err != nil {
			klog.ErrorS(err, "Could not take back the taint of a removal that failed, trying again in the next loop", "node", name)
			return // the API server may be unwell
		}
		delete(r.left, name)
	}
}

// release takes the core's taint off the node, and the cordon with it.
func release(ctx *cacontext.AutoscalingContext, name string) error {
	node, err := ctx.ClientSet.CoreV1().Nodes().Get(context.TODO(), name, metav1.GetOptions{})
	switch {
	case errors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case !taints.HasToBeDeletedTaint(node):
		return nil
	}
	_, err = taints.CleanToBeDeleted(node, ctx.ClientSet, ctx.CordonNodeBeforeTerminate)
	return err
}

// Watch returns a processor that tells r which nodes then lets the core remove.
func (r *Rollback) Watch(then nodes.ScaleDownSetProcessor) nodes.ScaleDownSetProcessor {
	return choices{ScaleDownSetProcessor: then, rollback: r}
}

type choices struct {
	nodes.ScaleDownSetProcessor
	rollback *Rollback
}

// FilterUnremovableNodes returns the nodes that may be removed, and the nodes that stay.
func (c choices) FilterUnremovableNodes(ctx *cacontext.AutoscalingContext, scaleDown *nodes.ScaleDownContext,
	candidates []simulator.NodeToBeRemoved) ([]simulator.NodeToBeRemoved, []simulator.UnremovableNode) {
	removable, stay := c.ScaleDownSetProcessor.FilterUnremovableNodes(ctx, scaleDown, candidates)
	for _, n := range removable {
		c.rollback.chosen = append(c.rollback.chosen, n.Node.Name)
	}
	return removable, stay
}
