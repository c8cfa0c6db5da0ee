package podlist

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/loop"
)

// judgeTime is how long kube-scheduler may take to judge a pod. An older one waits for something else, such as a plugin's permission.
const judgeTime = time.Minute

// Siblings adds pods that kube-scheduler has yet to judge to the pending pods, if it found no node for another pod of their controller.
//
// kube-scheduler needs many seconds for a burst of a thousand pods on a busy machine. Nodes chosen for the first pods alone cost more than
// nodes chosen for all. The core's own processor drops pods that fit on existing nodes, so siblings that kube-scheduler will place
// there cause no scale-up. Siblings belongs before all other processors.
type Siblings struct{ Clock clock.PassiveClock }

func (s Siblings) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	controllers, known := map[types.UID]bool{}, make(map[types.UID]bool, len(pending))
	for _, pod := range pending {
		known[pod.UID] = true // the core counts pods that are not judged itself for --bypassed-scheduler-names
		if controller := loop.JointController(pod); controller != "" {
			controllers[controller] = true
		}
	}
	if len(controllers) == 0 {
		return pending, nil
	}
	all, err := ctx.AllPodLister().List()
	if err != nil {
		return pending, err
	}
	judged, oldest := len(pending), s.Clock.Now().Add(-judgeTime)
	for _, pod := range all {
		if pod.Status.Phase == corev1.PodPending && loop.Unjudged(pod) && controllers[loop.JointController(pod)] && !known[pod.UID] && !pod.CreationTimestamp.Time.Before(oldest) {
			pending = append(pending, pod)
		}
	}
	if added := len(pending) - judged; added > 0 {
		klog.Background().V(2).Info("Counted pods that kube-scheduler has yet to judge, because it found no node for others like them", "pods", added, "judged", judged)
	}
	return pending, nil
}

func (Siblings) CleanUp() {}
