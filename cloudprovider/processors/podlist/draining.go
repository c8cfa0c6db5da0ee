package podlist

import (
	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// drains knows the nodes that AWS is about to take. Implemented by interruption.Handler.
type drains interface {
	// NodesBeingDrained are the names of nodes that are being drained.
	NodesBeingDrained() []string
	// ReplacementsDecided receives the nodes whose pods have been counted in a scale-up.
	ReplacementsDecided(nodes []string)
}

// Draining adds the pods of nodes that are being drained, or are to be replaced and have no other place for them, to the pending pods. So
// the core decides on their replacement, together with all others, while they still run, as for nodes that it drains itself. A node counts
// once the loop sees it cordoned, because its pods would seem to fit on it before.
//
// Draining belongs before the core's own processor, which drops pods that fit on existing nodes.
type Draining struct {
	Drains drains
	// Moves returns the pods of nodes that are to be replaced which have no other place. pending are the others that wait. Nil if no node is replaced.
	Moves func(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) []*corev1.Pod

	counted []string // nodes whose pods this loop counts
}

func (d *Draining) Process(ctx *cacontext.AutoscalingContext, unschedulable []*corev1.Pod) ([]*corev1.Pod, error) {
	if d.Moves != nil { // first, because the pods of the others run, too
		unschedulable = append(unschedulable, d.Moves(ctx, unschedulable)...)
	}
	d.counted = nil
	for _, name := range d.Drains.NodesBeingDrained() {
		info, err := ctx.ClusterSnapshot.GetNodeInfo(name)
		if err != nil { // the node is gone
			d.counted = append(d.counted, name)
			continue
		}
		if !info.Node().Spec.Unschedulable {
			continue
		}
		pods := snapshot.Recreatable(info)
		klog.V(2).InfoS("Counted the pods of a node that is being drained as pending", "node", klog.KRef("", name), "pods", len(pods))
		for _, pod := range pods {
			unschedulable = append(unschedulable, snapshot.Unbound(pod))
		}
		d.counted = append(d.counted, name)
	}
	return unschedulable, nil
}

// ScaledUp reports the counted nodes to the drains. The scale-up of the loop is over.
func (d *Draining) ScaledUp() {
	if len(d.counted) > 0 {
		d.Drains.ReplacementsDecided(d.counted)
		d.counted = nil
	}
}

func (*Draining) CleanUp() {}
