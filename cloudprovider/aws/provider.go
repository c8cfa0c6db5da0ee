package aws

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/autoscaler/cluster-autoscaler/utils/gpu"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	coreinformers "k8s.io/client-go/informers/core/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// annotationNotAutoscaled set to "false" on a node says that its instance is in no group of ours.
const annotationNotAutoscaled = "k8s.io/cluster-autoscaler-enabled"

// taintShutdown is Kubernetes' on the node of a stopped instance.
const taintShutdown = "node.cloudprovider.kubernetes.io/shutdown"

type Options struct {
	Cache  *asg.Cache
	Region string
	Types  *lookup.Types
	// EC2 answers look-ups of zones, of the instance types that these offer, of instances that left their groups, and of others that do not become
	// nodes. Nil leaves all of that unknown.
	EC2 interface {
		lookup.ZonesAPI
		lookup.OfferingsAPI
		lookup.StartsAPI
	}
	Admission       lookup.Admission // says whom the cluster lets in
	Limiter         *cloudprovider.ResourceLimiter
	Nodes           coreinformers.NodeInformer              // the registered nodes
	DaemonSets      appslisters.DaemonSetLister             // lists the DaemonSet of the VPC CNI, if the cluster has one
	GatherDeletions time.Duration                           // the time for which deletions of a group are gathered, if longer than gatherFor
	Prices          *pricing.Book                           // the region's
	SpendCaps       []decision.SpendCap                     // stated by the flag. Groups may state their own by tag
	Event           func(eventType, reason, message string) // publishes an event about a node group
	// Problem is called when a problem of a group appears, and when it is solved. It must return at once.
	Problem    func(p Problem, solved bool)
	Registerer prometheus.Registerer
	Clock      clock.WithTicker
}

// Provider implements cloudprovider.CloudProvider. It is safe for concurrent use, except for Refresh, which the core calls from its loop.
type Provider struct {
	// Pretended are nodes that a shadow would have asked for, by node group, nil in other processes. It is empty but in a scale-up. The core's loop
	// alone uses it.
	Pretended map[string]int
	Services  corelisters.ServiceLister // nil for removals that wait for no load balancers
	present

	ctx        context.Context
	cache      *asg.Cache
	region     string
	limiter    *cloudprovider.ResourceLimiter
	network    appslisters.DaemonSetLister
	clock      clock.WithTicker
	types      *lookup.Types
	zones      *lookup.Cache[string]
	offers     *lookup.Cache[[]string]
	problems   *reporter
	costs      *Model
	spend      *spend
	gatherFor  time.Duration // how long a deletion waits for others of its group
	terminated *lookup.Cache[bool]
	starts     *lookup.Cache[lookup.Start]
	late       map[string]time.Time  // instances without a node for long, and since when, under changing
	unjoined   map[string]notJoining // by Auto Scaling group, under changing
	tooOld     string                // what the age of the reading forbids, as last reported, under changing
	view       atomic.Pointer[View]
	joined     atomic.Pointer[map[string]string] // the registered nodes' provider IDs, and the deleted nodes' of instances that count in their group
	registered registeredNodes
	superseded sync.Map                  // answers of Superseded in this loop, by name of node
	spared     sync.Map                  // texts of the log about instances that are left
	seeing     sync.Mutex                // one SeeCluster at a time
	seen       evidence                  // under seeing
	changing   sync.Mutex                // held while a view is made from the one before
	facts      *nodeFacts                // under changing
	missing    map[string]missingDevices // by Auto Scaling group, under changing
	had        map[string]bool           // Auto Scaling groups that a view has had, under changing
	anew       bool                      // missing or late has changed
	unknown    []string                  // instance types in use that the catalogue lacks, under changing
	looped     atomic.Bool               // Refresh was called, and no BeforeLoop since
	waited     atomic.Int64              // nanoseconds of this loop for answers of AWS
}

// New makes a Provider over a started Cache. The context bounds every write.
func New(ctx context.Context, o Options) *Provider {
	p := &Provider{
		present: o.Cache, ctx: ctx, cache: o.Cache, region: o.Region, limiter: o.Limiter, network: o.DaemonSets, clock: o.Clock,
		types: o.Types, zones: lookup.NewZones(o.EC2, o.Clock), problems: newReporter(o.Event, o.Problem),
		offers: lookup.NewOfferings(o.EC2, o.Clock), terminated: lookup.NewTerminated(o.EC2, o.Clock),
		unjoined: map[string]notJoining{}, gatherFor: max(o.GatherDeletions, gatherFor), missing: map[string]missingDevices{}, had: map[string]bool{},
	}
	o.Admission.Cluster = p.cache.Cluster
	p.starts = lookup.NewStarts(o.EC2, o.Admission, o.Clock)
	p.registered.follow(o.Nodes)
	p.joined.Store(&map[string]string{})
	p.facts = newNodeFacts(p.registered.nodes, p.types.Catalogue)
	p.view.Store(&View{basis: basis{snapshot: &group.Snapshot{}}})
	p.costs = &Model{provider: p, prices: o.Prices}
	p.spend = &spend{costs: p.costs, flags: o.SpendCaps}
	p.spend.total.Store(&Spending{})
	o.Registerer.MustRegister(p.problems.gauge, p.spend, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "asg_autoscaler", Name: "snapshot_age_seconds",
		Help: "Age of the last complete reading of the Auto Scaling groups, in seconds.",
	}, func() float64 { return o.Clock.Since(o.Cache.Snapshot().ReadAt).Seconds() }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "asg_autoscaler", Name: "snapshot_age_limit_seconds",
		Help: "Age of the last complete reading of the Auto Scaling groups beyond which no node is removed, in seconds.",
	}, func() float64 { return o.Cache.OldestToRemove().Seconds() }))
	p.refresh()
	return p
}

// Run keeps the groups and the facts about them fresh until ctx ends. Every goroutine of the package is one of its own.
func (p *Provider) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.cache.Run(ctx) })
	for _, lookUp := range []func(context.Context){p.types.Run, p.zones.Run, p.offers.Run, p.terminated.Run, p.starts.Run} {
		g.Go(func() error { lookUp(ctx); return nil })
	}
	return g.Wait()
}

// LookUp makes the look-ups that the view wants, once, for a caller that has a single loop. It does not go with Run.
func (p *Provider) LookUp(ctx context.Context) {
	_ = p.Refresh()
	p.zones.Want("")
	for _, lookUp := range []func(context.Context){p.types.Once, p.zones.Once, p.offers.Once} {
		lookUp(ctx)
	}
	_ = p.Refresh()
	p.offers.Once(ctx) // of types that were unknown before
}

// NeedZones has a group scaled zone by zone from the next loop on, because a pod needs one of its zones.
func (p *Provider) NeedZones(group string) { p.cache.NeedZones(p.ctx, group) }

// Dividing reports whether the next loop will see zone groups of a group that is whole in this one.
func (p *Provider) Dividing() bool {
	return slices.ContainsFunc(p.cache.Snapshot().Groups(), func(g *group.Group) bool {
		groups, _, _ := p.cache.NodeGroups(g)
		return len(groups) > 1 && p.View().Divisible(g.Name)
	})
}

// Refresh moves on to the newest Snapshot and to the nodes of the moment. It makes no call and never fails: without a newer reading the
// last one stays. It calls SeeCluster, so the listers must be filled.
//
// The core lists and filters nodes before it calls Refresh. Processors of that step see the view of the last loop.
func (p *Provider) Refresh() error {
	p.looped.Store(true)
	p.PretendNone() // of a scale-up that was left out
	p.waited.Store(0)
	p.superseded.Clear()
	p.SeeCluster()
	p.cache.BeginLoop()
	p.refresh()
	return nil
}

// BeforeLoop moves on to the newest Snapshot while no loop is under way. Another core may begin, so NodeGroupForNode answers as before
// the first Refresh again.
func (p *Provider) BeforeLoop() {
	p.looped.Store(false)
	p.superseded.Clear()
	p.refresh()
}

func (p *Provider) refresh() {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.watchAge()
	now := basis{p.cache.Snapshot(), p.types.Catalogue(), cniOf(p.network), p.offers.Known(), p.starts.Known()}
	before, news := p.view.Load(), p.facts.learn(now.snapshot, p.clock.Now())
	if before.basis == now && !news && !p.anew {
		p.types.Want(p.unknown...) // EC2 may know them by now
		p.spend.show(before)
		return
	}
	p.anew = false
	p.noteDepartures(before.snapshot, now.snapshot)
	v := p.nextView(before, now)
	p.unknown = nil
	for _, t := range v.templates {
		p.unknown = append(p.unknown, t.UnknownTypes...)
	}
	p.types.Want(p.unknown...)
	p.offers.Want(v.zonalTypes()...)
	p.problems.report(p.ctx, slices.Concat(v.findings(), p.refused(v), p.fallbacks(v), p.withoutDevices(v), p.withoutNodes(v)), v)
	settleGone(before, v)
	p.spend.show(v) // first, because the caps hold for the groups of the view
	p.view.Store(v)
}

// settleGone zeroes the sizes of node groups that are gone in the core's metrics, and ends their ill health, because no loop changes these series any
// more. A group that begins or ends to be scaled zone by zone would count twice.
func settleGone(before, now *View) {
	for id := range before.byID {
		if now.byID[id] == nil {
			metrics.UpdateNodeGroupMin(id, 0)
			metrics.UpdateNodeGroupMax(id, 0)
			metrics.UpdateNodeGroupTargetSize(map[string]int{id: 0})
			metrics.UpdateNodeGroupHealthStatus(id, true)
		}
	}
}

// adopt takes a group as a write has left it into the current view.
func (p *Provider) adopt(name string) {
	p.changing.Lock()
	defer p.changing.Unlock()
	before := p.view.Load()
	if g := p.cache.Snapshot().Group(name); g != nil && g != before.snapshot.Group(name) {
		after := before.with(g)
		p.noteDepartures(before.snapshot, after.snapshot)
		p.view.Store(after)
	}
}

// noteDepartures takes in which instances left their groups. EC2 knows whether those that were not leaving were terminated.
func (p *Provider) noteDepartures(before, now *group.Snapshot) {
	terminated := map[string]bool{}
	var open []string
	for _, g := range before.Groups() {
		if now.Group(g.Name) == g {
			continue
		}
		for _, i := range g.Instances {
			switch {
			case now.GroupOf(i.ID) != nil:
			case i.Lifecycle.Leaving():
				terminated[i.ID] = true
			default:
				open = append(open, i.ID)
			}
		}
	}
	p.terminated.Learn(terminated)
	p.terminated.Want(open...)
}

func (p *Provider) Name() string { return cloudprovider.AwsProviderName }

// NodeGroups returns the node groups of the current view, in the order of their Auto Scaling groups' names.
func (p *Provider) NodeGroups() []cloudprovider.NodeGroup { return p.view.Load().nodeGroups }

// NodeGroupForNode returns the node group whose Auto Scaling group has the node's instance, in its zone, or nil. A Superseded node is in no group, or
// the core would count one instance twice, and miss another that is on its way.
//
// Before the first Refresh a node whose instance is on its way out is in no group. The core then takes its own taint off the nodes of all groups,
// because an earlier process may have left it there, and pods would come to a node that ends. A shadow has no node in any group then, because the
// taints are the leader's. After that a node whose instance is in standby is in no group, because the group's size does not count it, and the core
// would miss a node that is on its way.
func (p *Provider) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	group := p.NodeGroupOf(node)
	i, _ := p.View().Instance(node) // a newer reading would leave the core without the group of a node that it has in hand
	switch looped := p.looped.Load(); {
	case group == nil, p.Superseded(node), looped && isStandby(i), !looped && (p.Pretended != nil || p.isGoing(node)):
		return nil, nil
	}
	return group, nil
}

// isGoing reports whether the node's instance leaves its group, or has left it, by the newest reading. The view is as old as the caches of a large
// cluster take to fill.
func (p *Provider) isGoing(node *corev1.Node) bool {
	if i, _ := p.instanceNow(node); i != nil {
		return i.Lifecycle.Leaving()
	}
	before, _ := p.View().Instance(node) // which has no placeholder
	return before != nil
}

func (p *Provider) NodeGroupOf(node *corev1.Node) *NodeGroup {
	id, ok := instanceID(node.Spec.ProviderID)
	if !ok {
		return nil
	}
	v := p.view.Load()
	if placeholder, ok := placeholderGroup(id); ok {
		return v.byID[placeholder]
	}
	i, g := v.snapshot.Instance(id)
	if g == nil { // an instance younger than the loop
		i, g = p.cache.Snapshot().Instance(id)
	}
	if g == nil {
		return nil
	}
	if ng := v.byID[g.Name]; ng != nil && ng.zone == "" {
		return ng
	}
	return v.byID[group.ZoneGroupID(g.Name, i.Zone)]
}

// View returns the current view. It stays the same during a loop, except for the loop's own writes.
func (p *Provider) View() *View { return p.view.Load() }

// Zones returns the look-up of zones' identifiers, see lookup.NewZones.
func (p *Provider) Zones() *lookup.Cache[string] { return p.zones }

// GroupName returns the name of the Auto Scaling group behind a node group, also after a merge or a division. An unknown one has its own name.
func (p *Provider) GroupName(nodeGroup string) string {
	v := p.View()
	if g := v.Group(nodeGroup); g != nil {
		return g.Name
	}
	at := max(0, strings.LastIndex(nodeGroup, "/"))
	if g := v.AutoScalingGroup(nodeGroup[:at]); g != nil && v.AutoScalingGroup(nodeGroup) == nil && slices.Contains(g.Zones, nodeGroup[at+1:]) {
		return g.Name
	}
	return nodeGroup
}

// NodeGroupName returns the ID of the node group that a live or simulated node belongs to, or "".
func (p *Provider) NodeGroupName(node *corev1.Node) string {
	id, _ := p.GroupNames(node)
	return id
}

// GroupNames returns the ID of the node group that a live or simulated node belongs to, and its Auto Scaling group, or twice "".
func (p *Provider) GroupNames(node *corev1.Node) (nodeGroup, whole string) {
	if g := p.groupOf(node); g != nil {
		return g.ID(), g.Name
	}
	return "", ""
}

// groupOf returns the facts of the node group of a live or simulated node, or nil.
func (p *Provider) groupOf(node *corev1.Node) *group.Group {
	id := nodemeta.NodeGroup.Of(node)
	if id == "" {
		if ng := p.NodeGroupOf(node); ng != nil && !p.Superseded(node) {
			id = ng.id
		}
	}
	return p.View().Group(id)
}

// HasInstance reports whether the node's instance is in its group and will stay. An instance that left its group counts as terminated
// once EC2 confirms it, because it may have been detached. One that AWS takes now counts as gone where Capacity Rebalancing replaces it. Its
// pods then wait for that replacement, by which the group is larger than desired. The target size of a weighted group counts it already.
// One that is stopped outside our groups, as in a warm pool, counts as gone, too: many of them would make the cluster unhealthy, and the core would
// launch nothing. The error says that an instance was in none of our groups, so that the core decides by itself.
func (p *Provider) HasInstance(node *corev1.Node) (bool, error) {
	id, ok := instanceID(node.Spec.ProviderID)
	if i, g := p.view.Load().snapshot.Instance(id); ok && i != nil {
		return !i.Lifecycle.Leaving() && (g.Source.Weighted() || !rebalanced(i, g, node)), nil
	}
	if node.Annotations[annotationNotAutoscaled] == "false" { // which says nothing of a node of our groups, whose sizes count it
		return false, nil
	}
	if !ok || strings.HasPrefix(node.Name, "fargate") {
		return true, cloudprovider.ErrNotImplemented
	}
	if p.Terminated(node) || taints.HasTaint(node, taintShutdown) {
		return false, nil
	}
	return true, cloudprovider.ErrNotImplemented
}

// Terminated reports whether the node's instance left its group and is known to be terminated.
func (p *Provider) Terminated(node *corev1.Node) bool {
	terminated, _ := p.terminated.Known().Of(nodemeta.InstanceOf(node))
	return terminated
}

func (p *Provider) GetAvailableMachineTypes() ([]string, error) { return []string{}, nil }

func (p *Provider) NewNodeGroup(string, map[string]string, map[string]string, []corev1.Taint,
	map[string]resource.Quantity) (cloudprovider.NodeGroup, error) {
	return nil, cloudprovider.ErrNotImplemented
}

func (p *Provider) GetResourceLimiter() (*cloudprovider.ResourceLimiter, error) {
	return p.limiter, nil
}

// GPULabel is the node label by which the core knows a node that should have accelerators.
func (p *Provider) GPULabel() string { return instancetypes.AcceleratorLabel }

func (p *Provider) GetAvailableGPUTypes() map[string]struct{} { return gpuTypes }

// GetNodeGpuConfig returns the accelerator by which the core measures how much of a node is used. The core itself knows whole GPUs alone,
// and would take other nodes with the label of GPUs for unused. A Ready node that shows no accelerator, or several kinds of which pods may
// ask for any, has none here: the devices in its slices count, or CPU and memory.
func (p *Provider) GetNodeGpuConfig(node *corev1.Node) *cloudprovider.GpuConfig {
	config := gpu.GetNodeGPUFromCloudProvider(p, node)
	if _, whole := gpu.NodeHasGpuAllocatable(node); config == nil || whole || !nodemeta.Ready(node) {
		return config
	}
	kinds := 0
	for name, shown := range node.Status.Allocatable {
		if nodetemplate.IsAccelerator(name) && !shown.IsZero() {
			config.ExtendedResourceName = name
			kinds++
		}
	}
	if kinds != 1 {
		return nil
	}
	return config
}

// Cleanup implements cloudprovider.CloudProvider. Everything in the background ends with Run's context.
func (p *Provider) Cleanup() error { return nil }

// gpuTypes are the values of the label for accelerators that metrics of the core tell apart: the stock provider's, and newer models.
var gpuTypes = map[string]struct{}{"nvidia-tesla-k80": {}, "nvidia-tesla-p100": {}, "nvidia-tesla-v100": {}, "nvidia-tesla-t4": {}, "nvidia-tesla-a100": {},
	"nvidia-a10g": {}, "nvidia-l4": {}, "nvidia-l40s": {}, "nvidia-h100": {}, "nvidia-h200": {}, "nvidia-b200": {}}
