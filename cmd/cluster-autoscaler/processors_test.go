package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
)

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
