package leastcost

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiv1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

// labelled names a node's group in these tests.
const labelled = "group"

// join adds nodes of a group to the snapshot.
func join(t *testing.T, snapshot clustersnapshot.ClusterSnapshot, group string, count int, amounts ...string) {
	t.Helper()
	for i := range count {
		node := template(amounts...).Node()
		node.Name = fmt.Sprintf("%s-%d", group, i)
		node.Labels = map[string]string{labelled: group}
		if err := snapshot.AddNodeInfo(framework.NewNodeInfo(node, nil)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlacesPutsPodsWhereTheyWerePlanned(t *testing.T) {
	// Each node takes a large and a small pod. If the late ones, spread over both, went first, no large one would fit.
	late, small, large := replicas("late", 4, "1", "1Gi"), replicas("small", 2, "1", "1Gi"), replicas("large", 2, "3", "3Gi")
	filter := newFilter(flat{"a": 0.1}, nil)
	best := filter.BestOptions([]expander.Option{option("a", 2, small, large)}, map[string]*framework.NodeInfo{"a": template("4", "8Gi")})
	if diff := cmp.Diff([]string{"a: 2 for 4"}, summary(best)); diff != "" {
		t.Fatalf("best options (-want +got):\n%s", diff)
	}
	snapshot := testsnapshot.NewTestSnapshotOrDie(t)
	join(t, snapshot, "other", 1, "4", "8Gi")
	join(t, snapshot, "a", 2, "4", "8Gi")
	processor := filter.Places(func(node *apiv1.Node) string { return node.Labels[labelled] })
	left, err := processor.Process(&cacontext.AutoscalingContext{ClusterSnapshot: snapshot}, slices.Concat(late, small, large))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names([]expander.Option{option("", 0, late)}), names([]expander.Option{option("", 0, left)})); diff != "" {
		t.Errorf("still pending (-want +got):\n%s", diff)
	}
	for _, name := range []string{"a-0", "a-1"} {
		info, err := snapshot.GetNodeInfo(name)
		if err != nil || len(info.Pods()) != 2 {
			t.Errorf("node %s has %d pods (%v), want a large and a small one", name, len(info.Pods()), err)
		}
	}
}

func TestPlacesForgetsWhatIsNoLongerSo(t *testing.T) {
	web := replicas("web", 8, "1", "1Gi")
	filter := newFilter(flat{"a": 0.1}, nil)
	filter.BestOptions([]expander.Option{option("a", 2, web)}, map[string]*framework.NodeInfo{"a": template("4", "8Gi")})
	if len(filter.places) != 2 {
		t.Fatalf("%d places were noted, want 2", len(filter.places))
	}
	processor := filter.Places(func(node *apiv1.Node) string { return node.Labels[labelled] })
	snapshot := testsnapshot.NewTestSnapshotOrDie(t)
	join(t, snapshot, "a", 1, "4", "8Gi") // one of the two did not come
	left, err := processor.Process(&cacontext.AutoscalingContext{ClusterSnapshot: snapshot}, web)
	if err != nil || len(left) != 4 || len(filter.places) != 1 {
		t.Errorf("%d pods left and %d places kept (%v), want 4 pods and the place of the node that came", len(left), len(filter.places), err)
	}
	if left, err = processor.Process(&cacontext.AutoscalingContext{ClusterSnapshot: snapshot}, nil); err != nil || len(left) > 0 || len(filter.places) > 0 {
		t.Errorf("%d pods left and %d places kept (%v), want none when nothing is pending", len(left), len(filter.places), err)
	}
}

func TestPlacesCoversBalancedGroups(t *testing.T) {
	web := replicas("web", 8, "1", "1Gi")
	filter := newFilter(flat{"a": 0.1, "b": 0.11}, nil)
	balanced := option("a", 2, web)
	balanced.SimilarNodeGroups = append(balanced.SimilarNodeGroups, &group{id: "b"})
	filter.BestOptions([]expander.Option{balanced}, map[string]*framework.NodeInfo{"a": template("4", "8Gi")})
	snapshot := testsnapshot.NewTestSnapshotOrDie(t)
	join(t, snapshot, "a", 1, "4", "8Gi")
	join(t, snapshot, "b", 1, "4", "8Gi")
	processor := filter.Places(func(node *apiv1.Node) string { return node.Labels[labelled] })
	left, err := processor.Process(&cacontext.AutoscalingContext{ClusterSnapshot: snapshot}, web)
	if err != nil || len(left) != 0 || len(filter.places) != 2 {
		t.Errorf("%d pods left and %d places kept (%v), want none left and both places", len(left), len(filter.places), err)
	}
}
