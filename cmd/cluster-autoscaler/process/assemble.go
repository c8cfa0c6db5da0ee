package process

import (
	"context"
	"embed"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	cqv1alpha1 "k8s.io/autoscaler/cluster-autoscaler/apis/capacityquota/autoscaling.x-k8s.io/v1alpha1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/pdb"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	csinodeprovider "k8s.io/autoscaler/cluster-autoscaler/simulator/csi/provider"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	simulator "k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	kube_util "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	kubeinformers "k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	kubecache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/loop"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/shadow"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/status"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/dryrun"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/informers"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
)

// assembly is the core with everything it stands on, ready to start.
type assembly struct {
	autoscaler core.Autoscaler
	trigger    *loop.Trigger
	cloud      *cloud
	expanders  *expander.Chain
	manager    manager.Manager // keeps the cache of the core's own resource kinds
	informers  kubeinformers.SharedInformerFactory
	handler    *interruption.Handler
	wake       <-chan struct{} // a loop is wanted now, for an interruption
	plan       *plan.Plan
	recorder   record.EventRecorder // drops no second event on a pod or a node
	events     *status.Events       // about the status ConfigMap
	volumes    podzone.Volumes
	draining   *podlist.Draining
	reaction   *status.Reaction
	shadow     *shadow.Shadow                // nil where the process leads
	moves      *scaledown.Moves              // nil if nothing is changed
	beside     []func(context.Context) error // what runs beside the loops, each until its context ends
	features

	// Process.wire makes these adapters, which work beside the core's loops, too.
	unhelped  *status.Unhelped // publishes the causes of the last loop
	unneeded  *scaledown.UnneededTimes
	ending    *podlist.Ending
	ignored   kubecache.ResourceEventHandler // of the annotations of pods and nodes
	requested *scaledown.Requests            // publishes why nodes stay that were asked to go
}

// assemble builds the core. It returns when all caches are filled, so that the first loop sees the whole cluster. Parts that it
// starts live until working ends. Waiting ends with ctx.
func (p *Process) assemble(ctx, working context.Context) (*assembly, error) {
	client, err := kubernetes.NewForConfig(p.kube)
	if err != nil {
		return nil, err
	}
	reads := client.Discovery().RESTClient()
	off, served := informers.SwitchOff(ctx, reads, &p.core)
	p.off = off
	p.core.ProvisioningRequestEnabled = p.core.ProvisioningRequestEnabled || p.requests // a shadow reads none
	p.decisions = p.newDecisions()
	factory := informers.New(client, informers.Trim)
	informers.DoWithoutAttachments(ctx, reads, factory)
	// The scheduler's plugin for resource claims cannot be left out. Where the API is switched off it finds no claim, so that a pod
	// with a claim fits nowhere.
	handle, err := framework.NewHandle(working, factory, p.core.SchedulerConfig, true, p.core.CSINodeAwareSchedulingEnabled)
	if err != nil {
		return nil, fmt.Errorf("scheduler framework: %w", err)
	}
	opts := p.coreOptions(handle)
	opts.KubeClient, opts.InformerFactory = client, factory
	if p.core.CSINodeAwareSchedulingEnabled {
		opts.CSIProvider = csinodeprovider.NewCSINodeProviderFromInformers(factory)
	}
	clients, events := p.kubeClients(working, client, factory)
	opts.AutoscalingKubeClients = clients
	reaction := status.NewReaction(p.measure(), clock.RealClock{})
	_, _ = factory.Core().V1().Pods().Informer().AddEventHandler(reaction.PodHandler()) // which fails only at the end of the process
	volumes := podzone.Volumes{Claims: factory.Core().V1().PersistentVolumeClaims().Lister(),
		Volumes: factory.Core().V1().PersistentVolumes().Lister(), Classes: factory.Storage().V1().StorageClasses().Lister()}
	a, err := p.askAWS(ctx, working, opts)
	if err != nil {
		return nil, err
	}
	a.cloud.provider.Services = factory.Core().V1().Services().Lister()
	if n := p.newNominations(opts, a.cloud.provider, volumes, a.plan, func() { a.trigger.PodLostPlace() }); n != nil {
		a.beside = append(a.beside, n.Run)
	}
	opts.CloudProvider, opts.ExpanderStrategy = a.cloud.provider, a.expanders
	if a.manager, err = newManager(p.kube); err != nil {
		return nil, err
	}
	opts.KubeClientNew, opts.KubeCache = a.manager.GetClient(), a.manager.GetCache()
	a.beside = append(a.beside, a.manager.Start, served)
	if a.features, err = p.newFeatures(ctx, working, client, factory); err != nil {
		return nil, err
	}
	if a.buffers.Buffers != nil {
		a.beside = append(a.beside, a.buffers.Run)
	}
	a.events, a.volumes, a.draining, a.reaction = events, volumes, &podlist.Draining{Drains: a.handler}, reaction
	a.shadow, a.moves = p.newShadow(a.cloud.provider, factory), p.newMoves(working, client, a)
	p.wire(&opts, a)
	return p.start(ctx, working, opts, a)
}

// kubeClients makes the core's clients, and the recorder of events about the status ConfigMap. It writes the first status. The
// core of a plugin writes its own.
func (p *Process) kubeClients(working context.Context, client kubernetes.Interface,
	factory kubeinformers.SharedInformerFactory) (*cacontext.AutoscalingKubeClients, *status.Events) {
	core := p.core
	core.WriteStatusConfigMap = false // the core would make a recorder of its own
	clients := cacontext.NewAutoscalingKubeClients(working, core, client, factory)
	clients.ListerRegistry = scaledown.Listers{ListerRegistry: clients.ListerRegistry}
	events := &status.Events{EventRecorder: clients.Recorder}
	if !core.RecordDuplicatedEvents {
		events.EventRecorder = statusRecorder(working, client)
	}
	writes, namespace, name := p.core.WriteStatusConfigMap, core.ConfigNamespace, core.StatusConfigMapName
	// Events need the ConfigMap's name alone, and the core's recorder would record none after a failed write. So it writes to an API server that has
	// no objects and takes every write, and always succeeds.
	pretended := dryrun.New(func(error) {}).Kube(dryrun.Recording{Files: embed.FS{}}.Kube())
	pretended.Host = p.kube.Host // for the metrics of the calls
	clients.LogRecorder, _ = utils.NewStatusMapRecorder(kubernetes.NewForConfigOrDie(pretended), namespace, events, writes, name)
	if writes && p.options.AWS.PluginAddress == "" {
		first := *utils.EmptyClusterAutoscalerStatus()
		_, _ = utils.WriteStatusConfigMap(client, namespace, first, clients.LogRecorder, name, time.Now()) // it logs its error
	}
	return clients, events
}

// statusRecorder records events about the status ConfigMap, each text once in five minutes. The core's recorder does so for the ConfigMap
// cluster-autoscaler-status in kube-system alone. Elsewhere it drops the second event of a reason, such as the problem of another group.
// No two texts are joined: client-go's default would show nine problems and the last one.
func statusRecorder(working context.Context, client kubernetes.Interface) record.EventRecorder {
	broadcaster := record.NewBroadcasterWithCorrelatorOptions(record.CorrelatorOptions{
		QPS: 1. / 300, BurstSize: 1, LRUCacheSize: 8192, // the core's
		SpamKeyFunc: func(e *corev1.Event) string { return e.Message },
		KeyFunc:     func(e *corev1.Event) (joined, text string) { return e.Message, "" },
	})
	context.AfterFunc(working, broadcaster.Shutdown)
	broadcaster.StartRecordingToSink(kube_util.WrapEventSinkWithLogging(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")}))
	return broadcaster.NewRecorder(clientgoscheme.Scheme, corev1.EventSource{Component: "cluster-autoscaler"})
}

// askAWS makes the parts that the built-in core and a plugin share. The caches fill while it asks AWS. Waiting ends with ctx.
func (p *Process) askAWS(ctx, working context.Context, opts coreoptions.AutoscalerOptions) (a *assembly, err error) {
	factory := opts.InformerFactory
	a = &assembly{informers: factory, plan: plan.New(clock.RealClock{}),
		recorder: kube_util.CreateEventRecorder(working, opts.KubeClient, true)}
	in := aws.Options{Nodes: factory.Core().V1().Nodes(), DaemonSets: factory.Apps().V1().DaemonSets().Lister(),
		Event: opts.AutoscalingKubeClients.LogRecorder.Event, Problem: p.decisions.Problem, Admission: lookup.Admission{AWSAuth: awsAuth(opts.KubeClient)}}
	factory.Start(working.Done())
	named, err := p.assumeGroups(ctx, factory, in.DaemonSets)
	if err != nil {
		return nil, err
	}
	if a.cloud, err = p.newCloud(ctx, working, in); err != nil {
		return nil, fmt.Errorf("cloud provider %q: %w", p.core.CloudProviderName, err)
	}
	a.beside = append(a.cloud.keep, named...)
	a.expanders = p.newExpander(opts, a.cloud.provider)
	a.handler, a.wake = p.newInterruptions(opts, a.cloud, a.recorder)
	p.follow(a, in)
	return a, nil
}

// newExpander builds the chain of --expander, of which least-cost may be a part. A plugin has no snapshot of the cluster.
func (p *Process) newExpander(opts coreoptions.AutoscalerOptions, provider *aws.Provider) *expander.Chain {
	var devices func() *drasnapshot.Snapshot
	preferences := leastcost.Preferences{Percent: p.options.AWS.PreferencePercent}
	if opts.ClusterSnapshot != nil {
		devices, preferences.Running = opts.ClusterSnapshot.DraSnapshot, opts.ClusterSnapshot.ListNodeInfos
	}
	penalty := func(nodeGroup string) leastcost.Penalty {
		penalty := leastcost.Penalty{Rank: provider.Rank(nodeGroup)}
		if reason, known := provider.RecentFailure(nodeGroup); known {
			penalty.Ratio, penalty.Reason = p.options.AWS.TroublePenalty, reason
		}
		return penalty
	}
	leastCost := leastcost.New(provider.Costs(), penalty, devices, p.options.AWS.PlanLimit, clock.RealClock{})
	leastCost.Preferences = preferences
	return expander.New(p.expanders, expander.Config{
		Provider: provider, Costs: provider.Costs(), LeastCost: leastCost,
		GroupName: provider.GroupName, Interrupted: provider.Interrupted, Rank: provider.Rank,
		Clients: opts.AutoscalingKubeClients, KubeClient: opts.KubeClient, Event: opts.AutoscalingKubeClients.LogRecorder.Event,
		Chose: p.decisions.Chose, Namespace: p.core.ConfigNamespace, GRPCCert: p.core.GRPCExpanderCert, GRPCURL: p.core.GRPCExpanderURL,
	})
}

// start makes the core and the trigger of its loops, and fills the caches.
func (p *Process) start(ctx, working context.Context, opts coreoptions.AutoscalerOptions, a *assembly) (*assembly, error) {
	metrics.UpdateCPULimitsCores(p.core.MinCoresTotal, p.core.MaxCoresTotal)
	metrics.UpdateMemoryLimitsBytes(p.core.MinMemoryTotal, p.core.MaxMemoryTotal)
	metrics.InitMetrics()
	if err := p.awaitCaches(ctx, a.informers); err != nil { // the core reads at once since when nodes are marked as candidates for removal
		return nil, err
	}
	autoscaler, coreErr := core.NewAutoscaler(working, opts, a.informers)
	if coreErr != nil {
		return nil, fmt.Errorf("core: %w", coreErr)
	}
	a.autoscaler = autoscaler
	a.trigger = p.newTrigger(a)
	p.watch(a)
	a.informers.Start(working.Done())
	if err := p.awaitCaches(ctx, a.informers); err != nil {
		return nil, err
	}
	log := klog.FromContext(ctx)
	log.V(2).Info("Filled the caches")
	if a.cloud.cache.Age() > freshForLoop {
		if err := a.cloud.cache.Refresh(ctx); err != nil {
			log.Error(err, "Could not read the Auto Scaling groups anew for the first loop, their first reading stays")
		}
	}
	nodes, _ := a.informers.Core().V1().Nodes().Lister().List(labels.Everything()) // the lister reads a cache
	a.requested.Removals.KeepCordons(nodes)
	return a, nil
}

// freshForLoop is the greatest age of the reading that the first loop decides on. The caches of a large cluster take longer to fill, and AWS may carry
// out a previous leader's last call meanwhile.
const freshForLoop = 2 * time.Second

// watch shows the trigger what happens in the cluster.
func (p *Process) watch(a *assembly) {
	kube, apps := a.informers.Core().V1(), a.informers.Apps().V1()
	pods, nodes := kube.Pods().Informer(), kube.Nodes().Informer()
	owners := []kubecache.SharedInformer{apps.ReplicaSets().Informer(), apps.StatefulSets().Informer(),
		a.informers.Batch().V1().Jobs().Informer()}
	watch := func(handler kubecache.ResourceEventHandler, all ...kubecache.SharedInformer) {
		for _, informer := range all {
			_, _ = informer.AddEventHandler(handler) // which fails only at the end of the process
		}
	}
	watch(a.trigger.PodHandler(), pods)
	watch(a.trigger.NodeHandler(), nodes)
	watch(a.trigger.OwnerHandler(), owners...)
	if p.options.ScaleDown {
		watch(a.trigger.EmptiedHandler(), pods)
		watch(a.ignored, pods, nodes)
	}
	if b := a.buffers.Buffers; b != nil {
		watch(b.Resized(a.trigger.PodLostPlace), b.Core.GetBufferInformer())
		watch(b.Scaled(), append(owners, apps.Deployments().Informer(), kube.ReplicationControllers().Informer())...)
	}
}

// firstReading is what a leader waits for after the caches.
const firstReading = "the first reading of the Auto Scaling groups and the cluster: see the log for what is in the way"

// cachesInterval is the time between two log lines about the caches that a leader waits for.
const cachesInterval = 20 * time.Second

// awaitCaches waits for the caches of the informers. Until then the log and /readyz name the empty ones.
func (p *Process) awaitCaches(ctx context.Context, factory informers.Started) error {
	return informers.Await(ctx, factory, cachesInterval, func(kinds string) { p.ready.await("the caches of " + kinds) })
}

// coreOptions are the parts of the core that depend neither on AWS nor on the API server.
func (p *Process) coreOptions(handle *framework.Handle) coreoptions.AutoscalerOptions {
	deleteOptions := simulator.NewNodeDeleteOptions(p.core)
	opts := coreoptions.AutoscalerOptions{
		AutoscalingOptions: snapshot.ForDeletions(p.core), FrameworkHandle: handle, ClusterSnapshot: snapshot.New(p.core, handle),
		DebuggingSnapshotter: p.snapshotter, DeleteOptions: deleteOptions, DrainabilityRules: scaledown.Rules(deleteOptions, clock.RealClock{}),
		RemainingPdbTracker: scaledown.Budgets{RemainingPdbTracker: pdb.NewBasicRemainingPdbTracker()},
	}
	opts.WriteStatusConfigMap = false    // status.Writer does
	opts.AllowedSchedulers = nil         // podlist.Allowed obeys the flag
	opts.NodeDeletionBatcherInterval = 0 // the provider gathers instead, because it knows which of a batch failed
	return opts
}

// newTrigger makes the trigger of the core's loops. A loop follows at once after one that scaled, and after the productive ones.
func (p *Process) newTrigger(a *assembly) *loop.Trigger {
	return loop.New(loop.Config{
		ScanInterval: p.core.ScanInterval, Tick: !p.core.FrequentLoopsEnabled, PodDelay: p.core.NewPodScaleUpDelay,
		SettleTime: p.options.AWS.PodSettleTime, SettleLimit: p.options.AWS.PodSettleLimit,
		Planned: a.plan.Has, PodsOn: a.podsOn, Coming: a.cloud.cache.ReadAhead, Changed: a.cloud.provider.Changed(), Interrupted: a.wake,
		Removal: func(ran time.Time) time.Time {
			return a.unneeded.Next(ran, a.autoscaler.LastScaleUpTime(), a.autoscaler.LastScaleDownDeleteTime())
		},
		Held: a.ending.Next,
		Productive: append([]loop.ProductiveLoop{
			{Reason: "scale-up", Last: a.autoscaler.LastScaleUpTime},
			{Reason: "scale-down", Last: a.autoscaler.LastScaleDownDeleteTime},
		}, a.requests.productive...),
	}, clock.RealClock{})
}

// podsOn returns the pods of a node. The handler has added the index.
func (a *assembly) podsOn(node string) []*corev1.Pod {
	return nodemeta.PodsOn(a.informers.Core().V1().Pods().Informer().GetIndexer(), node)
}

// newManager makes the controller manager through which the core reads capacity quotas. It serves nothing, because endpoints and
// lease are ours.
func newManager(kube *rest.Config) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(cqv1alpha1.AddToScheme(scheme))
	m, err := ctrl.NewManager(kube, ctrl.Options{
		Scheme: scheme, Cache: cache.Options{DefaultTransform: cache.TransformStripManagedFields()}, GracefulShutdownTimeout: ptr.To(managerEndLimit),
		Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0", PprofBindAddress: "0",
	})
	if err != nil {
		return nil, fmt.Errorf("controller manager: %w", err)
	}
	return m, nil
}
