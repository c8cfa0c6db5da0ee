package plugin

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/stretchr/testify/assert"
)

// asked reads a question about the pod and the group web.
func asked(t *testing.T, pod []byte, daemonSets ...*appsv1.DaemonSet) ([]coreexpander.Option, map[string]*framework.NodeInfo, error) {
	node := marshal(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Allocatable: awsworld.Resources("cpu", "2")}})
	return readOptions(&protos.BestOptionsRequest{Options: []*protos.Option{{NodeGroupId: "web", NodeCount: 1, PodBytes: [][]byte{pod}}},
		NodeBytesMap: map[string][]byte{"web": node}}, func(string) *aws.NodeGroup { return &aws.NodeGroup{} }, daemonSets)
}

func TestQuestionHasPodsOfDaemonSets(t *testing.T) {
	_, infos, err := asked(t, podOf("a", "1"), &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "default"}})
	if err != nil || len(infos["web"].Pods()) != 1 {
		t.Errorf("the node of the option = %v, error %v, want the pod of the DaemonSet on it", infos["web"], err)
	}
}

// A name may look like a quantity that nobody can calculate with.
func TestQuestionHasPodsWithAnyName(t *testing.T) {
	options, _, err := asked(t, marshal(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "e123456", Labels: map[string]string{"e2024": "true"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "12e45678"}}}}))
	assert.NoError(t, err)
	assert.Len(t, options, 1)
}
