package plugin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider/externalgrpc/protos"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/utils/gpu"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
)

type Parts struct {
	Provider   *aws.Provider
	Expander   expander.Strategy
	ZoneIDs    *nodeinfos.ZoneIDs
	Launchable *nodegroups.Launchable
	Nodes      corelisters.NodeLister
	DaemonSets appslisters.DaemonSetLister
	// StartupTaint reports whether the core counts a node with a taint of this key as starting.
	StartupTaint func(key string) bool
	// Refreshed is called after each Refresh, and after each Look that does its work. No choice of the expander is made meanwhile.
	Refreshed func(trigger string)
}

// provider answers the calls of the external gRPC provider that are not about one group.
type provider struct {
	protos.UnimplementedCloudProviderServer
	*Server
}

// Refresh moves on to the newest Snapshot.
func (p *provider) Refresh(ctx context.Context, _ *protos.RefreshRequest) (*protos.RefreshResponse, error) {
	p.loop.Lock()
	defer p.loop.Unlock()
	with := p.parts.Load()
	p.core.Store(connection(ctx))
	p.refreshed = time.Now()
	_ = with.Provider.Refresh()                      // which never fails
	nodes, _ := with.Nodes.List(labels.Everything()) // the lister reads a cache
	p.pages.learn(nodes)
	with.ZoneIDs.Learn(nodes, with.Provider.View())
	p.starting.look(with, nodes, p.refreshed)
	with.Refreshed("refresh")
	return &protos.RefreshResponse{}, nil
}

func (p *provider) NodeGroups(context.Context, *protos.NodeGroupsRequest) (*protos.NodeGroupsResponse, error) {
	response := &protos.NodeGroupsResponse{}
	for _, group := range p.parts.Load().Provider.NodeGroups() {
		response.NodeGroups = append(response.NodeGroups, p.groupMessage(group.(*aws.NodeGroup)))
	}
	return response, nil
}

// NodeGroupForNode answers with a group without a name for a node of nobody. It is the first call of a core that starts, by a connection of
// its own, also beside a plugin that has served another core.
func (p *provider) NodeGroupForNode(ctx context.Context, r *protos.NodeGroupForNodeRequest) (*protos.NodeGroupForNodeResponse, error) {
	with, from := p.parts.Load(), connection(ctx)
	if p.core.Swap(from) != from {
		with.Provider.BeforeLoop()
	}
	node := p.nodeOf(r.GetNode())
	group, err := with.Provider.NodeGroupForNode(node)
	if group != nil && !taints.HasToBeDeletedTaint(node) { // the core needs the group of a node that it removes itself
		if stays, unknown := with.Provider.HasInstance(node); !stays && unknown == nil {
			group = nil // the core cannot ask, and would miss a node that is on its way
		}
	}
	response := &protos.NodeGroupForNodeResponse{NodeGroup: &protos.NodeGroup{}}
	if err == nil && group != nil {
		response.NodeGroup = p.groupMessage(group.(*aws.NodeGroup))
	}
	return response, err
}

// connection is the address of the caller's end of a call's connection.
func connection(ctx context.Context) string {
	if caller, ok := peer.FromContext(ctx); ok {
		return caller.Addr.String()
	}
	return ""
}

func (p *provider) PricingNodePrice(_ context.Context, r *protos.PricingNodePriceRequest) (*protos.PricingNodePriceResponse, error) {
	if err := fromOlder(r); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	start, end := r.GetStartTimestamp().AsTime(), r.GetEndTimestamp().AsTime()
	price, err := p.parts.Load().Provider.Costs().NodePrice(p.nodeOf(r.GetNode()), start, end)
	return &protos.PricingNodePriceResponse{Price: price}, err
}

func (p *provider) PricingPodPrice(_ context.Context, r *protos.PricingPodPriceRequest) (*protos.PricingPodPriceResponse, error) {
	var pod corev1.Pod
	if err := fromOlder(r); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := pod.Unmarshal(r.GetPodBytes()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	price, err := p.parts.Load().Provider.Costs().PodPrice(&pod, r.GetStartTimestamp().AsTime(), r.GetEndTimestamp().AsTime())
	return &protos.PricingPodPriceResponse{Price: price}, err
}

func (p *provider) GPULabel(context.Context, *protos.GPULabelRequest) (*protos.GPULabelResponse, error) {
	return &protos.GPULabelResponse{Label: p.parts.Load().Provider.GPULabel()}, nil
}

func (p *provider) GetAvailableGPUTypes(context.Context, *protos.GetAvailableGPUTypesRequest) (*protos.GetAvailableGPUTypesResponse, error) {
	response := &protos.GetAvailableGPUTypesResponse{GpuTypes: map[string]*anypb.Any{}}
	for name := range p.parts.Load().Provider.GetAvailableGPUTypes() {
		response.GpuTypes[name] = &anypb.Any{}
	}
	return response, nil
}

// Cleanup ends nothing: another core may follow the one that leaves.
func (p *provider) Cleanup(context.Context, *protos.CleanupRequest) (*protos.CleanupResponse, error) {
	return &protos.CleanupResponse{}, nil
}

// nodeOf returns the parts of a Node that the message has, and the age of a registered one. Without it any other Node of its instance
// would count as newer.
func (p *provider) nodeOf(m *protos.ExternalGrpcNode) *corev1.Node {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.GetName(), Labels: m.GetLabels(), Annotations: m.GetAnnotations()},
		Spec:       corev1.NodeSpec{ProviderID: m.GetProviderID()},
	}
	if registered, err := p.parts.Load().Nodes.Get(node.Name); err == nil && registered.Spec.ProviderID == node.Spec.ProviderID {
		node.CreationTimestamp, node.Spec.Taints = registered.CreationTimestamp, registered.Spec.Taints
	}
	return node
}

// groupMessage has the group's size for a minimum while the reading is old. Otherwise the core would drain nodes that AWS does not
// terminate. The maximum of a zone group is the most that it may have. Those of several add up to more than their group's, and it is
// IncreaseSize that keeps to that.
func (p *provider) groupMessage(g *aws.NodeGroup) *protos.NodeGroup {
	least := g.MinSize()
	if size, err := g.TargetSize(); err == nil && p.parts.Load().Provider.TooOldToRemove() {
		least = max(least, size)
	}
	return &protos.NodeGroup{Id: g.Id(), MinSize: int32(least), MaxSize: int32(g.MostSize()), Debug: g.Debug()}
}

// justRegistered is the age below which a node counts as starting although it is Ready. The core lists nodes before Refresh, when the
// node may not have been Ready.
const justRegistered = time.Minute

// startingGroups are the node groups with nodes that have registered and are not Ready, as of this Refresh and of the one before it.
type startingGroups struct {
	now, before map[string]bool
	coming      map[string]time.Time // since when instances have been seen that have not registered
}

func (s *startingGroups) look(with *Parts, nodes []*corev1.Node, now time.Time) {
	s.before, s.now = s.now, map[string]bool{}
	registered, coming := map[string]bool{}, map[string]time.Time{}
	for _, node := range nodes {
		registered[nodemeta.InstanceOf(node)] = true
		age := now.Sub(node.CreationTimestamp.Time)
		ready, err := kubernetes.GetNodeReadiness(node)
		_, labelled := node.Labels[with.Provider.GPULabel()] // the core waits for the GPU of such a node
		_, shown := gpu.NodeHasGpuAllocatable(node)
		closed := slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return with.StartupTaint(t.Key) })
		if age >= justRegistered && err == nil && ready.Ready && (shown || !labelled) && !closed {
			continue
		}
		group := with.Provider.NodeGroupOf(node) // by its tag, or else by the core's default
		if group != nil && age < group.Options(config.NodeGroupAutoscalingOptions{MaxNodeStartupTime: clusterstate.MaxNodeStartupTime}).MaxNodeStartupTime {
			s.now[group.Id()] = true
		}
	}
	for _, g := range with.Provider.View().Snapshot().Groups() {
		for _, i := range g.Counted() {
			if !registered[i.ID] {
				coming[i.ID] = cmp.Or(s.coming[i.ID], now)
			}
		}
	}
	s.coming = coming
}

// starts reports whether nodes of the group are starting. It does not while the core would end an instance that has not registered for its
// own time, and the group's is longer. The core has seen it a moment before we have.
func (p *provider) starts(id string, own, ours time.Duration) bool {
	p.loop.Lock()
	defer p.loop.Unlock()
	late := func(i group.Instance) bool {
		since, coming := p.starting.coming[i.ID]
		return coming && time.Since(since) > own-time.Minute
	}
	if g := p.parts.Load().Provider.View().Group(id); g != nil && ours > own && slices.ContainsFunc(g.Instances, late) {
		return false
	}
	return p.starting.now[id] || p.starting.before[id]
}
