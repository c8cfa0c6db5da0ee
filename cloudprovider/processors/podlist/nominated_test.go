package podlist

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/utils"
)

func TestNominationsForNodesThatStart(t *testing.T) {
	pod := func(name string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{NominatedNodeName: "node"}}
	}
	ours, others := pod("ours"), pod("others")
	nominated := NewNominated(func(p *corev1.Pod) bool { return p.Name == "ours" })
	pods, err := nominated.Process(&cacontext.AutoscalingContext{}, []*corev1.Pod{ours, others})
	if err != nil {
		t.Fatal(err)
	}
	pending, onNode := utils.FilterOutExpendableAndSplit(pods, []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "node"}}}, -10)
	if len(pending) != 1 || pending[0].Name != "ours" || len(onNode) != 1 || onNode[0].Name != "others" {
		t.Errorf("the core takes %v for pending and %v for pods of the node, want one each", pending, onNode)
	}
	if ours.Status.NominatedNodeName != "node" {
		t.Error("the pod of the informer was changed")
	}
}
