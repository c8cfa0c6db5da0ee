package scaleup

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	testprovider "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/test"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
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
)

// core holds the parts of the core's scale-up, over the groups "a" and "b" in which every launch fails.
type core struct {
	ctx   *cacontext.AutoscalingContext
	infos map[string]*framework.NodeInfo

	mu    sync.Mutex // guards what follows: the core may launch in several groups at once
	asked int        // launches
}

// newCore initializes o with the core's parts. So many nodes of each group are on their way.
func newCore(t *testing.T, o *Phases, options config.AutoscalingOptions, coming int) *core {
	t.Helper()
	c := &core{infos: map[string]*framework.NodeInfo{}}
	provider := testprovider.NewTestCloudProviderBuilder().WithOnScaleUp(func(string, int) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked++
		return errors.New("denied")
	}).Build()
	for _, id := range []string{"a", "b"} {
		provider.AddNodeGroup(id, 2, 9, coming)
		c.infos[id] = framework.NewTestNodeInfo(utiltest.BuildTestNode("template-of-"+id, 1000, 1<<30))
	}
	ctx, err := coretest.NewScaleTestAutoscalingContext(options, &fake.Clientset{}, nil, provider, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.ctx = &ctx
	processors, _ := processorstest.NewTestProcessors(options)
	state := clusterstate.NewClusterStateRegistry(provider, clusterstate.ClusterStateRegistryConfig{}, ctx.LogRecorder, coretest.NewBackoff(),
		nodegroupconfig.NewDefaultNodeGroupConfigProcessor(ctx.NodeGroupDefaults), asyncnodegroups.NewDefaultAsyncNodeGroupStateChecker())
	if err := state.UpdateNodes(nil, c.infos, time.Now()); err != nil {
		t.Fatal(err)
	}
	o.Initialize(c.ctx, processors, state, nil, taints.TaintConfig{}, resourcequotas.NewTrackerFactory(resourcequotas.TrackerOptions{
		QuotaProvider: resourcequotas.NewCloudQuotasProvider(provider), CustomResourcesProcessor: processors.CustomResourcesProcessor}))
	return c
}

func TestZoneGroupsAreLaunchedInParallel(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		parallel, views, given bool
		want                   int // launches: the core ends with the first failure, unless it makes both at once
	}{
		{name: "zone groups", parallel: true, views: true, want: 2},
		{name: "no zone groups", parallel: true, want: 1},
		{name: "zone groups, but the operator said no", views: true, want: 1},
		{name: "the operator said yes", given: true, want: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := NewPhases(orchestrator.New(), zonesByName{views: tt.views}, known, tt.parallel)
			c := newCore(t, o, config.AutoscalingOptions{ParallelScaleUp: tt.given}, 0)
			if _, err := o.ScaleUpToNodeGroupMinSize(nil, c.infos); err == nil || c.asked != tt.want {
				t.Errorf("%d launches, error %v, want %d and an error", c.asked, err, tt.want)
			}
		})
	}
}

func TestParallelLaunchesEndWithZoneGroups(t *testing.T) {
	views, recorder := &zonesByName{}, &inner{results: make([]status.ScaleUpResult, 3)}
	o := NewPhases(recorder, views, known, true)
	o.Initialize(&cacontext.AutoscalingContext{}, nil, nil, nil, taints.TaintConfig{}, nil)
	for _, views.views = range []bool{true, false, true} {
		if _, err := o.ScaleUp(podsNamed("free"), nil, nil, nil, false); err != nil || recorder.ctx.ParallelScaleUp != views.views {
			t.Errorf("with views %t, several groups are launched at once %t, error %v", views.views, recorder.ctx.ParallelScaleUp, err)
		}
	}
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
	o := NewPhases(provreq.NewWrapperOrchestrator(r), zonesByName{views: true}, known, false)
	newCore(t, o, config.AutoscalingOptions{}, 1)
	waiting := append(podsNamed("free", "in-a"), requested("request")...)
	var phases []string // the kind of each: the core's own scale-up fails, too, as it is given no NodeInfo of the nodes on their way
	for range 8 {
		before := r.tries
		result, err := o.ScaleUp(waiting, nil, nil, nil, false)
		if err == nil {
			t.Fatal("no error")
		}
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
	if diff := cmp.Diff(want, phases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
}
