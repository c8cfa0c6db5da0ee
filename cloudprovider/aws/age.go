package aws

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/klog/v2"
)

// FreshCandidates is the core's ScaleDownNodeProcessor before another one: while the last reading of the groups is too old to
// choose by, it has no candidates, and no node is removed. Nodes in a zone under a zonal shift are no candidates either: the
// capacity there is wanted back when the shift ends.
type FreshCandidates struct {
	nodes.ScaleDownNodeProcessor
	provider *Provider
}

// NewFreshCandidates makes a FreshCandidates.
func NewFreshCandidates(p *Provider, then nodes.ScaleDownNodeProcessor) FreshCandidates {
	return FreshCandidates{ScaleDownNodeProcessor: then, provider: p}
}

// GetScaleDownCandidates returns the nodes that may be removed: none on an old reading, and none in a shifted zone.
func (f FreshCandidates) GetScaleDownCandidates(ctx *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	if f.provider.cache.TooOldToRemove() {
		return nil, nil
	}
	candidates, err := f.ScaleDownNodeProcessor.GetScaleDownCandidates(ctx, all)
	return slices.DeleteFunc(slices.Clone(candidates), f.provider.inShiftedZone), err
}

// inShiftedZone reports whether the node's group is shifted away from the node's zone.
func (p *Provider) inShiftedZone(node *corev1.Node) bool {
	id, ok := instanceID(node.Spec.ProviderID)
	if !ok {
		return false
	}
	i, g := p.cache.Snapshot().Instance(id)
	return g != nil && p.cache.Shifted(g, i.Zone)
}

// ageing says when the reading of the groups has become too old to act on, and when it is fresh again. Used by the core's loop.
type ageing struct {
	said  string
	event func(eventType, reason, message string)
}

// watch says what the age of the reading forbids now, if that is news.
func (a *ageing) watch(ctx context.Context, age time.Duration, remove, add bool) {
	now := ""
	switch {
	case add:
		now = "no node is added or removed"
	case remove:
		now = "no node is removed"
	}
	if now == a.said {
		return
	}
	a.said = now
	if now == "" {
		klog.FromContext(ctx).Info("The Auto Scaling groups have been read again, nodes are added and removed as before")
		return
	}
	message := fmt.Sprintf("The Auto Scaling groups have not been read for %s: %s until AWS answers; "+
		"check the endpoint, the credentials and autoscaling:DescribeAutoScalingGroups", age.Round(time.Second), now)
	klog.Warning(message)
	if a.event != nil {
		a.event(corev1.EventTypeWarning, "ReadingTooOld", message)
	}
}
