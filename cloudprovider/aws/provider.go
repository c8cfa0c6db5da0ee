package aws

import (
	"context"
	"fmt"
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
	"k8s.io/autoscaler/cluster-autoscaler/utils/gpu"
	coreinformers "k8s.io/client-go/informers/core/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/typelookup"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/model"
)

// GPULabel is the node label by which the core knows a node that should have accelerators.
const GPULabel = "k8s.amazonaws.com/accelerator"

// annotationNotAutoscaled set to "false" on a node tells that no group of ours has its instance.
const annotationNotAutoscaled = "k8s.io/cluster-autoscaler-enabled"

// Options of a Provider.
type Options struct {
	Cache     *asg.Cache
	Region    string
	Catalogue *instancetypes.Catalogue
	// InstanceTypes looks up instance types the catalogue lacks; nil leaves them unknown.
	InstanceTypes typelookup.API
	// Zones tells the identifiers of zones in which the cluster has no node; nil leaves them unknown.
	Zones zonesAPI
	// Offerings tells in which zones instance types are offered; nil leaves that unknown.
	Offerings offeringsAPI
	// Instances tells what became of instances that left their groups; nil leaves that open.
	Instances instancesAPI
	Limiter   *cloudprovider.ResourceLimiter
	// Nodes is an informer of the registered nodes. It is nil where nobody knows them.
	Nodes coreinformers.NodeInformer
	// DaemonSets has that of the VPC CNI, if the cluster has one; nil where nobody knows.
	DaemonSets appslisters.DaemonSetLister
	// GatherDeletions is how long deletions of a group are gathered, if longer than the moment they always are.
	GatherDeletions time.Duration
	// Prices of the region; nil where there are none.
	Prices prices
	// Event publishes an event about a node group; nil for none.
	Event func(eventType, reason, message string)
	// Registerer receives the provider's metrics; nil for none.
	Registerer prometheus.Registerer
	Clock      clock.WithTicker
}

// Provider implements cloudprovider.CloudProvider. It is safe for concurrent use, but for Refresh, which the core calls
// from its loop.
type Provider struct {
	ctx      context.Context
	cache    *asg.Cache
	region   string
	limiter  *cloudprovider.ResourceLimiter
	nodes    corelisters.NodeLister
	network  appslisters.DaemonSetLister
	clock    clock.WithTicker
	types    *typeLookup
	zones    *zoneLookup
	offers   *offerings
	zoneIDs  atomic.Pointer[zoneIDs]
	problems *reporter
	costs    *model.Model // nil without prices
	spend    *spend       // nil without prices
	gpuTypes map[string]struct{}
	// deletions and increases under way, and instances that left their groups otherwise.
	deletions *deletions
	increases *increases
	departed  *departures
	ageing    ageing // under changing
	view      atomic.Pointer[view]
	// registered are the provider IDs of the registered nodes by instance, as of the current loop. It is nil until they were read once.
	registered   atomic.Pointer[map[string]string] // written under changing
	nodesChanged atomic.Bool                       // since registered was read
	seen         evidence                          // for Refresh alone
	changing     sync.Mutex                        // held while a view is made from the one before
	lessons      *lessons                          // under changing
}

// New makes a Provider over a started Cache. The context bounds everything the core asks of it.
func New(ctx context.Context, o Options) (*Provider, error) {
	problems, err := newReporter(o.Registerer, o.Event)
	if err != nil {
		return nil, err
	}
	p := &Provider{
		ctx: ctx, cache: o.Cache, region: o.Region, limiter: o.Limiter, network: o.DaemonSets, clock: o.Clock,
		types: newTypeLookup(o.InstanceTypes, o.Catalogue, o.Clock), zones: newZoneLookup(o.Zones, o.Clock), problems: problems,
		offers:   newOfferings(o.Offerings, o.Clock),
		gpuTypes: gpuTypes(o.Catalogue),
	}
	if err := p.follow(o.Nodes); err != nil {
		return nil, err
	}
	p.lessons = newLessons(p.nodes, p.types.catalogue)
	p.deletions, p.departed = newDeletions(o.Clock, o.GatherDeletions, p.terminate), newDepartures(o.Instances, o.Clock)
	p.increases = newIncreases(o.Clock, p.launchZones)
	p.ageing.event = o.Event
	if o.Registerer != nil {
		if err := o.Registerer.Register(snapshotAge(o.Cache, o.Clock)); err != nil {
			return nil, fmt.Errorf("register snapshot age metric: %w", err)
		}
	}
	p.view.Store(emptyView())
	if o.Prices != nil {
		p.costs = model.New(groupFacts{p}, o.Prices)
		if p.spend, err = newSpend(p.costs, o.Registerer); err != nil {
			return nil, err
		}
	}
	p.zoneIDs.Store(&zoneIDs{})
	p.refresh()
	return p, nil
}

// Run keeps the groups and the facts about them fresh until ctx ends.
func (p *Provider) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.cache.Run(ctx) })
	g.Go(func() error { p.types.run(ctx); return nil })
	g.Go(func() error { p.zones.run(ctx); return nil })
	g.Go(func() error { p.offers.run(ctx); return nil })
	g.Go(func() error { p.departed.run(ctx); return nil })
	return g.Wait()
}

// Changed receives when the core's next loop would see something new in a group.
func (p *Provider) Changed() <-chan struct{} { return p.cache.Changed() }

// Refresh moves on to the newest Snapshot, and to what nodes have shown meanwhile. It makes no call and never fails: without a newer reading the last one stays.
// The listers must be filled: half of the nodes may settle the wrong name of the cluster.
func (p *Provider) Refresh() error {
	p.seeNodes()
	p.seeCluster()
	p.refresh()
	return nil
}

func (p *Provider) refresh() {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.ageing.watch(p.ctx, p.cache.Age(), p.cache.TooOldToRemove(), p.cache.TooOldToAdd())
	snapshot, catalogue, cni, offered := p.cache.Snapshot(), p.types.catalogue(), cniOf(p.network), p.offers.known()
	if p.spend != nil {
		defer func() { p.spend.show(p.view.Load()) }()
	}
	before, news := p.view.Load(), p.lessons.learn(snapshot, p.clock.Now())
	if before.snapshot == snapshot && before.catalogue == catalogue && before.cni == cni && before.offered == offered && !news {
		return
	}
	p.departed.compare(before.snapshot, snapshot)
	v := p.nextView(before, snapshot, catalogue, cni, offered)
	p.types.want(v.unknownTypes())
	p.offers.want(v.zonalTypes())
	p.problems.report(p.ctx, slices.Concat(v.findings(), p.refusedLaunches(v), p.fallbacks()))
	zeroSizes(before, v)
	p.view.Store(v)
}

// adopt takes a group into the view of the current loop as a write has left it.
func (p *Provider) adopt(name string) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if g := p.cache.Snapshot().Group(name); g != nil {
		before := p.view.Load()
		after := before.with(g)
		p.departed.compare(before.snapshot, after.snapshot)
		p.view.Store(after)
	}
}

// Name implements cloudprovider.CloudProvider.
func (p *Provider) Name() string { return cloudprovider.AwsProviderName }

// NodeGroups returns the node groups of the current view, by name of their Auto Scaling groups.
func (p *Provider) NodeGroups() []cloudprovider.NodeGroup { return p.view.Load().nodeGroups }

// NodeGroupForNode returns the node group whose Auto Scaling group has the node's instance, in its zone, or nil.
func (p *Provider) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	if group := p.groupOf(node); group != nil {
		return group, nil
	}
	return nil, nil
}

func (p *Provider) groupOf(node *corev1.Node) *NodeGroup {
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
	return v.nodeGroupOf(i, g)
}

// HasInstance reports whether the node's instance is in its group and will stay. One that left its group is gone once EC2 has
// said so: it may have been detached. What never was in any of our groups is not for us to judge: the error tells the core
// so.
func (p *Provider) HasInstance(node *corev1.Node) (bool, error) {
	if node.Annotations[annotationNotAutoscaled] == "false" {
		return false, nil
	}
	id, ok := instanceID(node.Spec.ProviderID)
	if !ok || strings.HasPrefix(node.Name, "fargate") {
		return true, cloudprovider.ErrNotImplemented
	}
	snapshot := p.view.Load().snapshot
	if i, _ := snapshot.Instance(id); i != nil {
		return !i.Lifecycle.Leaving(), nil
	}
	if p.departed.has(id) {
		return false, nil
	}
	return true, cloudprovider.ErrNotImplemented
}

// GetAvailableMachineTypes implements cloudprovider.CloudProvider; groups are not created here.
func (p *Provider) GetAvailableMachineTypes() ([]string, error) { return []string{}, nil }

// NewNodeGroup implements cloudprovider.CloudProvider; groups are not created here.
func (p *Provider) NewNodeGroup(string, map[string]string, map[string]string, []corev1.Taint,
	map[string]resource.Quantity) (cloudprovider.NodeGroup, error) {
	return nil, cloudprovider.ErrNotImplemented
}

// GetResourceLimiter returns the limits of the autoscaler's flags.
func (p *Provider) GetResourceLimiter() (*cloudprovider.ResourceLimiter, error) {
	return p.limiter, nil
}

// GPULabel implements cloudprovider.CloudProvider.
func (p *Provider) GPULabel() string { return GPULabel }

// GetAvailableGPUTypes returns the values GPULabel can have.
func (p *Provider) GetAvailableGPUTypes() map[string]struct{} { return p.gpuTypes }

// GetNodeGpuConfig returns the GPU configuration of the node, or nil.
func (p *Provider) GetNodeGpuConfig(node *corev1.Node) *cloudprovider.GpuConfig {
	return gpu.GetNodeGPUFromCloudProvider(p, node)
}

// Cleanup implements cloudprovider.CloudProvider. What runs in the background ends with Run's context.
func (p *Provider) Cleanup() error { return nil }

// gpuTypes are the label values of the catalogue's GPUs, and those the stock provider lists.
func gpuTypes(c *instancetypes.Catalogue) map[string]struct{} {
	types := map[string]struct{}{}
	for _, value := range append(c.AcceleratorLabelValues(), "nvidia-tesla-k80", "nvidia-tesla-p100", "nvidia-tesla-v100",
		"nvidia-tesla-t4", "nvidia-tesla-a100", "nvidia-a10g", "nvidia-l4", "nvidia-l40s") {
		types[value] = struct{}{}
	}
	return types
}

func snapshotAge(cache *asg.Cache, c clock.PassiveClock) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "cluster_autoscaler", Name: "aws_snapshot_age_seconds",
		Help: "Age of the last complete reading of the Auto Scaling groups, in seconds.",
	}, func() float64 { return c.Since(cache.Snapshot().ReadAt).Seconds() })
}
