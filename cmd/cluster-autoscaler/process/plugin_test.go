package process

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestWhoWritesTheFirstStatus(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before string // status, "" without a ConfigMap
		plugin bool
		want   string // in the status
	}{
		{"leader", "autoscalerStatus: Running", false, "autoscalerStatus: Initializing"},
		{"plugin", "autoscalerStatus: Running", true, "autoscalerStatus: Running"},
		{"plugin before its core", "", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, p := fake.NewClientset(), &Process{kube: &rest.Config{}}
			p.core.WriteStatusConfigMap, p.core.ConfigNamespace, p.core.StatusConfigMapName = true, "kube-system", "cluster-autoscaler-status"
			if tt.before != "" {
				require.NoError(t, client.Tracker().Add(&corev1.ConfigMap{
					ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "cluster-autoscaler-status"}, Data: map[string]string{"status": tt.before}}))
			}
			if tt.plugin {
				p.options.AWS.PluginAddress = "127.0.0.1:8087"
			}
			clients, events := p.kubeClients(t.Context(), client, informers.NewSharedInformerFactory(client, 0))
			after, err := client.CoreV1().ConfigMaps("kube-system").List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			var status string
			for _, m := range after.Items {
				status = m.Data["status"]
			}
			assert.Contains(t, status, tt.want)
			assert.Equal(t, tt.want == "", len(after.Items) == 0, "no ConfigMap")
			recorder := record.NewFakeRecorder(1)
			events.EventRecorder = recorder
			clients.LogRecorder.Event(corev1.EventTypeWarning, "NodeGroupProblem", "a group")
			assert.Len(t, recorder.Events, 1, "events about the ConfigMap")
		})
	}
}

// A plugin starts in silence, until the first core calls.
func TestRecordOfASilenceEndsInSilence(t *testing.T) {
	var begun string
	var ended []string
	next := nextRecord(func(trigger string, _ time.Time) { begun = trigger }, func() { ended = append(ended, begun) })
	for _, trigger := range []string{decision.Silence, "refresh", "refresh", decision.Silence, decision.Silence, "refresh", "refresh"} {
		next(trigger)
	}
	assert.Equal(t, []string{"refresh", "refresh", decision.Silence, "refresh"}, ended)
}
