package move_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
)

// A disruption budget may protect the last pod.
func TestRestartEndsNotTheLastPodBeforeANewOneIsReady(t *testing.T) {
	rolling := func(surge, unavailable string) appsv1.DeploymentStrategy {
		return appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxSurge: ptr.To(intstr.Parse(surge)), MaxUnavailable: ptr.To(intstr.Parse(unavailable))}}
	}
	for _, tt := range []struct {
		name     string
		replicas int32
		strategy appsv1.DeploymentStrategy
		paused   bool
		want     bool
	}{
		{name: "usual", replicas: 1, strategy: rolling("25%", "25%"), want: true},
		{name: "several pods, one more comes first", replicas: 4, strategy: rolling("1", "0"), want: true},
		{name: "several pods, one may go first", replicas: 4, strategy: rolling("25%", "25%"), want: true},
		{name: "one pod that may go first", replicas: 1, strategy: rolling("1", "1")},
		{name: "no surge", replicas: 1, strategy: rolling("0", "25%")},
		{name: "Recreate", replicas: 1, strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}},
		{name: "paused", replicas: 1, strategy: rolling("25%", "25%"), paused: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := fake.NewClientset(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
				Spec: appsv1.DeploymentSpec{Replicas: &tt.replicas, Strategy: tt.strategy, Paused: tt.paused}})
			move.NewWriter(t.Context(), client, nil).Restart([]types.NamespacedName{{Namespace: "default", Name: "web"}}, time.Now())
			synctest.Wait()
			restarted := false
			for _, a := range client.Actions() {
				patch, patches := a.(clienttesting.PatchActionImpl)
				restarted = restarted || patches && len(patch.PatchOptions.DryRun) == 0
			}
			assert.Equal(t, tt.want, restarted, tt.name)
		})
	}
}
