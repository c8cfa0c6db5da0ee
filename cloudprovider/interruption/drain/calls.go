package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

// listed lists the pods of the nodes from the API server, in one call for each node. The cache may lack pods that the scheduler
// bound while a node was being cordoned.
func (d *Drainer) listed(ctx context.Context, nodes []string) (pods []*corev1.Pod, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	for _, node := range nodes {
		list, err := d.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()})
		if err != nil {
			return nil, fmt.Errorf("list the pods of node %q: %w", node, err)
		}
		for n := range list.Items {
			pods = append(pods, &list.Items[n])
		}
	}
	return pods, nil
}

// evict asks once for the pod's eviction. A budget that cannot be computed answers with Retry-After, and client-go's own
// eviction would then silently wait and ask up to ten times more.
func (d *Drainer) evict(ctx context.Context, pod *corev1.Pod) error {
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}}}
	return once(ctx, evictTime, d.Client.PolicyV1().RESTClient().Post().AbsPath("/api/v1").Namespace(pod.Namespace).Resource("pods").
		Name(pod.Name).SubResource("eviction").Body(eviction))
}

// delete deletes the pod against its budget, with the shorter of its own grace and the time that is left.
func (r *round) delete(ctx context.Context, pod *corev1.Pod, deadline time.Time) error {
	r.mark(ctx, pod)
	left := int64(deadline.Sub(r.Clock.Now()) / time.Second)
	grace := max(1, min(left, ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, left)))
	return once(ctx, deleteTime, r.Client.CoreV1().RESTClient().Delete().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
		Body(&metav1.DeleteOptions{GracePeriodSeconds: &grace, Preconditions: &metav1.Preconditions{UID: &pod.UID}}))
}

// mark gives the pod the condition that an eviction gives, by which a Job's podFailurePolicy ignores the pod. Controllers with replicas ask for no
// condition. It is tried once, because the deletion waits for it. Where that was forbidden or not answered, the drain marks no further pod.
func (r *round) mark(ctx context.Context, pod *corev1.Pod) {
	now, within := r.Clock.Now(), min(markTime, r.markUntil.Sub(r.Clock.Now()))
	of := metav1.GetControllerOfNoCopy(pod)
	if r.unmarked.Load() || within <= 0 || of != nil && slices.Contains([]string{"ReplicaSet", "StatefulSet", "ReplicationController"}, of.Kind) ||
		slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue
		}) {
		return
	}
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q},"status":{"conditions":[{"type":%q,"status":"True","reason":"DeletionByInterruption",`+
		`"lastTransitionTime":%q,"message":"Node %s is about to go and the pod could not be evicted"}]}}`,
		pod.UID, corev1.DisruptionTarget, now.UTC().Format(time.RFC3339), pod.Spec.NodeName)
	err := once(ctx, within, r.Client.CoreV1().RESTClient().Patch(types.StrategicMergePatchType).
		Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("status").Body(patch))
	if err == nil || ctx.Err() != nil {
		return
	}
	inVain := strings.Contains(err.Error(), "cannot patch resource") || errors.Is(err, context.DeadlineExceeded)
	if log := klog.FromContext(ctx); inVain && !r.unmarked.Swap(true) {
		log.Info("Pods are deleted without the condition DisruptionTarget, so Jobs may count them as failed", "reason", err.Error(),
			"remedy", "if it is forbidden, grant patch on pods/status (manifests/deploy/rbac-interruption.yaml)")
	} else {
		log.V(2).Info("Could not mark a pod before its deletion", "pod", klog.KObj(pod), "err", err)
	}
}

// once makes the call within its time, without retries.
func once(ctx context.Context, within time.Duration, call *rest.Request) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return call.MaxRetries(0).Do(ctx).Error()
}

// A refused pod is retried after askFirst, and askMore later each time, up to askMost. Budgets may hold back hundreds of pods at
// once, and every answer costs the API server a look at the budget.
const askFirst, askMore, askMost = time.Second, 250 * time.Millisecond, 5 * time.Second

// try is the time of a pod's last eviction or deletion, how often that was refused, and whether ever by a budget.
type try struct {
	last    time.Time
	refused int
	held    bool
}

// outcome is the answer to one eviction or deletion.
type outcome struct {
	pod    *corev1.Pod
	forced bool
	err    error
}

func (r *round) record(ctx context.Context, o outcome) {
	pod, err := o.pod, o.err
	log := klog.FromContext(ctx).WithValues("pod", klog.KObj(pod), "node", klog.KRef("", pod.Spec.NodeName))
	delete(r.asking, pod.UID)
	if errors.Is(err, context.Canceled) {
		return
	}
	before, byBudget := r.tried[pod.UID], apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause)
	held := before.held || !o.forced && byBudget
	r.tried[pod.UID] = try{last: r.Clock.Now(), refused: before.refused + 1, held: held}
	switch {
	case err == nil:
		r.moved[pod.UID] = o.forced
		if c := metav1.GetControllerOf(pod); c != nil {
			r.owners[c.UID] = true
		}
		r.latecomers.left(pod)
		log.V(2).Info("Asked a pod to leave its node", "forced", o.forced)
		r.Moved(pod, o.forced, held)
	case apierrors.IsNotFound(err), apierrors.IsConflict(err) && strings.Contains(err.Error(), "UID in"): // another pod has its name
		r.absent[pod.UID] = true
	case apierrors.IsConflict(err): // others write its budget
	case byBudget: // another 429 is the API server's own, or a webhook's
		log.V(2).Info("A disruption budget holds a pod back", "err", err)
	default:
		r.mayNotDelete = r.mayNotDelete || o.forced && strings.Contains(err.Error(), "cannot delete resource") // else a webhook guards it
		log.V(1).Info("Could not ask a pod to leave its node, trying again", "err", err)
		r.reportStuck(pod, err)
	}
}

// reportStuck reports a stuck pod once. It skips calls that our own rate limit holds back.
func (r *round) reportStuck(pod *corev1.Pod, err error) {
	if (errors.As(err, new(apierrors.APIStatus)) || errors.Is(err, context.DeadlineExceeded)) && !r.stuck[pod.UID] {
		r.stuck[pod.UID] = true
		r.Stuck(pod, err)
	}
}
