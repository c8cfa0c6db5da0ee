package scaleup

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/callbacks"
	"k8s.io/autoscaler/cluster-autoscaler/processors/provreq"
	"k8s.io/client-go/kubernetes/fake"
)

func TestScaleUpIsForcedOnlyAgainstPodAge(t *testing.T) {
	young := &apiv1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", CreationTimestamp: metav1.Now()}}
	requested := young.DeepCopy()
	requested.Annotations = map[string]string{provreqv1.ProvisioningRequestPodAnnotationKey: "request"}
	for _, tt := range []struct {
		name          string
		pods          []*apiv1.Pod
		ready         int
		maxNodesTotal int
		requests      bool
		want          bool
	}{
		{name: "young pod", pods: []*apiv1.Pod{young}, ready: 3, want: true},
		{name: "no pods", ready: 3},
		{name: "below the limit of nodes", pods: []*apiv1.Pod{young}, ready: 2, maxNodesTotal: 3, want: true},
		{name: "limit of nodes reached", pods: []*apiv1.Pod{young}, ready: 3, maxNodesTotal: 3},
		{name: "limit of nodes exceeded", pods: []*apiv1.Pod{young}, ready: 4, maxNodesTotal: 3},
		{name: "provisioning request at the limit", pods: []*apiv1.Pod{requested}, ready: 3, maxNodesTotal: 3, requests: true, want: true},
		{name: "plain pod at the limit beside provisioning requests", pods: []*apiv1.Pod{young}, ready: 3, maxNodesTotal: 3, requests: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			options := config.AutoscalingOptions{ScaleUpFromZero: true}
			processors := caprocessors.DefaultProcessors(options)
			if tt.requests {
				processors.ScaleUpEnforcer = provreq.NewProvisioningRequestScaleUpEnforcer()
			}
			delay := &NoPodAgeDelay{ActionableClusterProcessor: processors.ActionableClusterProcessor, Enforcer: processors.ScaleUpEnforcer, MaxNodesTotal: tt.maxNodesTotal}
			autoscaling := &cacontext.AutoscalingContext{AutoscalingOptions: options}
			abort, err := delay.ShouldAbort(autoscaling, nil, make([]*apiv1.Node, tt.ready), time.Now())
			require.Truef(t, !abort && err == nil, "ShouldAbort = %v, %v; the core's own processor would go on", abort, err)
			assert.Equal(t, tt.want, delay.ShouldForceScaleUp(tt.pods), "ShouldForceScaleUp")
		})
	}
}

// The core itself writes no status otherwise.
func TestStatusOfAnEmptyClusterIsWritten(t *testing.T) {
	for _, writes := range []bool{true, false} {
		w := newWorld(t, nil)
		client := fake.NewClientset()
		w.ctx.ProcessorCallbacks = callbacks.NewTestProcessorCallbacks()
		w.ctx.ClientSet, w.ctx.ConfigNamespace, w.ctx.StatusConfigMapName, w.ctx.ScaleUpFromZero = client, "kube-system", "status", false
		processors := caprocessors.DefaultProcessors(w.ctx.AutoscalingOptions)
		delay := &NoPodAgeDelay{ActionableClusterProcessor: processors.ActionableClusterProcessor, WriteStatus: writes}
		abort, err := delay.ShouldAbort(w.ctx, nil, nil, time.Now())
		require.Truef(t, abort && err == nil, "ShouldAbort = %v, %v", abort, err)
		maps, failed := client.CoreV1().ConfigMaps("kube-system").List(t.Context(), metav1.ListOptions{})
		require.NoError(t, failed)
		assert.Equal(t, writes, len(maps.Items) == 1 && strings.Contains(maps.Items[0].Data["status"], "Cluster has no nodes."), "%+v", maps.Items)
	}
}
