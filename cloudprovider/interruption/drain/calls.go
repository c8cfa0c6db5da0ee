package drain

import (
	"context"
	"fmt"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/rest"
)

// listed lists the pods to move from the API server, in one call for each node. The cache may lack pods that the scheduler
// bound while a node was being cordoned.
func (d *Drainer) listed(ctx context.Context, nodes []string, moves func(*corev1.Pod) bool) (pods []*corev1.Pod, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	for _, node := range nodes {
		list, err := d.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()})
		if err != nil {
			return nil, fmt.Errorf("list the pods of node %q: %w", node, err)
		}
		for n := range list.Items {
			if pod := &list.Items[n]; moves(pod) {
				pods = append(pods, pod)
			}
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
func (d *Drainer) delete(ctx context.Context, pod *corev1.Pod, deadline time.Time) error {
	grace := max(1, int64(math.Floor(deadline.Sub(d.Clock.Now()).Seconds())))
	if own := pod.Spec.TerminationGracePeriodSeconds; own != nil {
		grace = min(grace, max(1, *own))
	}
	return once(ctx, deleteTime, d.Client.CoreV1().RESTClient().Delete().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
		Body(&metav1.DeleteOptions{GracePeriodSeconds: &grace, Preconditions: &metav1.Preconditions{UID: &pod.UID}}))
}

// once makes the call within its time, without retries.
func once(ctx context.Context, within time.Duration, call *rest.Request) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return call.MaxRetries(0).Do(ctx).Error()
}
