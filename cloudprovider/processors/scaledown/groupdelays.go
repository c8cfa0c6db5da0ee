package scaledown

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
)

// GroupDelays is the core's processor for --scale-down-delay-type-local with a lock. The core's own one keeps plain maps: each loop reads them,
// and goroutines of the core that end a removal write them beside the loop, which ends the process. Register it both for candidates and for
// changes of scale.
type GroupDelays struct {
	*scaledowncandidates.ScaleDownCandidatesDelayProcessor
	mu sync.Mutex
}

func (d *GroupDelays) GetScaleDownCandidates(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) ([]*corev1.Node, errors.AutoscalerError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ScaleDownCandidatesDelayProcessor.GetScaleDownCandidates(ctx, nodes)
}

func (d *GroupDelays) RegisterScaleUp(changed cloudprovider.NodeGroup, delta int, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ScaleDownCandidatesDelayProcessor.RegisterScaleUp(changed, delta, now)
}

func (d *GroupDelays) RegisterScaleDown(changed cloudprovider.NodeGroup, node string, now, expected time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ScaleDownCandidatesDelayProcessor.RegisterScaleDown(changed, node, now, expected)
}

func (d *GroupDelays) RegisterFailedScaleDown(changed cloudprovider.NodeGroup, reason string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ScaleDownCandidatesDelayProcessor.RegisterFailedScaleDown(changed, reason, now)
}
