package nomination

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

const (
	// writeTime bounds one write. failurePause is the pause after a failed one, and doubles with each further one, of which there are
	// mostFailures.
	writeTime, failurePause = 10 * time.Second, 50 * time.Millisecond
	mostFailures            = 8
	// permissionPause is the time until the next write after one for which the permission was missing.
	permissionPause = 10 * time.Minute
)

// write does a step that writes, and returns what to do afterwards. It overwrites nobody's nomination: it writes only while the pod has the
// nomination for which the step was decided. Other changes of the pod do not matter. kube-scheduler makes many of them while nodes
// join, and the reading of this process is often older.
func (n *Nominator) write(ctx context.Context, t *target, pod *corev1.Pod, s step) step {
	if !n.permitted() {
		return step{end: forbidden}
	}
	type change struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"` // null is a field that is not there
	}
	var current any
	if pod.Status.NominatedNodeName != "" {
		current = pod.Status.NominatedNodeName
	}
	changes := []change{{"test", "/metadata/uid", pod.UID}, {"test", "/status/nominatedNodeName", current}}
	if s.nominate {
		changes = append(changes, change{"test", "/spec/nodeName", nil}, change{"add", "/status/nominatedNodeName", t.node})
	} else {
		changes = append(changes, change{"remove", "/status/nominatedNodeName", nil})
	}
	patch, _ := json.Marshal(changes) // of texts, which cannot fail
	bounded, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	written, err := n.Client.CoreV1().Pods(pod.Namespace).Patch(bounded, pod.Name, types.JSONPatchType, patch, metav1.PatchOptions{}, "status")
	switch {
	case err == nil && s.nominate:
		n.nominated(ctx, t, written)
		return s
	case err == nil:
		klog.FromContext(ctx).V(4).Info("Removed the nomination of a pod", "pod", klog.KObj(pod), "node", t.node, "result", s.end)
		return s
	case apierrors.IsNotFound(err):
		return step{end: gone}
	case strings.Contains(err.Error(), "denied request"), strings.Contains(err.Error(), "denied the request"):
		n.refused.Do(func() { // by a ValidatingAdmissionPolicy or a webhook, which may take other pods
			klog.FromContext(ctx).Info("No node is nominated for a pod: an admission policy refuses it, and perhaps others", "pod", klog.KObj(pod),
				"reason", err.Error(), "remedy", "except the autoscaler from the policy, or set --asg-nominate=off", "consequence", withoutNomination)
		})
		return step{end: forbidden}
	case apierrors.IsForbidden(err):
		n.deny(err.Error())
		return step{end: forbidden}
	case apierrors.IsInvalid(err): // the pod has changed, and the informer shows that soon
		return step{after: showTime}
	case t.failures >= mostFailures:
		klog.FromContext(ctx).Error(err, "Could not write the nomination of a pod", "pod", klog.KObj(pod), "node", t.node)
		return step{nominate: s.nominate, end: failed}
	}
	t.failures++
	return step{after: failurePause << t.failures}
}

func (n *Nominator) nominated(ctx context.Context, t *target, pod *corev1.Pod) {
	node := n.node(t.node)
	t.nominated, t.last, t.written, t.failures = t.node, n.Clock.Now(), pod.ResourceVersion, 0
	t.offered = node != nil && usable(node, pod) && !claims(pod)
	klog.FromContext(ctx).V(4).Info("Nominated a node for a pod", "pod", klog.KObj(pod), "node", t.node)
}

// permitted reports whether the permission was not missing lately.
func (n *Nominator) permitted() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.denied.IsZero() || n.Clock.Since(n.denied) >= permissionPause
}

const withoutNomination = "kube-scheduler may put the pods on other nodes than planned, so that some need one more node"

func (n *Nominator) deny(reason string) {
	n.said.Do(func() {
		klog.Background().Info("No node is nominated for the pods for which it was launched: the permission is missing", "reason", reason,
			"remedy", "grant patch on pods/status (manifests/deploy/rbac-optional.yaml), or set --asg-nominate=off",
			"consequence", withoutNomination)
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.denied = n.Clock.Now()
}
