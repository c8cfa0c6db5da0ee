package podlist

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreutils "k8s.io/autoscaler/cluster-autoscaler/core/utils"
	provreqpods "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/pods"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqclient"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/loop"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// LeftOut reports whether the core never launches a node for the pod: its priority is too low, it is a pod of a DaemonSet, or it
// consumes a ProvisioningRequest.
func LeftOut(o config.AutoscalingOptions, pod *corev1.Pod) bool {
	return coreutils.IsExpendablePod(pod, o.ExpendablePodsPriorityCutoff) || podutils.IsDaemonSetPod(pod) ||
		o.ProvisioningRequestEnabled && RequestOf(pod) != ""
}

// RequestServed is an extra value of a loop in which a ProvisioningRequest gets room, which is booked from the next loop on.
const RequestServed = "request-served"

// RequestOf returns the name of the ProvisioningRequest that the pod consumes, or "".
func RequestOf(pod *corev1.Pod) string {
	return cmp.Or(pod.Annotations[provreqv1.ProvisioningRequestPodAnnotationKey],
		pod.Annotations[provreqpods.DeprecatedProvisioningRequestPodAnnotationKey])
}

// Consumers makes pods whose ProvisioningRequest holds no room for them pods like others: it does not exist, has failed, or its booking is
// over. The core's own processor drops all pods that consume a request, whatever became of it. A request may come after its pods, so it is missed
// after a minute. Consumers belongs before all processors that look at requests.
type Consumers struct {
	Client *provreqclient.ProvisioningRequestClient
	Clock  clock.PassiveClock
}

const missedAfter = time.Minute

func (c Consumers) Process(_ *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	requests, err := c.Client.ProvisioningRequests()
	if err != nil {
		return pending, err
	}
	holds := make(map[string]bool, len(requests))
	for _, r := range requests {
		is := func(condition string) bool { return meta.IsStatusConditionTrue(r.Status.Conditions, condition) }
		holds[r.Namespace+"/"+r.Name] = !is(provreqv1.Failed) && !is(provreqv1.BookingExpired)
	}
	pending = slices.Clone(pending)
	for at, pod := range pending {
		name := RequestOf(pod)
		has, there := holds[pod.Namespace+"/"+name]
		if name != "" && !has && (there || c.Clock.Since(pod.CreationTimestamp.Time) > missedAfter) {
			pending[at] = snapshot.WithoutRequest(pod)
		}
	}
	return pending, nil
}

func (Consumers) CleanUp() {}

// Ahead makes pods a minute old that were created in the future, by an API server whose clock is ahead. The core helps no pod that is not older
// than the delay for new pods, even if there is none. Ahead belongs behind all processors that look at a pod's age.
type Ahead struct{ Clock clock.PassiveClock }

func (a Ahead) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	pending, now := slices.Clone(pending), a.Clock.Now()
	for at, pod := range pending {
		if pod.CreationTimestamp.After(now) && loop.DelayOf(pod, ctx.NewPodScaleUpDelay) == 0 {
			older := *pod
			older.CreationTimestamp = metav1.NewTime(now.Add(-time.Minute)) // the loop began less than that ago
			pending[at] = &older
		}
	}
	return pending, nil
}

func (Ahead) CleanUp() {}

// Ending leaves out new pods that fit once pods which are ending have gone from nodes that stay. Otherwise a rollout without a surge launches
// nodes beside the room that it frees. The core alone waits 30 s for pods with a GPU. Pods that it leaves out were to be helped, so it is
// behind all others. No node goes in a loop that counts on such room.
type Ending struct {
	Clock  clock.PassiveClock
	Drains drains
	// Held is called with the pods that a loop leaves out, if there are any.
	Held func([]*corev1.Pod)

	until time.Time // when the first one of them has waited for long enough
}

// Patience is the age at which a pod waits no longer for the room of pods that are ending.
func Patience(pod *corev1.Pod) time.Duration {
	if nodetemplate.HasAccelerator(podutils.PodRequests(pod)) {
		return 30 * time.Second
	}
	return 10 * time.Second
}

// Next returns when a pod that the last loop left out has waited for long enough. It is zero for never, and if the loop that began at ran
// did not get here. It belongs to the goroutine of the loops.
func (e *Ending) Next(ran time.Time) time.Time {
	if e.until.After(ran) {
		return e.until
	}
	return time.Time{}
}

func (e *Ending) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	e.until = time.Time{}
	if len(pending) == 0 {
		return pending, nil
	}
	s, ending := ctx.ClusterSnapshot, []*corev1.Pod(nil)
	infos, err := s.ListNodeInfos()
	if err != nil {
		return nil, err
	}
	for _, info := range infos {
		for _, on := range info.GetPods() {
			if p := on.GetPod(); e.ends(p) && !nodemeta.BelongsToNode(p) && !leaves(info.Node()) {
				ending = append(ending, p)
			}
		}
	}
	if len(ending) == 0 {
		return pending, nil
	}
	young := slices.DeleteFunc(slices.Clone(pending), func(p *corev1.Pod) bool {
		return e.Clock.Since(p.CreationTimestamp.Time) >= Patience(p) || !loop.Unplaced(p) || IsFake(p) ||
			RequestOf(p) != "" // a request is for all of its pods or none
	})
	if len(young) == 0 {
		return pending, nil
	}
	s.Fork() // for the scale-down, a node with a pod that is ending is not empty
	defer s.Revert()
	room, drained, began := []string(nil), e.Drains.NodesBeingDrained(), e.Clock.Now()
	for _, p := range ending {
		if node := p.Spec.NodeName; !slices.Contains(drained, node) && s.UnschedulePod(p.Namespace, p.Name, node) == nil {
			room = append(room, node)
		}
	}
	placed, err := snapshot.Place(s, young, snapshot.Nodes{First: slices.Compact(room),
		Over: func() bool { return e.Clock.Since(began) > time.Second }})
	if err != nil {
		klog.ErrorS(err, "Could not look which pods get the room of pods that are ending, so nodes may be launched beside it")
		return pending, nil
	}
	if len(placed) == 0 {
		return pending, nil
	}
	klog.V(1).InfoS("New pods wait for the room of pods that are ending", "pods", len(placed))
	ctx.ProcessorCallbacks.DisableScaleDownForLoop()
	held := slices.Collect(maps.Keys(placed))
	for _, p := range held {
		if ends := p.CreationTimestamp.Add(Patience(p)); e.until.IsZero() || ends.Before(e.until) {
			e.until = ends
		}
	}
	e.Held(held)
	return slices.DeleteFunc(slices.Clone(pending), func(p *corev1.Pod) bool { return placed[p] != "" }), nil
}

// ends reports whether the pod is ending soon. Kubelet needs a moment to report the end.
func (e *Ending) ends(p *corev1.Pod) bool {
	if p.DeletionTimestamp == nil {
		return false
	}
	late := e.Clock.Since(p.DeletionTimestamp.Time)
	return late > -time.Minute && late < 5*time.Second
}

// leaves reports whether no pod has a future on the node, even if it tolerates the node's taints.
func leaves(node *corev1.Node) bool {
	return shut(node) || taints.HasTaint(node, interruption.Taint) || taints.HasTaint(node, move.Taint)
}

func (*Ending) CleanUp() {}

// Allowed leaves out pending pods of schedulers that it lacks (--allowed-scheduler-names). The core would leave out their running pods, too,
// so full nodes would look empty.
type Allowed map[string]bool

func (a Allowed) Process(_ *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	return slices.DeleteFunc(slices.Clone(pending), a.leavesOut), nil
}

// leavesOut reports whether no node is launched for the pod. An empty list leaves out none.
func (a Allowed) leavesOut(pod *corev1.Pod) bool { return len(a) > 0 && !a[pod.Spec.SchedulerName] }

func (Allowed) CleanUp() {}
