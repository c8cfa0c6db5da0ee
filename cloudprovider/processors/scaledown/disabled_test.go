package scaledown

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
)

// allNodes considers every node for removal.
type allNodes struct{ nodes.ScaleDownNodeProcessor }

func (allNodes) GetScaleDownCandidates(_ *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return all, nil
}

func (allNodes) GetPodDestinationCandidates(_ *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return all, nil
}

func TestDisabledKeepsNodesAsDestinations(t *testing.T) {
	all := []*corev1.Node{{}}
	disabled := Disabled{allNodes{}}
	got, err := disabled.GetScaleDownCandidates(nil, all)
	assert.Truef(t, err == nil && len(got) == 0, "%d nodes are considered for removal, %v, want none", len(got), err)
	if got, err := disabled.GetPodDestinationCandidates(nil, all); err != nil || len(got) != 1 {
		t.Errorf("pods may move to %d nodes, %v, want 1", len(got), err)
	}
}
