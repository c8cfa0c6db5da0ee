package podlist

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/loop"
)

// judgeTime is how long kube-scheduler may take to judge a pod. An older one waits for something else, such as a plugin's permission. The
// age of a pod says nothing once it had gates, because nobody notes when they went.
const judgeTime = time.Minute

// Siblings adds pods that kube-scheduler has yet to judge to the pending pods, if it found no node for another pod of their controller.
//
// kube-scheduler needs many seconds for a burst of a thousand pods on a busy machine. Nodes chosen for the first pods alone cost more than
// nodes chosen for all. The core's own processor drops pods that fit on existing nodes, so siblings that kube-scheduler will place
// there cause no scale-up. A planned pod stays pending however long kube-scheduler takes. Otherwise others would take its room. Pods whose
// own claims a controller has yet to make wait: the core takes pods of one controller as equal whatever their claims, and no group helps
// any of them if it tries such a pod first. Siblings belongs before all other processors.
//
// It also adds pods of a gang for which Volcano keeps places until it has one for each. Otherwise the others would be planned on these.
type Siblings struct {
	Claims corelisters.PersistentVolumeClaimLister
	Clock  clock.PassiveClock
	Plan   *plan.Plan
}

func (s Siblings) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	controllers, known := map[types.UID]bool{}, make(map[types.UID]bool, len(pending))
	for _, pod := range pending {
		known[pod.UID] = true // the core counts pods that are not judged itself for --bypassed-scheduler-names
		if controller := loop.ControllerOf(pod); controller != "" {
			controllers[controller] = true
		}
	}
	if len(controllers) == 0 && len(s.Plan.Planned()) == 0 {
		return pending, nil
	}
	all, err := ctx.AllPodLister().List()
	if err != nil {
		return pending, err
	}
	// A verdict may have come since the core made its list, which then lacks the pod.
	judged, oldest := len(pending), s.Clock.Now().Add(-judgeTime)
	for _, pod := range all {
		young := loop.Ungated(pod) || !pod.CreationTimestamp.Time.Before(oldest)
		unplaced := loop.Unplaced(pod) && (young && controllers[loop.JointController(pod)] || s.Plan.Has(pod.UID))
		if pod.Status.Phase == corev1.PodPending && !known[pod.UID] &&
			(unplaced || loop.Held(pod) && controllers[loop.ControllerOf(pod)]) && s.hasClaims(pod) {
			pending = append(pending, pod)
		}
	}
	if added := len(pending) - judged; added > 0 {
		klog.Background().V(2).Info("Counted pods without a node, because the scheduler found none for others like them", "pods", added, "judged", judged)
	}
	return pending, nil
}

// hasClaims reports whether the claims are there that controllers make for the pod.
func (s Siblings) hasClaims(pod *corev1.Pod) bool {
	return !slices.ContainsFunc(pod.Spec.ResourceClaims, func(c corev1.PodResourceClaim) bool {
		return c.ResourceClaimTemplateName != nil &&
			!slices.ContainsFunc(pod.Status.ResourceClaimStatuses, func(made corev1.PodResourceClaimStatus) bool { return made.Name == c.Name })
	}) && !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		if v.Ephemeral == nil {
			return false
		}
		_, err := s.Claims.PersistentVolumeClaims(pod.Namespace).Get(pod.Name + "-" + v.Name)
		return err != nil
	})
}

func (Siblings) CleanUp() {}
