package scaleup

import (
	stdcmp "cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	testprovider "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/test"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	coretest "k8s.io/autoscaler/cluster-autoscaler/core/test"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/callbacks"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroups/asyncnodegroups"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	processorstest "k8s.io/autoscaler/cluster-autoscaler/processors/test"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/backoff"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	kube_util "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// packingTime limits the packing of a loop. A busy machine takes a second for what others do in milliseconds.
const packingTime = 10 * time.Second

// zone is a node group of the test's cloud. Its nodes have one CPU and 1 GiB.
type zone struct {
	min, max int
	cpus     int64  // of each node, 0 for one
	pool     string // label of the nodes, may be empty
	gpu      bool   // its nodes have a GPU
	dry      bool   // a launch fails for want of capacity
	partly   int    // nodes that a launch which fails has launched all the same
}

// world is a cluster without nodes, the core's own scale-up for it, and a cloud that remembers all requests.
type world struct {
	t          testing.TB
	ctx        *cacontext.AutoscalingContext
	provider   *testprovider.TestCloudProvider
	processors *caprocessors.AutoscalingProcessors
	state      *clusterstate.ClusterStateRegistry
	nodeInfos  map[string]*framework.NodeInfo
	plan       *plan.Plan            // of the nodes that were asked for
	limits     []estimator.Threshold // of the core's packing
	fastPath   bool                  // of the core's packing
	backoff    backoff.Backoff       // of the core's state

	mu    sync.Mutex // guards what follows: the core may launch in several groups at once
	asked []string   // "group +nodes" in the order asked

	pretended map[string]int // nodes that no leader asked for, nil but in a shadow
}

func newWorld(t testing.TB, zones map[string]zone, change ...func(*config.AutoscalingOptions)) *world {
	t.Helper()
	options := config.AutoscalingOptions{MaxNodeGroupBinpackingDuration: packingTime}
	for _, c := range change {
		c(&options)
	}
	w := &world{t: t, plan: plan.New(clock.RealClock{})}
	templates := make(map[string]*framework.NodeInfo)
	for id, z := range zones {
		node := utiltest.BuildTestNode("template-"+strings.ReplaceAll(id, "/", "-"), 1000*max(1, z.cpus), 1<<30)
		maps.Copy(node.Labels, inZone(id[:1]))
		if z.pool != "" {
			node.Labels["pool"] = z.pool
		}
		if z.gpu {
			node.Status.Capacity["nvidia.com/gpu"], node.Status.Allocatable["nvidia.com/gpu"] = resource.MustParse("1"), resource.MustParse("1")
			node.Labels[(*testprovider.TestCloudProvider)(nil).GPULabel()] = "a10g"
		}
		utiltest.SetNodeReadyState(node, true, time.Now().Add(-time.Hour))
		templates[id] = framework.NewTestNodeInfo(node)
	}
	w.provider = testprovider.NewTestCloudProviderBuilder().WithMachineTemplates(templates).WithOnScaleUp(
		func(id string, delta int) error { return w.launch(id, delta, zones[id]) }).Build()
	w.provider.SetResourceLimiter(cloudprovider.NewResourceLimiter(nil, nil))
	for id, z := range zones {
		w.provider.InsertNodeGroup(w.provider.BuildNodeGroup(id, z.min, z.max, 0, true, false, id, &options.NodeGroupDefaults))
	}
	w.build(options)
	return w
}

// inZone are the labels of a node in the zone.
func inZone(name string) map[string]string {
	return map[string]string{apiv1.LabelTopologyZone: name, podzone.LabelZoneID: "id-of-" + name}
}

// launch is the cloud's answer to a request for nodes. The test provider has raised the target by then.
func (w *world) launch(id string, delta int, z zone) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, fmt.Sprintf("%s +%d", id, delta))
	if w.pretended != nil {
		w.pretended[id] += delta
	}
	if !z.dry {
		return nil
	}
	w.resize(id, z.partly-delta)
	return errors.New("InsufficientInstanceCapacity: no capacity in this zone")
}

// resize changes the target size of a group by delta.
func (w *world) resize(id string, delta int) {
	group := w.provider.GetNodeGroup(id).(*testprovider.TestNodeGroup)
	size, _ := group.TargetSize()
	group.SetTargetSize(size + delta)
}

// build makes the parts that the core's scale-up needs.
func (w *world) build(options config.AutoscalingOptions) {
	w.t.Helper()
	processors, templates := processorstest.NewTestProcessors(options)
	processors.NodeGroupSetProcessor = nodegroupset.NewDefaultNodeGroupSetProcessor([]string{podzone.LabelZoneID}, config.NodeGroupDifferenceRatios{})
	listers := kube_util.NewListerRegistry(nil, kube_util.NewTestNodeLister(nil), kube_util.NewTestPodLister(nil), nil, nil, nil, nil, nil, nil)
	ctx, err := coretest.NewScaleTestAutoscalingContext(options, &fake.Clientset{}, listers, w.provider, callbacks.NewTestProcessorCallbacks(),
		nil, templates)
	require.NoError(w.t, err)
	ctx.ExpanderStrategy = firstByID{}
	require.NoError(w.t, templates.Recompute(&ctx, nil, nil, taints.TaintConfig{}, time.Now()))
	w.ctx, w.processors, w.nodeInfos = &ctx, processors, templates.GetNodeInfos()
}

// start makes an orchestrator over the core's parts. Without options it scales up 20 times at most, by the core's own.
func (w *world) start(o Options) *Orchestrator {
	w.t.Helper()
	o.Core, o.Most = stdcmp.Or[corescaleup.Orchestrator](o.Core, orchestrator.New()), stdcmp.Or(o.Most, 20)
	o.Clock, o.Plan = stdcmp.Or[clock.PassiveClock](o.Clock, clock.RealClock{}), w.plan
	estimators, err := estimator.NewEstimatorBuilder(estimator.BinpackingEstimatorName,
		estimator.NewThresholdBasedEstimationLimiter(append(w.limits, estimator.NewSngCapacityThreshold())),
		estimator.NewDecreasingPodOrderer(), nil, w.fastPath)
	require.NoError(w.t, err)
	state := clusterstate.NewClusterStateRegistry(w.ctx.CloudProvider, clusterstate.ClusterStateRegistryConfig{OkTotalUnreadyCount: w.ctx.OkTotalUnreadyCount}, w.ctx.LogRecorder,
		stdcmp.Or(w.backoff, coretest.NewBackoff()), nodegroupconfig.NewDefaultNodeGroupConfigProcessor(w.ctx.NodeGroupDefaults),
		asyncnodegroups.NewDefaultAsyncNodeGroupStateChecker())
	require.NoError(w.t, state.UpdateNodes(nil, w.nodeInfos, time.Now()))
	w.state, w.ctx.ClusterStateRegistry = state, state
	w.processors.ScaleStateNotifier.Register(state)
	started := New(o)
	started.Initialize(w.ctx, w.processors, state, estimators, taints.TaintConfig{}, resourcequotas.NewTrackerFactory(
		resourcequotas.TrackerOptions{QuotaProvider: resourcequotas.NewCloudQuotasProvider(w.provider),
			CustomResourcesProcessor: w.processors.CustomResourcesProcessor}))
	return started
}

// scaleUp has an orchestrator scale up without an error, and compares the launches until now.
func (w *world) scaleUp(o *Orchestrator, pods []*apiv1.Pod, asked ...string) *status.ScaleUpStatus {
	w.t.Helper()
	result, err := o.ScaleUp(pods, nil, nil, w.nodeInfos, false)
	require.NoError(w.t, err)
	assert.Empty(w.t, cmp.Diff(asked, w.asked), "launches (-want +got)")
	return result
}

// sizes are the target sizes in the end, without zeros.
func (w *world) sizes() map[string]int {
	sizes := make(map[string]int)
	for _, group := range w.provider.NodeGroups() {
		if size, _ := group.TargetSize(); size != 0 {
			sizes[group.Id()] = size
		}
	}
	return sizes
}

// filling are pods that fill one node each.
func filling(count int) (list []*apiv1.Pod) {
	for i := range count {
		list = append(list, utiltest.BuildTestPod(fmt.Sprint("pod-", i), 800, 1<<20))
	}
	return list
}

// firstByID chooses the option whose node group comes first.
type firstByID struct{}

func (firstByID) BestOption(options []expander.Option, _ map[string]*framework.NodeInfo) *expander.Option {
	best := slices.MinFunc(options, func(a, b expander.Option) int { return strings.Compare(a.NodeGroup.Id(), b.NodeGroup.Id()) })
	return &best
}

// scripted is an orchestrator whose scale-up is a function.
type scripted struct {
	corescaleup.Orchestrator
	scaleUp func() (*status.ScaleUpStatus, caerrors.AutoscalerError)
}

func (s scripted) ScaleUp([]*apiv1.Pod, []*apiv1.Node, []*appsv1.DaemonSet, map[string]*framework.NodeInfo, bool) (
	*status.ScaleUpStatus, caerrors.AutoscalerError) {
	return s.scaleUp()
}
