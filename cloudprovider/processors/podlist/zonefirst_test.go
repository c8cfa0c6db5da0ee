package podlist

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// waiting is a pod that fills half a node.
func waiting(name, zone string, priority int32) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name)},
		Spec: corev1.PodSpec{Priority: &priority, Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}}}
	if zone != "" {
		pod.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zone}
	}
	return pod
}

// nominated is a pod that kube-scheduler tries on the node first.
func nominated(name string) *corev1.Pod {
	pod := waiting(name, "", 0)
	pod.Status.NominatedNodeName = "n"
	return pod
}

// daemon is a pod that a DaemonSet has for a node without room.
func daemon(priority int32) *corev1.Pod {
	pod := waiting("daemon", "full", priority)
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "daemon", Controller: ptr.To(true)}}
	return pod
}

func TestOneZonePodsTakeRoomFirst(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pods  []*corev1.Pod
		owed  bool // the next phase is for pods without a zone
		whole bool // no group is scaled zone by zone
		left  []string
		inA   []string // found room in zone a
	}{
		{name: "behind others in the list", pods: []*corev1.Pod{waiting("anywhere", "", 0), waiting("in-a", "a", 0)}, left: []string{"anywhere"}, inA: []string{"in-a"}},
		{name: "those of higher priority first", pods: []*corev1.Pod{waiting("anywhere", "", 0), waiting("low", "a", 0), waiting("in-a", "a", 1), waiting("other", "a", 1)},
			left: []string{"anywhere", "low"}, inA: []string{"in-a", "other"}},
		{name: "not before a pod of higher priority", pods: []*corev1.Pod{waiting("anywhere", "", 1), waiting("in-a", "a", 0)}, left: []string{"anywhere", "in-a"}},
		{name: "whatever waits for room on its own node", pods: []*corev1.Pod{daemon(2000001000), waiting("anywhere", "", 0), waiting("in-a", "a", 0)},
			left: []string{"daemon", "anywhere"}, inA: []string{"in-a"}},
		{name: "not in the room of nominated pods", pods: []*corev1.Pod{waiting("anywhere", "", 0), waiting("in-a", "a", 0), nominated("one"), nominated("two")},
			left: []string{"anywhere", "in-a"}, inA: []string{"one", "two"}},
		{name: "where there is no room", pods: []*corev1.Pod{waiting("anywhere", "", 0), waiting("in-b", "b", 0)}, left: []string{"anywhere", "in-b"}},
		{name: "not where nodes were launched for the others", pods: []*corev1.Pod{waiting("in-a", "a", 0), waiting("anywhere", "", 0), waiting("other", "", 0)}, owed: true,
			left: []string{"in-a"}, inA: []string{"anywhere", "other"}},
		{name: "pods with a zone alone are the core's", pods: []*corev1.Pod{waiting("in-a", "a", 0)}, left: []string{"in-a"}},
		{name: "without zone groups all are the core's", pods: []*corev1.Pod{waiting("anywhere", "", 0), waiting("in-a", "a", 0)}, whole: true,
			left: []string{"anywhere", "in-a"}},
		{name: "pods without one, too", pods: []*corev1.Pod{waiting("anywhere", "", 0)}, left: []string{"anywhere"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := awsworld.Divided("web", "m5.large", 0, 0, 9)
			if tt.whole {
				delete(g.Tags, asg.TagZonal)
			}
			w := awsworld.NewDivided(t, nil, g)
			ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t)}
			n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{corev1.LabelTopologyZone: "a"}}}
			n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourcePods: resource.MustParse("10")}
			n.Status.Capacity = n.Status.Allocatable
			require.NoError(t, ctx.ClusterSnapshot.AddNodeInfo(framework.NewNodeInfo(n, nil)))
			first := &FreeRoom{Core: packing{}, Plan: plan.New(clock.RealClock{}), OthersFirst: func() bool { return tt.owed },
				Zones: &OneZone{Provider: w.Provider, ZoneName: func(string) string { return "" }, Volumes: podzone.Volumes{}}}
			left, err := first.Process(ctx, tt.pods)
			require.NoError(t, err)
			info, err := ctx.ClusterSnapshot.GetNodeInfo("n")
			require.NoError(t, err)
			var inA []string
			for _, p := range info.Pods() {
				inA = append(inA, p.Pod.Name)
			}
			assert.Empty(t, cmp.Diff(fmt.Sprint(tt.left, tt.inA), fmt.Sprint(names(left), inA)), "pods left, and those with room (-want +got)")
		})
	}
}

func names(pods []*corev1.Pod) (list []string) {
	for _, pod := range pods {
		list = append(list, pod.Name)
	}
	return list
}
