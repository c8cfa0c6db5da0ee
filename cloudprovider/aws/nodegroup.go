package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
)

// The core's loop waits loopPatience for another write to a group to end, and else tries again the next time.
const loopPatience = 100 * time.Millisecond

// A loop of the core waits answerPatience in all for AWS to answer writes, because it does nothing for other groups meanwhile.
const answerPatience = 2 * time.Second

// NodeGroup implements cloudprovider.NodeGroup over a group or a zone group, by the provider's current view. Safe for concurrent use.
type NodeGroup struct {
	provider *Provider
	id       string
	name     string    // of the Auto Scaling group
	zone     string    // of a zone group, empty for the whole group
	since    time.Time // a removal that began before is not of this node group
}

// vanished replaces a node group that the view has no longer.
var vanished = &group.Group{}

func (n *NodeGroup) group() *group.Group {
	return cmp.Or(n.provider.view.Load().groups[n.id], vanished)
}

// Id is the Auto Scaling group's name, with the zone behind it for a zone group.
func (n *NodeGroup) Id() string { return n.id }

func (n *NodeGroup) AutoScalingGroup() string { return n.name }

func (n *NodeGroup) Zone() string { return n.zone }

func (n *NodeGroup) Debug() string { return fmt.Sprintf("%s (%d:%d)", n.id, n.MinSize(), n.MaxSize()) }

// MinSize is the least number of nodes. A group whose scale-down is paused keeps its size, and one whose scale-up is paused is not raised to
// its minimum either. The core checks these sizes before it changes anything, also in another process.
func (n *NodeGroup) MinSize() int {
	g := n.group()
	least := g.MinInstances()
	if n.provider.Paused(g, true).Down {
		least = max(least, g.TargetInstances())
	}
	if n.provider.Paused(g, false).Up {
		least = min(least, g.TargetInstances())
	}
	if most, below := n.provider.Spending().least[n.id]; below {
		least = min(least, max(most, g.TargetInstances()))
	}
	return n.provider.WithinCaps(g, least)
}

// MaxSize is the greatest number of nodes. A group whose scale-up is paused has it, and a spend cap leaves room for as many as it can pay.
func (n *NodeGroup) MaxSize() int { return n.upTo((*group.Group).MaxInstances) }

// MostSize is MaxSize, except for a zone group. It may get all that is left of its group: pods that need its zone gain nothing from another
// zone's share.
func (n *NodeGroup) MostSize() int { return n.upTo((*group.Group).MostInstances) }

func (n *NodeGroup) upTo(most func(*group.Group) int) int {
	g := n.group()
	if n.provider.Paused(g, false).Up {
		return g.TargetInstances()
	}
	return n.provider.WithinCaps(g, most(g))
}

// TargetSize is the number of nodes AWS has been asked for, or would have been asked for by a shadow.
func (n *NodeGroup) TargetSize() (int, error) {
	return n.group().TargetInstances() + n.provider.Pretended[n.id], nil
}

func (n *NodeGroup) Exist() bool { return true }

func (n *NodeGroup) Create() (cloudprovider.NodeGroup, error) {
	return nil, cloudprovider.ErrAlreadyExist
}

func (n *NodeGroup) Delete() error { return cloudprovider.ErrNotImplemented }

func (n *NodeGroup) Autoprovisioned() bool { return false }

// AtomicIncreaseSize asks AWS for delta more instances, all or none. Where AWS offers no such call, the core raises the size as usual.
func (n *NodeGroup) AtomicIncreaseSize(delta int) error {
	err := n.raise(delta, func() error { return n.provider.cache.IncreaseAtomically(n.provider.ctx, n.name, n.zone, delta) })
	if errors.Is(err, asg.ErrNotAtomic) {
		return cloudprovider.ErrNotImplemented
	}
	return err
}

// IncreaseSize has AWS asked for delta more instances, and does not wait for the answer. The target size counts them from now on. The error says why
// AWS cannot be asked.
//
// AWS's refusal wakes the next loop, in which Nodes shows the instances as failed. Early in that loop, the core treats that like an error
// of IncreaseSize: it publishes an event, counts the failure and pauses the group. It also deletes the failed instances, which lowers the
// target size. Then it chooses another group for their pods. Only one thing differs: the core delays scale-downs after a scale-up that
// failed as after any other.
func (n *NodeGroup) IncreaseSize(delta int) error {
	if n.provider.Pretended != nil {
		n.provider.Pretend(n.id, delta)
		return nil
	}
	return n.raise(delta, func() error { return n.provider.cache.StartIncrease(n.provider.ctx, n.name, n.zone, delta) })
}

// DecreaseTargetSize withdraws up to -delta instances that we asked for and AWS has not launched. It does not fail where there are none,
// because the core would end its loop over that, for all groups.
func (n *NodeGroup) DecreaseTargetSize(delta int) error {
	if delta >= 0 {
		return fmt.Errorf("decrease target size of %q by %d: want a negative number", n.id, delta)
	}
	if n.provider.Pretended != nil {
		return nil
	}
	if err := n.withdraw(-delta); err != nil {
		klog.FromContext(n.provider.ctx).Error(err, "Could not decrease the target size", "nodeGroup", n.id, "by", -delta)
	}
	return nil
}

// withdraw withdraws up to count instances. It is an error if none of our own requests is open.
func (n *NodeGroup) withdraw(count int) error {
	return n.inLoop(func(ctx context.Context) error {
		taken, err := n.provider.cache.Withdraw(ctx, n.name, count)
		n.provider.adopt(n.name)
		if err == nil && taken == 0 {
			return fmt.Errorf("withdraw %d unfulfilled instances of %q: they have come up, or are not ours to withdraw: "+
				"the minimum size or another writer asks for them", count, n.id)
		}
		return err
	})
}

// inLoop runs a write for which the core's loop waits. If AWS has not answered once the loop has waited answerPatience in all, the write
// goes on beside the loop. That is no error, because after one the core leaves the other groups to the next loop.
func (n *NodeGroup) inLoop(write func(context.Context) error) error {
	p, done, left := n.provider, make(chan error), make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(p.ctx, loopPatience)
		defer cancel()
		err := write(ctx)
		select {
		case done <- err:
		case <-left:
			if err != nil {
				klog.FromContext(p.ctx).Error(err, "A write beside the loop failed, the next loop looks again", "nodeGroup", n.id)
			}
		}
	}()
	began := p.clock.Now()
	defer func() { p.waited.Add(int64(p.clock.Since(began))) }()
	select {
	case err := <-done:
		return err
	case <-p.clock.After(answerPatience - time.Duration(p.waited.Load())):
		close(left)
		return nil
	}
}

// Nodes returns the group's instances and a placeholder instance for each desired one that is missing. An instance with a registered node
// has the node's own provider ID, in whatever form. The core compares the two literally, and terminates instances that it takes for
// unregistered.
func (n *NodeGroup) Nodes() ([]cloudprovider.Instance, error) {
	g := n.group()
	registered := n.provider.registered.ids()
	instances := make([]cloudprovider.Instance, 0, len(g.Instances))
	for _, i := range g.Instances {
		id := registered[i.ID]
		if id == "" {
			id = nodemeta.ProviderID(i.Zone, i.ID)
		}
		instances = append(instances, cloudprovider.Instance{Id: id, Status: status(i.Lifecycle)})
	}
	return append(instances, n.placeholders(g)...), nil
}

// status translates a lifecycle state. An instance in standby or on its way out is not expected to register.
func status(l group.Lifecycle) *cloudprovider.InstanceStatus {
	switch {
	case l.Starting():
		return &cloudprovider.InstanceStatus{State: cloudprovider.InstanceCreating}
	case l.Counts():
		return &cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}
	}
	return &cloudprovider.InstanceStatus{State: cloudprovider.InstanceDeleting}
}

// Failing reports whether AWS could not launch all that the node group was asked for.
func (p *Provider) Failing(nodeGroup string) bool {
	g := p.View().Group(nodeGroup)
	return g != nil && (g.Failure != nil || len(g.Failed) > 0)
}

// Cooling reports whether the node group is left alone in all of its zones, or AWS launches nothing in it.
func (p *Provider) Cooling(nodeGroup string) bool {
	g := cmp.Or(p.View().Group(nodeGroup), vanished)
	_, cooling := p.CoolDown(g)
	return cooling || g.Suspended(group.ProcessLaunch)
}

// Coming is the number of nodes that the node group's target size counts and that have not registered.
func (p *Provider) Coming(nodeGroup string) int {
	g, registered := cmp.Or(p.View().Group(nodeGroup), vanished), p.registered.ids()
	coming := g.TargetInstances()
	for _, i := range g.Counted() {
		if registered[i.ID] != "" {
			coming--
		}
	}
	return max(0, coming)
}

// Started notes how long a node of the node group took from its launch until it was Ready.
func (p *Provider) Started(nodeGroup string, took time.Duration) {
	p.cache.Started(p.GroupName(nodeGroup), took)
}

// BelowClock reports whether a schedule or a scheduled action of AWS wants a node group to have more nodes than it was asked for.
func (p *Provider) BelowClock(nodeGroup string) bool {
	ng := p.View().NodeGroup(nodeGroup)
	if ng == nil || !ng.group().RaisedByClock {
		return false
	}
	size, _ := ng.TargetSize()
	return size < ng.MinSize()
}

// placeholders returns the placeholder instances. One that AWS could not launch carries the reason if and only if it can be withdrawn.
// The core takes a group's size for wrong while an error persists, and in the end stops scaling. The instances of a failed increase are there
// for one loop.
func (n *NodeGroup) placeholders(g *group.Group) []cloudprovider.Instance {
	zone := ""
	if len(g.Zones) > 0 {
		zone = g.Zones[0]
	}
	placed := g.TargetInstances() - g.FailedInstances()
	accepted := placed - g.Booked
	firstFailed := accepted
	if g.Failure != nil {
		firstFailed = accepted - g.Withdrawable()
	}
	var missing []cloudprovider.Instance
	add := func(id string, why *cloudprovider.InstanceErrorInfo) {
		missing = append(missing, cloudprovider.Instance{Id: nodemeta.ProviderID(zone, id),
			Status: &cloudprovider.InstanceStatus{State: cloudprovider.InstanceCreating, ErrorInfo: why}})
	}
	for at := len(g.Counted()); at < placed; at++ {
		var why *cloudprovider.InstanceErrorInfo
		if at >= firstFailed && at < accepted {
			why = &cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OutOfResourcesErrorClass,
				ErrorCode: g.Failure.Code, ErrorMessage: g.Failure.Message}
		}
		add(fmt.Sprintf("%s%s-%d", placeholderPrefix, n.id, at), why)
	}
	for _, f := range g.Failed {
		for at := range f.Instances {
			// The core pauses the group as after a call that failed. The cool-downs of its pools say more about it.
			add(failedID(n.id, f.ID, at), &cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass,
				ErrorCode: string(caerrors.CloudProviderError), ErrorMessage: f.Err.Error()})
		}
	}
	return missing
}

func (n *NodeGroup) TemplateNodeInfo() (*framework.NodeInfo, error) {
	return nodeInfo(n.provider.view.Load().templates[n.id], hasStaticProxy(n.provider.network))
}

// nodeInfo returns a new NodeInfo of the template, or cloudprovider.ErrNotImplemented where the group cannot be simulated. The core adds
// the pods of DaemonSets.
func nodeInfo(t *fromgroup.Template, staticProxy bool) (*framework.NodeInfo, error) {
	if t == nil || !t.Known() {
		// The core passes over a group with this error in silence. The group's problem has been reported.
		return nil, cloudprovider.ErrNotImplemented
	}
	node := t.Node(fmt.Sprintf("template-of-%s", t.Group))
	nodemeta.Template.Mark(node)
	if !staticProxy || node.Status.NodeInfo.OperatingSystem == "windows" { // whose kube-proxy is a service
		return framework.NewNodeInfo(node, nil), nil
	}
	return framework.NewNodeInfo(node, nil, framework.NewPodInfo(cloudprovider.BuildKubeProxy(t.Group), nil)), nil
}

func (n *NodeGroup) GetOptions(defaults config.NodeGroupAutoscalingOptions) (*config.NodeGroupAutoscalingOptions, error) {
	return new(n.Options(defaults)), nil
}

// Options are the defaults, overridden by the group's tags.
func (n *NodeGroup) Options(defaults config.NodeGroupAutoscalingOptions) config.NodeGroupAutoscalingOptions {
	t := n.provider.view.Load().templates[n.id]
	if t == nil {
		return defaults
	}
	o := t.Options
	set(&defaults.ScaleDownUtilizationThreshold, o.ScaleDownUtilizationThreshold)
	set(&defaults.ScaleDownGpuUtilizationThreshold, o.ScaleDownGPUUtilizationThreshold)
	set(&defaults.ScaleDownUnneededTime, o.ScaleDownUnneededTime)
	set(&defaults.ScaleDownUnreadyTime, o.ScaleDownUnreadyTime)
	set(&defaults.MaxNodeProvisionTime, o.MaxNodeProvisionTime)
	set(&defaults.MaxNodeStartupTime, o.MaxNodeStartupTime)
	set(&defaults.IgnoreDaemonSetsUtilization, o.IgnoreDaemonSetsUtilization)
	return defaults
}

func set[T any](field *T, override *T) {
	if override != nil {
		*field = *override
	}
}
