package scaleup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	provreq "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
)

// requests are a scale-up of provisioning requests that never succeeds.
type requests struct {
	corescaleup.Orchestrator
	tries int
}

func (*requests) Initialize(*cacontext.AutoscalingContext, *caprocessors.AutoscalingProcessors, *clusterstate.ClusterStateRegistry,
	estimator.EstimatorBuilder, taints.TaintConfig, *resourcequotas.TrackerFactory) {
}

func (r *requests) ScaleUp([]*apiv1.Pod, []*apiv1.Node, []*appsv1.DaemonSet, map[string]*framework.NodeInfo, bool) (
	*status.ScaleUpStatus, caerrors.AutoscalerError) {
	r.tries++
	return status.UpdateScaleUpError(&status.ScaleUpStatus{}, caerrors.NewAutoscalerError(caerrors.CloudProviderError, "denied"))
}

func TestRequestsDoNotPassOverOtherPods(t *testing.T) {
	r, w := &requests{}, newWorld(t, map[string]zone{"a": {min: 2, max: 9, dry: true}, "b": {min: 2, max: 9, dry: true}}, withRequests)
	w.resize("a", 1)
	w.resize("b", 1)
	o := w.start(Options{Core: provreq.NewWrapperOrchestrator(r), Zones: zonesByName{views: true}})
	waiting := append(podsNamed("free", "in-a"), requested("request")...)
	var phases []string // the kind of each: the core's own scale-up fails, too, as it is given no NodeInfo of the nodes on their way
	for range 8 {
		before := r.tries
		result, err := o.ScaleUp(waiting, nil, nil, nil, false)
		require.Error(t, err, "no error")
		switch later := names(result.PodsAwaitEvaluation); {
		case len(later) != 1:
			phases = append(phases, "in-a")
		case r.tries > before:
			phases = append(phases, "request")
		default:
			phases = append(phases, "free")
		}
	}
	want := []string{"free", "in-a", "request", "in-a", "free", "in-a", "request", "in-a"}
	assert.Empty(t, cmp.Diff(want, phases), "phases (-want +got)")
}
