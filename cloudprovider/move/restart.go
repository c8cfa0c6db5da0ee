package move

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// RestartToMove is the annotation by which the pods of a Deployment ask that the Deployment is restarted before their node is drained. With
	// the usual surge of a Deployment, the new pod is Ready elsewhere before the old one goes, even if it is the only one.
	RestartToMove = "asg-autoscaler.github.io/restart-to-move"
	// restartedAt is what kubectl rollout restart changes in a Deployment.
	restartedAt = "kubectl.kubernetes.io/restartedAt"
	// RestartTime is how long the old pods have to go. Then they are evicted as others are.
	RestartTime = 10 * time.Minute
)

// Deployments returns the Deployments of the pods that ask for a restart, each once. Pods that are going do not count.
func Deployments(pods []*corev1.Pod) (list []types.NamespacedName) {
	for _, pod := range pods {
		kind, name := nodemeta.Owner(pod)
		d := types.NamespacedName{Namespace: pod.Namespace, Name: name}
		if kind == "Deployment" && pod.Annotations[RestartToMove] == "true" && pod.DeletionTimestamp == nil && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}

// Restart begins to restart the Deployments, as kubectl rollout restart does. A Deployment that cannot be restarted is logged, and its pods are
// evicted in the end as others are.
func (w *Writer) Restart(deployments []types.NamespacedName, at time.Time) {
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, restartedAt, at.UTC().Format(time.RFC3339))
	go func() {
		ctx, cancel := context.WithTimeout(w.ctx, writeTime)
		defer cancel()
		for _, d := range deployments {
			_, err := w.client.AppsV1().Deployments(d.Namespace).Patch(ctx, d.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			if err != nil {
				klog.FromContext(w.ctx).Error(err, "Could not restart a Deployment whose pods ask for it, they are evicted after a while", "deployment", d.String(),
					"after", RestartTime, "remedy", "allow patch on deployments.apps, see docs/moves.md")
			}
		}
	}()
}
