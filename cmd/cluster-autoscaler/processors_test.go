package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/snapshot"
)

// The core reads claims from as many goroutines as it is told, in its own snapshots, too, and dies of it.
func TestCoreReadsClaimsFromOneGoroutine(t *testing.T) {
	p := &process{}
	p.core.PredicateParallelism, p.core.DynamicResourceAllocationEnabled = 4, true
	opts := p.coreOptions(nil)
	if _, ours := opts.ClusterSnapshot.(*snapshot.Snapshot); !ours {
		t.Errorf("the core's snapshot is a %T, want ours", opts.ClusterSnapshot)
	}
	if got := opts.AutoscalingOptions.PredicateParallelism; got != 1 {
		t.Errorf("snapshots of nodes to delete have %d goroutines, want 1", got)
	}
}

func TestOurOwnMarksDoNotMakeGroupsDifferent(t *testing.T) {
	p := &process{}
	p.core.NodeGroupSetRatios = config.NewDefaultNodeGroupDifferenceRatios()
	p.core.BalancingExtraIgnoredLabels = []string{"example.com/ignored"}
	similar := p.similarity(&cloud{similar: func(core nodegroupset.NodeInfoComparator) nodegroupset.NodeInfoComparator { return core }})
	labelled := func(key string) *framework.NodeInfo {
		return framework.NewNodeInfo(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{key: "true"}}}, nil)
	}
	for key, want := range map[string]bool{aws.LabelZoneAssumed: true, "example.com/ignored": true, "example.com/team": false} {
		if got := similar(labelled(key), labelled("kubernetes.io/hostname")); got != want {
			t.Errorf("with the label %s on one of them, groups are similar: %t, want %t", key, got, want)
		}
	}
}
