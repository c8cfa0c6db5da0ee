package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	cqv1alpha1 "k8s.io/autoscaler/cluster-autoscaler/apis/capacityquota/autoscaling.x-k8s.io/v1alpha1"
	ca_context "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	simulator "k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/client-go/informers"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/backoff"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/loop"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/served"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
)

// assembly is the core with all it stands on, ready to start.
type assembly struct {
	autoscaler core.Autoscaler
	trigger    *loop.Trigger
	cloud      *cloud
	manager    manager.Manager // keeps the cache of the core's own resource kinds
	informers  informers.SharedInformerFactory
	*interruptions
}

// assemble builds the core. It returns when all caches are filled, so that the first loop sees the whole cluster. What it
// starts lives until working ends; waiting ends with ctx.
func (p *process) assemble(ctx, working context.Context) (*assembly, error) {
	client, err := kubeClient(p.kube)
	if err != nil {
		return nil, err
	}
	served.SwitchOff(ctx, client.Discovery().RESTClient(), &p.core)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithTransform(cache.TransformStripManagedFields()))
	// The scheduler's plugin for resource claims cannot be left out. Where the API is switched off it finds no claim, so that a pod
	// which has one fits nowhere.
	handle, err := framework.NewHandle(working, factory, p.core.SchedulerConfig, true, p.core.CSINodeAwareSchedulingEnabled)
	if err != nil {
		return nil, fmt.Errorf("scheduler framework: %w", err)
	}
	clients := ca_context.NewAutoscalingKubeClients(working, p.core, client, factory)
	nodes, daemonSets := factory.Core().V1().Nodes(), factory.Apps().V1().DaemonSets().Lister()
	volumes := podzone.Volumes{Claims: factory.Core().V1().PersistentVolumeClaims().Lister(),
		Volumes: factory.Core().V1().PersistentVolumes().Lister(), Classes: factory.Storage().V1().StorageClasses().Lister()}
	factory.Start(working.Done()) // the caches fill while AWS is asked
	cloud, err := newCloud(ctx, working, p.core, p.options.AWS, nodes, daemonSets, volumes, clients.LogRecorder.Event)
	if err != nil {
		return nil, fmt.Errorf("cloud provider %q: %w", p.core.CloudProviderName, err)
	}
	opts := p.coreOptions(handle)
	strategy, err := expander.New(p.expanders, expander.Config{
		Provider: cloud.provider, Costs: cloud.costs, LeastCost: cloud.leastCost, Event: clients.LogRecorder.Event,
		Devices: opts.ClusterSnapshot.DraSnapshot, GroupName: cloud.groupName, Interrupted: cloud.interrupted,
		Clients: clients, KubeClient: client,
		Namespace: p.core.ConfigNamespace, GRPCCert: p.core.GRPCExpanderCert, GRPCURL: p.core.GRPCExpanderURL,
	})
	if err != nil {
		return nil, fmt.Errorf("--expander=%s: %w", p.core.ExpanderNames, err)
	}
	manager, err := newManager(p.kube)
	if err != nil {
		return nil, err
	}
	opts.KubeClient = client
	opts.KubeClientNew = manager.GetClient()
	opts.KubeCache = manager.GetCache()
	opts.InformerFactory = factory
	opts.AutoscalingKubeClients = clients
	opts.CloudProvider = cloud.provider
	opts.NodeDeletionBatcherInterval = 0 // the provider gathers instead: unlike the core, it can tell which of a batch failed
	opts.ExpanderStrategy = strategy
	requests, err := p.addProcessors(ctx, working, &opts, cloud)
	if err != nil {
		return nil, err
	}
	interruptions, err := p.addInterruptions(&opts, cloud)
	if err != nil {
		return nil, err
	}
	return p.start(ctx, working, opts, &assembly{cloud: cloud, manager: manager, informers: factory, interruptions: interruptions}, requests)
}

// start makes the core and the trigger of its loops, and fills the caches.
func (p *process) start(ctx, working context.Context, opts coreoptions.AutoscalerOptions, a *assembly,
	requests *loop.ProductiveLoop) (*assembly, error) {
	metrics.UpdateCPULimitsCores(p.core.MinCoresTotal, p.core.MaxCoresTotal)
	metrics.UpdateMemoryLimitsBytes(p.core.MinMemoryTotal, p.core.MaxMemoryTotal)
	metrics.InitMetrics()
	autoscaler, coreErr := core.NewAutoscaler(working, opts, a.informers)
	if coreErr != nil {
		return nil, fmt.Errorf("core: %w", coreErr)
	}
	a.autoscaler = autoscaler
	a.trigger = p.newTrigger(a, requests)
	if _, err := a.informers.Core().V1().Pods().Informer().AddEventHandler(a.trigger.PodHandler()); err != nil {
		return nil, fmt.Errorf("watch unschedulable pods: %w", err)
	}
	if _, err := a.informers.Core().V1().PersistentVolumeClaims().Informer().AddEventHandler(a.trigger.ClaimHandler()); err != nil {
		return nil, fmt.Errorf("watch claims of volumes: %w", err)
	}
	a.informers.Start(working.Done())
	if err := p.awaitCaches(ctx, a.informers); err != nil {
		return nil, err
	}
	klog.FromContext(ctx).V(2).Info("Filled the caches")
	return a, nil
}

// cachesInterval is how often a leader says which caches it waits for.
const cachesInterval = 20 * time.Second

// awaitCaches waits for the caches of the informers. Until then the log and /readyz name the empty ones.
func (p *process) awaitCaches(ctx context.Context, factory served.Informers) error {
	return served.Await(ctx, factory, cachesInterval, func(kinds string) { p.ready.await("the caches of " + kinds) })
}

// coreOptions are the parts of the core that do not depend on AWS or on the API server.
func (p *process) coreOptions(handle *framework.Handle) coreoptions.AutoscalerOptions {
	deleteOptions := simulator.NewNodeDeleteOptions(p.core)
	return coreoptions.AutoscalerOptions{
		AutoscalingOptions:   snapshot.ForDeletions(p.core),
		FrameworkHandle:      handle,
		ClusterSnapshot:      snapshot.New(p.core, handle),
		DebuggingSnapshotter: p.snapshotter,
		DeleteOptions:        deleteOptions,
		DrainabilityRules:    rules.Default(deleteOptions),
		ScaleUpOrchestrator:  orchestrator.New(),
		Backoff: backoff.New(p.core.InitialNodeGroupBackoffDuration, p.core.MaxNodeGroupBackoffDuration,
			p.core.NodeGroupBackoffResetTimeout),
	}
}

// newTrigger makes the trigger of the core's loops. requests tells when provisioning requests were worked on; nil without.
func (p *process) newTrigger(a *assembly, requests *loop.ProductiveLoop) *loop.Trigger {
	productive := []loop.ProductiveLoop{
		{Reason: "scale-up", Last: a.autoscaler.LastScaleUpTime},
		{Reason: "scale-down", Last: a.autoscaler.LastScaleDownDeleteTime},
	}
	if requests != nil {
		productive = append(productive, *requests)
	}
	return loop.New(loop.Config{
		ScanInterval: p.core.ScanInterval,
		SettleTime:   p.options.AWS.PodSettleTime,
		SettleLimit:  p.options.AWS.PodSettleLimit,
		PodDelay:     p.core.NewPodScaleUpDelay,
		Tick:         !p.core.FrequentLoopsEnabled,
		Changed:      a.cloud.changed,
		Interrupted:  a.wake,
		Productive:   productive,
	}, clock.RealClock{})
}

// newManager makes the controller manager that the core reads capacity quotas through. It serves nothing: endpoints and
// lease are ours.
func newManager(kube *rest.Config) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, cqv1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("resource kinds: %w", err)
		}
	}
	m, err := ctrl.NewManager(kube, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		PprofBindAddress:        "0",
		GracefulShutdownTimeout: ptr.To(backgroundEndLimit - 200*time.Millisecond),
	})
	if err != nil {
		return nil, fmt.Errorf("controller manager: %w", err)
	}
	return m, nil
}
