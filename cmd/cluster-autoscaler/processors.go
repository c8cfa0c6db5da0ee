package main

import (
	"context"
	"fmt"
	"slices"

	cbv1beta1 "k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer"
	cbclient "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/client"
	cbctrl "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/controller"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/fakepods"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/core/podlistprocessor"
	ca_processors "k8s.io/autoscaler/cluster-autoscaler/processors"
	cbprocessor "k8s.io/autoscaler/cluster-autoscaler/processors/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	processor "k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/processors/podinjection"
	injectionbackoff "k8s.io/autoscaler/cluster-autoscaler/processors/podinjection/backoff"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates/emptycandidates"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates/previouscandidates"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/loop"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaleup"
)

// addProcessors fills in the core's extension points: as the stock autoscaler does for AWS, but with our own node templates
// and without the rests that the core gives to young pods. The result tells when provisioning requests were worked on; it
// is nil where they are not enabled.
func (p *process) addProcessors(ctx, working context.Context, opts *coreoptions.AutoscalerOptions,
	cloud *cloud) (*loop.ProductiveLoop, error) {
	opts.Processors = ca_processors.DefaultProcessors(p.core)
	opts.Processors.TemplateNodeInfoProvider = cloud.nodeInfos
	opts.Processors.NodeGroupListProcessor = cloud.groups
	opts.Processors.CustomResourcesProcessor = cloud.starting(opts.Processors.CustomResourcesProcessor)
	opts.Processors.NodeGroupSetProcessor = cloud.balancing(&nodegroupset.BalancingNodeGroupSetProcessor{Comparator: p.similarity(cloud)})
	opts.Processors.ScaleDownSetProcessor = cloud.minimum(opts.Processors.ScaleDownSetProcessor)

	opts.Processors.ScaleUpStatusProcessor = status.NewCombinedScaleUpStatusProcessor(
		[]status.ScaleUpStatusProcessor{opts.Processors.ScaleUpStatusProcessor, cloud.zoneEvents})

	podList := pods.NewCombinedPodListProcessor([]pods.PodListProcessor{cloud.zonal, cloud.places, cloud.zonalFirst,
		podlistprocessor.NewDefaultPodListProcessor(scheduling.ScheduleAnywhere)})
	var requests *loop.ProductiveLoop
	if p.core.ProvisioningRequestEnabled {
		var err error
		if requests, err = p.addProvisioningRequests(ctx, working, opts, podList); err != nil {
			return nil, fmt.Errorf("provisioning requests: %w", err)
		}
	}
	podList = p.addCapacityBuffers(working, opts, podList)
	opts.Processors.PodListProcessor = p.addPodInjection(opts, podList)
	p.addScaleDownCandidates(opts)
	opts.Processors.ScaleDownNodeProcessor = p.removable(cloud.fresh(opts.Processors.ScaleDownNodeProcessor))
	noDelay := scaleup.NewNoPodAgeDelay(opts.Processors.ActionableClusterProcessor, opts.Processors.ScaleUpEnforcer, p.core.MaxNodesTotal)
	opts.Processors.ActionableClusterProcessor, opts.Processors.ScaleUpEnforcer = noDelay, noDelay
	phases := scaleup.NewPhases(scaleup.NewOtherZone(opts.ScaleUpOrchestrator, cloud.viewRests), cloud.zonal, aws.IsStandIn, p.options.AWS.ParallelViews)
	opts.ScaleUpOrchestrator = phases
	cloud.zonalFirst.OthersFirst(phases.ZonalNext)
	return requests, nil
}

// similarity tells which node groups are alike enough to be balanced.
func (p *process) similarity(cloud *cloud) nodegroupset.NodeInfoComparator {
	if len(p.core.BalancingLabels) > 0 {
		return nodegroupset.CreateLabelNodeInfoComparator(p.core.BalancingLabels)
	}
	ignored := append(slices.Clone(p.core.BalancingExtraIgnoredLabels), aws.LabelZoneAssumed)
	return cloud.similar(nodegroupset.CreateAwsNodeInfoComparator(ignored, p.core.NodeGroupSetRatios))
}

// addCapacityBuffers runs the controller of CapacityBuffer objects and lets the pods they stand for cause scale-up, each if
// its flag says so. Without a client for them the autoscaler works on without buffers, as stock does, but says so.
func (p *process) addCapacityBuffers(working context.Context, opts *coreoptions.AutoscalerOptions,
	podList *pods.CombinedPodListProcessor) *pods.CombinedPodListProcessor {
	if !p.core.CapacitybufferControllerEnabled && !p.core.CapacitybufferPodInjectionEnabled {
		return podList
	}
	client, err := cbclient.NewCapacityBufferClientFromConfig(forCustomResources(p.kube))
	if err != nil || client == nil {
		klog.FromContext(working).Error(err, "Capacity buffers are out of use: no client for them")
		return podList
	}
	if p.core.CapacitybufferControllerEnabled {
		var resolver fakepods.Resolver = fakepods.NewDefaultingResolver()
		if p.core.CapacityBufferPodDryRunEnabled {
			resolver = fakepods.NewDryRunResolver(opts.KubeClient)
		}
		cbctrl.InitializeAndRunDefaultBufferController(working, client, resolver)
	}
	if !p.core.CapacitybufferPodInjectionEnabled {
		return podList
	}
	// Events about buffers need their kind in the scheme of client-go.
	if err := cbv1beta1.AddToScheme(clientgoscheme.Scheme); err != nil {
		klog.FromContext(working).Error(err, "Events about capacity buffers are out of use")
	}
	registry := fakepods.NewRegistry(nil)
	opts.CapacityBufferPodsRegistry = registry
	injector := cbprocessor.NewCapacityBufferPodListProcessor(client,
		[]string{capacitybuffer.ActiveProvisioningStrategy}, registry, true)
	first(opts, cbprocessor.NewFakePodsScaleUpStatusProcessor(registry))
	return pods.NewCombinedPodListProcessor([]pods.PodListProcessor{injector, podList})
}

// addPodInjection lets pods that controllers have yet to create cause scale-up, if --enable-proactive-scaleup says so.
func (p *process) addPodInjection(opts *coreoptions.AutoscalerOptions,
	podList *pods.CombinedPodListProcessor) *pods.CombinedPodListProcessor {
	if !p.core.ProactiveScaleupEnabled {
		return podList
	}
	registry := injectionbackoff.NewFakePodControllerRegistry()
	first(opts, podinjection.NewFakePodsScaleUpStatusProcessor(registry))
	return pods.NewCombinedPodListProcessor([]pods.PodListProcessor{
		podinjection.NewPodInjectionPodListProcessor(registry),
		podList,
		podinjection.NewEnforceInjectedPodsLimitProcessor(p.core.PodInjectionLimit),
	})
}

// first puts a processor of the scale-up status before the others, so that it can take out what they must not see: fake pods
// get no events.
func first(opts *coreoptions.AutoscalerOptions, processor status.ScaleUpStatusProcessor) {
	opts.Processors.ScaleUpStatusProcessor = status.NewCombinedScaleUpStatusProcessor(
		[]status.ScaleUpStatusProcessor{processor, opts.Processors.ScaleUpStatusProcessor})
}

// addScaleDownCandidates orders the nodes considered for removal: empty ones first, then those considered before. With
// --scale-down-delay-type-local the delays after other changes count per node group.
func (p *process) addScaleDownCandidates(opts *coreoptions.AutoscalerOptions) {
	previous := previouscandidates.NewPreviousCandidates()
	opts.Processors.ScaleDownCandidatesNotifier.Register(previous)
	empty := emptycandidates.NewEmptySortingProcessor(emptycandidates.NewNodeInfoGetter(opts.ClusterSnapshot),
		opts.DeleteOptions, opts.DrainabilityRules)
	candidates := scaledowncandidates.NewCombinedScaleDownCandidatesProcessor()
	candidates.Register(scaledowncandidates.NewScaleDownCandidatesSortingProcessor(
		[]scaledowncandidates.CandidatesComparer{empty, previous}))
	if p.core.ScaleDownDelayTypeLocal {
		delays := scaledowncandidates.NewScaleDownCandidatesDelayProcessor()
		candidates.Register(delays)
		opts.Processors.ScaleStateNotifier.Register(delays)
	}
	opts.Processors.ScaleDownNodeProcessor = candidates
}

// removable chooses the nodes considered for removal: none under --scale-down-enabled=false.
func (p *process) removable(nodes processor.ScaleDownNodeProcessor) processor.ScaleDownNodeProcessor {
	if p.options.ScaleDown {
		return nodes
	}
	return scaledown.Disabled{ScaleDownNodeProcessor: nodes}
}
