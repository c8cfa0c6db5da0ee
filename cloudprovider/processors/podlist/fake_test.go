package podlist

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// copying adds copies of the first pending pod, as the core's proactive scale-up does.
type copying int

func (c copying) Process(_ *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	for range c {
		pending = append(pending, fake.WithFakePodAnnotation(pending[0].DeepCopy()))
	}
	return pending, nil
}

func (copying) CleanUp() {}

func TestFakePodsAskForNothing(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{
		drain.PodSafeToEvictKey: "false", string(nodemeta.DoNotDisrupt): "true"}}, Status: corev1.PodStatus{NominatedNodeName: "n"}}
	want := pod.DeepCopy()
	all, err := (&Fakes{PodListProcessor: copying(2)}).Process(nil, []*corev1.Pod{pod})
	require.True(t, err == nil && len(all) == 3)
	assert.Equal(t, want, all[0], "the pod itself")
	for _, copied := range all[1:] {
		assert.Equal(t, map[string]string{fake.FakePodAnnotationKey: fake.FakePodAnnotationValue, drain.PodSafeToEvictKey: "true"}, copied.Annotations)
		assert.Empty(t, copied.Status.NominatedNodeName, "the node of the pod")
	}
}
