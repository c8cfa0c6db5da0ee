package plugin

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/stretchr/testify/assert"
)

type named map[string]*aws.NodeGroup

func (n named) NodeGroup(id string) *aws.NodeGroup { return n[id] }

func TestQuestionHasPodsOfDaemonSets(t *testing.T) {
	node := marshal(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Allocatable: awsworld.Resources("cpu", "2")}})
	_, infos, err := readOptions(&protos.BestOptionsRequest{Options: []*protos.Option{{NodeGroupId: "web", NodeCount: 1, PodBytes: [][]byte{podOf("a", "1")}}},
		NodeBytesMap: map[string][]byte{"web": node}}, named{"web": {}}.NodeGroup, []*appsv1.DaemonSet{{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "default"}}})
	if err != nil || len(infos["web"].Pods()) != 1 {
		t.Errorf("the node of the option = %v, error %v, want the pod of the DaemonSet on it", infos["web"], err)
	}
}

// A name may look like a quantity that nobody can calculate with.
func TestQuestionHasPodsWithAnyName(t *testing.T) {
	node := marshal(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Allocatable: awsworld.Resources("cpu", "2")}})
	staff := marshal(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "e123456", Labels: map[string]string{"e2024": "true"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "12e45678"}}}})
	options, _, err := readOptions(&protos.BestOptionsRequest{Options: []*protos.Option{{NodeGroupId: "web", NodeCount: 1, PodBytes: [][]byte{staff}}},
		NodeBytesMap: map[string][]byte{"web": node}}, named{"web": {}}.NodeGroup, nil)
	assert.NoError(t, err)
	assert.Len(t, options, 1)
}
