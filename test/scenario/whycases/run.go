package whycases

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/config/flags"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/core/podlistprocessor"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates/emptycandidates"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates/previouscandidates"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas/capacityquota"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	simulator "k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	kubelisters "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/units"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	ctrlfake "sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/decisions"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/readiness"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaleup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/status"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// loopInterval is the time between two loops of a case. A pause after a failed call is longer.
const loopInterval = time.Second

// Run runs the autoscaler's loops over the case.
func (c *Case) Run(t testing.TB) Outcome {
	t.Helper()
	a := c.start(t)
	for range max(a.faults.Loops, 1) {
		a.loop(t)
	}
	return a.outcome(t, c)
}

// start makes the autoscaler over the account and the cluster of the case.
func (c *Case) start(t testing.TB) *autoscaler {
	now := time.Now()
	given, name, caps := parse(t, c.Flags())
	discovery, err := ownership.ParseDiscovery(given.NodeGroups, nil)
	require.NoError(t, err)
	faults, err := c.faults()
	require.NoError(t, err)
	account, err := fakeaws.ParseConfig(c.Files[AccountFile])
	require.NoError(t, err)
	w := awsworld.NewAWS(t, func(cfg *fakeaws.Config) {
		account.Region, account.Delays = cfg.Region, cfg.Delays
		account.Delays.Synchronous = fakeaws.Duration(20 * time.Millisecond)
		*cfg = account
	})
	for _, name := range faults.Deleted {
		require.NoError(t, w.AWS.DeleteLaunchTemplate(name))
	}
	for _, f := range faults.Early {
		w.AWS.Inject(f)
	}
	kept := decision.New(decision.Process{Cluster: name, Region: w.AWS.Region(), Started: now, Leader: true, Expander: given.ExpanderNames, Flags: c.Flags()}, clock.RealClock{})
	collector := decisions.New(decisions.Config{Record: kept, Core: given, Clock: clock.RealClock{}, ScaleDown: true})
	w = w.RestartedWith(func(o *asg.Options, p *aws.Options) {
		if len(given.NodeGroups) > 0 {
			o.Discovery = discovery
		}
		o.LaunchMode, o.Cluster, o.Launched, o.Read = asg.LaunchAuto, name, collector.Launched, collector.Read
		p.SpendCaps = caps
		p.Limiter, p.Problem = cacontext.NewResourceLimiterFromAutoscalingOptions(given), collector.Problem
	})
	collector.Provider, collector.Cluster = w.Provider, func() string { return name }
	k := c.cluster(t, now, w)
	w.Cluster.Put(t, k.nodes...)
	w.Reread()
	for _, f := range faults.Faults {
		w.AWS.Inject(f)
	}
	for _, s := range faults.Shortages {
		w.AWS.AddShortage(s)
	}
	a := newAutoscaler(t, w, collector, k)
	a.world, a.faults, a.next = w, faults, now
	return a
}

// loop runs one loop, and waits for what AWS answers.
func (a *autoscaler) loop(t testing.TB) {
	a.collector.Begin("start", a.next)
	if err := a.RunOnce(a.next); err != nil {
		t.Logf("loop: %v", err)
	}
	a.collector.End()
	a.unhelped.Publish()
	require.NoError(t, a.world.AwaitIncreases(t.Context()))
	a.next = a.next.Add(loopInterval)
}

// parse returns the options that the flags stand for, and the values of --asg-cluster-name and --asg-max-hourly-cost. The core parses its flags once in a process, so
// that the ones of the cases are bound to its defaults here.
func parse(t testing.TB, args []string) (config.AutoscalingOptions, string, []decision.SpendCap) {
	given := flags.AutoscalingOptions()
	(&options.AWS{}).FillUnset(pflag.NewFlagSet("", pflag.ContinueOnError), &given)
	fs := pflag.NewFlagSet("flags that a case may have", pflag.ContinueOnError)
	cluster := fs.String("asg-cluster-name", "", "")
	spend := fs.StringArray(aws.SpendCapFlag, nil, "")
	fs.StringArrayVar(&given.NodeGroups, "nodes", nil, "")
	fs.IntVar(&given.MaxNodesTotal, "max-nodes-total", given.MaxNodesTotal, "")
	fs.IntVar(&given.OkTotalUnreadyCount, "ok-total-unready-count", given.OkTotalUnreadyCount, "")
	fs.Float64Var(&given.MaxTotalUnreadyPercentage, "max-total-unready-percentage", given.MaxTotalUnreadyPercentage, "")
	fs.DurationVar(&given.NewPodScaleUpDelay, "new-pod-scale-up-delay", given.NewPodScaleUpDelay, "")
	fs.DurationVar(&given.NodeGroupDefaults.ScaleDownUnneededTime, "scale-down-unneeded-time", given.NodeGroupDefaults.ScaleDownUnneededTime, "")
	fs.BoolVar(&given.CapacityQuotasEnabled, "capacity-quotas-enabled", given.CapacityQuotasEnabled, "")
	fs.BoolVar(&given.DynamicResourceAllocationEnabled, "enable-dynamic-resource-allocation", given.DynamicResourceAllocationEnabled, "")
	fs.BoolVar(&given.ForceDaemonSets, "force-ds", given.ForceDaemonSets, "")
	cores, memory, gpus := fs.String("cores-total", "", ""), fs.String("memory-total", "", ""), fs.String("gpu-total", "", "")
	require.NoError(t, fs.Parse(args))
	if *cores != "" {
		scan(t, *cores, "%d:%d", &given.MinCoresTotal, &given.MaxCoresTotal)
	}
	if *memory != "" {
		scan(t, *memory, "%d:%d", &given.MinMemoryTotal, &given.MaxMemoryTotal)
		given.MinMemoryTotal, given.MaxMemoryTotal = given.MinMemoryTotal*units.GiB, given.MaxMemoryTotal*units.GiB
	}
	if kind, limits, ok := strings.Cut(*gpus, ":"); ok {
		limit := config.GpuLimits{GpuType: kind}
		scan(t, limits, "%d:%d", &limit.Min, &limit.Max)
		given.GpuTotal = append(given.GpuTotal, limit)
	}
	caps, err := aws.ParseSpendCaps(*spend)
	require.NoError(t, err)
	return given, *cluster, caps
}

func scan(t testing.TB, text, format string, into ...any) {
	_, err := fmt.Sscanf(text, format, into...)
	require.NoErrorf(t, err, "%q", text)
}

// autoscaler is the core's loop with the adapters that the causes come from.
type autoscaler struct {
	core.Autoscaler
	collector *decisions.Collector
	unhelped  *status.Unhelped
	recorder  *record.FakeRecorder
	world     *awsworld.World
	faults    Faults
	next      time.Time // of the next loop
}

// newAutoscaler makes the autoscaler of a case.
func newAutoscaler(t testing.TB, w *awsworld.World, collector *decisions.Collector, k cluster) *autoscaler {
	given := collector.Core
	client := fake.NewClientset(k.objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	handle, err := framework.NewHandle(t.Context(), factory, given.SchedulerConfig, true, given.CSINodeAwareSchedulingEnabled)
	require.NoError(t, err)
	recorder := record.NewFakeRecorder(1000)
	log, err := utils.NewStatusMapRecorder(client, given.ConfigNamespace, recorder, false, given.StatusConfigMapName)
	require.NoError(t, err)
	volumes := podzone.Volumes{Claims: factory.Core().V1().PersistentVolumeClaims().Lister(),
		Volumes: factory.Core().V1().PersistentVolumes().Lister(), Classes: factory.Storage().V1().StorageClasses().Lister()}
	zoneIDs := nodeinfos.NewZoneIDs(w.Provider)
	oneZone := &podlist.OneZone{Provider: w.Provider, ZoneName: zoneIDs.Name, Volumes: volumes}
	collector.Nodes, collector.Need = factory.Core().V1().Nodes().Lister(), oneZone.Need
	launchable := &nodegroups.Launchable{Provider: w.Provider}
	processors := caprocessors.DefaultProcessors(given)
	processors.TemplateNodeInfoProvider = nodeinfos.New(w.Provider, zoneIDs, given.NodeInfoCacheExpireTime, given.ForceDaemonSets)
	processors.PodListProcessor = pods.NewCombinedPodListProcessor([]pods.PodListProcessor{decisions.Pending{Collector: collector}, oneZone,
		podlistprocessor.NewDefaultPodListProcessor(scheduling.ScheduleAnywhere), decisions.ToHelp{Collector: collector}})
	processors.NodeGroupListProcessor = launchable
	processors.CustomResourcesProcessor = readiness.NewStartingNodes(w.Provider, w.Events.Add, processors.CustomResourcesProcessor, clock.RealClock{})
	alone := func(s *corestatus.ScaleUpStatus) []*corestatus.ScaleUpStatus { return []*corestatus.ScaleUpStatus{s} }
	unhelped := status.NewUnhelped(status.Unhelped{Core: processors.ScaleUpStatusProcessor, Raises: alone, Report: collector.Record.Report,
		Recorder: recorder, Clock: clock.RealClock{}})
	processors.ScaleUpStatusProcessor = corestatus.NewCombinedScaleUpStatusProcessor([]corestatus.ScaleUpStatusProcessor{
		unhelped, decisions.ScaleUp{Collector: collector, Raises: alone}})
	processors.AutoscalingStatusProcessor = decisions.Health{AutoscalingStatusProcessor: processors.AutoscalingStatusProcessor, Collector: collector}
	deletions := simulator.NewNodeDeleteOptions(given)
	drainRules, clusterSnapshot := scaledown.Rules(deletions, clock.RealClock{}), snapshot.New(given, handle)
	follows, err := factory.Core().V1().Pods().Informer().AddEventHandler(scaledown.Ignored(recorder))
	require.NoError(t, err)
	fresh := scaledown.NewFreshCandidates(w.Provider, processors.NodeGroupConfigProcessor, clock.RealClock{}, sorted(processors, clusterSnapshot, deletions, drainRules))
	processors.ScaleDownNodeProcessor, collector.Kept = fresh, fresh.Kept
	removals := scaledown.NewRemovals(scaledown.Options{Core: processors.ScaleDownSetProcessor, Report: decisions.ScaleDown{Collector: collector},
		Provider: w.Provider, Clock: clock.RealClock{}})
	processors.ScaleDownSetProcessor, processors.ScaleDownStatusProcessor = removals, removals
	processors.ScaleDownCandidatesNotifier.Register(collector.Unneeded)
	quotas := ctrlfake.NewClientBuilder().WithScheme(kinds).WithObjects(k.quotas...).Build()
	made, coreErr := core.NewAutoscaler(t.Context(), coreoptions.AutoscalerOptions{
		AutoscalingOptions: snapshot.ForDeletions(given), FrameworkHandle: handle, ClusterSnapshot: clusterSnapshot,
		DebuggingSnapshotter: debuggingsnapshot.NewDebuggingSnapshotter(false), DeleteOptions: deletions, DrainabilityRules: drainRules,
		KubeClient: client, InformerFactory: factory, CloudProvider: w.Provider, Processors: processors,
		ScaleUpOrchestrator: scaleup.New(scaleup.Options{Core: orchestrator.New(), Complete: launchable.AddLeftOut, Clock: clock.RealClock{}}),
		Backoff:             collector.NewBackoff(nodegroups.NewPauses(given.InitialNodeGroupBackoffDuration, given.MaxNodeGroupBackoffDuration, given.NodeGroupBackoffResetTimeout)),
		QuotasTrackerOptions: resourcequotas.TrackerOptions{QuotaProvider: resourcequotas.NewCombinedQuotasProvider([]resourcequotas.Provider{
			resourcequotas.NewCloudQuotasProvider(w.Provider), capacityquota.NewCapacityQuotasProvider(quotas)})},
		AutoscalingKubeClients: &cacontext.AutoscalingKubeClients{ListerRegistry: kubelisters.NewListerRegistryWithDefaultListers(factory),
			ClientSet: client, Recorder: recorder, LogRecorder: log},
	}, factory)
	require.NoError(t, coreErr)
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	cache.WaitForCacheSync(t.Context().Done(), follows.HasSynced)
	return &autoscaler{Autoscaler: made, collector: collector, unhelped: unhelped, recorder: recorder}
}

// sorted are the candidates for removal, empty ones first.
func sorted(processors *caprocessors.AutoscalingProcessors, s clustersnapshot.ClusterSnapshot, deletions simulator.NodeDeleteOptions, drainRules rules.Rules) nodes.ScaleDownNodeProcessor {
	previous := previouscandidates.NewPreviousCandidates()
	processors.ScaleDownCandidatesNotifier.Register(previous)
	candidates := scaledowncandidates.NewCombinedScaleDownCandidatesProcessor()
	candidates.Register(scaledowncandidates.NewScaleDownCandidatesSortingProcessor([]scaledowncandidates.CandidatesComparer{
		emptycandidates.NewEmptySortingProcessor(emptycandidates.NewNodeInfoGetter(s), deletions, drainRules), previous}))
	return candidates
}
