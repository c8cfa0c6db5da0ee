package podlist

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/podlistprocessor"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	coreannotations "k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	kube_util "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// givenBack keeps what was given back.
type givenBack []string

func (g *givenBack) NodeGroupName(node *corev1.Node) string { return nodemeta.NodeGroup.Of(node) }
func (g *givenBack) GiveBack(nodeGroup string, n int)       { *g = append(*g, fmt.Sprint(nodeGroup, " ", n)) }

// coming is a loop after some time: how many nodes of each group are under way, and the pods that wait. A pod fills a node.
type coming struct {
	after time.Duration
	nodes map[string]int
	pods  int
	// registered nodes of group a are not ready yet. Upcoming nodes stand in for them.
	registered int
}

func TestNodesUnderWayAreGivenBack(t *testing.T) {
	two := map[string]int{"a": 2}
	for _, tt := range []struct {
		name  string
		loops []coming
		want  givenBack
	}{
		{name: "without a pod for 20 s", loops: []coming{{nodes: two}, {after: 20 * time.Second, nodes: two}}, want: givenBack{"a 2"}},
		{name: "not sooner", loops: []coming{{nodes: two}, {after: 19 * time.Second, nodes: two}}},
		{name: "not while pods need them", loops: []coming{{nodes: two, pods: 2}, {after: 20 * time.Second, nodes: two, pods: 2}}},
		{name: "only the one that no pod needs", loops: []coming{{nodes: two, pods: 1}, {after: 20 * time.Second, nodes: two, pods: 1}}, want: givenBack{"a 1"}},
		{name: "a pod begins the time anew", loops: []coming{{nodes: two}, {after: 10 * time.Second, nodes: two, pods: 1}, {after: 10 * time.Second, nodes: two, pods: 1}}},
		{name: "a pod that went again does so, too", loops: []coming{{nodes: two}, {after: 10 * time.Second, nodes: two, pods: 2}, {after: 10 * time.Second, nodes: two}}},
		{name: "not more than were unneeded all the time", loops: []coming{{nodes: two, pods: 1}, {after: 10 * time.Second, nodes: two}, {after: 10 * time.Second, nodes: two}},
			want: givenBack{"a 1"}},
		{name: "again after another 20 s", loops: []coming{{nodes: two}, {after: 20 * time.Second, nodes: two}, {after: 10 * time.Second, nodes: two}, {after: 10 * time.Second, nodes: two}},
			want: givenBack{"a 2", "a 2"}},
		{name: "each group by itself", loops: []coming{{nodes: map[string]int{"a": 1, "b": 3}}, {after: 10 * time.Second, nodes: map[string]int{"a": 1, "b": 2}},
			{after: 10 * time.Second, nodes: map[string]int{"a": 1, "b": 2}}}, want: givenBack{"a 1"}},
		{name: "none that stands in for a registered node", loops: []coming{{nodes: two, registered: 2}, {after: 20 * time.Second, nodes: two, registered: 2}}},
		{name: "only the one that has not registered", loops: []coming{{nodes: two, registered: 1}, {after: 20 * time.Second, nodes: two, registered: 1}}, want: givenBack{"a 1"}},
		{name: "none of an unknown group", loops: []coming{{nodes: map[string]int{"": 1}}, {after: 20 * time.Second, nodes: map[string]int{"": 1}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := clocktesting.NewFakeClock(time.Now())
			var got givenBack
			giveBack := NewGiveBack(&got, now)
			for _, loop := range tt.loops {
				now.Step(loop.after)
				loop.run(t, giveBack)
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "given back (-want +got)")
		})
	}
}

// run runs the core's processor and then the one under test, on the core's snapshot of the cluster.
func (c coming) run(t *testing.T, giveBack *GiveBack) {
	t.Helper()
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t), DebuggingSnapshotter: debuggingsnapshot.NewDebuggingSnapshotter(false)}
	for group, count := range c.nodes {
		for at := range count {
			info, err := simulator.SanitizedNodeInfo(nextNode(group), fmt.Sprintf("upcoming-%d", at)) // as the core does
			require.NoError(t, err)
			require.NoError(t, ctx.ClusterSnapshot.AddNodeInfo(info))
		}
	}
	ready := nextNode("a").Node()
	ready.Name, ready.Annotations, ready.Spec.Unschedulable = "ready", nil, true
	require.NoError(t, ctx.ClusterSnapshot.AddNodeInfo(framework.NewNodeInfo(ready, nil)))
	registered := []*corev1.Node{ready}
	for at := range c.registered {
		node := nextNode("a").Node()
		node.Name = fmt.Sprintf("registered-%d", at)
		registered = append(registered, node)
	}
	ctx.ListerRegistry = kube_util.NewListerRegistry(kube_util.NewTestNodeLister(registered), nil, nil, nil, nil, nil, nil, nil, nil)
	var pods []*corev1.Pod
	for at := range c.pods {
		pod := waiting(fmt.Sprintf("pod-%d", at), "", 0)
		pod.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("2")
		pods = append(pods, pod)
	}
	left, err := podlistprocessor.NewFilterOutSchedulablePodListProcessor(scheduling.ScheduleAnywhere).Process(ctx, pods)
	require.Truef(t, err == nil && len(left) == 0, "%v found no room, error %v", names(left), err)
	others := []*corev1.Pod{waiting("without-room", "", 0)}
	left, err = giveBack.Process(ctx, others)
	assert.Truef(t, err == nil && len(left) == 1, "%v are left to help, error %v, want the pod without room", names(left), err)
}

// nextNode is the template of a group whose nodes have 2 CPUs, with the pod of a DaemonSet.
func nextNode(group string) *framework.NodeInfo {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "template-node-for-" + group, Annotations: map[string]string{coreannotations.NodeUpcomingAnnotation: "true"}}}
	nodemeta.NodeGroup.Set(node, group)
	node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourcePods: resource.MustParse("10")}
	node.Status.Capacity = node.Status.Allocatable
	agent := daemon(0)
	agent.Spec.NodeSelector, agent.Spec.Containers = nil, nil
	return framework.NewNodeInfo(node, nil, framework.NewPodInfo(agent, nil))
}
