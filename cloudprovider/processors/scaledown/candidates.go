package scaledown

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
)

// FreshCandidates has no candidates while the last reading of the groups is too old to choose by. Nodes in a zone under a zonal shift are
// no candidates either: the capacity there is wanted back when the shift ends. Neither are nodes of instances in standby, whose removal
// would fail after their pods were evicted, and nodes of groups whose scale-down is paused, and nodes that LeftAlone keeps. It wraps
// another processor of the core.
type FreshCandidates struct {
	nodes.ScaleDownNodeProcessor
	provider  *aws.Provider
	leftAlone *LeftAlone
}

// NewFreshCandidates wraps then. A nil LeftAlone keeps no node.
func NewFreshCandidates(p *aws.Provider, l *LeftAlone, then nodes.ScaleDownNodeProcessor) FreshCandidates {
	return FreshCandidates{ScaleDownNodeProcessor: then, provider: p, leftAlone: l}
}

// GetScaleDownCandidates returns the nodes that may be removed.
func (f FreshCandidates) GetScaleDownCandidates(ctx *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	if f.provider.TooOldToRemove() {
		return nil, nil
	}
	candidates, err := f.ScaleDownNodeProcessor.GetScaleDownCandidates(ctx, all)
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(n *corev1.Node) bool {
		return f.provider.InShiftedZone(n) || f.provider.InStandby(n) || f.provider.InPausedGroup(n)
	})
	return f.leftAlone.filter(ctx, candidates), err
}

// Disabled keeps all nodes (--scale-down-enabled=false). The core still finds its pods other places, through the processor behind it.
type Disabled struct{ nodes.ScaleDownNodeProcessor }

// GetScaleDownCandidates returns no node.
func (Disabled) GetScaleDownCandidates(*cacontext.AutoscalingContext, []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return nil, nil
}
