package podlist

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// drains knows the nodes that AWS is about to take. Implemented by interruption.Handler.
type drains interface {
	// NodesBeingDrained are the names of nodes that are being drained.
	NodesBeingDrained() []string
	// ReplacementsDecided receives the nodes whose pods have been counted in a scale-up, and whether all pods of each have a place on
	// Ready nodes.
	ReplacementsDecided(placed map[string]bool)
}

// Draining adds the pods of nodes that are being drained, or are to be replaced and have no other place for them, to the pending pods. So
// the core decides on their replacement, together with all others, while they still run, as for nodes that it drains itself. A node counts
// once the loop sees it cordoned or tainted, because its pods would seem to fit on it before. Pods that no controller makes again need no
// place: the drain ends them. It waits for no place for pods that Allowed leaves out, either.
//
// Until ScaledUp the snapshot has these pods off their nodes. The nodes take no pod meanwhile. Draining belongs before the core's own
// processor, which drops pods that fit on existing nodes.
type Draining struct {
	Drains  drains
	Allowed Allowed // the only schedulers whose pods may cause a launch, if there are any
	// Moves returns the pods of nodes that are to be replaced which have no other place. pending are the others that wait, and hurry the pods
	// of nodes which AWS takes in a moment. Nil if no node is replaced.
	Moves func(ctx *cacontext.AutoscalingContext, pending, hurry []*corev1.Pod) []*corev1.Pod

	counted map[string][]*corev1.Pod // pods that this loop counts, by node
	emptied snapshot.Emptied         // the nodes, until ScaledUp
}

func (d *Draining) Process(ctx *cacontext.AutoscalingContext, unschedulable []*corev1.Pod) ([]*corev1.Pod, error) {
	var leaving, hurry []*corev1.Pod
	d.counted, d.emptied = map[string][]*corev1.Pod{}, snapshot.Emptied{}
	for _, name := range d.Drains.NodesBeingDrained() {
		info, err := ctx.ClusterSnapshot.GetNodeInfo(name)
		if err != nil {
			if _, err := ctx.AllNodeLister().Get(name); apierrors.IsNotFound(err) { // otherwise it starts, and the snapshot lacks it until it is Ready
				d.counted[name] = nil
			}
			continue
		}
		if n := info.Node(); !n.Spec.Unschedulable && !taints.HasTaint(n, interruption.Taint) {
			continue
		}
		pods := slices.DeleteFunc(snapshot.ToPlace(info), func(p *corev1.Pod) bool {
			return metav1.GetControllerOfNoCopy(p) == nil || d.Allowed.leavesOut(p)
		})
		klog.V(2).InfoS("Counted the pods of a node that is being drained as pending", "node", klog.KRef("", name), "pods", len(pods))
		leaving = append(leaving, d.emptied.Take(ctx.ClusterSnapshot, info, pods)...)
		d.counted[name] = pods
		_, since, began := interruption.Draining(info.Node())
		stuck := began && time.Since(since) >= move.PodHoldsFor // as of a pod that waits for a node
		if !stuck && !interruption.Planned(info.Node()) {
			hurry = append(hurry, pods...)
		}
	}
	if d.Moves != nil {
		leaving = append(leaving, d.Moves(ctx, unschedulable, hurry)...)
	}
	return append(unschedulable, leaving...), nil
}

// ScaledUp puts the pods back on the counted nodes, and reports these nodes to the drains. The scale-up of the loop is over. Pods that have
// a place keep it in the snapshot, too, so that no removal takes it. A claimed device is on one node alone, so ScaledUp returns the nodes
// that are to take pods with claims.
func (d *Draining) ScaledUp(ctx *cacontext.AutoscalingContext) (needed map[string]bool) {
	needed = map[string]bool{}
	if len(d.counted) == 0 {
		return needed
	}
	places := d.emptied.Restore(ctx.ClusterSnapshot, nil, nil)
	placed := make(map[string]bool, len(d.counted))
	for node, pods := range d.counted {
		placed[node] = true
		for _, p := range pods {
			on := places[p.UID]
			placed[node] = placed[node] && on != nil && on.Annotations[coreannotations.NodeUpcomingAnnotation] != "true"
			switch {
			case on == nil:
			case len(p.Spec.ResourceClaims) > 0:
				needed[on.Name] = true
			default:
				_ = ctx.ClusterSnapshot.ForceAddPod(snapshot.Unbound(p), on.Name) // it was there a moment ago
			}
		}
	}
	d.counted = nil
	d.Drains.ReplacementsDecided(placed)
	return needed
}

func (*Draining) CleanUp() {}
