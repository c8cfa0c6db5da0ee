package podlist

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// searches counts how often the scheduler's filters prepare for a pod, for which those of anti-affinity look at all pods.
type searches struct {
	clustersnapshot.ClusterSnapshot
	count int
}

func (s *searches) SchedulePod(pod *corev1.Pod, node string) clustersnapshot.SchedulingError {
	s.count++
	return s.ClusterSnapshot.SchedulePod(pod, node)
}

func (s *searches) SchedulePodOnAnyNodeMatching(pod *corev1.Pod, o clustersnapshot.SchedulingOptions) (string, clustersnapshot.SchedulingError) {
	s.count++
	return s.ClusterSnapshot.SchedulePodOnAnyNodeMatching(pod, o)
}

// alone is a planned pod that shares no node with others like it.
func alone(name string) *corev1.Pod {
	pod := plannedPod(name, 1, "")
	pod.Labels = map[string]string{"app": "alone"}
	pod.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{LabelSelector: &metav1.LabelSelector{MatchLabels: pod.Labels}, TopologyKey: corev1.LabelHostname}}}}
	return pod
}

// The nodes of the group have room, and each has such a pod already.
func TestNodesThatRefuseAPlannedPodAreSearchedOnce(t *testing.T) {
	const existing, coming = 200, 20
	var names []string
	for n := range existing + coming {
		names = append(names, fmt.Sprintf("a-%03d", n))
	}
	var pods []*corev1.Pod
	var nodes []plan.Node
	for n := range coming {
		pods = append(pods, alone(fmt.Sprint("pod-", n)))
		nodes = append(nodes, planned("a", "", pods[n]))
	}
	r, ctx := newFreeRoom(t, names, nil, nodes...)
	for n, name := range names {
		info, err := ctx.ClusterSnapshot.GetNodeInfo(name)
		require.NoError(t, err)
		info.Node().Labels = map[string]string{corev1.LabelHostname: name}
		if n < existing {
			require.NoError(t, ctx.ClusterSnapshot.ForceAddPod(alone("on-"+name), name))
		}
	}
	s := &searches{ClusterSnapshot: ctx.ClusterSnapshot}
	left, upcoming, err := r.putPlanned(s, pods, r.Plan.Planned())
	require.NoError(t, err)
	assert.Truef(t, len(left) == 0 && len(upcoming) == coming, "%d pods are left, %d nodes of the plan are found", len(left), len(upcoming))
	assert.LessOrEqual(t, s.count, 2*coming, "searches, want two at most for a planned node")
}
