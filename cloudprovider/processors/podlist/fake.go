package podlist

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	constants "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	capacitybuffer "k8s.io/autoscaler/cluster-autoscaler/processors/capacitybuffer"
	injectionbackoff "k8s.io/autoscaler/cluster-autoscaler/processors/podinjection/backoff"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// IsFake reports whether only the core has made the pod, for a capacity buffer or for proactive scale-up. No kube-scheduler will ever bind it.
func IsFake(pod *corev1.Pod) bool {
	return fake.IsFake(pod) || capacitybuffer.IsFakeCapacityBuffersPod(pod)
}

// Fakes wraps a processor of the core that makes pods, and takes from them what only a pod of somebody has.
type Fakes struct {
	pods.PodListProcessor
	Buffer  func(types.UID) *v1beta1.CapacityBuffer // that a pod was made for. Nil where these are copies of pods
	Allowed Allowed                                 // the only schedulers whose pods may be copied, if there are any
}

// Process has the core add its pods to the list. They keep no node by a wish of the pod that they are copied from. A copy of a nominated pod
// has no nomination, because the core would put all copies on that node. A buffer controls its pods, because the core tries equal pods without a
// controller one by one. Copies of pods with claims of their own are left out: no group helps them, nor the real pods, if the core tries a
// copy first. Copies of pods that a scheduling gate holds are left out, too, and those of running pods of schedulers that Allowed lacks, like the
// pending ones.
func (f *Fakes) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	all, err := f.PodListProcessor.Process(ctx, pending)
	from := min(len(pending), len(all))
	if f.Buffer == nil {
		all = append(all[:from], slices.DeleteFunc(all[from:], func(p *corev1.Pod) bool {
			return claimsAlone(p) || len(p.Spec.SchedulingGates) > 0 || f.Allowed.leavesOut(p)
		})...)
	}
	for _, pod := range all[from:] {
		pod.Status.NominatedNodeName = ""
		pod.Annotations[drain.PodSafeToEvictKey] = "true"
		delete(pod.Annotations, string(nodemeta.DoNotDisrupt))
		if f.Buffer != nil {
			kind := v1beta1.SchemeGroupVersion.WithKind(constants.CapacityBufferKind)
			pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(f.Buffer(pod.UID), kind)}
		}
	}
	return all, err
}

// claimsAlone reports whether a controller makes claims for the pod. It makes none for one that only the core has made.
func claimsAlone(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Ephemeral != nil }) ||
		slices.ContainsFunc(pod.Spec.ResourceClaims, func(c corev1.PodResourceClaim) bool { return c.ResourceClaimTemplateName != nil })
}

// madePerLimit is how many pods the core may make for each one that its limit keeps.
const madePerLimit = 4

// Bounded wraps the core's proactive scale-up, which makes all missing pods before it counts them. Somebody may ask for more than fit into
// memory. For a while it leaves out the controllers that lack the most pods. It stops once the others lack few enough.
type Bounded struct {
	pods.PodListProcessor
	LeftOut *injectionbackoff.ControllerRegistry
	Limit   int
	Clock   clock.PassiveClock
}

func (b *Bounded) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	now, lacks, sum := b.Clock.Now(), map[types.UID]int{}, 0
	leaveOut := func(of types.UID) {
		if !b.LeftOut.BackOffUntil(of, now).After(now) {
			b.LeftOut.BackoffController(of, now)
		}
	}
	see := func(o metav1.Object, want, has int32) {
		of, n := o.GetUID(), int(want)-int(has)
		switch {
		case o.GetDeletionTimestamp() != nil:
			leaveOut(of) // the core would make others for the pods that end
		case n > 0 && !b.LeftOut.BackOffUntil(of, now).After(now):
			lacks[of], sum = n, sum+n
		}
	}
	replicaSets, _ := ctx.ReplicaSetLister().List(labels.Everything()) // the core logs the errors
	for _, o := range replicaSets {
		see(o, ptr.Deref(o.Spec.Replicas, 0), o.Status.Replicas)
	}
	statefulSets, _ := ctx.StatefulSetLister().List(labels.Everything())
	for _, o := range statefulSets {
		if o.Spec.PodManagementPolicy == appsv1.ParallelPodManagement { // the core makes pods for no other
			see(o, ptr.Deref(o.Spec.Replicas, 0), o.Status.Replicas)
		}
	}
	stopped := func(c batchv1.JobCondition) bool { return c.Status == corev1.ConditionTrue } // a Job makes no pods under any condition
	jobs, _ := ctx.JobLister().List(labels.Everything())
	for _, o := range jobs {
		want := ptr.Deref(o.Spec.Parallelism, 1)
		if o.Spec.Completions != nil || o.Status.Succeeded > 0 {
			want = min(want, ptr.Deref(o.Spec.Completions, 1)-o.Status.Succeeded)
		}
		stops := ptr.Deref(o.Spec.Suspend, false) || slices.ContainsFunc(o.Status.Conditions, stopped)
		switch {
		case !stops && ptr.Deref(o.Status.FailedIndexes, "") != "", stops && o.Status.Active+ptr.Deref(o.Status.Terminating, 0) > 0:
			leaveOut(o.UID) // likewise, and for indexes that have failed
		case !stops:
			see(o, want, o.Status.Active)
		}
	}
	for _, of := range slices.SortedFunc(maps.Keys(lacks), func(x, y types.UID) int { return lacks[y] - lacks[x] }) {
		if sum <= madePerLimit*b.Limit {
			break
		}
		b.LeftOut.BackoffController(of, now)
		sum -= lacks[of]
	}
	return b.PodListProcessor.Process(ctx, pending)
}
