package simulate

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/podlistprocessor"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/predicate"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/store"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/autoscaler/cluster-autoscaler/utils/backoff"
	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaleup"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

// maxRaises is far more than any mix takes.
const maxRaises = 2000

// Result is the outcome of a mix: the nodes requested until every pod that can run had a place.
type Result struct {
	Count    map[string]int // nodes by group, those with any
	PerHour  float64        // their sum
	Raises   int            // scale-ups
	Unplaced int            // pods that no group can take, or not within its limit
	Choosing time.Duration  // the expander's longest choice
	Took     time.Duration  // the whole run
}

type scaler struct {
	mix          *mix.Mix
	cloud        *cloud
	snapshot     clustersnapshot.ClusterSnapshot
	ctx          *cacontext.AutoscalingContext
	processors   *caprocessors.AutoscalingProcessors
	registry     *clusterstate.ClusterStateRegistry
	orchestrator corescaleup.Orchestrator
	templates    map[string]*framework.NodeInfo
	strategy     *timed
	result       *Result
}

// Run scales up for the mix with the expander of that name. The mix is not changed.
func Run(ctx context.Context, m *mix.Mix, expanderName string) (*Result, error) {
	start := time.Now()
	s, err := newScaler(ctx, m.Copy(), expanderName)
	if err == nil {
		err = s.run(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("mix %q with %s: %w", m.Name, expanderName, err)
	}
	s.result.Choosing, s.result.Took = s.strategy.longest, time.Since(start)
	return s.result, nil
}

// run scales up until every pod that can have a place has one.
func (s *scaler) run(ctx context.Context) error {
	for ctx.Err() == nil {
		pending, err := s.pending()
		if err != nil {
			return err
		}
		scaled := false
		if len(pending) > 0 {
			if scaled, err = s.scaleUp(pending); err != nil {
				return err
			}
		}
		if !scaled {
			s.result.Unplaced = len(pending)
			for _, g := range s.cloud.groups {
				if count := len(g.nodes); count > 0 {
					s.result.Count[g.Name] = count
					s.result.PerHour += float64(count) * g.PerHour
				}
			}
			return nil
		}
		if s.result.Raises++; s.result.Raises > maxRaises {
			return fmt.Errorf("no end after %d raises", maxRaises)
		}
	}
	return ctx.Err()
}

// defaults are the defaults of the core's flags that matter here.
func defaults() config.AutoscalingOptions {
	return config.AutoscalingOptions{
		EstimatorName:                  estimator.BinpackingEstimatorName,
		MaxNodesPerScaleUp:             1000,
		MaxNodeGroupBinpackingDuration: 10 * time.Second,
		MaxBinpackingTime:              5 * time.Minute,
		PredicateParallelism:           1, // mixes run side by side
		ClusterSnapshotParallelism:     1,
		NodeGroupDefaults:              config.NodeGroupAutoscalingOptions{MaxNodeProvisionTime: 15 * time.Minute},
		ExpendablePodsPriorityCutoff:   -10,
	}
}

func newScaler(ctx context.Context, m *mix.Mix, expanderName string) (*scaler, error) {
	s := &scaler{mix: m, cloud: newCloud(m), templates: map[string]*framework.NodeInfo{}, result: &Result{Count: map[string]int{}}}
	options := defaults()
	volumes := volumeClaims(m.Pods)
	options.CSINodeAwareSchedulingEnabled = len(volumes) > 0
	options.DynamicResourceAllocationEnabled = slices.ContainsFunc(m.Pods, func(pod *corev1.Pod) bool { return mix.Devices(pod) > 0 })
	client := fake.NewClientset(volumes...)
	factory := informers.NewSharedInformerFactory(client, 0)
	handle, err := framework.NewHandle(ctx, factory, nil, options.DynamicResourceAllocationEnabled, options.CSINodeAwareSchedulingEnabled)
	if err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	s.snapshot = predicate.NewPredicateSnapshot(store.NewDeltaSnapshotStore(options.ClusterSnapshotParallelism), handle,
		options.DynamicResourceAllocationEnabled, options.PredicateParallelism, options.CSINodeAwareSchedulingEnabled)
	strategy, err := newStrategy(expanderName, s.cloud, s.snapshot.DraSnapshot)
	if err != nil {
		return nil, err
	}
	s.strategy = &timed{Strategy: strategy}
	recorder := &record.FakeRecorder{} // without a channel events are dropped
	log, err := utils.NewStatusMapRecorder(client, "kube-system", recorder, false, "status")
	if err != nil {
		return nil, err
	}
	s.processors = caprocessors.DefaultProcessors(options)
	s.processors.NodeGroupSetProcessor = &nodegroupset.BalancingNodeGroupSetProcessor{
		Comparator: nodegroupset.CreateAwsNodeInfoComparator(nil, config.NodeGroupDifferenceRatios{}),
	}
	// The default list but for the pods of nodes being drained, of which there are none.
	list := []pods.PodListProcessor{
		podlistprocessor.NewFilterOutExpendablePodListProcessor(),
		podlistprocessor.NewFilterOutSchedulablePodListProcessor(scheduling.ScheduleAnywhere),
		podlistprocessor.NewFilterOutDaemonSetPodListProcessor(),
	}
	s.orchestrator = orchestrator.New()
	s.processors.PodListProcessor = pods.NewCombinedPodListProcessor(list)
	if !slices.Contains(Stock, expanderName) {
		asked := plan.New(clock.RealClock{})
		s.processors.PodListProcessor = &podlist.FreeRoom{Core: s.processors.PodListProcessor, Plan: asked, GroupOf: s.cloud.groupOf}
		options := scaleup.Options{Core: s.orchestrator, Most: 1, Plan: asked, Clock: clock.RealClock{}}
		if c, ok := strategy.(*chain); ok {
			options.Planner, _ = c.filter.(scaleup.Planner)
		}
		s.orchestrator = scaleup.New(options)
	}
	s.ctx = &cacontext.AutoscalingContext{
		AutoscalingOptions: options,
		AutoscalingKubeClients: cacontext.AutoscalingKubeClients{
			ClientSet: client, Recorder: recorder, LogRecorder: log,
			ListerRegistry: kubeutil.NewListerRegistryWithDefaultListers(factory),
		},
		CloudProvider: s.cloud, FrameworkHandle: handle, ClusterSnapshot: s.snapshot, ExpanderStrategy: s.strategy,
		DebuggingSnapshotter: debuggingsnapshot.NewDebuggingSnapshotter(false),
	}
	s.registry = clusterstate.NewClusterStateRegistry(s.cloud, clusterstate.ClusterStateRegistryConfig{MaxTotalUnreadyPercentage: 45},
		log, backoff.NewIdBasedExponentialBackoff(time.Minute, time.Hour, time.Hour), s.processors.NodeGroupConfigProcessor,
		s.processors.AsyncNodeGroupStateChecker)
	s.ctx.ClusterStateRegistry = s.registry
	s.processors.ScaleStateNotifier.Register(s.registry)
	return s, s.initialize(options)
}

func (s *scaler) initialize(options config.AutoscalingOptions) error {
	for _, g := range s.cloud.groups {
		info, aErr := simulator.SanitizedTemplateNodeInfoFromNodeGroup(g, nil, taints.TaintConfig{})
		if aErr != nil {
			return aErr
		}
		s.templates[g.Name] = s.withDaemons(info)
	}
	builder, err := estimator.NewEstimatorBuilder(options.EstimatorName, estimator.NewThresholdBasedEstimationLimiter(
		[]estimator.Threshold{
			estimator.NewStaticThreshold(options.MaxNodesPerScaleUp, options.MaxNodeGroupBinpackingDuration),
			estimator.NewSngCapacityThreshold(), estimator.NewClusterCapacityThreshold(),
		}), estimator.NewDecreasingPodOrderer(), nil, options.FastpathBinpackingEnabled)
	if err != nil {
		return err
	}
	s.orchestrator.Initialize(s.ctx, s.processors, s.registry, builder, taints.TaintConfig{},
		resourcequotas.NewTrackerFactory(resourcequotas.TrackerOptions{
			QuotaProvider:            resourcequotas.NewCloudQuotasProvider(s.cloud),
			CustomResourcesProcessor: s.processors.CustomResourcesProcessor,
		}))
	return nil
}

// withDaemons is a template with the pods that run on every node of its kind.
func (s *scaler) withDaemons(info *framework.NodeInfo) *framework.NodeInfo {
	pods := info.Pods()
	for _, pod := range mix.Tolerated(s.mix.DaemonSets, info.Node()) {
		daemon := pod.DeepCopy()
		daemon.OwnerReferences[0].Kind = "DaemonSet"
		daemon.Spec.NodeName = info.Node().Name
		pods = append(pods, framework.NewPodInfo(daemon, nil))
	}
	return framework.NewNodeInfo(info.Node(), info.LocalResourceSlices, pods...).SetCSINode(info.CSINode)
}

// pending rebuilds the cluster snapshot with the pods that have a place in it, and returns the others.
func (s *scaler) pending() ([]*corev1.Pod, error) {
	if err := s.snapshot.SetClusterState(nil, nil, deviceClaims(s.mix.Pods), nil); err != nil {
		return nil, err
	}
	for _, g := range s.cloud.groups {
		for i, node := range g.nodes {
			fresh, err := simulator.SanitizedNodeInfo(s.templates[g.Name], fmt.Sprint(i))
			if err != nil {
				return nil, err
			}
			if err := s.snapshot.AddNodeInfo(g.info(node, fresh.Pods()...)); err != nil {
				return nil, err
			}
		}
	}
	return s.processors.PodListProcessor.Process(s.ctx, slices.Clone(s.mix.Pods))
}

// scaleUp has the core scale up once, and reports whether it did.
func (s *scaler) scaleUp(pending []*corev1.Pod) (bool, error) {
	var nodes []*corev1.Node
	for _, g := range s.cloud.groups {
		nodes = append(nodes, g.nodes...)
	}
	if err := s.registry.UpdateNodes(nodes, s.templates, time.Now()); err != nil {
		return false, err
	}
	infos := make(map[string]*framework.NodeInfo, len(s.templates))
	for id, info := range s.templates {
		infos[id] = info
	}
	result, aErr := s.orchestrator.ScaleUp(pending, nodes, []*appsv1.DaemonSet{}, infos, false)
	if aErr != nil {
		return false, aErr
	}
	return result.Result == status.ScaleUpSuccessful, nil
}

// timed measures the time of an expander.
type timed struct {
	expander.Strategy
	longest time.Duration
}

func (t *timed) BestOption(options []expander.Option, infos map[string]*framework.NodeInfo) *expander.Option {
	start := time.Now()
	defer func() { t.longest = max(t.longest, time.Since(start)) }()
	return t.Strategy.BestOption(options, infos)
}
