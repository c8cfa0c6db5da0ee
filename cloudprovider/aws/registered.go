package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	coreinformers "k8s.io/client-go/informers/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

const taintPoll, taintShown = 20 * time.Millisecond, time.Second

// registeredNodes knows the provider IDs of the registered nodes by instance, as of the last SeeCluster. It is safe for concurrent use.
type registeredNodes struct {
	nodes   corelisters.NodeLister
	index   cache.Indexer                     // of the nodes, with nodemeta.NodesByInstance
	changed atomic.Bool                       // since known was read
	known   atomic.Pointer[map[string]string] // nil until the nodes were read once
	reading sync.Mutex                        // held while known is brought up to date
	late    func(tainted *corev1.Node) error  // says which pod would be lost that has come to a node during its drain. It may be nil
}

// follow sets changed when a node is created or deleted or gets another provider ID. No other change of a node changes known. Before
// the end of the process, the informer refuses only an index that it has.
func (r *registeredNodes) follow(nodes coreinformers.NodeInformer) {
	r.nodes, r.index = nodes.Lister(), nodes.Informer().GetIndexer()
	_ = nodes.Informer().AddIndexers(nodemeta.NodesByInstance)
	r.changed.Store(true)
	_, _ = nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { r.changed.Store(true) },
		DeleteFunc: func(any) { r.changed.Store(true) },
		UpdateFunc: func(before, now any) {
			if before.(*corev1.Node).Spec.ProviderID != now.(*corev1.Node).Spec.ProviderID {
				r.changed.Store(true)
			}
		},
	})
}

// ids returns the provider IDs of registered nodes by instance. The core may ask for instances before its first loop.
func (r *registeredNodes) ids() map[string]string {
	if r.known.Load() == nil {
		r.read()
	}
	return *r.known.Load()
}

// read brings known up to date. Where several nodes have one instance, the first provider ID in the alphabet counts in every loop.
func (r *registeredNodes) read() {
	r.reading.Lock()
	defer r.reading.Unlock()
	if !r.changed.Swap(false) {
		return
	}
	nodes, _ := r.nodes.List(labels.Everything()) // the lister reads a cache
	ids := make(map[string]string, len(nodes))
	for _, node := range nodes {
		if id, ok := instanceID(node.Spec.ProviderID); ok && (ids[id] == "" || node.Spec.ProviderID < ids[id]) {
			ids[id] = node.Spec.ProviderID
		}
	}
	r.known.Store(&ids)
}

// Superseded reports whether the node is not Ready and another node of its instance is Ready or newer. The kubelet has registered again under
// the other name, which may not be Ready for a moment. Kubernetes keeps the former node for as long as the instance runs. No group counts
// it, and to remove it would end the other. The answer about a node stays the same during a loop, because the core calls what it took for
// the node's group.
func (p *Provider) Superseded(node *corev1.Node) (superseded bool) {
	if nodemeta.Ready(node) {
		return false
	}
	if judged, known := p.superseded.Load(node.Name); known {
		return judged.(bool)
	}
	defer func() { // the first answer counts, which another goroutine may have given meanwhile
		first, _ := p.superseded.LoadOrStore(node.Name, superseded)
		superseded = first.(bool)
	}()
	for _, registered := range nodemeta.NodesOf(p.registered.index, nodemeta.InstanceOf(node)) {
		switch ready := nodemeta.Ready(registered); {
		case registered.Name != node.Name:
			superseded = superseded || ready || node.CreationTimestamp.Before(&registered.CreationTimestamp)
		case ready: // a copy that is not Ready for the core, or has no conditions
			return false
		}
	}
	return superseded
}

// InstanceOf is the View's Instance of a node that is not Superseded.
func (p *Provider) InstanceOf(node *corev1.Node) (*group.Instance, *group.Group) {
	if p.Superseded(node) {
		return nil, nil
	}
	return p.View().Instance(node)
}

// elsewhere returns a function that says which node with another provider ID an instance may be, and what helps, or nothing. Such a node has the
// instance's name or address, and is not on EC2, or states an instance that no group has. A kubelet that finds the node of an earlier instance under
// its own name takes the object over with its provider ID, and the cloud controller manager lets it be while it is Ready.
// While EC2 has not shown names and addresses, or no other node is registered, it is any that is not on EC2 and not older than the instance,
// because kubelet may use another name and address. A control plane is no instance of a group of nodes then. Fargate's provider ID is like
// EC2's. The first call lists the nodes.
func (p *Provider) elsewhere() (mayBe func(instance string) (cause, remedy string)) {
	list := sync.OnceValues(func() (nodes []*corev1.Node, alone bool) {
		all, _ := p.registered.nodes.List(labels.Everything()) // the lister reads a cache
		alone = true
		for _, n := range all {
			id, onEC2 := instanceID(n.Spec.ProviderID)
			if alone = alone && !onEC2; !onEC2 || nodemeta.Ready(n) && !nodemeta.DrainedByCore(n) && p.cache.Snapshot().GroupOf(id) == nil {
				nodes = append(nodes, n)
			}
		}
		slices.SortFunc(nodes, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
		return nodes, alone
	})
	return func(instance string) (cause, remedy string) {
		nodes, alone := list()
		start, _ := p.starts.Known().Of(instance)
		at := slices.IndexFunc(nodes, func(n *corev1.Node) bool {
			_, controlPlane := n.Labels["node-role.kubernetes.io/control-plane"]
			_, onEC2 := instanceID(n.Spec.ProviderID)
			return slices.Contains(start.Names, n.Name) ||
				slices.ContainsFunc(n.Status.Addresses, func(a corev1.NodeAddress) bool { return slices.Contains(start.Names, a.Address) }) ||
				(alone || len(start.Names) == 0) && !onEC2 && !controlPlane && !n.CreationTimestamp.Time.Before(start.Launched)
		})
		if at < 0 {
			return "", ""
		}
		p.starts.Want(instance)
		n := nodes[at]
		wrong, remedy := "is not EC2's", nodemeta.RemedyProviderID
		if _, onEC2 := instanceID(n.Spec.ProviderID); onEC2 {
			wrong, remedy = "names another instance", "drain the node, and "+shellword.TerminateInstance(instance)
		}
		return fmt.Sprintf("it may be node %q, whose provider ID %q %s, so it is not terminated", n.Name, n.Spec.ProviderID, wrong), remedy
	}
}

// Elsewhere is elsewhere for one instance, as of now.
func (p *Provider) Elsewhere(instance string) (cause, remedy string) { return p.elsewhere()(instance) }

// KeepForLate has removals fail whose node has got a pod that must not be lost. late says which, for a node with the core's taint. It is to be
// called before the first removal.
func (p *Provider) KeepForLate(late func(tainted *corev1.Node) error) { p.registered.late = late }

// mayEnd refuses to end an instance under another node than the one to delete: one that has registered since the core took the instance
// for unregistered, a Ready one, or a newer one. Pods run on it. It also refuses to end a node without the core's taint, which has registered
// anew, or lost it to somebody else. Pods may come to it. It waits for the taint as long as patience lasts.
//
// It also refuses a removal that is older than its node group. Nobody knows how old the removal of a node is that is gone. The core begins
// a removal under one ID, and ends it under the ID of the moment. Where a group has become zone groups meanwhile, or is whole again, the
// core would never end it, and so drain no other node. After an error the core ends it under the first ID (deleteNodesAndRegisterStatus,
// read 2026-11).
func (r *registeredNodes) mayEnd(ctx context.Context, instance string, node *corev1.Node, since time.Time, patience time.Duration) error {
	unregistered := node.Annotations[cloudprovider.FakeNodeReasonAnnotation] == cloudprovider.FakeNodeUnregistered
	older := !unregistered && !since.IsZero()
	for _, other := range nodemeta.NodesOf(r.index, instance) {
		if other.Name != node.Name {
			if unregistered || nodemeta.Ready(other) || node.CreationTimestamp.Before(&other.CreationTimestamp) {
				return fmt.Errorf("delete node %q: its instance has registered as node %q, too", node.Name, other.Name)
			}
			continue
		}
		if other = r.tainted(ctx, other, patience); other == nil {
			return fmt.Errorf("delete node %q: it is registered and lacks the taint %s, so pods may come to it", node.Name, taints.ToBeDeletedTaint)
		}
		began, _ := taints.GetToBeDeletedTime(other)
		older = began != nil && began.Before(since)
		if r.late != nil {
			if err := r.late(other); err != nil {
				return fmt.Errorf("delete node %q: %w", node.Name, err)
			}
		}
	}
	if older {
		return fmt.Errorf("delete node %q: its group has come to be scaled zone by zone, or as a whole, maybe since its removal began, "+
			"so it is removed later", node.Name)
	}
	return nil
}

// tainted returns the node once it has the core's taint, or nil. The cache may be taintShown behind.
func (r *registeredNodes) tainted(ctx context.Context, node *corev1.Node, patience time.Duration) *corev1.Node {
	if wait.PollUntilContextTimeout(ctx, taintPoll, patience, true, func(context.Context) (bool, error) {
		if now, err := r.nodes.Get(node.Name); err == nil {
			node = now
		}
		return taints.HasToBeDeletedTaint(node), nil
	}) != nil {
		return nil
	}
	return node
}

// nodePorts reports whether a Service has ports of all nodes. Load balancers that do not send to pods send to them.
func (p *Provider) nodePorts() bool {
	all, _ := p.Services.List(labels.Everything()) // the lister reads a cache
	return slices.ContainsFunc(all, func(s *corev1.Service) bool {
		return slices.ContainsFunc(s.Spec.Ports, func(port corev1.ServicePort) bool { return port.NodePort > 0 })
	})
}

// inUse reports whether a volume is in use on the node, or load balancers may still send to it. A kubelet that is lost will say nothing more.
func (r *registeredNodes) inUse(node *corev1.Node, ports bool, at time.Time) bool {
	now, err := r.nodes.Get(node.Name)
	if err != nil || taints.HasTaint(now, corev1.TaintNodeUnreachable) {
		return false
	}
	since, _ := taints.GetToBeDeletedTime(now)
	return len(now.Status.VolumesInUse) > 0 || ports && since != nil && at.Sub(*since) < interruption.LeaveTime
}
