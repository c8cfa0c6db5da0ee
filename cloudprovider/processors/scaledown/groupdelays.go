package scaledown

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
)

// GroupDelays is the core's processor for --scale-down-delay-type-local with a lock. The core's own one keeps plain maps: each loop reads them,
// and goroutines of the core that end a removal write them beside the loop, which ends the process. The delays of a group that is divided
// meanwhile go on in its zone groups.
type GroupDelays struct {
	*scaledowncandidates.ScaleDownCandidatesDelayProcessor
	provider *aws.Provider
	mu       sync.Mutex
}

// NewGroupDelays returns the processor without any delay. Register it both for candidates and for changes of scale.
func NewGroupDelays(p *aws.Provider) *GroupDelays {
	return &GroupDelays{ScaleDownCandidatesDelayProcessor: scaledowncandidates.NewScaleDownCandidatesDelayProcessor(), provider: p}
}

// named is a node group as the core's processor knows it, by its ID.
type named struct {
	cloudprovider.NodeGroup
	id string
}

func (n named) Id() string { return n.id }

// register registers a change of the node group, and of the zone groups that it may be divided into.
func (d *GroupDelays) register(changed cloudprovider.NodeGroup, change func(cloudprovider.NodeGroup)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(changed)
	if whole := d.provider.View().AutoScalingGroup(changed.Id()); whole != nil {
		for _, zone := range whole.LaunchZones() {
			change(named{changed, group.ZoneGroupID(whole.Name, zone)})
		}
	}
}

// GetScaleDownCandidates leaves out nodes whose group has changed too recently.
func (d *GroupDelays) GetScaleDownCandidates(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) ([]*corev1.Node, errors.AutoscalerError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ScaleDownCandidatesDelayProcessor.GetScaleDownCandidates(ctx, nodes)
}

// RegisterScaleUp begins --scale-down-delay-after-add for the group.
func (d *GroupDelays) RegisterScaleUp(changed cloudprovider.NodeGroup, delta int, now time.Time) {
	d.register(changed, func(g cloudprovider.NodeGroup) { d.ScaleDownCandidatesDelayProcessor.RegisterScaleUp(g, delta, now) })
}

// RegisterScaleDown begins --scale-down-delay-after-delete for the group.
func (d *GroupDelays) RegisterScaleDown(changed cloudprovider.NodeGroup, node string, now, expected time.Time) {
	d.register(changed, func(g cloudprovider.NodeGroup) {
		d.ScaleDownCandidatesDelayProcessor.RegisterScaleDown(g, node, now, expected)
	})
}

// RegisterFailedScaleDown begins --scale-down-delay-after-failure for the group.
func (d *GroupDelays) RegisterFailedScaleDown(changed cloudprovider.NodeGroup, reason string, now time.Time) {
	d.register(changed, func(g cloudprovider.NodeGroup) {
		d.ScaleDownCandidatesDelayProcessor.RegisterFailedScaleDown(g, reason, now)
	})
}
