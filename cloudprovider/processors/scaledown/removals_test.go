package scaledown

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/utils/ptr"
)

// The API server sets the deletion time by its own clock, which may be two minutes behind.
func TestRemovalWaitsForPodsWithGraceWhateverTheClocks(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "goes"}, Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: taints.ToBeDeletedTaint}}}}
	for age, listed := range map[time.Duration]int{100 * time.Second: 1, 4 * time.Minute: 0} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", DeletionTimestamp: &metav1.Time{Time: time.Now().Add(-age)}},
			Spec: corev1.PodSpec{NodeName: "goes", TerminationGracePeriodSeconds: ptr.To[int64](30)}}
		l := Listers{kubernetes.NewListerRegistry(kubernetes.NewTestNodeLister([]*corev1.Node{node}), nil,
			kubernetes.NewTestPodLister([]*corev1.Pod{pod}), nil, nil, nil, nil, nil, nil)}
		pods, err := l.AllPodLister().List()
		require.NoError(t, err)
		assert.Lenf(t, pods, listed, "deleted %v ago", age)
	}
}
