package access

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// The replicas that are a plugin, with the permission for their lease and without.
const (
	asPlugin           = "plugin"
	pluginWithoutLease = "plugin-without-lease"
)

// unasked is the address of a plugin that no core asks. A plugin does most of its work in the cluster by itself.
const unasked = "--asg-plugin-address=127.0.0.1:0"

// needsItsLease has a plugin handle an interruption. It must need every permission of rbac-plugin.yaml, and no other beside rbac.yaml and rbac-interruption.yaml.
// It nominates nothing, so it patches the status of pods only to mark them before their deletion.
func needsItsLease(t *testing.T, l *lab) {
	g, usual := shipped(t, "rbac", "rbac-interruption", "rbac-plugin"), shipped(t, "rbac", "rbac-interruption").atoms()
	r := l.replica(t, asPlugin, g)
	node := r.nodes(t, 2)[0]
	r.start(t, unasked)
	r.holdAndInterrupt(t, node)
	assert.Equal(t, "DeletionByInterruption", r.endOf(t, "held"), "the reason of the condition DisruptionTarget")
	r.awaitLog(t, `Drained a node.*forced=1`)
	r.awaitUsed(t, g, func(a atom) bool { return slices.Contains(usual, a) && a.resource != "pods/status" })
	require.NoError(t, r.process.Stop())
	r.isRefusedNothing(t)
}

// endOf waits until the pod is gone, and returns the reason of its condition DisruptionTarget then.
func (r *replica) endOf(t *testing.T, pod string) string {
	pods, err := r.client.CoreV1().Pods(r.name).Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + pod})
	require.NoError(t, err)
	defer pods.Stop()
	for event := range pods.ResultChan() {
		if gone, ok := event.Object.(*corev1.Pod); ok && event.Type == watch.Deleted {
			at := slices.IndexFunc(gone.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.DisruptionTarget })
			require.NotEqual(t, -1, at, "no condition DisruptionTarget: %+v", gone.Status.Conditions)
			return gone.Status.Conditions[at].Reason
		}
	}
	require.FailNow(t, "the watch ended before the pod")
	return ""
}

// servesWithoutItsLease has a plugin with the rules of rbac.yaml alone. It is ready to answer, and says that it cannot lead. The status of
// the core stays.
func servesWithoutItsLease(t *testing.T, l *lab) {
	r := l.replica(t, pluginWithoutLease, shipped(t, "rbac"))
	maps := l.client.CoreV1().ConfigMaps(r.name)
	status, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cluster-autoscaler-status"},
		Data: map[string]string{"status": "autoscalerStatus: Running"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	r.start(t, unasked)
	r.awaitLog(t, `Error retrieving lease lock.*cannot get resource \\?"leases\\?"`)
	eventually(t, func(ctx context.Context) string {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.process.Address+"/readyz", nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return "the plugin is not ready: " + response.Status
		}
		return ""
	})
	after, err := maps.Get(t.Context(), status.Name, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, status.Data, after.Data)
}
