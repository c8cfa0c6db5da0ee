package scaleup

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	testprovider "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/test"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	coretest "k8s.io/autoscaler/cluster-autoscaler/core/test"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroups/asyncnodegroups"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	processorstest "k8s.io/autoscaler/cluster-autoscaler/processors/test"
	provreq "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
)

// startCore initializes o with the core's parts, over the groups "a" and "b". A node of each group is on its way, and every launch fails.
func startCore(t *testing.T, o *Orchestrator) {
	t.Helper()
	infos, options := map[string]*framework.NodeInfo{}, config.AutoscalingOptions{ProvisioningRequestEnabled: true}
	provider := testprovider.NewTestCloudProviderBuilder().WithOnScaleUp(func(string, int) error { return errors.New("denied") }).Build()
	for _, id := range []string{"a", "b"} {
		provider.AddNodeGroup(id, 2, 9, 1)
		infos[id] = framework.NewTestNodeInfo(utiltest.BuildTestNode("template-of-"+id, 1000, 1<<30))
	}
	ctx, err := coretest.NewScaleTestAutoscalingContext(options, &fake.Clientset{}, nil, provider, nil, nil, nil)
	require.NoError(t, err)
	processors, _ := processorstest.NewTestProcessors(options)
	state := clusterstate.NewClusterStateRegistry(provider, clusterstate.ClusterStateRegistryConfig{}, ctx.LogRecorder, coretest.NewBackoff(),
		nodegroupconfig.NewDefaultNodeGroupConfigProcessor(ctx.NodeGroupDefaults), asyncnodegroups.NewDefaultAsyncNodeGroupStateChecker())
	require.NoError(t, state.UpdateNodes(nil, infos, time.Now()))
	o.Initialize(&ctx, processors, state, nil, taints.TaintConfig{}, resourcequotas.NewTrackerFactory(resourcequotas.TrackerOptions{
		QuotaProvider: resourcequotas.NewCloudQuotasProvider(provider), CustomResourcesProcessor: processors.CustomResourcesProcessor}))
}

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
	r := &requests{}
	o := New(Options{Core: provreq.NewWrapperOrchestrator(r), Zones: zonesByName{views: true}, Clock: clock.RealClock{}})
	startCore(t, o)
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
