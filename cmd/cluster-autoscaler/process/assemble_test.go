package process

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	kubetesting "k8s.io/client-go/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
)

func TestEachProblemHasItsEvent(t *testing.T) {
	for _, tt := range []struct {
		name      string
		namespace string
		refused   bool // the first write of the status
	}{
		{name: "where stock runs", namespace: "kube-system"},
		{name: "in another namespace", namespace: "autoscaling"},
		{name: "after a refused write", namespace: "kube-system", refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, p := fake.NewClientset(), &Process{kube: &rest.Config{}}
				p.core.WriteStatusConfigMap, p.core.ConfigNamespace, p.core.StatusConfigMapName = true, tt.namespace, "cluster-autoscaler-status"
				if tt.refused {
					client.PrependReactor("create", "configmaps", func(kubetesting.Action) (bool, runtime.Object, error) {
						return true, nil, apierrors.NewConflict(corev1.Resource("configmaps"), p.core.StatusConfigMapName, nil)
					})
				}
				clients, _ := p.kubeClients(t.Context(), client, informers.NewSharedInformerFactory(client, 0))
				assert.IsType(t, scaledown.Listers{}, clients.ListerRegistry, "the core's listers")
				var problems []string
				for _, group := range "abcdefghijkl" {
					problems = append(problems, fmt.Sprintf("group %c has no launch template", group))
				}
				for _, problem := range slices.Concat(problems, problems) {
					clients.LogRecorder.Event(corev1.EventTypeWarning, "NodeGroupProblem", problem)
					time.Sleep(time.Second) // the name of an event is its time
				}
				list, err := client.CoreV1().Events(tt.namespace).List(t.Context(), metav1.ListOptions{})
				require.NoError(t, err)
				var published []string
				for _, e := range list.Items {
					assert.Equal(t, int32(1), e.Count, "times that the event %q was published within five minutes", e.Message)
					published = append(published, e.Message)
				}
				slices.Sort(published)
				assert.Equal(t, problems, published, "events")
			})
		})
	}
}
