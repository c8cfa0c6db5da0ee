package scaleup

import (
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	"k8s.io/autoscaler/cluster-autoscaler/observers/nodegroupchange"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/gpu"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
)

// Planner is an expander whose choice is one part of a plan.
type Planner interface {
	// Plan returns the nodes of the last choice, none for a whole option, and the nodes of the plan that come after it.
	Plan() (chosen, later []plan.Node)
}

// zones knows the zone groups, and the pods that need one zone.
type zones interface {
	// Views reports whether there are zone groups at all.
	Views() bool
	// Needs reports whether the pod has to run in one particular zone.
	Needs(pod *apiv1.Pod) bool
}

// Options of an Orchestrator. Fields that may be nil are for something that is off.
type Options struct {
	Core corescaleup.Orchestrator
	Most int                              // scale-ups in one loop
	Plan interface{ Asked(...plan.Node) } // receives the nodes that were asked for. May be nil
	// Pretended are the nodes that a shadow would have asked for by node group, nil for a leader. Plan takes them out. The core knows them for a scale-up.
	Pretended map[string]int
	Planner   Planner // the expander. Nil for one without plans
	Zones     zones   // May be nil
	// BelowClock reports whether a node group has fewer nodes than a minimum by the clock wants. The core raises such groups whatever
	// --enforce-node-group-min-size says. May be nil.
	BelowClock func(nodeGroup string) bool
	// Failing reports whether AWS could not launch all that a node group was asked for. May be nil.
	Failing func(nodeGroup string) bool
	// Cooling reports whether a node group is left alone after AWS could not launch. May be nil.
	Cooling func(nodeGroup string) bool
	// Coming is the number of nodes of a node group that have not registered. May be nil.
	Coming func(nodeGroup string) int
	// Admit returns the pods to scale up for. May be nil.
	Admit func([]*apiv1.Pod) []*apiv1.Pod
	// Limited returns the pods that the core does not scale up for in this loop because of --max-nodes-total. May be nil.
	Limited func() []*apiv1.Pod
	// Complete adds to the result of a scale-up what only others know. May be nil.
	Complete func(*status.ScaleUpStatus)
	// Memory gives a scale-up the memory that makes it fast, until the function is called that it returns. May be nil.
	Memory func() func()
	Clock  clock.PassiveClock
}

// Orchestrator has the core scale up several times in one loop, until no group helps the pods that are left.
//
// The core scales up for one option a loop. An Orchestrator repeats that as the next loops would. The nodes just asked for are in the core's
// snapshot of the cluster, with the pods that they were asked for, and count for the limits. A further call in one loop is safe because
// the core keeps nothing of the last but the backoffs. It reverts every fork of the snapshot, makes pod groups, quotas and the limits of its
// packing again, and runs the processors of the status once, after ScaleUp. It writes to nodeInfos only where it creates node groups, which
// ours never need.
//
// While an expander's plan goes on, its later nodes make the options of the next scale-up, see Planner. Once none is chosen, the core packs
// the pods that are left on nodes of all groups again.
//
// The pods of each node are those for which the expander or the core's estimator counted the node. So no time limit leaves a pod out of the
// plan once its node was asked for.
//
// Pods of a provisioning request get one scale-up a loop.
type Orchestrator struct {
	Options
	context   *cacontext.AutoscalingContext
	quotas    *resourcequotas.TrackerFactory
	zonalNext bool                    // see phase
	later     []plan.Node             // what the expander's plan has for the scale-up under way, none while the core packs the pods
	packed    packings                // of the scale-up under way
	raises    []*status.ScaleUpStatus // successful ones of the last loop
	sizes     map[string]int          // target sizes as of the last loop's beginning
	enforced  bool                    // --enforce-node-group-min-size
	failed    []failedRequest         // that this loop shows
	asked     []*apiv1.Node           // by the last ScaleUp, until the loop has raised groups to their minimum sizes
	ready     map[string]bool         // nodes of groups, by provider ID
	came      map[string]time.Time    // when a node of a group was last seen to become Ready
	first     map[string]time.Time    // raise of a group after that, or the last one
	delays                            // of scale-down
}

func New(o Options) *Orchestrator { return &Orchestrator{Options: o} }

// Initialize wraps the estimators, and notes how they pack. While an expander's plan goes on, an option is the plan's part for its group,
// because packing takes seconds for thousands of pods and dozens of groups.
func (o *Orchestrator) Initialize(ctx *cacontext.AutoscalingContext, processors *caprocessors.AutoscalingProcessors,
	clusterState *clusterstate.ClusterStateRegistry, estimators estimator.EstimatorBuilder, taintConfig taints.TaintConfig,
	quotas *resourcequotas.TrackerFactory) {
	o.context, o.enforced, o.quotas, o.afterAdd = ctx, ctx.EnforceNodeGroupMinSize, quotas, ctx.ScaleDownDelayAfterAdd
	o.came, o.first = map[string]time.Time{}, map[string]time.Time{}
	if o.Pretended != nil { // the registry alone hears of its raises
		own := *processors
		own.ScaleStateNotifier = nodegroupchange.NewNodeGroupChangeObserversList()
		own.ScaleStateNotifier.Register(clusterState)
		processors = &own
	}
	o.Core.Initialize(ctx, processors, clusterState, func(snapshot clustersnapshot.ClusterSnapshot, c estimator.EstimationContext) estimator.Estimator {
		if len(o.later) > 0 {
			return planned{o.later, o.packed}
		}
		p := &packer{ClusterSnapshot: snapshot, pods: make(map[string][]*apiv1.Pod), packed: o.packed}
		p.inner = estimators(p, c)
		return p
	}, taintConfig, quotas)
}

// Refresh implements the core's observer of the start of a loop. It has the core raise groups to their minimum sizes in this loop if one is below
// its minimum by the clock.
func (o *Orchestrator) Refresh() {
	o.asked = nil
	o.seeFailed()
	o.forgetRefused()
	o.hearOthers()
	o.context.EnforceNodeGroupMinSize = o.enforced || o.BelowClock != nil &&
		slices.ContainsFunc(o.context.CloudProvider.NodeGroups(), func(g cloudprovider.NodeGroup) bool { return o.BelowClock(g.Id()) })
}

// hearOthers registers the nodes that others asked for, or the core would take groups without them for broken, and not raise them. All
// growth in a shadow is the leader's. The nodes that have yet to come of a node group that is new to this process are for a leader before
// it. One that never comes stays in a group at its minimum size, where the core ends none, so as few as the core puts up with beside a node
// do not count there. A leader registers its own growth as it asks, so it counts no other's while a raise of its own is open in the group.
func (o *Orchestrator) hearOthers() {
	before := o.sizes
	o.sizes = o.targetSizes()
	for _, g := range o.context.CloudProvider.NodeGroups() {
		more := 0
		switch was, known := before[g.Id()]; {
		case known:
			more = o.sizes[g.Id()] - was
		case o.Coming != nil:
			size := o.sizes[g.Id()]
			if more = o.Coming(g.Id()); size <= g.MinSize() && more <= min(size-1, o.context.OkTotalUnreadyCount) {
				more = 0
			}
		}
		if more > 0 && (o.Pretended != nil || !o.context.ClusterStateRegistry.HasNodeGroupStartedScaleUp(g.Id())) {
			o.context.ClusterStateRegistry.RegisterScaleUp(g, more, o.Clock.Now())
		}
	}
}

// pretend registers the nodes that the shadow would have asked for, times 1 or -1.
func (o *Orchestrator) pretend(times int) {
	for _, g := range o.context.CloudProvider.NodeGroups() {
		if n := o.Pretended[g.Id()]; n > 0 {
			o.context.ClusterStateRegistry.RegisterScaleUp(g, times*n, o.Clock.Now())
		}
	}
}

// ScaleUp scales up until no pod is left, none was helped, or Most is reached. After a failure it goes on if a group failed for the
// first time, because the core leaves that group alone. No scale-up begins later than --max-nodegroup-binpacking-duration after the
// first. The snapshot is as before in the end.
//
// The result is a success if one scale-up was, and otherwise the first failure. Raises takes it apart again.
func (o *Orchestrator) ScaleUp(pods []*apiv1.Pod, nodes []*apiv1.Node, daemonSets []*appsv1.DaemonSet,
	nodeInfos map[string]*framework.NodeInfo, allOrNothing bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	if o.Admit != nil {
		if pods = o.Admit(pods); len(pods) == 0 {
			return &status.ScaleUpStatus{Result: status.ScaleUpNotNeeded}, nil
		}
	}
	if o.Memory != nil {
		defer o.Memory()()
	}
	o.pauseFailed(nodeInfos)
	o.raises, o.asked, o.packed = nil, nil, packings{}
	for id, n := range o.Pretended { // the limits of the cluster count them
		if info := nodeInfos[id]; info != nil {
			nodes = slices.Concat(nodes, slices.Repeat([]*apiv1.Node{info.Node()}, n))
		}
	}
	there, s := o.ofNoGroup(nodes), &simulation{snapshot: o.context.ClusterSnapshot, templates: nodeInfos}
	o.context.ClusterSnapshot.Fork()
	result, err := o.repeat(pods, s, func(pods []*apiv1.Pod) (*status.ScaleUpStatus, errors.AutoscalerError) {
		result, err := o.Core.ScaleUp(pods, slices.Concat(there, o.ofNoGroup(s.nodes())), daemonSets, nodeInfos, allOrNothing)
		if err == nil && (result.Result == status.ScaleUpNotNeeded || result.Result == status.ScaleUpSuccessful &&
			(len(result.ScaleUpInfos) == 0 || slices.ContainsFunc(result.PodsTriggeredScaleUp, o.ofRequest))) {
			// A request has its room, which the core books in the next loop. So no node goes in this one.
			o.context.ProcessorCallbacks.DisableScaleDownForLoop()
			o.context.ProcessorCallbacks.SetExtraValue(podlist.RequestServed, true)
		}
		return result, err
	})
	o.context.ClusterSnapshot.Revert()
	if most := o.context.MaxNodesTotal; err == nil && most > 0 && len(nodes) >= most && result.Result == status.ScaleUpNoOptionsAvailable {
		// As the core says itself where all of the nodes are Ready. Else it finds no room for a node, and says nothing of pods that would fit.
		limit(result, slices.DeleteFunc(slices.Clone(pods), o.ofRequest)) // their request says why they wait
	}
	if err == nil && result.Result == status.ScaleUpSuccessful && len(result.ScaleUpInfos) == 0 {
		// A request has found room on nodes that exist. For the core that would begin --scale-down-delay-after-add.
		result.Result = status.ScaleUpNotNeeded
	}
	if o.Complete != nil {
		o.Complete(result)
	}
	o.delay(result, err)
	return result, err
}

// limit makes the result one of --max-nodes-total if some of the pods have no other reason to wait.
func limit(result *status.ScaleUpStatus, pods []*apiv1.Pod) {
	known := podSet{}
	for _, info := range result.PodsRemainUnschedulable {
		known[info.Pod] = true
	}
	for _, pod := range known.others(pods) {
		result.Result = status.ScaleUpLimitedByMaxNodesTotal
		result.PodsRemainUnschedulable = append(result.PodsRemainUnschedulable, status.NoScaleUpInfo{Pod: pod})
	}
}

// ofNoGroup returns the nodes as the core is to count them for its limits of CPUs, memory, GPUs and quotas: each by itself. It would count
// all nodes of a group, and the next one, by one of them, which may have another size. It uses them for nothing else. A node without the
// GPUs that its group promises counts with them, because its device plugin may be restarting.
func (o *Orchestrator) ofNoGroup(nodes []*apiv1.Node) []*apiv1.Node {
	copies := make([]*apiv1.Node, len(nodes))
	for at, node := range nodes {
		own := *node
		own.Status.Allocatable = o.withGPUs(node)
		own.Spec.ProviderID = ""
		copies[at] = &own
	}
	return copies
}

// withGPUs returns what the node has to allocate. If it has the label of GPUs and shows no whole one, its group's template says how many.
func (o *Orchestrator) withGPUs(node *apiv1.Node) apiv1.ResourceList {
	_, labelled := node.Labels[o.context.CloudProvider.GPULabel()]
	if _, shown := gpu.NodeHasGpuAllocatable(node); shown || !labelled {
		return node.Status.Allocatable
	}
	group, err := o.context.CloudProvider.NodeGroupForNode(node)
	if err != nil || group == nil {
		return node.Status.Allocatable
	}
	template, err := group.TemplateNodeInfo()
	if err != nil {
		return node.Status.Allocatable
	}
	resources := apiv1.ResourceList{}
	maps.Copy(resources, node.Status.Allocatable)
	for _, name := range gpu.GPUVendorResourceNames {
		if promised := template.Node().Status.Capacity[name]; !promised.IsZero() {
			resources[name] = promised
		}
	}
	return resources
}

// ScaleUpToNodeGroupMinSize raises the groups below their minimum sizes. The nodes that the loop has just asked for count for the
// limits of the cluster. The core does not look at the NodeInfo for this, and passes over a group that has none. So groups of whose nodes
// nothing is known get none. Without --enforce-node-group-min-size only groups below a minimum by the clock get any.
func (o *Orchestrator) ScaleUpToNodeGroupMinSize(nodes []*apiv1.Node, nodeInfos map[string]*framework.NodeInfo) (
	*status.ScaleUpStatus, errors.AutoscalerError) {
	counted := o.ofNoGroup(slices.Concat(nodes, o.asked))
	o.raises, o.asked = nil, nil
	var all results
	tried := map[string]bool{}
	for batch := o.together(counted, nodeInfos, tried); len(batch) > 0; batch = o.together(counted, nodeInfos, tried) {
		before := o.targetSizes()
		failed := all.add(o.Core.ScaleUpToNodeGroupMinSize(counted, batch))
		for id, more := range o.grown(before) {
			if info := batch[id]; info != nil && more > 0 {
				counted = append(counted, slices.Repeat(o.ofNoGroup([]*apiv1.Node{info.Node()}), more)...)
			}
		}
		if failed { // the core has not come to the groups behind it
			maps.DeleteFunc(tried, func(id string, _ bool) bool { return batch[id] != nil })
			for _, g := range all.failed() {
				tried[g.Id()] = true
			}
		}
	}
	if len(all) == 0 {
		all.add(&status.ScaleUpStatus{Result: status.ScaleUpNotNeeded}, nil)
	}
	if slices.ContainsFunc(all, func(r result) bool { return r.err != nil }) {
		return all.failure()
	}
	joined, err := all.joined(nil)
	o.delay(joined, err)
	if joined.Result == status.ScaleUpNotNeeded && o.Limited != nil {
		limit(joined, o.Limited()) // the core forgets what it has said of them
	}
	return joined, err
}

// together returns the next groups to raise to their minimum sizes in one call of the core, and notes them in tried. Within a call
// the core counts the nodes of no other group for the limits, so they are groups that fit together, or one that does not fit. The minimum
// sizes of an Auto Scaling group's zone groups depend on each other, so one of them is raised at a time.
func (o *Orchestrator) together(counted []*apiv1.Node, nodeInfos map[string]*framework.NodeInfo, tried map[string]bool) (
	batch map[string]*framework.NodeInfo) {
	var tracker *resourcequotas.Tracker
	wholes, nodes := map[string]bool{}, len(counted)
	batch = map[string]*framework.NodeInfo{}
	for _, g := range o.context.CloudProvider.NodeGroups() {
		id, whole := g.Id(), g.Id()
		if zone, ours := g.(interface{ AutoScalingGroup() string }); ours {
			whole = zone.AutoScalingGroup()
		}
		info := nodeInfos[id]
		if tried[id] || wholes[whole] || info == nil || nodemeta.Placeholder.On(info.Node()) || !o.enforced && o.BelowClock != nil && !o.BelowClock(id) {
			continue
		}
		missing := o.missing(g)
		if missing == 0 {
			continue
		}
		nodes += missing
		if most := o.context.MaxNodesTotal; most > 0 && nodes > most { // the core compares it with the size of the group alone
			if len(batch) > 0 {
				break
			}
			klog.Background().Info("A group stays below its minimum size, because the nodes that it misses would exceed --max-nodes-total",
				"nodeGroup", id, "missing", missing, "nodes", len(counted))
			nodes, tried[id] = len(counted), true
			continue
		}
		var found *resourcequotas.CheckDeltaResult
		var err error
		if tracker == nil {
			tracker, err = o.quotas.NewQuotasTracker(o.context, counted)
		}
		if err == nil {
			found, err = tracker.ApplyDelta(o.context, g, info.Node(), missing)
		}
		fits := err == nil && found.AllowedDelta == missing
		if fits || len(batch) == 0 {
			batch[id], wholes[whole], tried[id] = info, true, true
		}
		if !fits {
			break
		}
	}
	return batch
}

// missing is the number of nodes that the group lacks to its minimum size, 0 where the core would pass over it or AWS would not be asked.
func (o *Orchestrator) missing(g cloudprovider.NodeGroup) int {
	size, err := g.TargetSize()
	if err != nil || size >= g.MinSize() || o.Cooling != nil && o.Cooling(g.Id()) {
		return 0
	}
	if registry := o.context.ClusterStateRegistry; registry != nil && !registry.NodeGroupScaleUpSafety(g, o.Clock.Now()).SafeToScale {
		return 0
	}
	return g.MinSize() - size
}

// Raises takes the result of the last ScaleUp apart: one result for each scale-up, with the groups that grew and with the pods of
// result that they grew for. It returns result alone if there was one scale-up, or none.
func (o *Orchestrator) Raises(result *status.ScaleUpStatus) []*status.ScaleUpStatus {
	if len(o.raises) < 2 || len(result.PodsTriggeredScaleUp) == 0 {
		return []*status.ScaleUpStatus{result}
	}
	by := make(map[*apiv1.Pod]int, len(result.PodsTriggeredScaleUp)) // the last scale-up for a pod is the one that helps it
	for at, raise := range o.raises {
		for _, pod := range raise.PodsTriggeredScaleUp {
			by[pod] = at
		}
	}
	list := make([]*status.ScaleUpStatus, len(o.raises))
	for at, raise := range o.raises {
		part := *result
		part.ScaleUpInfos, part.PodsTriggeredScaleUp, part.PodsRemainUnschedulable, part.PodsAwaitEvaluation = raise.ScaleUpInfos, nil, nil, nil
		list[at] = &part
	}
	for _, pod := range result.PodsTriggeredScaleUp {
		if at, known := by[pod]; known {
			list[at].PodsTriggeredScaleUp = append(list[at].PodsTriggeredScaleUp, pod)
		}
	}
	return list
}

func (o *Orchestrator) ofRequest(pod *apiv1.Pod) bool {
	return o.context.ProvisioningRequestEnabled && podlist.RequestOf(pod) != ""
}
