package podlist

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/client-go/informers"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// A copy of the node carries the labels of its drivers, whose values name it (Azure/local-csi-driver#495).
func TestPodWhoseVolumeIsOnANodeAsksForThatNode(t *testing.T) {
	const lvm, openEBS = "topology.topolvm.io/node", "openebs.io/nodename"
	term := func(key string, operator corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: operator, Values: values}}}
	}
	for _, tt := range []struct {
		name  string
		terms []corev1.NodeSelectorTerm
		want  []string // names of nodes
	}{
		{name: "one node", terms: []corev1.NodeSelectorTerm{term(lvm, corev1.NodeSelectorOpIn, "a")}, want: []string{"a"}},
		{name: "one of two", terms: []corev1.NodeSelectorTerm{term(openEBS, corev1.NodeSelectorOpIn, "a", "b")}, want: []string{"a", "b"}},
		{name: "a copy on each of two", terms: []corev1.NodeSelectorTerm{term(lvm, corev1.NodeSelectorOpIn, "a"), term(lvm, corev1.NodeSelectorOpIn, "b")},
			want: []string{"a", "b"}},
		{name: "one node is gone", terms: []corev1.NodeSelectorTerm{term(lvm, corev1.NodeSelectorOpIn, "a", "gone")}, want: []string{"a"}},
		{name: "one whose hostname is unknown", terms: []corev1.NodeSelectorTerm{term(lvm, corev1.NodeSelectorOpIn, "a", "nameless")}},
		{name: "all are gone", terms: []corev1.NodeSelectorTerm{term(lvm, corev1.NodeSelectorOpIn, "gone")}},
		{name: "or a zone", terms: []corev1.NodeSelectorTerm{term(lvm, corev1.NodeSelectorOpIn, "a"), term("zone", corev1.NodeSelectorOpIn, "x")}},
		{name: "any other node", terms: []corev1.NodeSelectorTerm{term(lvm, corev1.NodeSelectorOpNotIn, "a")}},
		{name: "a zone", terms: []corev1.NodeSelectorTerm{term("zone", corev1.NodeSelectorOpIn, "x")}},
		{name: "by the hostname, which no copy has", terms: []corev1.NodeSelectorTerm{term(corev1.LabelHostname, corev1.NodeSelectorOpIn, "a")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, nodes := awsworld.New(t, nil), testsnapshot.NewTestSnapshotOrDie(t)
			require.NoError(t, nodes.AddNodeInfo(framework.NewNodeInfo(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "nameless"}}, nil)))
			for _, name := range []string{"a", "b"} {
				require.NoError(t, nodes.AddNodeInfo(framework.NewNodeInfo(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name,
					Labels: map[string]string{corev1.LabelHostname: name}}}, nil)))
			}
			volumes := informers.NewSharedInformerFactory(nil, 0).Core().V1()
			claims, bound := volumes.PersistentVolumeClaims(), volumes.PersistentVolumes()
			require.NoError(t, claims.Informer().GetStore().Add(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: "x"},
				Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"}}))
			require.NoError(t, bound.Informer().GetStore().Add(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"},
				Spec: corev1.PersistentVolumeSpec{NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: tt.terms}}}}))
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "x"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data",
				VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}}}
			z := &OneZone{Provider: w.Provider, Volumes: podzone.Volumes{Claims: claims.Lister(), Volumes: bound.Lister()}}
			got, err := z.Process(&cacontext.AutoscalingContext{ClusterSnapshot: nodes}, []*corev1.Pod{pod})
			require.NoError(t, err)
			var want *corev1.NodeSelector
			if tt.want != nil {
				want = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term(corev1.LabelHostname, corev1.NodeSelectorOpIn, tt.want...)}}
			}
			assert.Equal(t, want, podzone.Required(got[0]), "nodes that the pod asks for")
		})
	}
}

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
			got := requiring(pod, nodemeta.ZoneAssumed, corev1.NodeSelectorOpNotIn, []string{"ab"})
			assert.Empty(t, cmp.Diff(tt.want, got.Spec.Affinity), "affinity (-want +got)")
			assert.Empty(t, cmp.Diff(untouched, pod), "the pod itself was changed")
		})
	}
}
