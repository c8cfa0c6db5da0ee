package scaledown

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/ptr"
)

// Each node is named by its zone and a number, has room for four pods, and has the pods that are named. Pods whose names begin with "s" are
// spread by the constraint.
func TestSpreadPodsHaveAPlaceWhileTheirNodeExists(t *testing.T) {
	oneZone := corev1.TopologySpreadConstraint{TopologyKey: corev1.LabelTopologyZone, MaxSkew: 1, WhenUnsatisfiable: corev1.DoNotSchedule}
	with := func(change func(*corev1.TopologySpreadConstraint)) corev1.TopologySpreadConstraint {
		c := oneZone
		change(&c)
		return c
	}
	even := map[string][]string{"a1": {"s1", "x1"}, "b1": {"s2"}, "c1": {"s3", "x2"}}
	for _, tt := range []struct {
		name       string
		constraint corev1.TopologySpreadConstraint
		cluster    map[string][]string
		candidates []string
		stay       map[string]string // the node, and the pod that keeps it
	}{
		{name: "the last node of a zone", constraint: oneZone, cluster: even, candidates: []string{"c1"}, stay: map[string]string{"c1": "s3"}},
		{name: "its pod needs no spread", constraint: oneZone, cluster: map[string][]string{"a1": {"s1"}, "b1": {"s2"}, "c1": {"x1"}}, candidates: []string{"c1"}},
		{name: "an empty node", constraint: oneZone, cluster: map[string][]string{"a1": {"s1"}, "b1": {"s2"}, "c1": {"s3"}, "c2": nil}, candidates: []string{"c2"}},
		{name: "another node of the zone", constraint: oneZone, cluster: map[string][]string{"a1": {"s1"}, "b1": {"s2"}, "c1": {"s3"}, "c2": nil}, candidates: []string{"c1"}},
		{name: "another node of the zone is full", constraint: oneZone, cluster: map[string][]string{"a1": {"s1"}, "b1": {"s2"}, "c1": {"s3"}, "c2": {"x1", "x2", "x3", "x4"}},
			candidates: []string{"c1"}, stay: map[string]string{"c1": "s3"}},
		{name: "two nodes of the zone", constraint: oneZone, cluster: map[string][]string{"a1": {"s1", "s4"}, "b1": {"s2"}, "c1": {"s3"}, "c2": {"s5"}},
			candidates: []string{"c1", "c2"}, stay: map[string]string{"c2": "s5"}},
		{name: "the place of one is on the next", constraint: oneZone, cluster: map[string][]string{"a1": {"s1"}, "b1": {"s2"}, "c1": {"s3"}, "c2": {"x1"}},
			candidates: []string{"c1", "c2"}, stay: map[string]string{"c2": "s3"}},
		{name: "of each zone one", constraint: oneZone, cluster: map[string][]string{"a1": {"s1"}, "a2": nil, "b1": {"s2"}, "c1": {"s3"}},
			candidates: []string{"c1", "b1", "a1"}, stay: map[string]string{"c1": "s3", "b1": "s2"}},
		{name: "a wider skew", constraint: with(func(c *corev1.TopologySpreadConstraint) { c.MaxSkew = 2 }), cluster: even, candidates: []string{"c1"}},
		{name: "a wish", constraint: with(func(c *corev1.TopologySpreadConstraint) { c.WhenUnsatisfiable = corev1.ScheduleAnyway }), cluster: even, candidates: []string{"c1"}},
		{name: "tainted nodes do not count", constraint: with(func(c *corev1.TopologySpreadConstraint) { c.NodeTaintsPolicy = ptr.To(corev1.NodeInclusionPolicyHonor) }),
			cluster: even, candidates: []string{"c1"}},
		{name: "over nodes", constraint: with(func(c *corev1.TopologySpreadConstraint) { c.TopologyKey = corev1.LabelHostname }), cluster: even, candidates: []string{"b1"},
			stay: map[string]string{"b1": "s2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			snapshot := testsnapshot.NewTestSnapshotOrDie(t)
			for name, pods := range tt.cluster {
				require.NoError(t, snapshot.AddNodeInfo(nodeWith(name, pods, tt.constraint)))
			}
			var candidates []simulator.NodeToBeRemoved
			for _, name := range tt.candidates {
				info, err := snapshot.GetNodeInfo(name)
				require.NoError(t, err)
				c := simulator.NodeToBeRemoved{Node: info.Node()}
				for _, p := range info.Pods() {
					c.PodsToReschedule = append(c.PodsToReschedule, p.Pod)
				}
				candidates = append(candidates, c)
			}
			removable, unremovable := keepSpread(&cacontext.AutoscalingContext{ClusterSnapshot: snapshot}, nil, candidates)
			stay := map[string]string{}
			for _, u := range unremovable {
				assert.Truef(t, u.Reason == simulator.NoPlaceToMovePods,
					"%s stays with reason %d, want %d", u.Node.Name, u.Reason, simulator.NoPlaceToMovePods)
				stay[u.Node.Name] = u.BlockingPod.Pod.Name
			}
			for _, name := range tt.candidates {
				goes := slices.ContainsFunc(removable, func(r simulator.NodeToBeRemoved) bool { return r.Node.Name == name })
				pod, kept := tt.stay[name]
				assert.Truef(t, stay[name] == pod && goes != kept, "%s goes: %t, kept by %q; want kept by %q", name, goes, stay[name], pod)
			}
			checkUnchanged(t, snapshot, tt.cluster)
		})
	}
}

func nodeWith(name string, pods []string, constraint corev1.TopologySpreadConstraint) *framework.NodeInfo {
	resources := func(cpu string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourcePods: resource.MustParse("10")}
	}
	info := framework.NewNodeInfo(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: name[:1], corev1.LabelHostname: name}},
		Status:     corev1.NodeStatus{Capacity: resources("4"), Allocatable: resources("4")},
	}, nil)
	constraint.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "s"}}
	for _, pod := range pods {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: pod, Namespace: "default", UID: types.UID(pod), Labels: map[string]string{"app": pod[:1]}},
			Spec: corev1.PodSpec{NodeName: name, Containers: []corev1.Container{{
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}},
		}
		if pod[:1] == "s" {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{constraint}
		}
		info.AddPod(framework.NewPodInfo(p, nil))
	}
	return info
}

func checkUnchanged(t *testing.T, snapshot clustersnapshot.ClusterSnapshot, cluster map[string][]string) {
	t.Helper()
	for name, pods := range cluster {
		info, err := snapshot.GetNodeInfo(name)
		require.NoError(t, err)
		assert.Lenf(t, info.Pods(), len(pods), "node %s has pods afterwards", name)
	}
}
