// Package prompt makes the core act on unschedulable pods in the very loop that first sees them.
//
// The core lets pods rest before it scales up for them: 2 seconds, or 30 seconds once a GPU is asked for, so that
// more of a burst may come. Here package trigger waits for bursts, and far more briefly, so those rests are taken away,
// and nothing else: without pods, or with as many nodes as --max-nodes-total allows, the core still does not scale up;
// pods that it holds back for --new-pod-scale-up-delay are still held back; and in the loop of a scale-up for such young
// pods it still does not scale down.
// The core's V(1) message that it waits one more iteration for very new pods appears all the same.
package prompt

import (
	"time"

	apiv1 "k8s.io/api/core/v1"
	ca_context "k8s.io/autoscaler/cluster-autoscaler/context"
	ca_processors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/actionablecluster"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
)

// Install takes away the core's rests. maxNodesTotal is the limit of --max-nodes-total, 0 for none. Call it when the
// processors are complete otherwise: the scale-up enforcer it finds keeps its say.
func Install(processors *ca_processors.AutoscalingProcessors, maxNodesTotal int) {
	count := &readyCounter{ActionableClusterProcessor: processors.ActionableClusterProcessor}
	processors.ActionableClusterProcessor = count
	processors.ScaleUpEnforcer = &enforcer{
		ScaleUpEnforcer: processors.ScaleUpEnforcer,
		count:           count,
		maxNodesTotal:   maxNodesTotal,
	}
}

// readyCounter notes how many nodes are ready, as the core counts them for the limit. The core asks it early in each
// loop, on the goroutine on which it later asks the enforcer.
type readyCounter struct {
	actionablecluster.ActionableClusterProcessor
	ready int
}

func (c *readyCounter) ShouldAbort(autoscalingCtx *ca_context.AutoscalingContext, allNodes, readyNodes []*apiv1.Node,
	now time.Time) (bool, errors.AutoscalerError) {
	c.ready = len(readyNodes)
	return c.ActionableClusterProcessor.ShouldAbort(autoscalingCtx, allNodes, readyNodes, now)
}

// enforcer forces the scale-up that the core would do if the pods were older, and what the enforcer before it forces.
type enforcer struct {
	pods.ScaleUpEnforcer
	count         *readyCounter
	maxNodesTotal int
}

func (e *enforcer) ShouldForceScaleUp(unschedulable []*apiv1.Pod) bool {
	limited := e.maxNodesTotal > 0 && e.count.ready >= e.maxNodesTotal
	return len(unschedulable) > 0 && !limited || e.ScaleUpEnforcer.ShouldForceScaleUp(unschedulable)
}
