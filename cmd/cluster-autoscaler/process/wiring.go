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
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/decisions"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	awsreadiness "github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/readiness"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaleup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/status"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/lifecycle"
)

// wire fills the core's extension points in the order in which a loop calls them. Each list is in call order, and an adapter
// that wraps another stands on the line before it. testdata/wiring.txt shows the result.
func (p *Process) wire(opts *coreoptions.AutoscalerOptions, a *assembly) {
	core, provider, ours := caprocessors.DefaultProcessors(p.core), a.cloud.provider, p.options.AWS
	injection, buffers, requests := a.injection, a.buffers, a.requests
	zoneIDs := nodeinfos.NewZoneIDs(provider)
	oneZone := &podlist.OneZone{Provider: provider, ZoneName: zoneIDs.Name, Volumes: a.volumes}
	launchable := &nodegroups.Launchable{Provider: provider}
	p.decisions.Need = oneZone.Need
	var asked interface{ Asked(...plan.Node) } = a.plan
	belowClock := provider.BelowClock
	if a.shadow != nil {
		asked, belowClock = a.shadow, nil
	}
	var admit func([]*corev1.Pod) []*corev1.Pod
	var moved corestatus.ScaleUpStatusProcessor
	if a.replaces() {
		admit, moved = a.moves.Admit, a.moves
	}
	scaleUp := scaleup.New(scaleup.Options{
		Core: cmp.Or[corescaleup.Orchestrator](requests.orchestrator, orchestrator.New()), Most: ours.ScaleUpsPerLoop,
		Plan: asked, Planner: a.expanders, Pretended: provider.Pretended, Zones: oneZone, BelowClock: belowClock, Failing: provider.Failing,
		Cooling: provider.Cooling, Coming: provider.Coming, Admit: admit, Complete: launchable.AddLeftOut, Memory: lifecycle.Burst, Clock: clock.RealClock{},
	})
	if a.replaces() {
		a.moves.Raises, p.decisions.Held, a.draining.Moves = scaleUp.Raises, a.moves.Held, a.moves.Count
		if c := a.moves.Consolidation; c != nil {
			c.Launchable, c.DeleteOptions, c.Rules, launchable.Bound = launchable, opts.DeleteOptions, opts.DrainabilityRules, a.moves.Bound
			c.Guard, p.decisions.Consolidation = oneZone, c.Found
		}
	}
	a.ending = &podlist.Ending{Clock: clock.RealClock{}, Drains: a.draining.Drains, Held: p.decisions.WaitForRoom}
	a.ignored = scaledown.Ignored(a.recorder)
	a.unhelped = status.NewUnhelped(status.Unhelped{
		Core:     core.ScaleUpStatusProcessor,
		Raises:   scaleUp.Raises,
		Report:   p.decisions.Record.Report,
		Recorder: a.recorder,
		EachLoop: p.core.RecordDuplicatedEvents,
		Clock:    clock.RealClock{},
	})
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
	core.PodListProcessor = pods.NewCombinedPodListProcessor(p.podList(a, oneZone))
	core.ScaleUpEnforcer = noPodAgeDelay
	opts.ScaleUpOrchestrator = scaleUp
	core.NodeGroupListProcessor = launchable
	similar := nodegroups.NewSimilar(provider, nodegroupset.CreateAwsNodeInfoComparator(p.ignoredLabels(), p.core.NodeGroupSetRatios))
	if len(p.core.BalancingLabels) > 0 {
		similar = nodegroupset.CreateLabelNodeInfoComparator(p.core.BalancingLabels)
	}
	core.NodeGroupSetProcessor = &nodegroups.Balancing{
		NodeGroupSetProcessor: &nodegroupset.BalancingNodeGroupSetProcessor{Comparator: similar},
		Provider:              provider, ZoneGroupsOnly: ours.ViewsOnly, Among: a.expanders.Balances,
	}
	opts.Backoff = p.decisions.NewBackoff(
		nodegroups.NewPauses(p.core.InitialNodeGroupBackoffDuration, p.core.MaxNodeGroupBackoffDuration, p.core.NodeGroupBackoffResetTimeout))
	core.ScaleUpStatusProcessor = corestatus.NewCombinedScaleUpStatusProcessor(present[corestatus.ScaleUpStatusProcessor](
		&status.Zones{Provider: provider, Need: oneZone.Need, ZoneID: zoneIDs.ID, Raises: scaleUp.Raises, Clock: clock.RealClock{}},
		moved,            // takes out pods of moves, which get no events
		injection.status, // takes out fake pods, which get no events
		buffers.status,
		a.unhelped,
		a.reaction,
		decisions.ScaleUp{Collector: p.decisions, Raises: scaleUp.Raises},
	))
	p.wireScaleDown(opts, core, a)
	a.requested.NeedsZone = oneZone.Needs
	core.AutoscalingStatusProcessor = decisions.Health{AutoscalingStatusProcessor: core.AutoscalingStatusProcessor, Collector: p.decisions}
	if p.core.WriteStatusConfigMap {
		writer := status.NewWriter(core.AutoscalingStatusProcessor, opts.KubeClient, p.core.ConfigNamespace, p.core.StatusConfigMapName, a.events)
		core.AutoscalingStatusProcessor, a.beside = writer, append(a.beside, writer.Run)
	}
	if buffers.Buffers != nil {
		opts.CapacityBufferPodsRegistry, p.decisions.Buffers = buffers.Registry, buffers.Nodes
	}
	opts.Processors = core
}

func (a *assembly) replaces() bool { return a.moves != nil && len(a.moves.Machine.Reasons) > 0 }

// podList makes the list of pending pods.
//
// The pods of a ProvisioningRequest come behind the core's own processor, which would drop pods that fit on existing nodes. They
// pass the guard of oneZone there: a group of several zones cannot promise a zone to them either, and a request is for all
// of its pods or none. The guard does not see the pods that --check-capacity-batch-processing adds within a scale-up.
func (p *Process) podList(a *assembly, oneZone *podlist.OneZone) []pods.PodListProcessor {
	injection, buffers, requests := a.injection, a.buffers, a.requests
	var allowed, requestsGuard, waitForLeader pods.PodListProcessor
	if schedulers := p.core.AllowedSchedulers; len(schedulers) > 0 {
		allowed, a.draining.Allowed = podlist.Allowed(schedulers), schedulers
	}
	if requests.injector != nil {
		requestsGuard = oneZone
	}
	if a.shadow != nil {
		waitForLeader = a.shadow
	}
	return present[pods.PodListProcessor](
		podlist.Siblings{Claims: oneZone.Volumes.Claims, Clock: clock.RealClock{}, Plan: a.plan},
		requests.consumers,
		decisions.Pending{Collector: p.decisions},
		allowed,
		a.draining,
		injection.pods,
		buffers.pods,
		oneZone,
		&podlist.FreeRoom{
			Plan: a.plan, GroupOf: a.cloud.provider.GroupNames,
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
		a.ending,
		decisions.ToHelp{Collector: p.decisions},
	)
}

// wireScaleDown orders the nodes considered for removal: empty ones first, then the ones considered before, then by what their pods cost to move. With
// --scale-down-delay-type-local the delays after other changes count per node group. Nodes that somebody asks to go stand before all of them.
// The end of a loop takes back what the core leaves of a removal that failed.
func (p *Process) wireScaleDown(opts *coreoptions.AutoscalerOptions, core *caprocessors.AutoscalingProcessors, a *assembly) {
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
	fresh := scaledown.NewFreshCandidates(a.cloud.provider, core.NodeGroupConfigProcessor, clock.RealClock{}, candidates)
	core.ScaleDownNodeProcessor, p.decisions.Kept = fresh, fresh.Kept
	a.unneeded = &scaledown.UnneededTimes{Options: p.core, Kept: fresh.Kept}
	p.decisions.Unneeded = a.unneeded
	core.ScaleDownCandidatesNotifier.Register(a.unneeded)
	removals := scaledown.NewRemovals(scaledown.Options{
		Core: core.ScaleDownSetProcessor, Report: decisions.ScaleDown{Collector: p.decisions}, Provider: a.cloud.provider,
		DryRun: p.guard != nil || p.refusing != nil, Moves: a.moves, Clock: clock.RealClock{},
	})
	core.ScaleDownSetProcessor, core.ScaleDownStatusProcessor = removals, removals
	a.requested = &scaledown.Requests{
		ScaleDownNodeProcessor: core.ScaleDownNodeProcessor, Processors: core, Removals: removals, Provider: a.cloud.provider, DeleteOptions: opts.DeleteOptions, Rules: opts.DrainabilityRules,
		Off: !p.options.ScaleDown, DelayAfterAdd: p.core.ScaleDownDelayAfterAdd, Also: p.remove, Report: p.decisions.Record.Report, Recorder: a.recorder, Moves: a.moves,
		AfterScaleUp: a.draining.ScaledUp, Bookings: a.requests.processor,
	}
	core.ScaleDownNodeProcessor, p.decisions.Needed = a.requested, a.requested.Needed
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
