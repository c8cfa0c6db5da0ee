package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	ca_context "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/customresources"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	processor "k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
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

func TestScaleDownCanBeSwitchedOff(t *testing.T) {
	nodes := []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "empty"}}}
	for _, enabled := range []bool{true, false} {
		p := &process{options: options.Options{ScaleDown: enabled}}
		opts := p.coreOptions(nil)
		if _, err := p.addProcessors(t.Context(), t.Context(), &opts, plainCloud()); err != nil {
			t.Fatal(err)
		}
		chooses := opts.Processors.ScaleDownNodeProcessor
		got, err := chooses.GetScaleDownCandidates(nil, nodes)
		if err != nil || (len(got) > 0) != enabled {
			t.Errorf("with --scale-down-enabled=%t %d nodes are considered for removal, %v", enabled, len(got), err)
		}
		if got, err := chooses.GetPodDestinationCandidates(nil, nodes); err != nil || len(got) != 1 {
			t.Errorf("with --scale-down-enabled=%t pods may move to %d nodes, %v, want 1", enabled, len(got), err)
		}
	}
}

// plainCloud has every node considered for removal, and leaves the core's other processors as they are.
func plainCloud() *cloud {
	return &cloud{
		starting: func(core customresources.CustomResourcesProcessor) customresources.CustomResourcesProcessor {
			return core
		},
		balancing:  func(core nodegroupset.NodeGroupSetProcessor) nodegroupset.NodeGroupSetProcessor { return core },
		minimum:    func(core processor.ScaleDownSetProcessor) processor.ScaleDownSetProcessor { return core },
		similar:    func(core nodegroupset.NodeInfoComparator) nodegroupset.NodeInfoComparator { return core },
		fresh:      func(processor.ScaleDownNodeProcessor) processor.ScaleDownNodeProcessor { return allNodes{} },
		zonalFirst: aws.NewZonalFirst(nil),
	}
}

// allNodes considers every node for removal.
type allNodes struct {
	processor.ScaleDownNodeProcessor
}

func (allNodes) GetScaleDownCandidates(_ *ca_context.AutoscalingContext, nodes []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return nodes, nil
}

func (allNodes) GetPodDestinationCandidates(_ *ca_context.AutoscalingContext, nodes []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return nodes, nil
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
