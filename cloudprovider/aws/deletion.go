package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// A deletion waits gatherFor for others of its group, unless the flags say longer. The core deletes nodes one by one, each from a goroutine of
// its own, so that the deletions of one loop come within milliseconds, or with pods of DaemonSets to evict a little later.
const gatherFor = 200 * time.Millisecond

// volumesShown is two statuses of a kubelet (nodeStatusUpdateFrequency). The next one says that it has unmounted a volume. Otherwise the
// volume stays attached for 6 minutes after its node is gone (ReconcilerMaxWaitForUnmountDuration, both of Kubernetes 1.35).
const removalPoll, volumesShown = 200 * time.Millisecond, 20 * time.Second

func (p *Provider) forceTerminate(ctx context.Context, name string, ids []string) error {
	err := p.cache.Terminate(ctx, name, ids)
	partial, some := errors.AsType[*asg.TerminationError](err)
	if !some {
		return err
	}
	var needed []string
	for id, why := range partial.Stays {
		if group.AtMinimum(why) {
			needed = append(needed, id)
			delete(partial.Stays, id)
		}
	}
	var replaceErr error
	if len(needed) > 0 {
		replaceErr = p.cache.Replace(p.ctx, name, needed) // AWS's answers may have used up the caller's patience with other writes
	}
	if len(partial.Stays) == 0 {
		return replaceErr
	}
	return errors.Join(err, replaceErr)
}

// DeleteNodes terminates the nodes' instances once none is in use, by one call for a moment, and withdraws placeholder instances.
func (n *NodeGroup) DeleteNodes(nodes []*corev1.Node) error {
	if unregistered(nodes) {
		return n.remove(nodes, n.provider.cache.Terminate)
	}
	p := n.provider
	return n.remove(nodes, func(_ context.Context, group string, ids []string) error {
		began, ports := p.clock.Now(), p.Services != nil && p.nodePorts()
		inUse := func(n *corev1.Node) bool { return p.registered.inUse(n, ports, p.clock.Now()) }
		if slices.ContainsFunc(nodes, inUse) {
			klog.FromContext(p.ctx).V(2).Info("Kept nodes for load balancers and volumes", "nodes", klog.KObjSlice(nodes), "atMost", volumesShown)
		}
		for ; slices.ContainsFunc(nodes, inUse) && p.ctx.Err() == nil; <-p.clock.After(removalPoll) {
			if p.clock.Since(began) >= volumesShown { // the taint is older, unless the clock was set back
				klog.FromContext(p.ctx).Info("Terminating nodes although some may still be in use", "nodes", klog.KObjSlice(nodes))
				break
			}
		}
		others := slices.DeleteFunc(slices.Clone(ids), p.replacedByAWS)
		replaced := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(others, id) })
		err, more := p.endDrained(group, replaced, nodes, true), p.endDrained(group, others, nodes, false) // AWS waits for none of the first
		some, partial := errors.AsType[*asg.TerminationError](err)
		if rest, both := errors.AsType[*asg.TerminationError](more); partial && both {
			maps.Copy(some.Stays, rest.Stays)
			return some
		}
		return errors.Join(err, more)
	})
}

// endDrained terminates instances of the nodes by one call for a moment. It waits for other writes to the group whatever the caller's context says, because
// the nodes would get new pods.
func (p *Provider) endDrained(group string, ids []string, nodes []*corev1.Node, replace bool) error {
	if len(ids) == 0 {
		return nil
	}
	return p.cache.TerminateTogether(p.ctx, group, ids, replace, p.gatherFor, func(id string) error {
		at := slices.IndexFunc(nodes, func(n *corev1.Node) bool { return nodemeta.InstanceOf(n) == id })
		return p.registered.mayEnd(p.ctx, id, nodes[at], time.Time{}, 0)
	})
}

// replacedByAWS reports whether AWS takes an instance now and Capacity Rebalancing replaces it. Its group is larger by one meanwhile: with a lower desired
// capacity AWS would end another instance, too.
func (p *Provider) replacedByAWS(instance string) bool {
	i, g := p.cache.Snapshot().Instance(instance)
	return i != nil && rebalanced(i, g, nodemeta.NodesOf(p.registered.index, instance)...)
}

func rebalanced(i *group.Instance, g *group.Group, nodes ...*corev1.Node) bool {
	return g.CapacityRebalance && !i.Lifecycle.ReplacesRootVolume() && slices.ContainsFunc(nodes, interruption.Rebalances)
}

// ForceDeleteNodes terminates the nodes' instances whatever the minimum size. AWS replaces instances that the minimum asks for.
func (n *NodeGroup) ForceDeleteNodes(nodes []*corev1.Node) error {
	return n.remove(nodes, n.provider.forceTerminate)
}

// FailsToEnd reports whether AWS failed for now to terminate an instance of the node's group within that time, and has accepted none since.
func (p *Provider) FailsToEnd(node *corev1.Node, within time.Duration) bool {
	_, g := p.instanceNow(node)
	return g != nil && p.clock.Since(g.EndFailed) < within
}

// unregistered reports whether the core made up all nodes for instances without one. Its loop deletes such nodes and waits for that.
func unregistered(nodes []*corev1.Node) bool {
	return !slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return n.Annotations[cloudprovider.FakeNodeReasonAnnotation] == "" })
}

func (n *NodeGroup) remove(nodes []*corev1.Node, terminate func(ctx context.Context, group string, ids []string) error) error {
	if n.provider.Pretended != nil {
		return fmt.Errorf("node group %q: a shadow removes no node", n.id)
	}
	gone, err := n.instances(nodes)
	if err != nil {
		return err
	}
	var errs []error
	if len(gone.failed) > 0 {
		n.provider.cache.DismissFailed(n.name, gone.failed...)
		n.provider.adopt(n.name)
	}
	end := func(ctx context.Context) error {
		defer n.provider.adopt(n.name)
		return terminate(ctx, n.name, gone.ids)
	}
	// An error for unregistered nodes would keep the core from the other groups, which it asks for next under --force-delete-unregistered-nodes.
	log := klog.FromContext(n.provider.ctx).V(2)
	if g := n.group(); gone.placeholders > 0 && g.TargetInstances() <= g.MinInstances() {
		log.Info("Left instances that the minimum size asks for", "nodeGroup", n.id, "missing", gone.placeholders)
	} else if gone.placeholders > 0 {
		errs = append(errs, n.withdraw(gone.placeholders))
	}
	p := n.provider.Paused(n.group(), true)
	switch {
	case len(gone.ids) == 0:
	case p.Down && unregistered(nodes):
		log.Info("Left instances that have not joined", "instances", gone.ids, "reason", n.pausedError(p))
	case p.Down:
		errs = append(errs, n.pausedError(p))
	case unregistered(nodes):
		errs = append(errs, n.spared(gone.ids, n.inLoop(end)))
	default:
		errs = append(errs, end(n.provider.ctx))
	}
	return errors.Join(errs...)
}

// spared returns the error of unregistered instances that were not terminated, or nil if all may be another cluster's. The log says that
// once.
func (n *NodeGroup) spared(ids []string, err error) error {
	other, is := errors.AsType[*ownership.OtherClusterError](err)
	if partial, some := errors.AsType[*asg.TerminationError](err); some {
		for _, why := range partial.Stays {
			if _, others := errors.AsType[*ownership.OtherClusterError](why); !others {
				return err
			}
		}
	}
	if !is {
		return err
	}
	n.left(ids, other.Why)
	return nil
}

func (n *NodeGroup) left(ids []string, why string) {
	if _, said := n.provider.spared.LoadOrStore(n.id+" "+why, true); !said {
		klog.FromContext(n.provider.ctx).Info("Left instances that have not joined", "nodeGroup", n.id, "instances", ids, "reason", why)
	}
}

// removal is the instances behind nodes to delete.
type removal struct {
	ids          []string
	placeholders int
	failed       []int // failed increases
}

// instances returns the nodes' instances in the group. A node of another group is an error. It leaves out nodes whose instance has left the group. If
// the group itself is no longer autoscaled, nobody has terminated the instance, and that is an error.
func (n *NodeGroup) instances(nodes []*corev1.Node) (gone removal, err error) {
	late, mayBe := unregistered(nodes), n.provider.elsewhere()
	for _, node := range nodes {
		owner := n.provider.NodeGroupOf(node)
		id, onEC2 := instanceID(node.Spec.ProviderID)
		_, placeholder := placeholderGroup(id)
		increase, failed := failedIncrease(id)
		switch {
		case !onEC2 || owner != nil && owner.name != n.name:
			return removal{}, fmt.Errorf("delete nodes of %q: %q is not one of its nodes", n.id, node.Name)
		case owner == nil && n.group() == vanished:
			return removal{}, fmt.Errorf("delete nodes of %q: the group is no longer autoscaled", n.id)
		case owner == nil:
		case placeholder && failed:
			gone.failed = append(gone.failed, increase)
		case placeholder:
			gone.placeholders++
		default:
			if err := n.provider.registered.mayEnd(n.provider.ctx, id, node, n.since, taintShown); err != nil {
				return removal{}, err
			}
			if late {
				if cause, remedy := mayBe(id); cause != "" {
					n.left([]string{id}, cause+"; to mend it, "+remedy)
					continue
				}
			}
			gone.ids = append(gone.ids, id)
		}
	}
	return gone, nil
}
