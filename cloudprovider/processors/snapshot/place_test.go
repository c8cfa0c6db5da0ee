package snapshot

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
)

func TestPlace(t *testing.T) {
	pods := func(count int, milliCPU int64, change func(*corev1.Pod)) []*corev1.Pod {
		var list []*corev1.Pod
		for i := range count {
			pod := utiltest.BuildTestPod(fmt.Sprint("p", i), milliCPU, 1)
			if change != nil {
				change(pod)
			}
			list = append(list, pod)
		}
		return list
	}
	apart := func(pod *corev1.Pod) {
		pod.Labels = map[string]string{"app": "apart"}
		pod.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: pod.Labels}}}}}
	}
	onC := func(pod *corev1.Pod) {
		pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: "c"}
	}
	everywhere := func(*corev1.Pod) bool { return true }
	tries := 0
	for _, tt := range []struct {
		name string
		pods []*corev1.Pod
		on   Nodes
		want map[string]string
	}{
		{name: "one node after the other", pods: pods(5, 400, nil), on: Nodes{First: []string{"b", "a"}}, want: map[string]string{"p0": "b", "p1": "b", "p2": "a", "p3": "a"}},
		{name: "pods that keep apart", pods: pods(3, 100, apart), on: Nodes{First: []string{"a", "b"}}, want: map[string]string{"p0": "a", "p1": "b"}},
		{name: "a node that is not among the first", pods: pods(1, 100, onC), on: Nodes{First: []string{"a", "b"}}, want: map[string]string{}},
		{name: "anywhere then", pods: pods(1, 100, onC), on: Nodes{First: []string{"a", "b"}, Anywhere: everywhere}, want: map[string]string{"p0": "c"}},
		{name: "anywhere but there", pods: pods(1, 100, onC), on: Nodes{Anywhere: everywhere, But: map[string]bool{"c": true}}, want: map[string]string{}},
		{name: "until time is over", pods: pods(3, 100, nil), on: Nodes{First: []string{"a"}, Over: func() bool { tries++; return tries > 2 }}, want: map[string]string{"p0": "a", "p1": "a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cluster := testsnapshot.NewTestSnapshotOrDie(t)
			for _, name := range []string{"a", "b", "c"} {
				node := utiltest.BuildTestNode(name, 1000, 1<<30)
				node.Labels[corev1.LabelHostname] = name
				require.NoError(t, cluster.AddNodeInfo(framework.NewTestNodeInfo(node)))
			}
			placed, err := Place(cluster, tt.pods, tt.on)
			require.NoError(t, err)
			got := map[string]string{}
			for pod, node := range placed {
				got[pod.Name] = node
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "nodes by pod (-want +got)")
		})
	}
}
