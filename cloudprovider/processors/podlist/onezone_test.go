package podlist

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

func TestOneZonePodAsksForPromisedZone(t *testing.T) {
	inA := corev1.NodeSelectorRequirement{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"us-east-1a"}}
	promised := corev1.NodeSelectorRequirement{Key: nodemeta.ZoneAssumed, Operator: corev1.NodeSelectorOpNotIn, Values: []string{"ab"}}
	field := corev1.NodeSelectorRequirement{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"node"}}
	expressions := func(e ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: e}
	}
	affinity := func(terms ...corev1.NodeSelectorTerm) *corev1.Affinity {
		return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}
	}
	preferred := &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 1}}}
	apart := &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "x"}}}
	for _, tt := range []struct {
		name         string
		before, want *corev1.Affinity
	}{
		{name: "no affinity", want: affinity(expressions(promised))},
		{name: "every term asks", before: affinity(expressions(inA), expressions(inA, inA)), want: affinity(expressions(inA, promised), expressions(inA, inA, promised))},
		{name: "a term of fields", before: affinity(corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{field}}),
			want: affinity(corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{field}, MatchExpressions: []corev1.NodeSelectorRequirement{promised}})},
		{name: "a term that matches nothing still does not", before: affinity(expressions(inA), corev1.NodeSelectorTerm{}),
			want: affinity(expressions(inA, promised), corev1.NodeSelectorTerm{})},
		{name: "the rest stays", before: &corev1.Affinity{NodeAffinity: preferred, PodAntiAffinity: apart},
			want: &corev1.Affinity{PodAntiAffinity: apart, NodeAffinity: &corev1.NodeAffinity{
				PreferredDuringSchedulingIgnoredDuringExecution: preferred.PreferredDuringSchedulingIgnoredDuringExecution,
				RequiredDuringSchedulingIgnoredDuringExecution:  affinity(expressions(promised)).NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{Affinity: tt.before}}
			untouched := pod.DeepCopy()
			got := refusing(pod, nodemeta.ZoneAssumed, []string{"ab"})
			assert.Empty(t, cmp.Diff(tt.want, got.Spec.Affinity), "affinity (-want +got)")
			assert.Empty(t, cmp.Diff(untouched, pod), "the pod itself was changed")
		})
	}
}
