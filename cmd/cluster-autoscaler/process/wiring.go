package process

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/core/podlistprocessor"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/observers/loopstart"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates/emptycandidates"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates/previouscandidates"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/buffers"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/decisions"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	awsreadiness "github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/readiness"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaleup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/shadow"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/status"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/lifecycle"
)

// parts are made before the adapters, which stand on them.
type parts struct {
	*assembly
	events   *status.Events // about the status ConfigMap
	volumes  podzone.Volumes
	draining *podlist.Draining
	reaction *status.Reaction
	shadow   *shadow.Shadow   // nil where the process leads
	moves    *scaledown.Moves // nil if nothing is changed
	features
}

// wired are the adapters that work beside the core's loops, too.
type wired struct {
	unhelped *status.Unhelped // publishes the causes of the last loop
	unneeded *scaledown.UnneededTimes
	ending   *podlist.Ending
	ignored  cache.ResourceEventHandler // of the annotations of pods and nodes
	requests *scaledown.Requests        // publishes why nodes stay that were asked to go
	status   *status.Writer             // nil if it is off
	buffers  *buffers.Buffers           // nil if they are off
}

// wire fills the core's extension points in the order in which a loop calls them. Each list is in call order, and an adapter
// that wraps another stands on the line before it. testdata/wiring.txt shows the result.
func (p *Process) wire(opts *coreoptions.AutoscalerOptions, with parts) wired {
	core, provider, ours := caprocessors.DefaultProcessors(p.core), with.cloud.provider, p.options.AWS
	injection, buffers, requests := with.injection, with.features.buffers, with.features.requests
	zoneIDs := nodeinfos.NewZoneIDs(provider)
	oneZone := &podlist.OneZone{Provider: provider, ZoneName: zoneIDs.Name, Volumes: with.volumes}
	launchable := &nodegroups.Launchable{Provider: provider}
	p.decisions.Need = oneZone.Need
	var asked interface{ Asked(...plan.Node) } = with.plan
	belowClock := provider.BelowClock
	if with.shadow != nil {
		asked, belowClock = with.shadow, nil
	}
	var admit func([]*corev1.Pod) []*corev1.Pod
	var moved corestatus.ScaleUpStatusProcessor
	if with.replaces() {
		admit, moved = with.moves.Admit, with.moves
	}
	scaleUp := scaleup.New(scaleup.Options{
		Core: cmp.Or[corescaleup.Orchestrator](requests.orchestrator, orchestrator.New()), Most: ours.ScaleUpsPerLoop,
		Plan: asked, Planner: with.expanders, Pretended: provider.Pretended, Zones: oneZone, BelowClock: belowClock, Failing: provider.Failing,
		Cooling: provider.Cooling, Coming: provider.Coming, Admit: admit, Complete: launchable.AddLeftOut, Memory: lifecycle.Burst, Clock: clock.RealClock{},
	})
	if with.replaces() {
		with.moves.Raises, p.decisions.Held, with.draining.Moves = scaleUp.Raises, with.moves.Held, with.moves.Count
		if c := with.moves.Consolidation; c != nil {
			c.Launchable, c.DeleteOptions, c.Rules, launchable.Bound = launchable, opts.DeleteOptions, opts.DrainabilityRules, with.moves.Bound
			c.Guard, p.decisions.Consolidation = oneZone, c.Found
		}
	}
	ending := &podlist.Ending{Clock: clock.RealClock{}, Drains: with.draining.Drains, Held: p.decisions.WaitForRoom}
	made := wired{buffers: buffers.Buffers, ending: ending, ignored: scaledown.Ignored(with.recorder), unhelped: status.NewUnhelped(status.Unhelped{
		Core:     core.ScaleUpStatusProcessor,
		Raises:   scaleUp.Raises,
		Report:   p.decisions.Record.Report,
		Recorder: with.recorder,
		EachLoop: p.core.RecordDuplicatedEvents,
		Clock:    clock.RealClock{},
	})}
	noPodAgeDelay := &scaleup.NoPodAgeDelay{
		ActionableClusterProcessor: core.ActionableClusterProcessor,
		Enforcer:                   cmp.Or(requests.enforcer, core.ScaleUpEnforcer),
		MaxNodesTotal:              p.core.MaxNodesTotal,
		WriteStatus:                p.core.WriteStatusConfigMap,
	}
	scaleUp.Limited = noPodAgeDelay.Limited

	core.CustomResourcesProcessor = awsreadiness.NewStartingNodes(provider, opts.AutoscalingKubeClients.LogRecorder.Event, core.CustomResourcesProcessor, clock.RealClock{})
	core.ActionableClusterProcessor = noPodAgeDelay
	opts.LoopStartNotifier = loopstart.NewObserversList(append(requests.loopStart, scaleUp))
	core.TemplateNodeInfoProvider = nodeinfos.New(provider, zoneIDs, p.core.NodeInfoCacheExpireTime, p.core.ForceDaemonSets)
	core.PodListProcessor = pods.NewCombinedPodListProcessor(p.podList(with, oneZone, made.ending))
	core.ScaleUpEnforcer = noPodAgeDelay
	opts.ScaleUpOrchestrator = scaleUp
	core.NodeGroupListProcessor = launchable
	similar := nodegroups.NewSimilar(provider, nodegroupset.CreateAwsNodeInfoComparator(p.ignoredLabels(), p.core.NodeGroupSetRatios))
	if len(p.core.BalancingLabels) > 0 {
		similar = nodegroupset.CreateLabelNodeInfoComparator(p.core.BalancingLabels)
	}
	core.NodeGroupSetProcessor = &nodegroups.Balancing{
		NodeGroupSetProcessor: &nodegroupset.BalancingNodeGroupSetProcessor{Comparator: similar},
		Provider:              provider, ZoneGroupsOnly: ours.ViewsOnly, Among: with.expanders.Balances,
	}
	opts.Backoff = p.decisions.NewBackoff(
		nodegroups.NewPauses(p.core.InitialNodeGroupBackoffDuration, p.core.MaxNodeGroupBackoffDuration, p.core.NodeGroupBackoffResetTimeout))
	core.ScaleUpStatusProcessor = corestatus.NewCombinedScaleUpStatusProcessor(present[corestatus.ScaleUpStatusProcessor](
		&status.Zones{Provider: provider, Need: oneZone.Need, ZoneID: zoneIDs.ID, Raises: scaleUp.Raises, Clock: clock.RealClock{}},
		moved,            // takes out pods of moves, which get no events
		injection.status, // takes out fake pods, which get no events
		buffers.status,
		made.unhelped,
		with.reaction,
		decisions.ScaleUp{Collector: p.decisions, Raises: scaleUp.Raises},
	))
	p.wireScaleDown(opts, core, with, &made)
	made.requests.NeedsZone = oneZone.Needs
	core.AutoscalingStatusProcessor = decisions.Health{AutoscalingStatusProcessor: core.AutoscalingStatusProcessor, Collector: p.decisions}
	if p.core.WriteStatusConfigMap {
		made.status = status.NewWriter(core.AutoscalingStatusProcessor, opts.KubeClient, p.core.ConfigNamespace, p.core.StatusConfigMapName,
			with.events)
		core.AutoscalingStatusProcessor = made.status
	}
	if made.buffers != nil {
		opts.CapacityBufferPodsRegistry, p.decisions.Buffers = buffers.Registry, buffers.Nodes
	}
	opts.Processors = core
	return made
}

func (with parts) replaces() bool { return with.moves != nil && len(with.moves.Machine.Reasons) > 0 }

// podList makes the list of pending pods.
//
// The pods of a ProvisioningRequest come behind the core's own processor, which would drop pods that fit on existing nodes. They
// pass the guard of oneZone there: a group of several zones cannot promise a zone to them either, and a request is for all
// of its pods or none. The guard does not see the pods that --check-capacity-batch-processing adds within a scale-up.
func (p *Process) podList(with parts, oneZone *podlist.OneZone, ending *podlist.Ending) []pods.PodListProcessor {
	injection, buffers, requests := with.injection, with.features.buffers, with.features.requests
	var allowed, requestsGuard, waitForLeader pods.PodListProcessor
	if schedulers := p.core.AllowedSchedulers; len(schedulers) > 0 {
		allowed, with.draining.Allowed = podlist.Allowed(schedulers), schedulers
	}
	if requests.injector != nil {
		requestsGuard = oneZone
	}
	if with.shadow != nil {
		waitForLeader = with.shadow
	}
	return present[pods.PodListProcessor](
		podlist.Siblings{Claims: oneZone.Volumes.Claims, Clock: clock.RealClock{}, Plan: with.plan},
		requests.consumers,
		decisions.Pending{Collector: p.decisions},
		allowed,
		with.draining,
		injection.pods,
		buffers.pods,
		oneZone,
		&podlist.FreeRoom{
			Plan: with.plan, GroupOf: with.cloud.provider.GroupNames,
			Core: podlistprocessor.NewDefaultPodListProcessor(scheduling.ScheduleAnywhere),
		},
		buffers.room,
		requests.filter,
		requests.injector,
		requestsGuard,
		requests.processor,
		injection.limit,
		waitForLeader,
		podlist.Ahead{Clock: clock.RealClock{}},
		ending,
		decisions.ToHelp{Collector: p.decisions},
	)
}

// wireScaleDown orders the nodes considered for removal: empty ones first, then the ones considered before, then by what their pods cost to move. With
// --scale-down-delay-type-local the delays after other changes count per node group. Nodes that somebody asks to go stand before all of them.
// The end of a loop takes back what the core leaves of a removal that failed.
func (p *Process) wireScaleDown(opts *coreoptions.AutoscalerOptions, core *caprocessors.AutoscalingProcessors, with parts, made *wired) {
	previous := previouscandidates.NewPreviousCandidates()
	core.ScaleDownCandidatesNotifier.Register(previous)
	candidates := scaledowncandidates.NewCombinedScaleDownCandidatesProcessor()
	candidates.Register(scaledowncandidates.NewScaleDownCandidatesSortingProcessor([]scaledowncandidates.CandidatesComparer{
		emptycandidates.NewEmptySortingProcessor(emptycandidates.NewNodeInfoGetter(opts.ClusterSnapshot), opts.DeleteOptions,
			scaledown.EmptyRules(opts.DrainabilityRules)),
		previous,
		&scaledown.CheapestFirst{Cluster: opts.ClusterSnapshot},
	}))
	if p.core.ScaleDownDelayTypeLocal {
		delays := &scaledown.GroupDelays{ScaleDownCandidatesDelayProcessor: scaledowncandidates.NewScaleDownCandidatesDelayProcessor()}
		candidates.Register(delays)
		core.ScaleStateNotifier.Register(delays)
	}
	fresh := scaledown.NewFreshCandidates(with.cloud.provider, core.NodeGroupConfigProcessor, clock.RealClock{}, candidates)
	core.ScaleDownNodeProcessor, p.decisions.Kept = fresh, fresh.Kept
	made.unneeded = &scaledown.UnneededTimes{Options: p.core, Kept: fresh.Kept}
	p.decisions.Unneeded = made.unneeded
	core.ScaleDownCandidatesNotifier.Register(made.unneeded)
	removals := scaledown.NewRemovals(scaledown.Options{
		Core: core.ScaleDownSetProcessor, Report: decisions.ScaleDown{Collector: p.decisions}, Provider: with.cloud.provider,
		DryRun: p.guard != nil || p.refusing != nil, Moves: with.moves, Clock: clock.RealClock{},
	})
	core.ScaleDownSetProcessor, core.ScaleDownStatusProcessor = removals, removals
	made.requests = &scaledown.Requests{
		ScaleDownNodeProcessor: core.ScaleDownNodeProcessor, Processors: core, Removals: removals, Provider: with.cloud.provider, DeleteOptions: opts.DeleteOptions, Rules: opts.DrainabilityRules,
		Off: !p.options.ScaleDown, Also: p.remove, Report: p.decisions.Record.Report, Recorder: with.recorder, Moves: with.moves,
		AfterScaleUp: with.draining.ScaledUp, Bookings: with.features.requests.processor,
	}
	core.ScaleDownNodeProcessor, p.decisions.Needed = made.requests, made.requests.Needed
}

// ignoredLabels do not make groups different. Each managed node group of EKS has its own launch template, and its own time of an update.
func (p *Process) ignoredLabels() []string {
	return append(slices.Clone(p.core.BalancingExtraIgnoredLabels), nodemeta.ZoneAssumed, nodemeta.KindAssumed,
		"eks.amazonaws.com/nodegroup-image", "eks.amazonaws.com/sourceLaunchTemplateId", "eks.amazonaws.com/sourceLaunchTemplateVersion")
}

// present returns the list without the parts of features that are off.
func present[T comparable](list ...T) []T {
	var none T
	return slices.DeleteFunc(list, func(part T) bool { return part == none })
}
