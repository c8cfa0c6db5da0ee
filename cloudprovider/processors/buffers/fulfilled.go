package buffers

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/fakepods"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	cbprocessor "k8s.io/autoscaler/cluster-autoscaler/processors/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/klog/v2"
)

// Fulfilled is the condition of a buffer whose capacity is free on Ready nodes. The core's Provisioning says only that the autoscaler looks
// for it.
const Fulfilled = "Fulfilled"

// Injected is the core's processor that adds the pods of buffers to the pending ones. It counts them. The core's loop alone uses it.
type Injected struct {
	pods.PodListProcessor
	Registry *fakepods.Registry // of the buffers of pods
	*Buffers

	count map[types.UID]int // of pods, by buffer
}

// NewInjected makes an Injected.
func NewInjected(b *Buffers) *Injected {
	registry, core := fakepods.NewRegistry(nil), b.core
	return &Injected{Buffers: b, Registry: registry,
		PodListProcessor: cbprocessor.NewCapacityBufferPodListProcessor(core, []string{capacitybuffer.ActiveProvisioningStrategy}, registry, true)}
}

// Process adds the pods.
func (i *Injected) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	all, err := i.PodListProcessor.Process(ctx, pending)
	i.count = map[types.UID]int{}
	for _, pod := range all[min(len(pending), len(all)):] {
		if b := i.Registry.GetCapacityBuffer(pod.UID); b != nil {
			i.count[b.UID]++
		}
	}
	return all, err
}

// Room finds out which pods of buffers have room on Ready nodes. It belongs behind everything that gives pods room. The core's loop alone
// uses it.
type Room struct {
	Injected *Injected
	nodes    map[string][]string
}

// Process sets the condition Fulfilled. It returns the pods as they are.
func (r *Room) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	ready := map[types.UID]int{}
	r.nodes = map[string][]string{}
	if len(r.Injected.count) > 0 {
		infos, err := ctx.ClusterSnapshot.ListNodeInfos()
		if err != nil {
			klog.Background().Error(err, "Could not see which capacity buffers have room")
			return pending, nil
		}
		for _, info := range infos {
			if node := info.Node(); node.Annotations[coreannotations.NodeUpcomingAnnotation] != "true" {
				for _, on := range info.Pods() {
					r.count(ready, node.Name, on.Pod)
				}
			}
		}
	}
	for _, object := range r.Injected.core.GetBufferInformer().GetStore().List() {
		r.judge(object.(*v1beta1.CapacityBuffer), ready)
	}
	return pending, nil
}

func (r *Room) count(ready map[types.UID]int, node string, pod *corev1.Pod) {
	if !cbprocessor.IsFakeCapacityBuffersPod(pod) {
		return
	}
	b := r.Injected.Registry.GetCapacityBuffer(pod.UID)
	if b == nil {
		return
	}
	ready[b.UID]++
	if name := b.Namespace + "/" + b.Name; !slices.Contains(r.nodes[node], name) {
		r.nodes[node] = append(r.nodes[node], name)
	}
}

// judge sets the condition of a buffer. A buffer whose template has just changed has no pods in this loop, and keeps its condition.
func (r *Room) judge(b *v1beta1.CapacityBuffer, ready map[types.UID]int) {
	s, asked := b.Status, r.Injected.count[b.UID]
	if s.ProvisioningStrategy == nil || *s.ProvisioningStrategy != capacitybuffer.ActiveProvisioningStrategy {
		return
	}
	c := metav1.Condition{Type: Fulfilled, Status: metav1.ConditionFalse, ObservedGeneration: b.Generation, Reason: "WaitingForNodes",
		Message: fmt.Sprintf("%d of %d pods have room on Ready nodes", ready[b.UID], asked)}
	switch {
	case !meta.IsStatusConditionTrue(s.Conditions, capacitybuffer.ReadyForProvisioningCondition) || s.Replicas == nil:
		c.Reason, c.Message = cbprocessor.NotReadyForProvisioningReason, "see the condition "+capacitybuffer.ReadyForProvisioningCondition
	case asked == 0 && *s.Replicas > 0:
		return
	case ready[b.UID] >= asked:
		c.Status, c.Reason = metav1.ConditionTrue, "Ready"
	}
	r.Injected.client.want(b, c)
}

// Nodes returns the buffers that have room on each node, as namespace/name. The map is replaced by the next loop.
func (r *Room) Nodes() map[string][]string { return r.nodes }

// CleanUp implements the core's PodListProcessor.
func (*Room) CleanUp() {}
